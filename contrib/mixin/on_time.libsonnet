// The objective: of all messages, the share that is handed over in time. What was refused for good was
// not, as in the reports. A message that still waits counts once it is handed over;
// SitrepUpdatesOverdue tells of it before.
{
  local config = self._config,
  local budget = 1 - config.on_time_objective,

  local late = 'sum without (instance, pod) (%s(sitrep_updates_late_total[%s]))',
  local refused = 'sum without (instance, pod, channel, reason) (%s(sitrep_updates_failed_total{reason="refused"}[%s]))',
  local sent = 'sum without (instance, pod, channel, kind) (%s(sitrep_updates_sent_total[%s]))',
  local of(sums, how, window) = std.join(' + ', [sum % [how, window] for sum in sums]),

  local not_in_time(window) = '(%s) / (%s > 0)' % [of([late, refused], 'rate', window), of([sent, refused], 'rate', window)],
  local ratio(window) = 'sitrep:updates_not_in_time:ratio_rate' + window,
  local increase(window) = 'sitrep:updates_not_in_time:increase' + window,

  // burns says that a factor of what the objective allows is used up in a long window, and still is in a
  // short one.
  local burns(factor, long, short) = '%s > %g and %s > %g and %s > %d' % [
    ratio(long),
    factor * budget,
    ratio(short),
    factor * budget,
    increase(long),
    config.on_time_tolerated,
  ],
  local alert = self._alert,

  prometheusRules+:: {
    groups+: [{
      name: 'sitrep-on-time',
      rules: [
        { record: ratio(window), expr: not_in_time(window) }
        for window in ['5m', '30m', '1h', '2h', '6h', '1d', '3d', '30d']
      ] + [
        { record: increase(window), expr: of([late, refused], 'increase', window) }
        for window in ['1h', '6h', '1d', '3d']
      ],
    }],
  },

  prometheusAlerts+:: {
    groups+: [{
      name: 'sitrep-on-time-alerts',
      rules: [
        alert('SitrepOnTimeBudgetBurnsFast', 'page', {
          expr: '(%s) or (%s)' % [burns(14.4, '1h', '5m'), burns(6, '6h', '30m')],
          summary: 'Far more messages than the objective allows are late or refused',
          description: '{{ $value | humanizePercentage }} of the messages of the last hours; at this pace what a month allows is gone in days.',
        }),
        alert('SitrepOnTimeBudgetBurns', 'ticket', {
          expr: '(%s) or (%s)' % [burns(3, '1d', '2h'), burns(1, '3d', '6h')],
          summary: 'More messages than the objective allows are late or refused',
          description: '{{ $value | humanizePercentage }} of the messages of the last days; at this pace the objective of the month is missed.',
        }),
      ],
    }],
  },
}
