{{/* Names, labels, metadata, images. */}}

{{- define "relay.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 45 characters, so that every suffix fits into a DNS label of 63; what is cut keeps a hash of the whole. */}}
{{- define "relay.fullname" -}}
{{- $name := include "relay.name" . -}}
{{- $whole := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) -}}
{{- if gt (len $whole) 45 -}}
{{- printf "%s-%s" (trunc 36 $whole | trimSuffix "-") (sha256sum $whole | trunc 8) -}}
{{- else -}}
{{- $whole | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "component" "web") */}}
{{- define "relay.selector" -}}
app.kubernetes.io/name: {{ include "relay.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "relay.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "relay.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: planhat-relay
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{/* (dict "root" $ "component" "web" "suffix" "-web" "labels" {} "annotations" {}) */}}
{{- define "relay.metadata" -}}
{{- $labels := merge (dict) (fromYaml (include "relay.labels" .)) (.labels | default dict) .root.Values.commonLabels -}}
{{- $annotations := merge (dict) (.annotations | default dict) .root.Values.commonAnnotations -}}
name: {{ include "relay.fullname" .root }}{{ .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "image" .Values.image "what" "image") */}}
{{- define "relay.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $tag := .image.tag | default .root.Chart.AppVersion -}}
{{- if $registry }}{{ $registry }}/{{ end }}{{ .image.repository }}{{ if .image.digest }}@{{ .image.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end -}}

{{/* Of the official image the chart knows what its default tag was when it was last looked at. */}}
{{- define "relay.valkeyDigest" -}}
{{- with .Values.valkey.image -}}
{{- if .digest }}{{ .digest }}
{{- else if and (eq .repository "valkey/valkey") (eq .tag "8.1") -}}
sha256:495e4fecdc98ee48a20b207726caa5ab6451e0fac3642a9be10d9e70b3068df6
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "relay.pullSecrets" -}}
{{- $names := concat .Values.global.imagePullSecrets .Values.image.pullSecrets | uniq -}}
{{- with $names }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "relay.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "relay.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* Seconds of a duration as the config writes it (500ms, 60s, 15m, 1h); 60 for anything else. */}}
{{- define "relay.seconds" -}}
{{- $text := toString . -}}
{{- if regexMatch "^[0-9]+ms$" $text -}}1
{{- else if regexMatch "^[0-9]+s?$" $text -}}{{ trimSuffix "s" $text }}
{{- else if regexMatch "^[0-9]+m$" $text -}}{{ mul (trimSuffix "m" $text | int) 60 }}
{{- else if regexMatch "^[0-9]+h$" $text -}}{{ mul (trimSuffix "h" $text | int) 3600 }}
{{- else -}}60
{{- end -}}
{{- end -}}
