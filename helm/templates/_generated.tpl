{{/* Secrets that nobody named: made once, and kept by asking the cluster for what was made before. */}}

{{- define "relay.generatedName" -}}
{{ include "relay.fullname" . }}-generated
{{- end -}}

{{/* The keys to make, with spaces between. */}}
{{- define "relay.generatedKeys" -}}
{{- if not (or .Values.operators.token .Values.operators.existingSecret) }}operator-token {{ end -}}
{{- if and .Values.valkey.enabled (not .Values.valkey.auth.existingSecret) }}redis-password{{ end -}}
{{- end -}}

{{/* The Secret's `data`. Once a rendering: each call makes new ones where the cluster has none. */}}
{{- define "relay.generatedData" -}}
{{- $held := (lookup "v1" "Secret" .Release.Namespace (include "relay.generatedName" .)).data | default dict -}}
{{- range $key := splitList " " (include "relay.generatedKeys" . | trim) }}
{{ $key }}: {{ get $held $key | default (randAlphaNum 40 | b64enc) }}
{{- end }}
{{- end -}}

{{/* Whether this knows a cluster but may not ask it (Argo CD, a dry run on the client): each rendering would make other secrets. */}}
{{- define "relay.cannotAsk" -}}
{{- if and (.Capabilities.APIVersions.Has "v1/Secret") (not (lookup "v1" "Secret" .Release.Namespace "")) }}yes{{ end -}}
{{- end -}}
