// contrib/dashboard.json, as text.
local mixin = import 'mixin.libsonnet';

std.manifestJsonEx(mixin.grafanaDashboards['sitrep.json'], '  ') + '\n'
