{{/* Lanes: several Planhat tenants. Their names, where their tokens come from, what waits in them. */}}

{{/* The keys of `lanes.NAME` that are the chart's; all others are the config's. */}}
{{- define "relay.laneSecretKeys" -}}
[existingSecret, existingSecretKey, token]
{{- end -}}

{{/* `config` as a mapping, with what `lanes` says; `config` must be one. */}}
{{- define "relay.configWithLanes" -}}
{{- $config := deepCopy .Values.config -}}
{{- $lanes := dict -}}
{{- $tokens := fromYaml (include "relay.laneTokens" .) -}}
{{- $ours := fromYamlArray (include "relay.laneSecretKeys" .) -}}
{{- range $name := fromYamlArray (include "relay.laneNames" .) -}}
{{- $lane := deepCopy (get ($config.lanes | default dict) $name | default dict) -}}
{{- range $key, $value := get $.Values.lanes $name | default dict -}}
{{- if not (has $key $ours) }}{{ $_ := set $lane $key $value }}{{ end -}}
{{- end -}}
{{- if hasKey $tokens $name }}{{ $_ := set $lane "token" (printf "${file:/run/secrets/lanes/%s}" $name) }}{{ end -}}
{{- $_ := set $lanes $name $lane -}}
{{- end -}}
{{- if $lanes }}{{ $_ := set $config "lanes" $lanes }}{{ end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Names of the lanes, as a YAML list: those of `lanes`, and of a `config` that is a mapping or a text. */}}
{{- define "relay.laneNames" -}}
{{- $config := .Values.config -}}
{{- if kindIs "string" $config }}{{ $config = fromYaml $config }}{{ end -}}
{{- $lanes := get ($config | default dict) "lanes" | default dict -}}
{{- toYaml (concat (keys .Values.lanes) (ternary (keys $lanes) list (kindIs "map" $lanes)) | uniq | sortAlpha) -}}
{{- end -}}

{{/* Each lane whose token the chart mounts: its name, the Secret, the key. */}}
{{- define "relay.laneTokens" -}}
{{- $own := printf "%s-secrets" (include "relay.fullname" .) -}}
{{- range $name, $lane := .Values.lanes }}
{{- if $lane.existingSecret }}
{{ $name }}: {secret: {{ $lane.existingSecret }}, key: {{ $lane.existingSecretKey | default "planhat-token" }}}
{{- else if $lane.token }}
{{ $name }}: {secret: {{ $own }}, key: lane-{{ $name }}}
{{- end }}
{{- end }}
{{- range $name := fromYamlArray (include "relay.sandboxLanes" .) }}
{{ $name }}: {secret: {{ $own }}, key: lane-{{ $name }}}
{{- end }}
{{- end -}}

{{/* Lanes without a token of their own that deliver to the chart's sandbox, which takes any: each gets one, so that they are told
apart. As a YAML list; none where the config is a text, which the chart does not change. */}}
{{- define "relay.sandboxLanes" -}}
{{- $found := list -}}
{{- if and .Values.sandbox.enabled (kindIs "map" .Values.config) -}}
{{- range $name := fromYamlArray (include "relay.laneNames" .) -}}
{{- $lane := get $.Values.lanes $name | default dict -}}
{{- $told := get ($.Values.config.lanes | default dict) $name | default dict -}}
{{- if not (or $lane.existingSecret $lane.token $told.token) }}{{ $found = append $found $name }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/* The tokens that go into the chart's own Secret. */}}
{{- define "relay.ownLaneTokens" -}}
{{- range $name, $lane := .Values.lanes }}
{{- if and $lane.token (not $lane.existingSecret) }}
lane-{{ $name }}: {{ $lane.token | quote }}
{{- end }}
{{- end }}
{{- range $name := fromYamlArray (include "relay.sandboxLanes" .) }}
lane-{{ $name }}: sandbox-{{ $name }}
{{- end }}
{{- end -}}

{{/* What the projected volume under /run/secrets/lanes is made of; nothing without `lanes`. Both kinds of pods have it: a lane is
told by its token. */}}
{{- define "relay.laneSources" -}}
{{- range $name, $from := fromYaml (include "relay.laneTokens" .) }}
- secret:
    name: {{ $from.secret }}
    items: [{key: {{ $from.key }}, path: {{ $name }}}]
{{- end }}
{{- end -}}

