package config_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"

	"sitrep/config"
	"sitrep/contrib"
	"sitrep/internal/golden"
)

const schemaFile = "../contrib/config.schema.json"

// TestSchemaIsTrue keeps the schema in contrib at what the loader accepts.
func TestSchemaIsTrue(t *testing.T) {
	want := config.JSONSchema()
	golden.Compare(t, schemaFile, want)
}

// TestSchemaKeysAreKnown writes a file with every key of the schema: the loader
// finds much wrong with it, but no key that it does not know.
func TestSchemaKeysAreKnown(t *testing.T) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := yaml.Unmarshal(text, &schema); err != nil { // JSON is YAML
		t.Fatal(err)
	}
	count := 0
	every := func(schema map[string]any) string {
		out, err := yaml.Marshal(everything(t, schema, &count))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	main := every(schema)
	main = strings.Replace(main, "slo_files:\n    - x", "slo_files:\n    - team.yml", 1)
	team := every(schema["$defs"].(map[string]any)["team_file"].(map[string]any))
	path := write(t, map[string]string{"sitrep.yml": main, "team.yml": team})
	got := report(filepath.Dir(path))
	if count < 100 || !strings.Contains(got, "team.yml") {
		t.Errorf("only %d keys were tried:\n%s", count, got)
	}
	if strings.Contains(got, "unknown field") {
		t.Errorf("keys of the schema are unknown:\n%s", got)
	}
}

// everything makes a value with every key of a schema, and counts them.
func everything(t *testing.T, schema map[string]any, count *int) any {
	if either, ok := schema["anyOf"].([]any); ok {
		return everything(t, either[1].(map[string]any), count)
	}
	switch schema["type"] {
	case "object":
		out := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		for name, p := range properties {
			*count++
			p := p.(map[string]any)
			if d, _ := p["description"].(string); len(d) < 5 {
				t.Errorf("the key %s has no description", name)
			}
			out[name] = everything(t, p, count)
		}
		return out
	case "array":
		return []any{everything(t, schema["items"].(map[string]any), count)}
	}
	return "x"
}

func TestSchemaValidates(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	main, err := compiler.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	team, err := compiler.Compile(schemaFile + "#/$defs/team_file")
	if err != nil {
		t.Fatal(err)
	}
	sample := func(name string) string {
		text, err := contrib.Sample.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	tests := []struct {
		name   string
		schema *jsonschema.Schema
		text   string
		ok     bool
	}{
		{"the sample", main, sample("sitrep.yml"), true},
		{"the team's sample", team, sample("slos/notifications.yml"), true},
		{"a file that uses all", main, full["sitrep.yml"], true},
		{"a team's file that uses all", team, full["slos/shop.yml"], true},
		{"an unknown key", main, "priorities: [{name: P1}]\nnonsense: 1\n", false},
		{"an unknown key below", main, "priorities: [{name: P1, nonsense: 1}]\n", false},
		{"a missing key", main, "timezone: UTC\n", false},
		{"a wrong word", main, "priorities: [{name: P1, inform: [everybody]}]\n", false},
		{"a wrong duration", main, "priorities: [{name: P1, update_every: 2 hours}]\n", false},
		{"a number without unit", main, "priorities: [{name: P1, update_every: 2}]\n", false},
		{"a team's file is no main file", main, full["slos/shop.yml"], false},
		{"an SLO without priority", team, "team: a\nslos: [{id: a, use_case: b}]\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var value any
			if err := yaml.Unmarshal([]byte(tt.text), &value); err != nil {
				t.Fatal(err)
			}
			if err := tt.schema.Validate(value); (err == nil) != tt.ok {
				t.Errorf("valid: %v, want %v: %v", err == nil, tt.ok, err)
			}
		})
	}
}

// TestSample unpacks the sample as the program does, and loads it.
func TestSample(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, contrib.Sample); err != nil {
		t.Fatal(err)
	}
	c := load(t, filepath.Join(dir, "sitrep.yml"))
	for _, w := range c.Warnings {
		t.Errorf("warning: %v", w)
	}
	want := []struct{ id, useCase, sli, priority string }{
		{"notifications-register-availability", "Application cannot register with notification services", "availability", "P1"},
		{"notifications-send-availability", "Application cannot notify its users", "availability", "P1"},
		{"notifications-delivery-latency", "Notifications arrive with a delay", "latency", "P2"},
		{"notifications-preferences-availability", "Notification preferences cannot be set", "availability", "P3"},
		{"notifications-language-correctness", "Notifications are sent in the wrong language", "correctness", "P3"},
	}
	for _, w := range want {
		s := c.Lookup(map[string]string{"sloth_id": w.id, "alertname": "X"}).SLO
		if s == nil || s.ID != w.id || s.UseCase != w.useCase || s.SLI != w.sli || s.Priority != w.priority || s.Team != "notifications" || s.Service != "notifications" {
			t.Errorf("%s is %+v", w.id, s)
		}
	}
	if n := len(c.Policy().SLOs); n != len(want) {
		t.Errorf("%d SLOs, want %d", n, len(want))
	}
}

