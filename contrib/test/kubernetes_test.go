package test

import (
	"bytes"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// A base is what Kustomize makes of contrib/kubernetes.
type base struct {
	deployment apps.Deployment
	service    core.Service
	budget     policy.PodDisruptionBudget
	network    networking.NetworkPolicy
	monitor    monitoring.ServiceMonitor
	rule       monitoring.PrometheusRule
	configs    map[string]core.ConfigMap // by name
}

// build runs Kustomize, and decodes strictly what it makes: a field that does not exist is an error.
func build(t *testing.T) *base {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	b := &base{configs: map[string]core.ConfigMap{}}
	into := map[string]any{
		"Deployment": &b.deployment, "Service": &b.service, "PodDisruptionBudget": &b.budget,
		"NetworkPolicy": &b.network, "ServiceMonitor": &b.monitor, "PrometheusRule": &b.rule,
	}
	for _, r := range made.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		if r.GetKind() == "ConfigMap" {
			var c core.ConfigMap
			if err := yaml.UnmarshalStrict(text, &c); err != nil {
				t.Errorf("ConfigMap: %v", err)
			}
			b.configs[c.Name] = c
			continue
		}
		o, ok := into[r.GetKind()]
		if !ok {
			t.Errorf("there is a %s, or there are two", r.GetKind())
			continue
		}
		delete(into, r.GetKind())
		if err := yaml.UnmarshalStrict(text, o); err != nil {
			t.Errorf("%s: %v", r.GetKind(), err)
		}
	}
	for kind := range into {
		t.Errorf("there is no %s", kind)
	}
	return b
}

// TestFilesOfKubernetesAreStrict: what Kustomize drops or takes over unseen is looked at as it is written.
func TestFilesOfKubernetesAreStrict(t *testing.T) {
	for file, o := range map[string]any{
		"deployment.yaml": &apps.Deployment{}, "service.yaml": &core.Service{}, "poddisruptionbudget.yaml": &policy.PodDisruptionBudget{},
		"networkpolicy.yaml": &networking.NetworkPolicy{}, "servicemonitor.yaml": &monitoring.ServiceMonitor{}, "prometheusrule.yaml": &monitoring.PrometheusRule{},
	} {
		text, err := os.ReadFile("../kubernetes/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(text, o); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if bytes.Contains(text, []byte("\n---")) {
			t.Errorf("%s has several documents, and only the first is looked at", file)
		}
	}
}

// TestSelectorsFindThePods: each of the parts finds the pods of the Deployment, and the ServiceMonitor the Service.
func TestSelectorsFindThePods(t *testing.T) {
	b := build(t)
	pods, service := b.deployment.Spec.Template.Labels, b.service.Labels
	spread := b.deployment.Spec.Template.Spec.TopologySpreadConstraints
	if len(spread) != 2 {
		t.Fatalf("%d topologySpreadConstraints", len(spread))
	}
	for what, s := range map[string]struct {
		selector *meta.LabelSelector
		labels   map[string]string
	}{
		"Deployment":          {b.deployment.Spec.Selector, pods},
		"Service":             {&meta.LabelSelector{MatchLabels: b.service.Spec.Selector}, pods},
		"PodDisruptionBudget": {b.budget.Spec.Selector, pods},
		"NetworkPolicy":       {&b.network.Spec.PodSelector, pods},
		"spread by host":      {spread[0].LabelSelector, pods},
		"spread by zone":      {spread[1].LabelSelector, pods},
		"ServiceMonitor":      {&b.monitor.Spec.Selector, service},
	} {
		found, err := meta.LabelSelectorAsSelector(s.selector)
		if err != nil || found.Empty() {
			t.Errorf("%s selects all, or nothing: %v", what, err)
			continue
		}
		if !found.Matches(labels(s.labels)) {
			t.Errorf("%s selects %s, and there is %v", what, found, s.labels)
		}
	}
	port := b.deployment.Spec.Template.Spec.Containers[0].Ports[0]
	if b.service.Spec.Ports[0].TargetPort.String() != port.Name || b.service.Spec.Ports[0].Name != b.monitor.Spec.Endpoints[0].Port {
		t.Error("Service, ServiceMonitor and the container name different ports")
	}
	if got := b.network.Spec.Ingress[0].Ports[0].Port.String(); got != port.Name {
		t.Errorf("the NetworkPolicy lets in at %s", got)
	}
	if b.service.Name != "sitrep" {
		t.Errorf("what is scraped has job=%q, and the alert rules look at sitrep", b.service.Name)
	}
}

