{{/* What the processes are told: the config file, Redis's address, credentials. */}}

{{/* The config's text, as it stands in the ConfigMap. */}}
{{- define "relay.configText" -}}
{{- if kindIs "string" .Values.config -}}
{{- .Values.config -}}
{{- else if .Values.config -}}
{{- include "relay.configWithLanes" . -}}
{{- end -}}
{{- end -}}

{{/* The config as a mapping; empty when it is in a ConfigMap of the user's. */}}
{{- define "relay.configMapping" -}}
{{- $text := include "relay.configText" . -}}
{{- if $text }}{{ toYaml (fromYaml $text) }}{{ else }}{}{{ end -}}
{{- end -}}

{{- define "relay.configMapName" -}}
{{- .Values.existingConfigMap | default (printf "%s-config" (include "relay.fullname" .)) -}}
{{- end -}}

{{/* Where Redis is, as YAML: host, port, login (user and password as the URL takes them, or empty), secretPassword. */}}
{{- define "relay.redisHost" -}}
{{- if .Values.valkey.enabled }}{{ include "relay.fullname" . }}-valkey{{ else }}{{ .Values.redis.host }}{{ end -}}
{{- end -}}

{{- define "relay.redisPort" -}}
{{- if .Values.valkey.enabled }}6379{{ else }}{{ int .Values.redis.port }}{{ end -}}
{{- end -}}

{{/* Name of the Secret that holds Redis's password by itself; empty when none does. */}}
{{- define "relay.redisPasswordSecret" -}}
{{- if .Values.valkey.enabled -}}
{{- .Values.valkey.auth.existingSecret | default (include "relay.generatedName" .) -}}
{{- else if .Values.redis.url -}}
{{- else if and .Values.redis.existingSecret (not .Values.redis.existingSecretUrlKey) -}}
{{- .Values.redis.existingSecret -}}
{{- else if .Values.redis.password -}}
{{- include "relay.fullname" . }}-secrets
{{- end -}}
{{- end -}}

{{- define "relay.redisPasswordKey" -}}
{{- if .Values.valkey.enabled }}{{ ternary .Values.valkey.auth.existingSecretKey "redis-password" (not (empty .Values.valkey.auth.existingSecret)) }}
{{- else if .Values.redis.existingSecret }}{{ .Values.redis.existingSecretPasswordKey }}
{{- else }}redis-password
{{- end -}}
{{- end -}}

{{/* The address, with `password` in the place of the password: (dict "root" $ "password" "$(REDIS_PASSWORD)"). */}}
{{- define "relay.redisAddress" -}}
{{- $redis := .root.Values.redis -}}
{{- if .root.Values.valkey.enabled -}}
redis://{{ if .password }}:{{ .password }}@{{ end }}{{ include "relay.redisHost" .root }}:6379/0
{{- else -}}
{{- $login := "" -}}
{{- if or $redis.username .password }}{{ $login = printf "%s:%s@" ($redis.username | urlquery | replace "+" "%20") .password }}{{ end -}}
{{- if $redis.sentinel.hosts -}}
redis{{ if $redis.tls.enabled }}s{{ end }}+sentinel://{{ $login }}{{ join "," $redis.sentinel.hosts }}/{{ $redis.sentinel.master }}/{{ int $redis.db }}
{{- else -}}
{{- if $redis.cluster.nodes -}}
redis{{ if $redis.tls.enabled }}s{{ end }}+cluster://{{ $login }}{{ join "," $redis.cluster.nodes }}
{{- else -}}
redis{{ if $redis.tls.enabled }}s{{ end }}://{{ $login }}{{ $redis.host }}:{{ int $redis.port }}/{{ int $redis.db }}
{{- end -}}
{{- if and $redis.tls.enabled $redis.tls.caSecret }}?ssl_ca_certs=/run/secrets/redis-tls/{{ $redis.tls.caKey }}{{ end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The whole address as the chart's own Secret holds it; empty when no secret value was given in the values. */}}
{{- define "relay.redisSecretUrl" -}}
{{- if .Values.valkey.enabled -}}
{{- else if and .Values.redis.url (contains "@" .Values.redis.url) -}}
{{- .Values.redis.url -}}
{{- else if and .Values.redis.password (not .Values.redis.url) -}}
{{- include "relay.redisAddress" (dict "root" . "password" (.Values.redis.password | urlquery | replace "+" "%20")) -}}
{{- end -}}
{{- end -}}

{{/* Redis's address as environment variables. `name`: the variable; `files`: whether a mounted file will do. */}}
{{- define "relay.redisEnv" -}}
{{- $root := .root -}}
{{- $redis := $root.Values.redis -}}
{{- $own := include "relay.redisSecretUrl" $root -}}
{{- $existing := and $redis.existingSecretUrlKey $redis.existingSecret (not $root.Values.valkey.enabled) -}}
{{- if and (or $own $existing) .files -}}
- name: {{ .name }}_FILE
  value: /run/secrets/relay/redis-url
{{- else if $own -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ include "relay.fullname" $root }}-secrets, key: redis-url}}
{{- else if $existing -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ $redis.existingSecret }}, key: {{ $redis.existingSecretUrlKey }}}}
{{- else if and $redis.url (not $root.Values.valkey.enabled) -}}
- name: {{ .name }}
  value: {{ $redis.url | quote }}
{{- else if include "relay.redisPasswordSecret" $root -}}
- name: REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "relay.redisPasswordSecret" $root }}, key: {{ include "relay.redisPasswordKey" $root }}}}
- name: {{ .name }}
  value: {{ include "relay.redisAddress" (dict "root" $root "password" "$(REDIS_PASSWORD)") | quote }}
{{- else -}}
- name: {{ .name }}
  value: {{ include "relay.redisAddress" (dict "root" $root "password" "") | quote }}
{{- end -}}
{{- end -}}

