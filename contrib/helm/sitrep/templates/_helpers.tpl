{{/* The name of all objects: that of the release, with sitrep in it. */}}
{{- define "sitrep.name" -}}
{{- if contains "sitrep" .Release.Name -}}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{- else -}}{{ printf "%s-sitrep" .Release.Name | trunc 63 | trimSuffix "-" }}{{- end -}}
{{- end }}

{{/* By which the pods are found; never changed, as a Deployment's selector cannot be. */}}
{{- define "sitrep.selector" -}}
app.kubernetes.io/name: sitrep
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sitrep.labels" -}}
{{ include "sitrep.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* How many there are. */}}
{{- define "sitrep.replicas" -}}
{{- if .Values.storage.postgres -}}
{{ .Values.replicas | default 3 }}
{{- else -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- fail (printf "replicas is %d, and without storage.postgres everything is in one file, which one process has: set storage.postgres, or leave out replicas" (int .Values.replicas)) -}}
{{- end -}}
1
{{- end -}}
{{- end }}

{{/* A file, given as text or as YAML. */}}
{{- define "sitrep.file" -}}
{{- if kindIs "string" . -}}{{ . }}{{- else -}}{{ toYaml . }}{{- end -}}
{{- end }}

{{/* What the pods read; a change of it is rolled out. */}}
{{- define "sitrep.config" -}}
{{ include "sitrep.file" (required "config is missing: give sitrep.yml with --set-file config=sitrep.yml" .Values.config) }}
{{- end }}
