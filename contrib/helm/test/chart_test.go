package test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const chart = "../sitrep"

// Objects are what is installed, by kind and name.
type objects struct {
	deployment *apps.Deployment
	service    *core.Service
	budget     *policy.PodDisruptionBudget
	network    *networking.NetworkPolicy
	monitor    *monitoring.ServiceMonitor
	rule       *monitoring.PrometheusRule
	claim      *core.PersistentVolumeClaim
	configs    map[string]map[string]string // the files, by the name that begins the ConfigMap's
}

// add decodes an object strictly: a field that does not exist is an error.
func (o *objects) add(t *testing.T, text []byte) {
	t.Helper()
	var head meta.TypeMeta
	if err := yaml.Unmarshal(text, &head); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	var into any
	switch head.Kind {
	case "Deployment":
		o.deployment = &apps.Deployment{}
		into = o.deployment
	case "Service":
		o.service = &core.Service{}
		into = o.service
	case "PodDisruptionBudget":
		o.budget = &policy.PodDisruptionBudget{}
		into = o.budget
	case "NetworkPolicy":
		o.network = &networking.NetworkPolicy{}
		into = o.network
	case "ServiceMonitor":
		o.monitor = &monitoring.ServiceMonitor{}
		into = o.monitor
	case "PrometheusRule":
		o.rule = &monitoring.PrometheusRule{}
		into = o.rule
	case "PersistentVolumeClaim":
		o.claim = &core.PersistentVolumeClaim{}
		into = o.claim
	case "ConfigMap":
		var c core.ConfigMap
		if err := yaml.UnmarshalStrict(text, &c); err != nil {
			t.Errorf("%v in %s", err, text)
		}
		if o.configs == nil {
			o.configs = map[string]map[string]string{}
		}
		o.configs[c.Name] = c.Data
		return
	default:
		t.Fatalf("there is a %q", head.Kind)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Errorf("%v in %s", err, text)
	}
}

