// Alerts on sitrep itself, the rules that record how promises are kept, and a dashboard, in the form
// of a Prometheus mixin.
(import 'config.libsonnet') +
(import 'alerts.libsonnet') +
(import 'on_time.libsonnet') +
(import 'dashboard.libsonnet')
