{{- define "mutualtls.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of all objects: the release's, with the chart's unless that is in it. */}}
{{- define "mutualtls.fullname" -}}
{{- $name := include "mutualtls.name" . }}
{{- $usual := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $usual | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "mutualtls.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "mutualtls.fullname" .) }}
{{- else }}
{{- required "serviceAccount.name: the name of a service account is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "mutualtls.image" -}}
{{- $named := required "image.repository: there is no default: name the repository of your image" .Values.image.repository }}
{{- $registry := dig "imageRegistry" "" (.Values.global | default dict) | trimSuffix "/" }}
{{- $repository := empty $registry | not | ternary (printf "%s/%s" $registry $named) $named }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/*
Whether old pods end before new ones start: with one replica; and in the one upgrade from a release that knows no Lease,
whose Deployment sets no POD_NAME. Only Helm in the cluster sees that Deployment: `helm template` does not.
*/}}
{{- define "mutualtls.isReplacedAtOnce" -}}
{{- $live := lookup "apps/v1" "Deployment" .Release.Namespace (include "mutualtls.fullname" .) }}
{{- if or (eq (int .Values.replicas) 1) (and $live (not (contains "POD_NAME" (toJson $live.spec.template)))) }}true{{ else }}false{{ end }}
{{- end }}

{{/* What the pod is selected by: it can never be changed. */}}
{{- define "mutualtls.selector" -}}
app.kubernetes.io/name: {{ include "mutualtls.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mutualtls.labels" -}}
{{ include "mutualtls.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Annotations of every object; nothing where there are none. */}}
{{- define "mutualtls.annotations" -}}
{{- with .Values.commonAnnotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
