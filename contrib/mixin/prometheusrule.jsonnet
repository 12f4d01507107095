// contrib/kubernetes/prometheusrule.yaml, as text.
local mixin = import 'mixin.libsonnet';

'# Made from contrib/mixin, as contrib/rules/sitrep.yml is.\n' + std.manifestYamlDoc({
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'PrometheusRule',
  metadata: { name: 'sitrep' },
  spec: { groups: mixin.prometheusAlerts.groups + mixin.prometheusRules.groups },
}, quote_keys=false) + '\n'
