// The dashboard for Grafana.
{
  local source = { type: 'prometheus', uid: '${datasource}' },

  // query asks Prometheus for one or more lines of a panel.
  local query(expr, legend) = { datasource: source, expr: expr, legendFormat: legend },

  // panel shows queries; more has description, thresholds as pairs of color and value, and what else the
  // defaults of its fields and its options have.
  local panel(type, title, unit, position, queries, more={}) = {
    type: type,
    title: title,
    description: std.get(more, 'description', ''),
    datasource: source,
    gridPos: position,
    targets: std.mapWithIndex(function(i, q) q { refId: std.char(std.codepoint('A') + i) }, queries),
    fieldConfig: {
      defaults: {
        unit: unit,
        min: 0,
        [if 'thresholds' in more then 'thresholds']: {
          mode: 'absolute',
          steps: [{ color: step[0], value: step[1] } for step in more.thresholds],
        },
      } + std.get(more, 'defaults', {}),
      overrides: [],
    },
    options: (if type == 'stat' then {
                reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
                colorMode: 'value',
                graphMode: 'none',
              } else {}) + std.get(more, 'options', {}),
  },

  grafanaDashboards+:: {
    'sitrep.json': {
      title: 'sitrep',
      uid: $._config.dashboard_uid,
      tags: $._config.dashboard_tags,
      schemaVersion: 39,
      version: 1,
      editable: true,
      refresh: '30s',
      time: { from: 'now-6h', to: 'now' },
      timezone: 'browser',
      annotations: { list: [] },
      templating: {
        list: [
          { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {}, hide: 0 },
          {
            name: 'instance',
            label: 'Instance',
            type: 'query',
            datasource: { type: 'prometheus', uid: '${datasource}' },
            query: { query: 'label_values(sitrep_build_info, instance)', refId: 'instance' },
            definition: 'label_values(sitrep_build_info, instance)',
            includeAll: true,
            multi: true,
            allValue: '.*',
            current: { text: 'All', value: '$__all' },
            refresh: 2,
            hide: 0,
          },
        ],
      },
      panels: std.mapWithIndex(function(i, p) p { id: i + 1 }, [
        panel('stat', 'Open incidents', 'short', { x: 0, y: 0, w: 4, h: 5 }, [
          query('sum by (priority) (max without (instance, pod) (sitrep_incidents_open{instance=~"$instance"}))', '{{priority}}'),
        ], {
          description: 'Drills left out.',
        }),
        panel('stat', 'In time', 'percentunit', { x: 4, y: 0, w: 4, h: 5 }, [
          query('1 - sitrep:updates_not_in_time:ratio_rate30d', 'in time'),
        ], {
          description: 'Of the messages of 30 days; what was refused for good was not.',
          thresholds: [['red', null], ['green', $._config.on_time_objective]],
          defaults: { max: 1, decimals: 2 },
        }),
        panel('stat', 'Messages due', 'short', { x: 8, y: 0, w: 4, h: 5 }, [
          query('max without (instance, pod) (sitrep_updates_due{instance=~"$instance"})', 'due'),
        ], {
          description: 'Due and not yet handed over.',
          thresholds: [['green', null], ['orange', 20]],
        }),
        panel('stat', 'Due for the longest', 's', { x: 12, y: 0, w: 4, h: 5 }, [
          query('(time() - max without (instance, pod) (sitrep_updates_oldest_due_timestamp_seconds{instance=~"$instance"})) * (max without (instance, pod) (sitrep_updates_oldest_due_timestamp_seconds{instance=~"$instance"}) > bool 0)', 'waits'),
        ], {
          description: 'How long the oldest message that is due waits.',
          thresholds: [['green', null], ['orange', 60], ['red', 300]],
        }),
        panel('stat', 'Configuration', 'short', { x: 16, y: 0, w: 4, h: 5 }, [
          query('min without (instance, pod) (sitrep_config_last_reload_successful{instance=~"$instance"})', 'in force'),
        ], {
          description: 'Whether the files as they are now are in force.',
          thresholds: [['red', null], ['green', 1]],
          defaults: { mappings: [{ type: 'value', options: { '0': { text: 'not loaded' }, '1': { text: 'in force' } } }] },
        }),
        panel('stat', 'Version', 'short', { x: 20, y: 0, w: 4, h: 5 }, [
          query('sitrep_build_info{instance=~"$instance"}', '{{version}}'),
        ], {
          options: { textMode: 'name' },
        }),
        panel('timeseries', 'Messages handed over', 'short', { x: 0, y: 5, w: 12, h: 8 }, [
          query('60 * sum by (kind) (rate(sitrep_updates_sent_total{instance=~"$instance"}[$__rate_interval]))', '{{kind}}'),
        ], {
          description: 'By kind, a minute.',
        }),
        panel('timeseries', 'Attempts that failed', 'short', { x: 12, y: 5, w: 12, h: 8 }, [
          query('60 * sum by (channel, reason) (rate(sitrep_updates_failed_total{instance=~"$instance"}[$__rate_interval]))', '{{channel}} {{reason}}'),
        ], {
          description: 'refused: for good; unknown: nobody knows whether it was taken; retried: tried again.',
        }),
        panel('timeseries', 'Lateness', 's', { x: 0, y: 13, w: 12, h: 8 }, [
          query('histogram_quantile(0.5, sum by (le) (rate(sitrep_update_lateness_seconds_bucket{instance=~"$instance"}[$__rate_interval])))', 'half within'),
          query('histogram_quantile(0.99, sum by (le) (rate(sitrep_update_lateness_seconds_bucket{instance=~"$instance"}[$__rate_interval])))', '99 % within'),
        ], {
          description: 'From when a message was due until it was handed over.',
        }),
        panel('timeseries', 'Later than promised', 'short', { x: 12, y: 13, w: 6, h: 8 }, [
          query('sum without (instance, pod) (increase(sitrep_updates_late_total{instance=~"$instance"}[1h]))', 'in the last hour'),
        ]),
        panel('timeseries', 'Time of an attempt', 's', { x: 18, y: 13, w: 6, h: 8 }, [
          query('histogram_quantile(0.99, sum by (le, channel) (rate(sitrep_update_attempt_duration_seconds_bucket{instance=~"$instance"}[$__rate_interval])))', '{{channel}}, 99 % within'),
        ]),
        panel('timeseries', 'Alerts', 'short', { x: 0, y: 21, w: 12, h: 8 }, [
          query('60 * sum by (result) (rate(sitrep_alerts_total{instance=~"$instance"}[$__rate_interval]))', '{{result}}'),
        ], {
          description: 'By what became of them, a minute.',
        }),
        panel('timeseries', 'Posts of alerts', 'reqps', { x: 12, y: 21, w: 6, h: 8 }, [
          query('sum by (code) (rate(sitrep_posts_total{instance=~"$instance"}[$__rate_interval])) > 0', '{{code}}'),
        ], {
          description: 'By the answer, a second.',
        }),
        panel('timeseries', 'Posts refused', 'short', { x: 18, y: 21, w: 6, h: 8 }, [
          query('sum by (reason) (increase(sitrep_posts_refused_total{instance=~"$instance"}[$__rate_interval])) > 0', '{{reason}}'),
        ], {
          description: 'Each can lose a breach for good.',
        }),
        panel('timeseries', 'Time to answer a post', 's', { x: 0, y: 29, w: 8, h: 8 }, [
          query('histogram_quantile(0.5, sum by (le) (rate(sitrep_post_duration_seconds_bucket{instance=~"$instance"}[$__rate_interval])))', 'half within'),
          query('histogram_quantile(0.99, sum by (le) (rate(sitrep_post_duration_seconds_bucket{instance=~"$instance"}[$__rate_interval])))', '99 % within'),
        ]),
        panel('timeseries', 'Time of a commit', 's', { x: 8, y: 29, w: 8, h: 8 }, [
          query('histogram_quantile(0.99, sum by (le) (rate(sitrep_storage_commit_duration_seconds_bucket{instance=~"$instance"}[$__rate_interval])))', '99 % within'),
        ], {
          description: 'With the sync to disk.',
        }),
        panel('timeseries', 'Store', 'bytes', { x: 16, y: 29, w: 8, h: 8 }, [
          query('max without (instance, pod) (sitrep_storage_size_bytes{instance=~"$instance"})', 'size'),
          query('sitrep_storage_free_bytes{instance=~"$instance"}', 'free on its disk'),
        ]),
        panel('timeseries', 'Chains', 'short', { x: 0, y: 37, w: 12, h: 8 }, [
          query('max without (instance, pod) (sitrep_chains{instance=~"$instance"})', '{{state}}'),
        ], {
          description: 'Whether the promise of each SLO reaches from its rule to the mailbox; the page Coverage says what breaks one.',
        }),
        panel('timeseries', 'Transactions of the database', 's', { x: 12, y: 37, w: 6, h: 8 }, [
          query('histogram_quantile(0.99, max by (le, class) (rate(sitrep_storage_transaction_duration_seconds_bucket{instance=~"$instance"}[$__rate_interval])))', '{{class}}, 99 % within'),
        ], {
          description: 'With the wait for a connection.',
        }),
        panel('timeseries', 'Connections to the database', 'short', { x: 18, y: 37, w: 6, h: 8 }, [
          query('sitrep_storage_connections{instance=~"$instance"}', '{{instance}} {{state}}'),
        ]),
      ]),
    },
  },
}
