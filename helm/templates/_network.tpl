{{- /* Name servers and Redis: what every process of the relay needs. */}}
{{- define "relay.egressBasics" -}}
{{- $policy := .Values.networkPolicy -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
  {{- with $policy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- if .Values.valkey.enabled }}
- ports: [{protocol: TCP, port: 6379}]
  to:
    - podSelector:
        matchLabels:
          {{- include "relay.selector" (dict "root" . "component" "valkey") | nindent 10 }}
{{- else }}
{{- $ports := $policy.redisPorts }}
{{- if not $ports }}
{{- if .Values.redis.sentinel.hosts }}
{{- $ports = list (int .Values.redis.port) }}
{{- range .Values.redis.sentinel.hosts }}
{{- $ports = append $ports (ternary (regexFind "[0-9]+$" .) "26379" (contains ":" .) | int) }}
{{- end }}
{{- else if .Values.redis.cluster.nodes }}
{{- /* The other nodes listen where these do. */}}
{{- range .Values.redis.cluster.nodes }}
{{- $ports = append $ports (ternary (regexFind "[0-9]+$" .) "6379" (contains ":" .) | int) }}
{{- end }}
{{- else if .Values.redis.url }}
{{- range regexFindAll ":[0-9]+(,|/|$)" .Values.redis.url -1 }}
{{- $ports = append $ports (regexFind "[0-9]+" . | int) }}
{{- end }}
{{- end }}
{{- $ports = $ports | default (list (int .Values.redis.port)) | uniq }}
{{- end }}
- ports:
    {{- range $ports }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
  {{- with $policy.redisTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- /* Planhat, look-ups, senders' certificates: the internet, and no private or metadata address. */}}
{{- define "relay.egressOut" -}}
{{- $policy := .Values.networkPolicy -}}
- ports:
    {{- range $policy.outboundPorts }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
  to:
    {{- range $family := list "0.0.0.0/0" "::/0" }}
    - ipBlock:
        cidr: {{ $family | quote }}
        {{- $except := list }}
        {{- range $policy.outboundExcept }}
        {{- if eq (contains ":" .) (contains ":" $family) }}{{ $except = append $except . }}{{ end }}
        {{- end }}
        {{- with $except }}
        except:
          {{- toYaml . | nindent 10 }}
        {{- end }}
    {{- end }}
{{- with $policy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- /* Whose X-Forwarded-For is believed. Behind an Ingress or a gateway every request comes from a pod's or a node's address;
without this all senders would be one. */}}
{{- define "relay.trustedProxies" -}}
{{- $v := .Values -}}
{{- if $v.web.trustedProxies -}}
{{- $v.web.trustedProxies -}}
{{- else if or $v.web.ingress.enabled $v.web.httpRoute.enabled $v.operators.ingress.enabled -}}
10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fc00::/7
{{- end -}}
{{- end }}
