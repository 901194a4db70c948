{{/* A Deployment of the relay, written once.

(dict "root" $ "component" "web" "values" .Values.web "args" (list "serve") "ports" (list (dict ...)) "env" TEXT
      "probes" (dict "startupProbe" (dict ...) ...) "grace" 25 "preStopSeconds" 5)
*/}}
{{- define "relay.deployment" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $self := dict "root" $root "component" .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "relay.metadata" (merge (dict "suffix" (printf "-%s" .component) "annotations" $values.annotations) $self) | nindent 2 }}
spec:
  {{- if eq $values.autoscaling.type "none" }}
  replicas: {{ int $values.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ int $values.revisionHistoryLimit }}
  {{- with $values.minReadySeconds }}
  minReadySeconds: {{ int . }}
  {{- end }}
  strategy:
    {{- toYaml $values.strategy | nindent 4 }}
  selector:
    matchLabels:
      {{- include "relay.selector" $self | nindent 6 }}
  template:
    metadata:
      labels:
        {{- toYaml (merge (dict) (fromYaml (include "relay.labels" $self)) $values.podLabels $root.Values.commonLabels) | nindent 8 }}
      annotations:
        {{- /* A changed file restarts the pods; what is in an existing Secret or ConfigMap cannot be seen here. */}}
        checksum/config: {{ include "relay.configText" $root | sha256sum }}
        checksum/secret: {{ include "relay.ownSecrets" $root | sha256sum }}
        {{- with merge (dict) $values.podAnnotations $root.Values.commonAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "relay.podBasics" (dict "root" $root) | nindent 6 }}
      {{- with include "relay.placement" (dict "values" $values) }}
      {{- . | nindent 6 }}
      {{- end }}
      terminationGracePeriodSeconds: {{ .grace }}
      {{- with include "relay.spread" (merge (dict "values" $values) $self) }}
      topologySpreadConstraints:
        {{- . | trim | nindent 8 }}
      {{- end }}
      initContainers:
        {{- with $values.extraInitContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        - name: check-config
          {{- include "relay.container" (dict "root" $root) | nindent 10 }}
          args: [check, /etc/relay/relay.yaml]
          env:
            {{- include "relay.env" $self | nindent 12 }}
            {{- with concat $root.Values.env $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- with concat $root.Values.envFrom $values.extraEnvFrom }}
          envFrom:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            {{- include "relay.mounts" $self | nindent 12 }}
            {{- with $values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
      containers:
        - name: {{ .component }}
          {{- include "relay.container" (dict "root" $root) | nindent 10 }}
          args:
            {{- toYaml (concat .args $values.extraArgs) | nindent 12 }}
          env:
            {{- include "relay.env" $self | nindent 12 }}
            {{- with .env }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- with concat $root.Values.env $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- with concat $root.Values.envFrom $values.extraEnvFrom }}
          envFrom:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with .ports }}
          ports:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- range $name, $probe := .probes }}
          {{ $name }}:
            {{- toYaml $probe | nindent 12 }}
          {{- end }}
          {{- with .preStopSeconds }}
          lifecycle:
            preStop:
              exec:
                command: [sleep, {{ . | quote }}]
          {{- end }}
          volumeMounts:
            {{- include "relay.mounts" $self | nindent 12 }}
            {{- with $values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
        {{- with $values.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      volumes:
        {{- include "relay.volumes" $self | nindent 8 }}
        {{- with $values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* What every pod says: no token, no environment from Services (a Service named `relay` would set RELAY_PORT), restricted. */}}
{{- define "relay.podBasics" -}}
serviceAccountName: {{ include "relay.serviceAccountName" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "relay.pullSecrets" .root }}
securityContext:
  {{- toYaml (.securityContext | default .root.Values.podSecurityContext) | nindent 2 }}
{{- end -}}

{{/* What every container of the relay's image says. */}}
{{- define "relay.container" -}}
image: {{ include "relay.image" (dict "root" .root "image" .root.Values.image) | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml .root.Values.containerSecurityContext | nindent 2 }}
{{- end -}}

{{- define "relay.placement" -}}
{{- $placement := dict -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName" "schedulerName" "hostAliases" "dnsPolicy" "dnsConfig" -}}
{{- with get $.values $key }}{{ $_ := set $placement $key . }}{{ end -}}
{{- end -}}
{{- with $placement }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- define "relay.spread" -}}
{{- range .values.spread.topologyKeys }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: {{ $.values.spread.whenUnsatisfiable }}
  labelSelector:
    matchLabels:
      {{- include "relay.selector" $ | nindent 6 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Budget and autoscaler of a Deployment: (dict "root" $ "component" "web" "values" .Values.web "query" "...").
`byLane`, of the workers alone: the query of what waits in each lane. */}}
{{- define "relay.scaling" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $scaling := $values.autoscaling -}}
{{- $self := dict "root" $root "component" .component -}}
{{- $name := printf "%s-%s" (include "relay.fullname" $root) .component -}}
{{- $least := ternary $values.replicas $scaling.minReplicas (eq $scaling.type "none") | int -}}
{{- if and $values.pdb.enabled (gt $least 1) }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "relay.metadata" (merge (dict "suffix" (printf "-%s" .component)) $self) | nindent 2 }}
spec:
  {{- if not (kindIs "invalid" $values.pdb.minAvailable) }}
  minAvailable: {{ $values.pdb.minAvailable }}
  {{- else }}
  maxUnavailable: {{ $values.pdb.maxUnavailable }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "relay.selector" $self | nindent 6 }}
{{- end }}
{{- if eq $scaling.type "hpa" }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "relay.metadata" (merge (dict "suffix" (printf "-%s" .component)) $self) | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicas: {{ int $scaling.minReplicas }}
  maxReplicas: {{ int $scaling.maxReplicas }}
  metrics:
    {{- with $scaling.hpa.cpu }}
    - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ int . }}}}}
    {{- end }}
    {{- with $scaling.hpa.memory }}
    - {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: {{ int . }}}}}
    {{- end }}
    {{- with $scaling.hpa.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $scaling.hpa.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- else if eq $scaling.type "keda" }}
{{- $keda := $scaling.keda }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "relay.metadata" (merge (dict "suffix" (printf "-%s" .component)) $self) | nindent 2 }}
spec:
  scaleTargetRef: {name: {{ $name }}}
  minReplicaCount: {{ int $scaling.minReplicas }}
  maxReplicaCount: {{ int $scaling.maxReplicas }}
  pollingInterval: {{ int $keda.pollingInterval }}
  cooldownPeriod: {{ int $keda.cooldownPeriod }}
  {{- with $keda.advanced }}
  advanced:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  triggers:
    {{- with $keda.prometheus.serverAddress }}
    - type: prometheus
      metadata:
        serverAddress: {{ . | quote }}
        query: {{ $keda.prometheus.query | default $.query | quote }}
        threshold: {{ $keda.prometheus.threshold | quote }}
    {{- if $values.fullestLaneThreshold }}
    - type: prometheus
      metadata:
        serverAddress: {{ . | quote }}
        query: {{ printf "max(%s)" $.byLane | quote }}
        threshold: {{ $values.fullestLaneThreshold | quote }}
    {{- end }}
    {{- end }}
    {{- if $keda.redis.enabled }}
    {{- range $list := (include "relay.kedaLists" (dict "root" $root "keda" $keda) | fromYamlArray) }}
    {{- if $root.Values.redis.sentinel.hosts }}
    - type: redis-sentinel
      metadata:
        addresses: {{ join "," $root.Values.redis.sentinel.hosts | quote }}
        sentinelMaster: {{ $root.Values.redis.sentinel.master | quote }}
    {{- else if $root.Values.redis.cluster.nodes }}
    - type: redis-cluster
      metadata:
        addresses: {{ join "," $root.Values.redis.cluster.nodes | quote }}
    {{- else }}
    - type: redis
      metadata:
        address: "{{ include "relay.redisHost" $root }}{{ if $root.Values.valkey.enabled }}.{{ $root.Release.Namespace }}{{ end }}:{{ include "relay.redisPort" $root }}"
    {{- end }}
        {{- with $root.Values.redis.username }}
        username: {{ . | quote }}
        {{- end }}
        listName: {{ $list | quote }}
        listLength: {{ $keda.redis.listLength | quote }}
        {{- if not $root.Values.redis.cluster.nodes }}
        databaseIndex: {{ ternary 0 $root.Values.redis.db $root.Values.valkey.enabled | int | toString | quote }}
        {{- end }}
        enableTLS: {{ and $root.Values.redis.tls.enabled (not $root.Values.valkey.enabled) | toString | quote }}
      {{- if include "relay.kedaSecrets" $root }}
      authenticationRef: {name: {{ include "relay.fullname" $root }}-redis}
      {{- end }}
    {{- end }}
    {{- end }}
    {{- with $keda.triggers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end -}}

{{/* How KEDA signs in to Redis: entries of a TriggerAuthentication. */}}
{{- define "relay.kedaSecrets" -}}
{{- with include "relay.redisPasswordSecret" . }}
- {parameter: password, name: {{ . }}, key: {{ include "relay.redisPasswordKey" $ }}}
{{- end }}
{{- if and .Values.redis.tls.enabled .Values.redis.tls.caSecret (not .Values.valkey.enabled) }}
- {parameter: ca, name: {{ .Values.redis.tls.caSecret }}, key: {{ .Values.redis.tls.caKey }}}
{{- end }}
{{- end -}}
