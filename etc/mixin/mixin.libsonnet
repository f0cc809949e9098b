// A mixin of the same files that the package installs: jsonnet -J . -e '(import "mixin.libsonnet").grafanaDashboards'
{
  prometheusAlerts+:: std.parseYaml(importstr '../prometheus/rules/versweep.rules.yml'),
  grafanaDashboardFolder:: 'versweep',
  grafanaDashboards+:: {
    'versweep-compliance.json': import '../../grafana/dashboards/compliance.json',
    'versweep-device.json': import '../../grafana/dashboards/device.json',
    'versweep-fleet.json': import '../../grafana/dashboards/fleet.json',
    'versweep-operations.json': import '../../grafana/dashboards/operations.json',
  },
}