type labels map[string]string

func (l labels) Has(name string) bool              { _, ok := l[name]; return ok }
func (l labels) Get(name string) string            { return l[name] }
func (l labels) Lookup(name string) (string, bool) { v, ok := l[name]; return v, ok }

// TestDeploymentSurvives: a pod that goes leaves enough, is restarted only if that helps, and cannot do more
// than it needs to.
func TestDeploymentSurvives(t *testing.T) {
	b := build(t)
	d, pod := b.deployment.Spec, b.deployment.Spec.Template.Spec
	c := pod.Containers[0]
	if *d.Replicas < 3 || d.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 || b.budget.Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("%d replicas, of which a roll-out takes %s away, and a drain %s", *d.Replicas, d.Strategy.RollingUpdate.MaxUnavailable, b.budget.Spec.MaxUnavailable)
	}
	for probe, path := range map[*core.Probe]string{c.StartupProbe: "/-/healthy", c.LivenessProbe: "/-/healthy", c.ReadinessProbe: "/-/ready"} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.String() != c.Ports[0].Name {
			t.Errorf("a probe is %v, want one of %s", probe, path)
		}
	}
	if *pod.TerminationGracePeriodSeconds < 30 {
		t.Error("a stop has too little time")
	}
	if s := c.SecurityContext; !*pod.SecurityContext.RunAsNonRoot || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
		t.Errorf("it may do too much: %v", s)
	}
	if strings.Contains(c.Image, "latest") || !strings.Contains(c.Image, ":") {
		t.Errorf("the image is %s", c.Image)
	}
}

// TestFilesOfThePodAreThere: each file that an argument or the configuration names is mounted, and no Secret is in
// the base.
func TestFilesOfThePodAreThere(t *testing.T) {
	b := build(t)
	pod := b.deployment.Spec.Template.Spec
	c := pod.Containers[0]
	mounted := map[string]string{} // the volume of each folder
	for _, m := range c.VolumeMounts {
		mounted[m.MountPath] = m.Name
	}
	files := map[string][]string{"secrets": {"pgpass", "postgres-ca.pem", "ledger.key", "receiver", "ada.bcrypt"}}
	instructions, err := os.ReadFile("../kubernetes/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files["secrets"] {
		if !strings.Contains(string(instructions), "--from-file="+f) {
			t.Errorf("kustomization.yaml does not say that the Secret needs %s", f)
		}
	}
	for _, v := range pod.Volumes {
		switch {
		case v.ConfigMap != nil:
			config, ok := b.configs[v.ConfigMap.Name]
			if !ok {
				t.Errorf("there is no ConfigMap %s", v.ConfigMap.Name)
			}
			files[v.Name] = slices.Sorted(maps.Keys(config.Data))
		case v.Secret != nil:
			if v.Secret.SecretName != "sitrep" || *v.Secret.DefaultMode != 0o440 {
				t.Errorf("the Secret is %s with mode %o", v.Secret.SecretName, *v.Secret.DefaultMode)
			}
		}
	}
	there := func(file string) {
		if !slices.Contains(files[mounted[path.Dir(file)]], path.Base(file)) {
			t.Errorf("%s is not mounted", file)
		}
	}
	const folder = "/etc/sitrep/config"
	for _, arg := range c.Args {
		for part := range strings.FieldsFuncSeq(arg, func(r rune) bool { return strings.ContainsRune("=&?", r) }) {
			if strings.HasPrefix(part, "/") && strings.Contains(part, "etc/sitrep") {
				there(part)
			}
		}
	}
	config := b.configs[pod.Volumes[0].ConfigMap.Name].Data["sitrep.yml"]
	for word := range strings.FieldsFuncSeq(config, func(r rune) bool { return strings.ContainsRune(" ,{}[]\n", r) }) {
		if strings.HasPrefix(word, "../secrets/") {
			there(path.Join(folder, word))
		}
	}
	if got := files[mounted[path.Join(folder, "../slos")]]; len(got) == 0 {
		t.Error("no file of a team is mounted where slo_files looks")
	}
	if _, ok := mounted["/tmp"]; !ok {
		t.Error("large answers have no place")
	}
}
