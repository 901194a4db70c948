{{/* Every mistake in the values that no schema sees, at once, each with what to do. */}}

{{- define "relay.webGrace" -}}
{{- add (int .Values.web.preStopSeconds) (int .Values.web.shutdownSeconds) 5 -}}
{{- end -}}

{{/* A call to Planhat under way may end: the longest time-out of the lanes, then what the worker needs to settle, and a margin. */}}
{{- define "relay.workerGrace" -}}
{{- $config := fromYaml (include "relay.configMapping" .) -}}
{{- $longest := include "relay.seconds" (dig "planhat" "timeout" "60s" $config) | int -}}
{{- range $lane := get $config "lanes" | default dict -}}
{{- if $lane.timeout }}{{ $longest = max $longest (include "relay.seconds" $lane.timeout | int) }}{{ end -}}
{{- end -}}
{{- add $longest (int .Values.worker.settleSeconds) 5 -}}
{{- end -}}

{{/* Every place of the config that holds a secret, as YAML: its path, and what is written there. Lists and single texts. */}}
{{- define "relay.secretPlaces" -}}
{{- $groups := dict -}}
{{- range $name, $source := .sources }}
{{- if kindIs "map" $source }}
{{- $at := printf "sources.%s" $name }}
{{- range $key := list "secrets" "basic_auth" "bearer" }}
{{- $_ := set $groups (printf "%s.%s" $at $key) (get $source $key) }}
{{- end }}
{{- range $inner := list (list "api_key" "values") (list "enrich" "token") (list "enrich" "login") }}
{{- $block := get $source (first $inner) }}
{{- if kindIs "map" $block }}
{{- $_ := set $groups (printf "%s.%s" $at (join "." $inner)) (get $block (last $inner)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with .alerts }}
{{- $_ := set $groups "alerts.slack" (get . "slack") }}
{{- if kindIs "map" (get . "mail") }}
{{- $_ := set $groups "alerts.mail.login" (get (get . "mail") "login") }}
{{- end }}
{{- $webhooks := get . "webhook" }}
{{- range $index, $webhook := ternary $webhooks (list $webhooks) (kindIs "slice" $webhooks) }}
{{- if kindIs "map" $webhook }}
{{- $_ := set $groups (printf "alerts.webhook[%d].secret" $index) (get $webhook "secret") }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $lane := .lanes }}
{{- if kindIs "map" $lane }}
{{- $_ := set $groups (printf "lanes.%s.token" $name) (get $lane "token") }}
{{- end }}
{{- end }}
{{- range $place, $value := $groups }}
{{- if kindIs "slice" $value }}
{{- range $index, $one := $value }}
{{ printf "%s[%d]" $place $index | toJson }}: {{ toJson (toString $one) }}
{{- end }}
{{- else if $value }}
{{ $place | toJson }}: {{ toJson (toString $value) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether a piece of the secret itself stands in the text: (dict "place" "sources.a.bearer[0]" "text" "..."). `${NAME}` and
`${file:...}` are none, and neither is the user's name of a login; a default is. */}}
{{- define "relay.writtenOut" -}}
{{- $rest := regexReplaceAll "\\$\\{(file:[^}]+|[A-Za-z_][A-Za-z0-9_]*)\\}" (replace "$${" "$$" .text) "" -}}
{{- $user := and (regexMatch "basic_auth|login$" .place) (regexMatch "^[^:$]*:$" $rest) (contains "${" .text) -}}
{{- if not (or (not $rest) $user) }}yes{{ end -}}
{{- end -}}

{{- define "relay.mistakes" -}}
{{- $v := .Values -}}
{{- $config := fromYaml (include "relay.configMapping" .) -}}
{{- if $config.Error }}
config: is not YAML: {{ $config.Error }}
{{- else if and (not $v.config) (not $v.existingConfigMap) }}
config: is empty. Put your relay.yaml there (examples: helm/examples), or name a ConfigMap in existingConfigMap.
{{- else if and $v.config $v.existingConfigMap }}
config and existingConfigMap are both set; leave one out.
{{- end }}
{{- if not $config.Error }}
{{- range $place, $value := fromYaml (include "relay.secretPlaces" $config) }}
{{- if include "relay.writtenOut" (dict "place" $place "text" $value) }}
config.{{ $place }} is written out, wholly or in part, and a ConfigMap is no place for a secret: put all of it into a Secret named in sources.existingSecrets and write ${file:/run/secrets/sources/KEY} here, without a default.
{{- end }}
{{- end }}
{{- if $config.spool }}
{{- $claims := list }}
{{- range $v.web.extraVolumes }}{{ if .persistentVolumeClaim }}{{ $claims = append $claims .name }}{{ end }}{{ end }}
{{- if not (and $claims (eq $v.web.autoscaling.type "none") (eq (int $v.web.replicas) 1) (eq $v.web.strategy.type "Recreate")) }}
config.spool: what waits in a pod's folder goes with the pod, and a spool belongs to one process. Leave it out (senders repeat a 503), or run one web pod (web.replicas=1, web.strategy.type=Recreate) with a persistentVolumeClaim in web.extraVolumes.
{{- end }}
{{- end }}
{{- end }}
{{- $ways := list -}}
{{- if $v.valkey.enabled }}{{ $ways = append $ways "valkey.enabled" }}{{ end -}}
{{- if $v.redis.url }}{{ $ways = append $ways "redis.url" }}{{ end -}}
{{- if $v.redis.existingSecretUrlKey }}{{ $ways = append $ways "redis.existingSecretUrlKey" }}{{ end -}}
{{- if $v.redis.host }}{{ $ways = append $ways "redis.host" }}{{ end -}}
{{- if $v.redis.sentinel.hosts }}{{ $ways = append $ways "redis.sentinel.hosts" }}{{ end -}}
{{- if $v.redis.cluster.nodes }}{{ $ways = append $ways "redis.cluster.nodes" }}{{ end -}}
{{- if not $ways }}
redis: no Redis is named. Set redis.host, redis.sentinel.hosts, redis.cluster.nodes, redis.url, or redis.existingSecret with existingSecretUrlKey; for a try, valkey.enabled=true.
{{- else if and (gt (len $ways) 1) (not (and $v.redis.existingSecretUrlKey (eq (len $ways) 2) (or $v.redis.host $v.redis.sentinel.hosts $v.redis.cluster.nodes))) }}
redis: {{ join " and " $ways }} each name a Redis; leave one.
{{- end }}
{{- if and $v.redis.existingSecretUrlKey (not $v.redis.existingSecret) }}
redis.existingSecretUrlKey is set, but not redis.existingSecret, the Secret it is a key of.
{{- end }}
{{- if and $v.redis.password $v.redis.existingSecret }}
redis.password and redis.existingSecret are both set; leave one out.
{{- end }}
{{- if and $v.redis.tls.enabled $v.redis.tls.caSecret $v.redis.sentinel.hosts }}
redis.tls.caSecret does not work with redis.sentinel: put your authority into the image's own list, and leave caSecret out.
{{- end }}
{{- if and $v.redis.cluster.nodes (int $v.redis.db) }}
redis.db: a cluster has database 0 alone.
{{- end }}
{{- if and $v.rqDashboard.enabled (or $v.redis.cluster.nodes (contains "+cluster://" $v.redis.url)) }}
rqDashboard.enabled: the dashboard does not read a cluster; the relay's own console shows dead letters and workers.
{{- end }}
{{- if and $v.redis.url $v.redis.tls.enabled }}
redis.tls is for the parts; with redis.url write rediss:// into the address.
{{- end }}
{{- include "relay.laneMistakes" . }}
{{- if not (or $v.planhat.token $v.planhat.existingSecret $v.sandbox.enabled (include "relay.lanesHaveTokens" .)) }}
planhat: no token. Name a Secret in planhat.existingSecret (key planhat-token), or one for each lane in lanes.NAME.existingSecret; for a try, sandbox.enabled=true.
{{- end }}
{{- if and $v.planhat.token $v.planhat.existingSecret }}
planhat.token and planhat.existingSecret are both set; leave one out.
{{- end }}
{{- if and (hasPrefix "http://" (lower $v.planhat.url)) (not $v.planhat.plainHttp) }}
planhat.url begins with http://, and the token and the conversations would travel in clear; write https:// (planhat.plainHttp=true allows it, for a sandbox inside a network of yours).
{{- end }}
{{- if and $v.planhat.url $v.sandbox.enabled }}
planhat.url and sandbox.enabled each say where to deliver to; leave one out.
{{- end }}
{{- if and $v.operators.token $v.operators.existingSecret }}
operators.token and operators.existingSecret are both set; leave one out.
{{- end }}
{{- if and (include "relay.generatedKeys" . | trim) (include "relay.cannotAsk" .) }}
{{ include "relay.generatedKeys" . | trim | replace " " " and " }}: nobody named one, and this run cannot ask the cluster which was made before, so that each run would make another. Name Secrets in operators.existingSecret{{ if $v.valkey.enabled }} and valkey.auth.existingSecret{{ end }} (for a dry run: --dry-run=server).
{{- end }}
{{- if and $v.networkPolicy.enabled (not $v.networkPolicy.operatorsFrom) }}
{{- range $what, $who := dict "serviceMonitor" "Prometheus" "operators.ingress" "the Ingress controller" }}
{{- if (ternary $v.serviceMonitor $v.operators.ingress (eq $what "serviceMonitor")).enabled }}
{{ $what }} is on, and {{ $who }} could not get in: name its namespace in networkPolicy.operatorsFrom, such as {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}}.
{{- end }}
{{- end }}
{{- end }}
{{- if eq (int $v.operators.port) (int $v.web.port) }}
operators.port and web.port are the same; the operators' port is to stand apart.
{{- end }}
{{- range $name := list "web" "worker" }}
{{- $block := get $v $name }}
{{- $least := include (printf "relay.%sGrace" $name) $ | int }}
{{- if and $block.terminationGracePeriodSeconds (lt (int $block.terminationGracePeriodSeconds) $least) }}
{{ $name }}.terminationGracePeriodSeconds is {{ int $block.terminationGracePeriodSeconds }}, less than the {{ $least }} that a clean end may take; leave it empty or raise it.
{{- end }}
{{- if and (not (kindIs "invalid" $block.pdb.minAvailable)) (not (kindIs "invalid" $block.pdb.maxUnavailable)) (ne (toString $block.pdb.maxUnavailable) "1") }}
{{ $name }}.pdb: minAvailable and maxUnavailable are both set; leave one out.
{{- end }}
{{- $scaling := $block.autoscaling }}
{{- if and $block.fullestLaneThreshold (not (and (eq $scaling.type "keda") $scaling.keda.prometheus.serverAddress)) }}
{{ $name }}.fullestLaneThreshold: KEDA asks Prometheus for it; set {{ $name }}.autoscaling.type=keda and keda.prometheus.serverAddress.
{{- end }}
{{- if ne $scaling.type "none" }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{ $name }}.autoscaling: minReplicas {{ int $scaling.minReplicas }} is more than maxReplicas {{ int $scaling.maxReplicas }}.
{{- end }}
{{- if and (eq $scaling.type "hpa") (not (or $scaling.hpa.cpu $scaling.hpa.memory $scaling.hpa.metrics)) }}
{{ $name }}.autoscaling.hpa: nothing to scale by; set cpu, memory or metrics.
{{- end }}
{{- if eq $scaling.type "keda" }}
{{- if not (or $scaling.keda.prometheus.serverAddress $scaling.keda.redis.enabled $scaling.keda.triggers) }}
{{ $name }}.autoscaling.keda: nothing to scale by; set prometheus.serverAddress, redis.enabled or triggers.
{{- end }}
{{- if and $scaling.keda.redis.enabled (not (or $v.valkey.enabled $v.redis.host $v.redis.sentinel.hosts $v.redis.cluster.nodes)) }}
{{ $name }}.autoscaling.keda.redis: KEDA takes host and port, not an address; set redis.host (beside existingSecretUrlKey, if you use it), or scale on Prometheus.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $v.web.ingress.enabled (not $v.web.ingress.hosts) }}
web.ingress: no host. Name at least one in web.ingress.hosts.
{{- end }}
{{- if and $v.web.httpRoute.enabled (not $v.web.httpRoute.parentRefs) }}
web.httpRoute: no gateway. Name at least one in web.httpRoute.parentRefs.
{{- end }}
{{- if and $v.operators.ingress.enabled (not $v.operators.ingress.host) }}
operators.ingress: no host; set operators.ingress.host.
{{- end }}
{{- if and $v.operators.ingress.enabled (has $v.operators.ingress.host $v.web.ingress.hosts) }}
operators.ingress.host is one of web.ingress.hosts; the console is to stand on a name of its own.
{{- end }}
{{- if $v.rqDashboard.enabled }}
{{- if not $v.rqDashboard.image.repository }}
rqDashboard.image.repository: name an image with rq 3 and rq-dashboard; helm/examples/rq-dashboard.Dockerfile builds one.
{{- end }}
{{- if not $v.rqDashboard.existingSecret }}
rqDashboard.existingSecret: name a Secret with username and password; whoever gets in can replay every dead letter.
{{- end }}
{{- end }}
{{- if and $v.tests.deliver.enabled (not $v.tests.deliver.source) }}
tests.deliver.source: name the source of the config that the sample event comes from.
{{- else if and $v.tests.deliver.enabled $config.sources (not (hasKey $config.sources $v.tests.deliver.source)) }}
tests.deliver.source: {{ $v.tests.deliver.source }} is not a source of the config ({{ keys $config.sources | sortAlpha | join ", " }}).
{{- end }}
{{- end -}}