// render is helm template.
func render(release string, values map[string]any) (map[string]string, error) {
	c, err := loader.Load(chart)
	if err != nil {
		return nil, err
	}
	all, err := util.ToRenderValues(c, values, common.ReleaseOptions{Name: release, Namespace: "incidents", IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, all)
}

// made returns what a release installs.
func made(t *testing.T, release string, values map[string]any) *objects {
	t.Helper()
	files, err := render(release, values)
	if err != nil {
		t.Fatal(err)
	}
	o := &objects{}
	for name, text := range files {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		for doc := range strings.SplitSeq(text, "\n---\n") {
			if strings.TrimSpace(doc) != "" {
				o.add(t, []byte(doc))
			}
		}
	}
	return o
}

// kustomized returns what Kustomize makes of contrib/kubernetes.
func kustomized(t *testing.T) *objects {
	t.Helper()
	out, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../../kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	o := &objects{}
	for _, r := range out.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		o.add(t, text)
	}
	return o
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const database = "postgres://sitrep@postgres.example.org/sitrep?sslmode=verify-full&sslrootcert=/etc/sitrep/secrets/postgres-ca.pem&passfile=/etc/sitrep/secrets/pgpass"

// shared are the values that ask for what contrib/kubernetes has.
func shared(t *testing.T) map[string]any {
	return map[string]any{
		"externalURL":    "https://sitrep.example.org",
		"config":         read(t, "../../kubernetes/config/sitrep.yml"),
		"slos":           map[string]any{"notifications.yml": read(t, "../../kubernetes/slos/notifications.yml")},
		"storage":        map[string]any{"postgres": database},
		"serviceMonitor": map[string]any{"enabled": true},
		"prometheusRule": map[string]any{"enabled": true},
	}
}

// alone are the values of one replica with a file.
func alone() map[string]any {
	return map[string]any{"externalURL": "https://sitrep.example.org", "config": "priorities: [{name: P1}]\n"}
}

// TestTheChartIsWhatKustomizeMakes compares all but names, labels and the image's.
func TestTheChartIsWhatKustomizeMakes(t *testing.T) {
	c, k := made(t, "sitrep", shared(t)), kustomized(t)
	for _, o := range []*objects{c, k} {
		d := &o.deployment.Spec
		d.Selector, d.Template.Labels, d.Template.Annotations = nil, nil, nil
		for i := range d.Template.Spec.TopologySpreadConstraints {
			d.Template.Spec.TopologySpreadConstraints[i].LabelSelector = nil
		}
		d.Template.Spec.Containers[0].ImagePullPolicy = ""
		for _, v := range d.Template.Spec.Volumes {
			if v.ConfigMap != nil { // Kustomize puts a hash behind it
				v.ConfigMap.Name = strings.Join(strings.Split(v.ConfigMap.Name, "-")[:2], "-")
			}
		}
		for name, data := range o.configs {
			delete(o.configs, name)
			o.configs[strings.Join(strings.Split(name, "-")[:2], "-")] = data
		}
		o.service.Spec.Selector, o.budget.Spec.Selector, o.network.Spec.PodSelector = nil, nil, meta.LabelSelector{}
		o.monitor.Spec.Selector, o.monitor.Spec.JobLabel = meta.LabelSelector{}, ""
	}
	for what, pair := range map[string][2]any{
		"Deployment":          {c.deployment.Spec, k.deployment.Spec},
		"Service":             {c.service.Spec, k.service.Spec},
		"PodDisruptionBudget": {c.budget.Spec, k.budget.Spec},
		"NetworkPolicy":       {c.network.Spec, k.network.Spec},
		"ServiceMonitor":      {c.monitor.Spec, k.monitor.Spec},
		"PrometheusRule":      {c.rule.Spec, k.rule.Spec},
		"files":               {trimmed(c.configs), trimmed(k.configs)},
	} {
		if reflect.DeepEqual(pair[0], pair[1]) {
			continue
		}
		chart, _ := yaml.Marshal(pair[0])
		base, _ := yaml.Marshal(pair[1])
		t.Errorf("%s: the chart makes\n%s\nand Kustomize\n%s", what, chart, base)
	}
	if c.service.Name != k.service.Name || c.claim != nil {
		t.Errorf("the Service is %s, and there is a claim: %t", c.service.Name, c.claim != nil)
	}
}

// trimmed returns files without the end of their last line, of which neither way keeps how it was.
func trimmed(configs map[string]map[string]string) map[string]map[string]string {
	out := map[string]map[string]string{}
	for name, files := range configs {
		out[name] = map[string]string{}
		for file, text := range files {
			out[name][file] = strings.TrimSpace(text)
		}
	}
	return out
}

// TestEachPartFindsThePods: by selectors that match what the pods of this release have, and not those of another.
func TestEachPartFindsThePods(t *testing.T) {
	for _, release := range []string{"sitrep", "prod", "a-name-of-a-release-that-is-longer-than-most-would-ever-be-long"[:53]} {
		o, other := made(t, release, shared(t)), made(t, "another", shared(t))
		spread := o.deployment.Spec.Template.Spec.TopologySpreadConstraints
		pods := o.deployment.Spec.Template.Labels
		for what, s := range map[string]struct {
			selector *meta.LabelSelector
			labels   map[string]string
			others   map[string]string
		}{
			"Deployment":          {o.deployment.Spec.Selector, pods, other.deployment.Spec.Template.Labels},
			"Service":             {&meta.LabelSelector{MatchLabels: o.service.Spec.Selector}, pods, other.deployment.Spec.Template.Labels},
			"PodDisruptionBudget": {o.budget.Spec.Selector, pods, other.deployment.Spec.Template.Labels},
			"NetworkPolicy":       {&o.network.Spec.PodSelector, pods, other.deployment.Spec.Template.Labels},
			"spread by host":      {spread[0].LabelSelector, pods, other.deployment.Spec.Template.Labels},
			"spread by zone":      {spread[1].LabelSelector, pods, other.deployment.Spec.Template.Labels},
			"ServiceMonitor":      {&o.monitor.Spec.Selector, o.service.Labels, other.service.Labels},
		} {
			found, err := meta.LabelSelectorAsSelector(s.selector)
			if err != nil || found.Empty() || !found.Matches(k8slabels.Set(s.labels)) || found.Matches(k8slabels.Set(s.others)) {
				t.Errorf("%s: %s selects %s of %v: %v", release, what, found, s.labels, err)
			}
		}
		// The alert rules look at job="sitrep".
		if got := o.service.Labels[o.monitor.Spec.JobLabel]; got != "sitrep" {
			t.Errorf("%s: what is scraped has job=%q", release, got)
		}
		for _, name := range slices.Concat([]string{o.deployment.Name, o.service.Name}, slices.Collect(maps.Keys(o.configs))) {
			if len(name) > 63+len("-config") || strings.HasSuffix(o.service.Name, "-") {
				t.Errorf("%s: the name %q", release, name)
			}
		}
		for _, v := range o.deployment.Spec.Template.Spec.Volumes {
			if v.ConfigMap != nil && o.configs[v.ConfigMap.Name] == nil {
				t.Errorf("%s: there is no ConfigMap %s", release, v.ConfigMap.Name)
			}
		}
	}
}

// TestOneReplicaHasAVolume: the file is on a volume that outlives the release, and no two processes meet at it.
func TestOneReplicaHasAVolume(t *testing.T) {
	values := alone()
	o := made(t, "sitrep", values)
	d := o.deployment.Spec
	if *d.Replicas != 1 || d.Strategy.Type != apps.RecreateDeploymentStrategyType || d.Strategy.RollingUpdate != nil || o.budget != nil || len(d.Template.Spec.TopologySpreadConstraints) > 0 {
		t.Errorf("%d replicas by %s, with a budget: %t", *d.Replicas, d.Strategy.Type, o.budget != nil)
	}
	var claim string
	for _, v := range d.Template.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			claim = v.PersistentVolumeClaim.ClaimName
		}
	}
	if o.claim == nil || claim != o.claim.Name || o.claim.Annotations["helm.sh/resource-policy"] != "keep" || o.claim.Spec.AccessModes[0] != core.ReadWriteOnce {
		t.Errorf("the volume is %q, the claim %+v", claim, o.claim)
	}
	c := d.Template.Spec.Containers[0]
	if !slices.Contains(c.Args, "--storage=/data/sitrep.db") || !slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return m.MountPath == "/data" }) {
		t.Errorf("it keeps its file elsewhere: %q", c.Args)
	}
	if o.monitor != nil || o.rule != nil {
		t.Error("kinds that a cluster may not have are installed unasked")
	}
	values["storage"] = map[string]any{"volume": map[string]any{"existingClaim": "mine"}}
	if o := made(t, "sitrep", values); o.claim != nil {
		t.Error("a claim is made beside one that is there")
	}
}