{{- define "relay.planhatUrl" -}}
{{- if .Values.sandbox.enabled -}}
http://{{ include "relay.fullname" . }}-sandbox:{{ int .Values.sandbox.port }}
{{- else -}}
{{- .Values.planhat.url | default "https://api.planhat.com" -}}
{{- end -}}
{{- end -}}

{{/* The chart's own Secret, as a mapping of what is in it (plain); empty: no such Secret. */}}
{{- define "relay.ownSecrets" -}}
{{- with include "relay.redisSecretUrl" . }}
redis-url: {{ . | quote }}
{{- end }}
{{- if and .Values.redis.password (not .Values.valkey.enabled) (not .Values.redis.url) }}
redis-password: {{ .Values.redis.password | quote }}
{{- end }}
{{- if and .Values.planhat.token (not .Values.planhat.existingSecret) }}
planhat-token: {{ .Values.planhat.token | quote }}
{{- else if and .Values.sandbox.enabled (not .Values.planhat.existingSecret) }}
planhat-token: sandbox
{{- end }}
{{- if and .Values.operators.token (not .Values.operators.existingSecret) }}
operator-token: {{ .Values.operators.token | quote }}
{{- end }}
{{- range $name, $content := .Values.sources.secrets }}
source-{{ $name }}: {{ $content | quote }}
{{- end }}
{{- include "relay.ownLaneTokens" . }}
{{- end -}}

{{/* Every file under /run/secrets/relay, as YAML: its name, the Secret and key it comes from, and which kinds of pods get it. A
pod gets what it needs: the web side never calls Planhat, the workers have no operators. */}}
{{- define "relay.credentials" -}}
{{- $v := .Values -}}
{{- $own := printf "%s-secrets" (include "relay.fullname" .) -}}
{{- if include "relay.redisSecretUrl" . }}
redis-url: {for: [web, worker], secret: {{ $own }}, key: redis-url}
{{- else if and $v.redis.existingSecret $v.redis.existingSecretUrlKey (not $v.valkey.enabled) }}
redis-url: {for: [web, worker], secret: {{ $v.redis.existingSecret }}, key: {{ $v.redis.existingSecretUrlKey }}}
{{- end }}
{{- if $v.planhat.existingSecret }}
planhat-token: {for: [worker], secret: {{ $v.planhat.existingSecret }}, key: {{ $v.planhat.existingSecretKey }}}
{{- else if or $v.planhat.token $v.sandbox.enabled }}
planhat-token: {for: [worker], secret: {{ $own }}, key: planhat-token}
{{- end }}
{{- if $v.operators.existingSecret }}
operator-token: {for: [web, test], secret: {{ $v.operators.existingSecret }}, key: {{ $v.operators.existingSecretKey }}}
{{- else }}
operator-token: {for: [web, test], secret: {{ ternary $own (include "relay.generatedName" .) (not (empty $v.operators.token)) }}, key: operator-token}
{{- end }}
{{- with $v.operators.reader.existingSecret }}
reader-token: {for: [web], secret: {{ . }}, key: {{ $v.operators.reader.existingSecretKey }}}
{{- end }}
{{- with $v.encryption.existingSecret }}
encryption-keys: {for: [web, worker], secret: {{ . }}, key: {{ $v.encryption.existingSecretKey }}}
{{- end }}
{{- with $v.redaction.existingSecret }}
redaction-key: {for: [web, worker], secret: {{ . }}, key: {{ $v.redaction.existingSecretKey }}}
{{- end }}
{{- end -}}

{{/* Those of one kind of pod: (dict "root" $ "component" "web"). */}}
{{- define "relay.credentialsOf" -}}
{{- range $name, $from := fromYaml (include "relay.credentials" .root) }}
{{- if has $.component $from.for }}
{{ $name }}: {{ toJson (pick $from "secret" "key") }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the projected volume under /run/secrets/relay is made of. */}}
{{- define "relay.credentialSources" -}}
{{- range $name, $from := fromYaml (include "relay.credentialsOf" .) }}
- secret:
    name: {{ $from.secret }}
    items: [{key: {{ $from.key }}, path: {{ $name }}}]
{{- end }}
{{- end -}}

