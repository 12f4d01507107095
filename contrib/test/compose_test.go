package test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// project loads contrib/compose.yml as Compose does.
func project(t *testing.T, env ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../compose.yml"}, cli.WithEnv(env))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

func TestComposeHasThreeReplicas(t *testing.T) {
	if _, err := project(t); err == nil || !strings.Contains(err.Error(), "SITREP_URL") {
		t.Errorf("without SITREP_URL: %v", err)
	}
	p, err := project(t, "SITREP_URL=https://sitrep.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.ServiceNames(), []string{"alertmanager", "balancer", "postgres", "sitrep"}; !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("services %q, want %q", got, want)
	}
	sitrep := p.Services["sitrep"]
	if n := sitrep.Deploy.Replicas; n == nil || *n != 3 {
		t.Errorf("replicas: %v", n)
	}
	if !slices.Contains(sitrep.Command, "--web.external-url=https://sitrep.example.org") {
		t.Errorf("the command is %q", sitrep.Command)
	}
	if !sitrep.ReadOnly || !slices.Contains(sitrep.Tmpfs, "/data") {
		t.Error("a replica keeps something")
	}
	for name, s := range p.Services {
		if strings.HasSuffix(s.Image, ":latest") || name != "sitrep" && !strings.Contains(s.Image, ":") {
			t.Errorf("%s has the image %s, of no version", name, s.Image)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s listens at %q", name, port.HostIP)
			}
		}
	}
}

// TestFilesOfComposeAreThere: what is mounted from the folder exists, the folder of secrets aside, and what the
// instructions make is what is mounted.
func TestFilesOfComposeAreThere(t *testing.T) {
	p, err := project(t, "SITREP_URL=https://sitrep.example.org")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	instructions, _, _ := strings.Cut(string(text), "\nname: ")
	targets := map[string][]string{}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			targets[name] = append(targets[name], v.Target)
			if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, secret := range s.Secrets {
			targets[name] = append(targets[name], secret.Target)
		}
	}
	for name, s := range p.Secrets {
		if filepath.Base(filepath.Dir(s.File)) != "secrets" || !strings.Contains(instructions, filepath.Base(s.File)) {
			t.Errorf("no instruction makes the secret %s, which is %s", name, s.File)
		}
	}
	for _, file := range []string{"sitrep.yml", "slos", "secrets/pgpass", "secrets/ledger.key", "secrets/receiver", "secrets/ada.bcrypt"} {
		if !slices.Contains(targets["sitrep"], "/etc/sitrep/"+file) {
			t.Errorf("sitrep has no %s", file)
		}
	}
	if !slices.Contains(targets["alertmanager"], "/etc/alertmanager/sitrep-token") {
		t.Error("Alertmanager has no token")
	}
}

// TestBalancerIsTheOneThatIsTrusted: the address of the load balancer is the one whose headers sitrep believes.
func TestBalancerIsTheOneThatIsTrusted(t *testing.T) {
	p, err := project(t, "SITREP_URL=https://sitrep.example.org")
	if err != nil {
		t.Fatal(err)
	}
	address := p.Services["balancer"].Networks["sitrep"].Ipv4Address
	config, err := os.ReadFile("../compose/sitrep.yml")
	if err != nil {
		t.Fatal(err)
	}
	if address == "" || !strings.Contains(string(config), "trusted: ["+address+"/32]") {
		t.Errorf("the load balancer is %q", address)
	}
	balancer, err := os.ReadFile("../compose/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"http-request del-header X-Forwarded-User\n", "http-request del-header X-Forwarded-Groups\n", "http-request set-header X-Forwarded-For %[src]\n", "option httpchk GET /-/ready\n"} {
		if !strings.Contains(string(balancer), line) {
			t.Errorf("haproxy.cfg has no %q", line)
		}
	}
}
