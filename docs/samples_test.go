package docs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"sitrep/chain"
	"sitrep/cli"
)

// A sample is a block of YAML on a page.
type sample struct{ page, text string }

// samples returns those of all pages.
func samples(t *testing.T) (all []sample) {
	t.Helper()
	block := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	pages := []string{"../README.md"}
	err := filepath.WalkDir(".", func(file string, _ fs.DirEntry, err error) error {
		if filepath.Ext(file) == ".md" {
			pages = append(pages, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		for _, m := range block.FindAllStringSubmatch(read(t, page), -1) {
			all = append(all, sample{page, m[1]})
		}
	}
	return all
}

// A schema is that of the configuration, as far as this test looks at it.
type schema struct {
	Properties map[string]*schema
	Items      *schema
	AnyOf      []*schema
	Defs       map[string]*schema `json:"$defs"`
}

// keys returns the keys of a mapping, or of the mappings in a list.
func (s *schema) keys() map[string]*schema {
	switch {
	case s.Items != nil:
		return s.Items.keys()
	case len(s.AnyOf) > 0:
		return s.AnyOf[len(s.AnyOf)-1].keys()
	}
	return s.Properties
}

// knows reports whether the keys of a mapping are those of a schema.
func (s *schema) knows(m map[string]any) bool {
	for key := range m {
		if s.keys()[key] == nil {
			return false
		}
	}
	return len(m) > 0
}

// secret returns what a file holds that a sample names, by what its key is called.
func secret(t *testing.T, key, section, file string) string {
	t.Helper()
	switch {
	case key == "password_file" && section == "users":
		return "$2a$10$zoUd5L8NSfjoXY5NchJXv.0DgHw4d4HcBGDJ5yDH5TlqSNdAKTxoW"
	case key == "url_file":
		return "https://hooks.example.org/x"
	case key == "client_certificate_key_file":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	case key == "ca_file":
		cert, _ := certificate(t, "example.org")
		return string(cert)
	}
	return "the-secret-in-" + strings.ReplaceAll(file, "/", "-") + "-of-many-letters"
}

// secretFiles calls f with each file that a tree names as a secret.
func secretFiles(tree any, section string, f func(key, section, file string)) {
	switch v := tree.(type) {
	case map[string]any:
		for key, value := range v {
			if file, ok := value.(string); ok && strings.HasSuffix(key, "_file") && key != "key_file" {
				f(key, section, file)
			}
			secretFiles(value, key, f)
		}
	case []any:
		for _, e := range v {
			secretFiles(e, section, f)
		}
	}
}

// whole completes a piece of the main file with what it lacks of the sample in contrib: of lists whose
// elements have names, those that the piece does not name.
func whole(piece, base map[string]any) map[string]any {
	out := maps.Clone(base)
	for key, value := range piece {
		list, isList := value.([]any)
		before, _ := base[key].([]any)
		if !isList || len(before) == 0 {
			out[key] = value
			continue
		}
		all := slices.Clone(list)
		for _, b := range before {
			m, ok := b.(map[string]any)
			if ok && m["name"] != nil && !slices.ContainsFunc(list, func(e any) bool { n, ok := e.(map[string]any); return ok && n["name"] == m["name"] }) {
				all = append(all, b)
			}
		}
		out[key] = all
	}
	return out
}

// kindOf says what a sample is: a main file or a team's, a piece of one, or a file of another program.
func kindOf(t *testing.T, s *schema, tree any) (kind, section string) {
	t.Helper()
	m, isMap := tree.(map[string]any)
	switch list, isList := tree.([]any); {
	case isList:
		if first, ok := list[0].(map[string]any); ok && first["receiver"] != nil {
			return "routes", ""
		}
		return "", ""
	case !isMap:
		return "", ""
	case m["apiVersion"] != nil:
		return "kubernetes", "" // contrib/test and contrib/helm/test look at such
	case m["team"] != nil && s.Defs["team_file"].knows(m):
		return "team", ""
	case s.knows(m):
		return "main", ""
	case m["receivers"] != nil || m["route"] != nil:
		return "alertmanager", ""
	}
	cliFile := &schema{Properties: map[string]*schema{"url": s, "token_file": s, "basic_auth": s, "tls_config": s, "proxy_url": s}}
	if cliFile.knows(m) {
		return "cli", ""
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if s.Properties[name].knows(m) {
			return "main", name
		}
	}
	return "", ""
}

// TestSamplesPassCheck: each block of YAML on a page is a configuration that sitrep check takes without a warning,
// once the rest of it is there.
func TestSamplesPassCheck(t *testing.T) {
	var s schema
	if err := json.Unmarshal([]byte(read(t, "../contrib/config.schema.json")), &s); err != nil {
		t.Fatal(err)
	}
	parse := func(text string) (tree any) {
		t.Helper()
		if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		return tree
	}
	base := parse(read(t, "../contrib/sitrep.yml")).(map[string]any)
	team := read(t, "../contrib/slos/notifications.yml")
	found := map[string]int{}
	for _, sample := range samples(t) {
		tree := parse(sample.text)
		kind, section := kindOf(t, &s, tree)
		found[kind]++
		main, teams := base, team
		switch kind {
		case "":
			t.Errorf("%s: nobody knows what this is:\n%s", sample.page, sample.text)
			continue
		case "routes", "alertmanager":
			text := sample.text
			if kind == "routes" {
				text = "receivers: [{name: sitrep}]\nroute:\n  receiver: sitrep\n  routes:\n" + text
			} else if tree.(map[string]any)["route"] == nil {
				text += "route: {receiver: sitrep}\n"
			}
			a := chain.ParseAlertmanager("alertmanager.yml", []byte(text), "")
			if len(a.Findings) > 0 || kind == "alertmanager" && len(a.Receivers["sitrep"].Webhooks) == 0 {
				t.Errorf("%s: %v in\n%s", sample.page, a.Findings, text)
			}
			continue
		case "kubernetes", "cli":
			continue
		case "team":
			teams = sample.text
			if m := tree.(map[string]any); m["slos"] == nil {
				teams += "stakeholders: [customer-support]\nslos: [{id: a, use_case: It is broken, priority: P1}]\n"
			}
		case "main":
			piece := tree.(map[string]any)
			if section != "" {
				piece = map[string]any{section: whole(piece, map[string]any{"from": "incidents@example.org"})}
			}
			main = whole(piece, base)
			if main["canary"] != nil && main["alertmanagers"] == nil {
				main["alertmanagers"] = []any{map[string]any{"url": "http://alertmanager.example:9093"}}
			}
		}
		dir := t.TempDir()
		text, err := yaml.Marshal(main)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{"sitrep.yml": string(text), "slos/notifications.yml": teams}
		secretFiles(main, "", func(key, section, file string) { files[file] = secret(t, key, section, file) })
		secretFiles(parse(teams), "", func(key, section, file string) { files[filepath.Join("slos", file)] = secret(t, key, section, file) })
		for name, text := range files {
			file := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.CopyFS(filepath.Join(dir, "templates"), os.DirFS("../contrib/templates")); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		code := cli.Run(t.Context(), []string{"check", filepath.Join(dir, "sitrep.yml")}, cli.Environment{Getenv: func(string) string { return "" }, Stdout: &said, Stderr: &said})
		if code != cli.ExitDone || strings.Contains(said.String(), "warning") {
			t.Errorf("%s: check says\n%sof\n%s", sample.page, strings.ReplaceAll(said.String(), dir+"/", ""), sample.text)
		}
	}
	if found["main"] < 10 || found["team"] < 1 || found["alertmanager"] < 2 {
		t.Errorf("found are %v", found)
	}
}