{{/* What the projected volume under /run/secrets/sources is made of. */}}
{{- define "relay.sourceSources" -}}
{{- with .Values.sources.secrets }}
- secret:
    name: {{ include "relay.fullname" $ }}-secrets
    items:
      {{- range $name, $content := . }}
      - {key: source-{{ $name }}, path: {{ $name }}}
      {{- end }}
{{- end }}
{{- range .Values.sources.existingSecrets }}
- secret:
    name: {{ .name }}
    {{- with .items }}
    items:
      {{- range . }}
      - {key: {{ .key }}, path: {{ .path | default .key }}}
      {{- end }}
    {{- end }}
{{- end }}
{{- end -}}

{{/* Environment of a process of the relay: (dict "root" $ "component" "web"). */}}
{{- define "relay.env" -}}
{{- $v := .root.Values -}}
{{- $files := fromYaml (include "relay.credentialsOf" .) -}}
- name: RELAY_CONFIG
  value: /etc/relay/relay.yaml
{{- if ne .component "test" }}
{{ include "relay.redisEnv" (dict "root" .root "name" "RELAY_REDIS_URL" "files" true) }}
{{- end }}
- name: RELAY_PLANHAT_URL
  value: {{ include "relay.planhatUrl" .root | quote }}
{{- if or $v.sandbox.enabled $v.planhat.plainHttp }}
- name: RELAY_PLANHAT_PLAIN_HTTP
  value: "true"
{{- end }}
{{- range $name := without (keys $files | sortAlpha) "redis-url" }}
- name: RELAY_{{ $name | upper | replace "-" "_" }}_FILE
  value: /run/secrets/relay/{{ $name }}
{{- end }}
{{- if and $v.operators.reader.seesPayloads (eq .component "web") }}
- name: RELAY_READER_SEES_PAYLOADS
  value: "true"
{{- end }}
{{- with $v.redis.keyPrefix }}
- name: RELAY_KEY_PREFIX
  value: {{ . | quote }}
{{- end }}
- name: RELAY_LOG_FORMAT
  value: {{ $v.log.format }}
- name: RELAY_LOG_LEVEL
  value: {{ $v.log.level }}
- name: RELAY_REQUIRE_DURABLE
  value: {{ $v.requireDurable | quote }}
{{- end -}}

{{/* Whether a kind of pod speaks to Redis with an authority of the user's: (dict "root" $ "component" "web"). */}}
{{- define "relay.redisAuthority" -}}
{{- if and .root.Values.redis.tls.enabled .root.Values.redis.tls.caSecret (ne .component "test") }}yes{{ end -}}
{{- end -}}

{{/* The lanes' tokens, as web and workers have them: (dict "root" $ "component" "web"). */}}
{{- define "relay.lanesOf" -}}
{{- if ne .component "test" }}{{ include "relay.laneSources" .root }}{{ end -}}
{{- end -}}

{{/* Mounts of a process of the relay: (dict "root" $ "component" "web"). */}}
{{- define "relay.mounts" -}}
- {name: config, mountPath: /etc/relay, readOnly: true}
{{- if include "relay.credentialSources" . | trim }}
- {name: credentials, mountPath: /run/secrets/relay, readOnly: true}
{{- end }}
{{- if include "relay.sourceSources" .root | trim }}
- {name: sources, mountPath: /run/secrets/sources, readOnly: true}
{{- end }}
{{- if include "relay.lanesOf" . | trim }}
- {name: lanes, mountPath: /run/secrets/lanes, readOnly: true}
{{- end }}
{{- if include "relay.redisAuthority" . }}
- {name: redis-tls, mountPath: /run/secrets/redis-tls, readOnly: true}
{{- end }}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* (dict "root" $ "component" "web") */}}
{{- define "relay.volumes" -}}
- name: config
  configMap: {name: {{ include "relay.configMapName" .root }}}
{{- with include "relay.credentialSources" . | trim }}
- name: credentials
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- with include "relay.sourceSources" .root | trim }}
- name: sources
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- with include "relay.lanesOf" . | trim }}
- name: lanes
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- if include "relay.redisAuthority" . }}
- name: redis-tls
  secret: {secretName: {{ .root.Values.redis.tls.caSecret }}, defaultMode: 0440}
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: {{ .root.Values.tmpSizeLimit }}}
{{- end -}}

{{/* The bundled Valkey's own file. */}}
{{- define "relay.valkeyConfig" -}}
bind * -::*
protected-mode no
port 6379
dir /data
# A 202 means durable: every write is in the file before its answer goes out, and nothing is ever evicted.
appendonly yes
appendfsync always
save ""
maxmemory {{ .Values.valkey.maxmemory }}
maxmemory-policy noeviction
{{- with .Values.valkey.extraConfig }}
{{ . }}
{{- end }}
{{- end -}}
