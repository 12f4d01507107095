// The alerts on sitrep itself.
{
  local runbook = self._config.runbook_base,
  local severity_label = self._config.severity_label,
  local severities = self._config.severities,
  local alert = self._alert,

  // _alert makes a rule of an expression, for how long it has to hold, and its words.
  _alert(name, severity, rule):: {
    alert: name,
    expr: rule.expr,
    [if 'for' in rule then 'for']: rule['for'],
    labels: { [severity_label]: severities[severity] },
    annotations: {
      summary: rule.summary,
      [if 'description' in rule then 'description']: rule.description,
      runbook_url: '%s#%s' % [runbook, std.asciiLower(name)],
    },
  },

  prometheusAlerts+:: {
    groups+: [{
      name: 'sitrep',
      rules: [
        alert('SitrepDown', 'page', {
          expr: 'max without (instance, pod) (up{%(selector)s}) == 0 or absent(up{%(selector)s})' % $._config,
          'for': '2m',
          summary: 'sitrep does not answer',
          description: 'No alert becomes an incident and no update goes out. Alertmanager keeps trying to post.',
        }),
        alert('SitrepReplicaDown', 'ticket', {
          expr: 'up{%(selector)s} == 0 and ignoring (instance, pod) max without (instance, pod) (up{%(selector)s}) == 1' % $._config,
          'for': '10m',
          summary: 'One of several processes of sitrep does not answer ({{ $labels.instance }})',
          description: 'The others do its work.',
        }),
        alert('SitrepClockWrong', 'ticket', {
          expr: 'abs(sitrep_clock_skew_seconds) > 1',
          'for': '3m',
          summary: 'The clock of {{ $labels.instance }} is not that of the store',
          description: 'Beyond 2 s that process takes alerts and leaves all else to the others. Look at how its machine gets the time.',
        }),
        alert('SitrepUpdatesOverdue', 'page', {
          expr: 'max without (instance, pod) (sitrep_updates_overdue_seconds) > 240',
          'for': '1m',
          summary: 'A message has waited for more than 5 minutes, and its promise is broken',
          description: "{{ with query \"max without (instance, pod) (sitrep_updates_overdue)\" }}{{ . | first | value }} messages wait beyond their promise{{ end }}. The top of every page and the page of deliveries name the cause; most often it is the mail server, or one recipient's.",
        }),
        alert('SitrepUpdatesLate', 'ticket', {
          expr: 'sum without (instance, pod) (increase(sitrep_updates_late_total[30m])) > 0',
          summary: 'Messages went out later than promised',
          description: 'The report of the time says which, and why.',
        }),
        alert('SitrepUpdatesRefused', 'ticket', {
          expr: 'sum by (channel) (increase(sitrep_updates_failed_total{reason="refused"}[30m])) > 0',
          summary: 'A message was refused for good ({{ $labels.channel }})',
          description: 'The recipient has not been told. The page of deliveries names it; correct its address in the configuration.',
        }),
        alert('SitrepUpdatesFailing', 'ticket', {
          expr: 'sum by (channel) (rate(sitrep_updates_failed_total{reason!~"refused|rate"}[10m])) > 0',
          'for': '15m',
          summary: 'Attempts to hand over messages keep failing ({{ $labels.channel }})',
        }),
        alert('SitrepPostsRefused', 'page', {
          expr: 'sum by (reason) (increase(sitrep_posts_refused_total[30m])) > 0',
          summary: 'Posts of alerts are refused ({{ $labels.reason }})',
          description: 'What Alertmanager posted was answered 4xx. It comes again only with the next group_interval, and a breach can be lost for good.',
        }),
        alert('SitrepPostsFailing', 'page', {
          expr: 'sum(rate(sitrep_posts_total{code=~"5.."}[5m])) > 0',
          'for': '5m',
          summary: 'Posts of alerts cannot be stored',
          description: 'Alertmanager keeps sending them. The log says why; look at the disk first.',
        }),
        alert('SitrepAlertsLeftOut', 'ticket', {
          expr: 'sum without (instance, pod) (increase(sitrep_alerts_truncated_total[1h])) > 0',
          summary: 'Alertmanager leaves alerts out of its posts',
          description: 'Set max_alerts to 0 in its webhook_configs, or group by more labels.',
        }),
        alert('SitrepAlertsUnmapped', 'ticket', {
          expr: 'sum without (instance, pod) (increase(sitrep_alerts_total{result="unmapped"}[1h])) > 0',
          summary: 'Alerts come in that no SLO claims',
          description: "Add the SLO to its team's file, or the alert to ignore. `sitrep simulate` shows what an alert would do.",
        }),
        alert('SitrepAlertsInvalid', 'ticket', {
          expr: 'sum without (instance, pod) (increase(sitrep_alerts_total{result="invalid"}[1h])) > 0',
          summary: 'Alerts come in that cannot be understood; the log says why',
        }),
        alert('SitrepConfigNotLoaded', 'ticket', {
          expr: 'sitrep_config_last_reload_successful == 0',
          'for': '5m',
          summary: 'A changed configuration is not in force',
          description: 'The one before stays in force. `sitrep check` names everything that is wrong with it.',
        }),
        alert('SitrepConfigBehind', 'ticket', {
          expr: 'sitrep_config_behind == 1',
          'for': '10m',
          summary: 'A replica has another configuration than the one in force, and is not ready',
          description: 'It takes alerts and sends what is due, but who is told is left to the others. Give it the same files and reload it, or stop it.',
        }),
        alert('SitrepTemplateFailed', 'ticket', {
          expr: 'sum without (instance, pod) (increase(sitrep_template_failures_total[1h])) > 0',
          summary: "The template {{ $labels.template }} fails, and messages have sitrep's own words",
          description: 'They go out in time. The page Status and the log say where it fails; `sitrep preview` shows what a correction makes.',
        }),
        alert('SitrepChainBroken', 'ticket', {
          expr: 'max without (instance, pod) (sitrep_chain_broken) == 1',
          'for': '15m',
          summary: 'An alert of {{ $labels.chain }} would not reach those who are to be told',
          description: 'The page Coverage says which link is broken, between the rule and the mailbox, where, and what would mend it. `sitrep check --live` says the same.',
        }),
        alert('SitrepChainsUnanswered', 'ticket', {
          expr: 'sum by (program) (increase(sitrep_chains_unanswered_total[30m])) > 3',
          summary: 'A {{ $labels.program }} does not answer sitrep, so it is not known whether chains are whole',
          description: 'The page Coverage says which, and why. Incidents and messages go on.',
        }),
        alert('SitrepDiskFilling', 'ticket', {
          expr: 'sitrep_storage_free_bytes < 1e9 or predict_linear(sitrep_storage_free_bytes[6h], 24 * 3600) < 0',
          'for': '15m',
          summary: 'The disk of the store fills up; when it is full, alerts are answered 503',
        }),
        alert('SitrepStoreNotWritable', 'page', {
          expr: 'max without (instance, pod) (sitrep_storage_writable) == 0',
          summary: 'Nothing can be stored, and alerts are answered 503',
          description: 'The disk is full, or the file of the store was deleted or replaced; the log and the page Status say which. In the second case take a backup with `sitrep storage backup --url` before sitrep stops.',
        }),
        alert('SitrepReplicaCannotStore', 'ticket', {
          expr: 'sitrep_storage_writable == 0 and ignoring (instance, pod) max without (instance, pod) (sitrep_storage_writable) == 1',
          'for': '5m',
          summary: 'One of several processes cannot store anything ({{ $labels.instance }}), and the others can',
          description: 'It answers alerts with 503, and Alertmanager sends them again. Its log says why; look at its way to the store.',
        }),
        alert('SitrepConnectionsShort', 'ticket', {
          expr: 'rate(sitrep_storage_connection_wait_seconds_total[10m]) > 1',
          'for': '15m',
          summary: 'Transactions of {{ $labels.instance }} wait for a connection to the database',
          description: 'On average more than one waits. Posts of alerts are answered late, and messages can be.',
        }),
        alert('SitrepSchedulerFailing', 'page', {
          expr: 'min without (instance, pod) (rate(sitrep_scheduler_errors_total[5m])) > 0',
          'for': '5m',
          summary: 'What is due cannot be worked on; the log says why',
        }),
        alert('SitrepCanaryFailing', 'page', {
          expr: 'max without (instance, pod) (sitrep_canary_failing) == 1',
          summary: "sitrep's own alert does not come back to it, its mail is not handed over, or a Prometheus is not sound",
          description: 'Alerts may be lost, or nobody be told of them. The page Status says how far it came. This alert may be lost, too, so the groups in canary.to are told besides.',
        }),
        alert('SitrepLedgerNotSigned', 'ticket', {
          expr: 'sum without (instance, pod) (increase(sitrep_ledger_failures_total{step="sign"}[10m])) > 3',
          summary: 'The ledger is not signed, so its latest entries cannot be proven yet; the log says why',
        }),
        alert('SitrepWitnessNotTold', 'ticket', {
          expr: 'sum without (instance, pod) (increase(sitrep_ledger_failures_total{step="witness"}[1h])) > 30',
          summary: 'The witness does not get the checkpoints of the ledger',
        }),
        alert('SitrepStoreDamaged', 'page', {
          expr: 'sitrep_storage_last_check_successful == 0',
          summary: 'The file of the store is not what was written',
          description: 'Copy it, look at it with `sitrep audit verify --storage`, and have a backup at hand.',
        }),
      ],
    }],
  },
}
