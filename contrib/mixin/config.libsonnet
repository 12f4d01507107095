// What to set for one's own Prometheus and Grafana: in a file of one's own,
//
//   (import 'mixin.libsonnet') + { _config+:: { runbook_base: 'https://wiki.example.org/sitrep/runbook' } }
{
  _config+:: {
    // Which targets are sitrep.
    selector: 'job="sitrep"',

    // Where docs/runbook.md can be read. The name of the alert, in small letters, follows as a fragment.
    runbook_base: 'docs/runbook.md',

    // The label that says whether somebody is woken, and its two values.
    severity_label: 'severity',
    severities: { page: 'page', ticket: 'ticket' },

    // Of all messages that are handed over, which share has to be in time, within 30 days.
    on_time_objective: 0.99,
    // The objective pages and writes tickets only where more messages than these were late: where few
    // are sent, one that is late would be a large share.
    on_time_tolerated: 2,

    dashboard_uid: 'sitrep',
    dashboard_tags: ['sitrep'],
  },
}
