{{- define "holdfast.name" -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "holdfast.selector" -}}
app.kubernetes.io/name: holdfast
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "holdfast.labels" -}}
{{ include "holdfast.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The settings file: what is not null, and the sections that have something in them. */}}
{{- define "holdfast.settings" -}}
{{- $settings := dict -}}
{{- range $name, $value := .Values.settings -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $settings $name $value -}}
{{- end -}}
{{- end -}}
{{- if .Values.tls.existingSecret -}}
{{- $_ := set $settings "tls-certificate" "/tls/tls.crt" -}}
{{- $_ := set $settings "tls-key" "/tls/tls.key" -}}
{{- end -}}
{{- if .Values.users -}}{{- $_ := set $settings "users" .Values.users -}}{{- end -}}
{{- if .Values.sinks -}}{{- $_ := set $settings "sinks" .Values.sinks -}}{{- end -}}
{{- if .Values.repositories -}}{{- $_ := set $settings "repositories" .Values.repositories -}}{{- end -}}
{{- if .Values.jobWindows -}}{{- $_ := set $settings "job-windows" .Values.jobWindows -}}{{- end -}}
{{- if .Values.rateLimits -}}{{- $_ := set $settings "rate-limits" .Values.rateLimits -}}{{- end -}}
{{ toPrettyJson $settings }}
{{- end }}

{{/* Variables. The check before the start gets those of the server: settings may name them. */}}
{{- define "holdfast.environment" -}}
{{- if or .Values.root.existingSecret .Values.extraEnv -}}
env:
  {{- with .Values.root.existingSecret }}
  - name: HOLDFAST_ROOT_ACCESS_KEY
    valueFrom: {secretKeyRef: {name: {{ . }}, key: access-key}}
  - name: HOLDFAST_ROOT_SECRET_KEY
    valueFrom: {secretKeyRef: {name: {{ . }}, key: secret-key}}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