// TestAChangeIsRolledOut: of the configuration and of a team's file.
func TestAChangeIsRolledOut(t *testing.T) {
	values := shared(t)
	before := made(t, "sitrep", values).deployment.Spec.Template.Annotations
	values["config"] = values["config"].(string) + "slo_labels: [objective]\n"
	config := made(t, "sitrep", values).deployment.Spec.Template.Annotations
	values["slos"] = map[string]any{"notifications.yml": "team: other\n"}
	slos := made(t, "sitrep", values).deployment.Spec.Template.Annotations
	if before["checksum/config"] == config["checksum/config"] || config["checksum/slos"] == slos["checksum/slos"] || before["checksum/slos"] != config["checksum/slos"] {
		t.Errorf("%v\n%v\n%v", before, config, slos)
	}
}

// TestTheConfigurationMayBeYAML: it comes out as it is, also as a value of values.yaml.
func TestTheConfigurationMayBeYAML(t *testing.T) {
	values := shared(t)
	text := values["config"].(string)
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	values["config"] = tree
	var got map[string]any
	if err := yaml.Unmarshal([]byte(made(t, "sitrep", values).configs["sitrep-config"]["sitrep.yml"]), &got); err != nil || !reflect.DeepEqual(got, tree) {
		t.Errorf("%v\n%v\n%v", got, tree, err)
	}
}