{{/* Whether every lane has a token of its own, so that RELAY_PLANHAT_TOKEN is nobody's. */}}
{{- define "relay.lanesHaveTokens" -}}
{{- $config := fromYaml (include "relay.configMapping" .) -}}
{{- $names := fromYamlArray (include "relay.laneNames" .) -}}
{{- $all := not (empty $names) -}}
{{- range $name := $names -}}
{{- $told := get ($config.lanes | default dict) $name | default dict -}}
{{- if not (or $told.token (hasKey (fromYaml (include "relay.laneTokens" $)) $name)) }}{{ $all = false }}{{ end -}}
{{- end -}}
{{- if $all }}yes{{ end -}}
{{- end -}}

{{/* Mistakes in `lanes`. */}}
{{- define "relay.laneMistakes" -}}
{{- $v := .Values -}}
{{- $config := fromYaml (include "relay.configMapping" .) -}}
{{- $ours := fromYamlArray (include "relay.laneSecretKeys" .) -}}
{{- range $name, $lane := $v.lanes }}
{{- $told := get (get $config "lanes" | default dict) $name | default dict }}
{{- if and $lane.token $lane.existingSecret }}
lanes.{{ $name }}: token and existingSecret are both set; leave one out.
{{- end }}
{{- if and (or $lane.token $lane.existingSecret) (kindIs "map" $v.config) (get (get $v.config "lanes" | default dict) $name | default dict).token }}
lanes.{{ $name }} and config.lanes.{{ $name }}.token both say where its token is; leave one out.
{{- end }}
{{- if not (kindIs "map" $v.config) }}
{{- $rest := list }}{{ range $key, $_ := $lane }}{{ if not (has $key $ours) }}{{ $rest = append $rest $key }}{{ end }}{{ end }}
{{- if $rest }}
lanes.{{ $name }}: {{ join ", " $rest }} can only be put into a config that is a mapping; write it into the file.
{{- end }}
{{- if and $v.config (ne (toString $told.token) (printf "${file:/run/secrets/lanes/%s}" $name)) }}
lanes.{{ $name }}: the config is a text and does not use its token; write lanes: {{ "{" }}{{ $name }}: {token: "${file:/run/secrets/lanes/{{ $name }}}"}} there.
{{- end }}
{{- end }}
{{- end }}
{{- if and (kindIs "map" $v.config) (gt (len (fromYamlArray (include "relay.laneNames" .))) 1) }}
{{- range $name, $source := $v.config.sources }}
{{- if and (kindIs "map" $source) (not $source.lane) }}
config.sources.{{ $name }} names no lane, and Helm puts a mapping's keys into the alphabet's order, so that the first lane is not the one that you wrote first; write lane: NAME.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What waits in each lane where it can go out: nothing of what a person holds, and no lane that Planhat refuses or that backs off.
Without `lanes:` the state of delivery has no lane, and what waits is in `main`. */}}
{{- define "relay.waitingByLane" -}}
{{- $of := printf "namespace=%q,job=\"%s-operators\"" .Release.Namespace (include "relay.fullname" .) -}}
sum by (lane) (max by (lane, source) (relay_pending_items{ {{- $of -}} }) unless on (lane, source) max by (lane, source) (relay_paused_timestamp_seconds{ {{- $of -}} })) unless on (lane) (label_replace(max by (lane) (relay_delivery_state{ {{- $of -}} ,state!="open"}), "lane", "main", "lane", "^$") == 1)
{{- end -}}

{{/* What KEDA counts in Redis, as a YAML list: the conversations that wait, one sorted set for each source of the config in each lane
that its events may go to. KEDA asks each key for its type. Where the chart does not see the config's sources: what is under way in
the only lane. RQ's own list says nothing: its jobs are bells. */}}
{{- define "relay.kedaLists" -}}
{{- if .keda.redis.listName -}}
{{- toYaml (list .keda.redis.listName) -}}
{{- else -}}
{{- $base := .root.Values.redis.keyPrefix | default "relay" -}}
{{- $config := fromYaml (include "relay.configMapping" .root) -}}
{{- $lanes := fromYamlArray (include "relay.laneNames" .root) | default (list "main") -}}
{{- $sources := get $config "sources" | default dict -}}
{{- $lists := list -}}
{{- range $name, $source := $sources -}}
{{- $lists = append $lists (printf "%s:{%s}:due:%s" $base (get ($source | default dict) "lane" | default (first $lanes)) $name) -}}
{{- end -}}
{{- range $rule := get $config "rules" | default list -}}
{{- if $rule.lane -}}
{{- $of := ternary $rule.source (list $rule.source) (kindIs "slice" $rule.source) -}}
{{- range $name := ternary $of (keys $sources | sortAlpha) (not (empty $rule.source)) -}}
{{- $lists = append $lists (printf "%s:{%s}:due:%s" $base $rule.lane $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml ($lists | uniq | default (list (printf "%s:{%s}:waiting" $base (first $lanes)))) -}}
{{- end -}}
{{- end -}}
