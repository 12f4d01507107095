// contrib/rules/sitrep.yml, as text.
local mixin = import 'mixin.libsonnet';

|||
  # Prometheus alerts on sitrep itself. Route them past sitrep, straight to the people
  # who run it: what does not run cannot tell that it does not.
  #
  # Made from contrib/mixin; docs/runbook.md has a section for each alert.
||| + std.manifestYamlDoc({ groups: mixin.prometheusAlerts.groups + mixin.prometheusRules.groups }, quote_keys=false) + '\n'