// TestWrongValuesAreRefused with what would be right.
func TestWrongValuesAreRefused(t *testing.T) {
	for want, change := range map[string]map[string]any{
		"config is missing: give sitrep.yml with --set-file config=sitrep.yml": {"config": ""},
		"externalURL is missing: where do people reach it":                     {"externalURL": ""},
		"set storage.postgres, or leave out replicas":                          {"replicas": 3},
		"replica":     {"replica": 3}, // no such value
		"externalURL": {"externalURL": "sitrep.example.org"},
		"replicas":    {"replicas": 0},
		"postgres":    {"storage": map[string]any{"postgres": "mysql://x"}},
		"tag":         {"image": map[string]any{"tag": "latest"}},
		"ya?ml":       {"slos": map[string]any{"notifications": "team: x"}}, // slo_files looks for *.yml
		"size":        {"storage": map[string]any{"volume": map[string]any{"size": "ten"}}},
	} {
		values := alone()
		maps.Copy(values, change)
		if _, err := render("sitrep", values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", change, err, want)
		}
	}
}

// TestLint is helm lint --strict.
func TestLint(t *testing.T) {
	for name, values := range map[string]map[string]any{"one replica": alone(), "PostgreSQL": shared(t)} {
		for _, m := range lint.RunAll(chart, values, "incidents").Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %s", name, m)
			}
		}
	}
}

// TestValuesAreInTheSchema: each has its entry, and the other way round.
func TestValuesAreInTheSchema(t *testing.T) {
	var values, schema map[string]any
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(chart, "values.yaml"))), &values); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(chart, "values.schema.json"))), &schema); err != nil {
		t.Fatal(err)
	}
	var same func(path string, values, schema map[string]any)
	same = func(path string, values, schema map[string]any) {
		properties, ok := schema["properties"].(map[string]any)
		if !ok {
			return // what stands there is free
		}
		for name := range properties {
			if _, ok := values[name]; !ok && name != "global" {
				t.Errorf("values.yaml has no %s%s", path, name)
			}
		}
		for name, v := range values {
			p, ok := properties[name].(map[string]any)
			if !ok {
				t.Errorf("values.schema.json has no %s%s", path, name)
				continue
			}
			if below, ok := v.(map[string]any); ok {
				same(fmt.Sprintf("%s%s.", path, name), below, p)
			}
		}
	}
	same("", values, schema)
}

// TestThePageOnKubernetes renders the chart with each of the values of the page, and decodes the other manifests there.
func TestThePageOnKubernetes(t *testing.T) {
	page := read(t, "../../../docs/tutorials/kubernetes.md")
	config, _, ok := strings.Cut(page[strings.Index(page, "config/sitrep.yml <<'EOF'\n")+len("config/sitrep.yml <<'EOF'\n"):], "EOF\n")
	if !ok {
		t.Fatal("the page has no configuration")
	}
	blocks := regexp.MustCompile("(?s)```(helm|kubernetes)\n(.*?)```").FindAllStringSubmatch(page, -1)
	releases := 0
	for _, block := range blocks {
		if block[1] == "kubernetes" {
			var c v1alpha1.AlertmanagerConfig
			if err := yaml.UnmarshalStrict([]byte(block[2]), &c); err != nil {
				t.Error(err)
			}
			// Where it posts is the Service of the release, in its namespace.
			if len(c.Spec.Receivers) != 1 || *c.Spec.Receivers[0].WebhookConfigs[0].URL != "http://sitrep.incidents.svc:9098/alertmanager" || c.Spec.Route.Receiver != c.Spec.Receivers[0].Name {
				t.Errorf("it posts to %+v", c.Spec.Receivers)
			}
			continue
		}
		var values map[string]any
		if err := yaml.UnmarshalStrict([]byte(block[2]), &values); err != nil {
			t.Fatal(err)
		}
		values["config"], values["slos"] = config, map[string]any{"notifications.yml": read(t, "../../slos/notifications.yml")}
		o := made(t, "sitrep", values)
		releases++
		if o.service.Name != "sitrep" || o.service.Spec.Ports[0].Port != 9098 || strings.TrimSpace(o.configs["sitrep-config"]["sitrep.yml"]) != strings.TrimSpace(config) {
			t.Errorf("the release is %s with the configuration\n%s", o.service.Name, o.configs["sitrep-config"]["sitrep.yml"])
		}
	}
	if releases != 2 || len(blocks) != 3 {
		t.Errorf("%d releases and %d blocks", releases, len(blocks))
	}
}