// TestSampleCommentsAreTrue takes the comment signs off what the samples show in
// comments: the loader knows every key.
func TestSampleCommentsAreTrue(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, contrib.Sample); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sitrep.yml", "slos/notifications.yml"} {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(uncomment(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "templates"), os.DirFS("../contrib/templates")); err != nil {
		t.Fatal(err)
	}
	got := report(dir)
	for _, line := range strings.Split(strings.TrimSpace(got), "\n") {
		// The files of secrets are not there, and both ways to send mail are shown.
		if !strings.Contains(line, "no such file") && !strings.Contains(line, "smarthost and directory") && !strings.Contains(line, `no group "sales"`) {
			t.Error(line)
		}
	}
	if strings.Count(got, "no such file") != 7 {
		t.Errorf("the comments were not read:\n%s", got)
	}
}

// uncomment turns comments that hold YAML into YAML: a key or a dash right after
// the sign, indented as it stands.
func uncomment(text string) string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		body, ok := strings.CutPrefix(trimmed, "# ")
		word, _, isKey := strings.Cut(strings.TrimPrefix(strings.TrimLeft(body, " "), "- "), ":")
		isKey = isKey && !strings.ContainsAny(word, " .`") && word == strings.ToLower(word) || strings.HasPrefix(strings.TrimLeft(body, " "), "- {")

		if ok && isKey {
			line = line[:len(line)-len(trimmed)] + body
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// TestChatPageIsTrue loads each piece of configuration of the page about chats.
func TestChatPageIsTrue(t *testing.T) {
	page, err := os.ReadFile("../docs/chat.md")
	if err != nil {
		t.Fatal(err)
	}
	pieces := strings.Split(string(page), "```yaml\n")[1:]
	if len(pieces) != 3 {
		t.Fatalf("%d pieces of configuration, want 3", len(pieces))
	}
	for i, format := range []config.Format{config.FormatSlack, config.FormatTeams, config.FormatMattermost} {
		piece, _, _ := strings.Cut(pieces[i], "```")
		path := write(t, map[string]string{
			"sitrep.yml": "priorities: [{name: P1}]\n" + piece, "secrets/" + string(format) + "-url": "https://chat.example.org/hooks/x",
		})
		for _, hook := range load(t, path).Webhooks() {
			if hook.Format != format {
				t.Errorf("piece %d has the format %q, want %q", i, hook.Format, format)
			}
		}
		if got := report(filepath.Dir(path)); got != "" {
			t.Errorf("piece %d: %s", i, got)
		}
	}
}

// TestThePrintedLineMakesAPassword runs the line that the sample prints for a password, with what
// htpasswd prints for an empty name, "a good password" and the cost 12.
func TestThePrintedLineMakesAPassword(t *testing.T) {
	sample, err := contrib.Sample.ReadFile("sitrep.yml")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(sample), "\n#   mkdir -p secrets && ")
	line, _, _ = strings.Cut(line, "\n")
	const printed = ":$2y$12$7tO7RUEXS5YcT6mhtoWfleurEYaQZzb/8ojxiLuME78DKnjIM7BkW\n\n"
	dir := t.TempDir()
	for name, text := range map[string]string{
		"htpasswd":   "#!/bin/sh\n[ \"$*\" = '-nBC 12 ' ] || exit 2\ncat printed\n",
		"printed":    printed,
		"sitrep.yml": "priorities: [{name: P1}]\naccess: {users: [{name: ada, role: admin, password_file: secrets/ada.bcrypt}]}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-c", "mkdir -p secrets && "+line)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	hash, err := os.ReadFile(filepath.Join(dir, "secrets", "ada.bcrypt"))
	if err != nil || bcrypt.CompareHashAndPassword(hash, []byte("a good password")) != nil {
		t.Errorf("%s makes %q, %v", line, hash, err)
	}
	c := load(t, filepath.Join(dir, "sitrep.yml"))
	if got := string(c.Access.Users[0].Hash); got != strings.Trim(printed, ":\n") {
		t.Errorf("the password is %q", got)
	}
}

// TestTheSampleOfTemplates has the sample use what its comment on templates names.
func TestTheSampleOfTemplates(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, contrib.Sample); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "templates"), os.DirFS("../contrib/templates")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "sitrep.yml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(text, []byte("\n# templates: ["), []byte("\ntemplates: ["), 1)
	if bytes.Equal(changed, text) {
		t.Fatal("the sample names no templates")
	}
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.TemplateFiles) != 2 || !bytes.Contains(c.Public(), []byte("EXAMPLE CORP")) {
		t.Errorf("%d files of templates", len(c.TemplateFiles))
	}
}
