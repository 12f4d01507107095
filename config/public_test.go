package config_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/mail"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sitrep/config"
)

// peopled is a config in which each kind of place that holds an address or a name
// has one, with some of them in several places.
func peopled() map[string]string {
	files := maps.Clone(full)
	files["sitrep.yml"] = strings.NewReplacer(
		"witness: {url: 'https://witness.example/classified', every: 1h, http_config: {basic_auth: {username: sitrep, password: classified}}}",
		"witness: {email: Audit <SRE@example.org>, every: 1h}",
		"users: [{name: ada, role: responder, password_file: secrets/ada}]",
		"users: [{name: ada, role: responder, password_file: secrets/ada}, {name: sitrep, role: admin, password_file: secrets/ada}]",
	).Replace(files["sitrep.yml"])
	return files
}

var standIn = regexp.MustCompile(`^(address|name) [1-9][0-9]*$`)

// TestPublicFormDiffersInPeopleOnly compares both forms, place by place.
func TestPublicFormDiffersInPeopleOnly(t *testing.T) {
	c := load(t, write(t, peopled()))
	canonical, public := places(t, c.Canonical()), places(t, c.Public())
	var differ []string
	people := map[string]map[string]string{"address": {}, "name": {}} // the stand-in by what it stands for
	for path, text := range canonical {
		shown, ok := public[path]
		if !ok {
			t.Errorf("%s is not in the public form", path)
		}
		if shown == text {
			continue
		}
		differ = append(differ, path)
		kind := standIn.FindStringSubmatch(shown)
		if kind == nil {
			t.Errorf("%s reads %q", path, shown)
			continue
		}
		who := text
		if kind[1] == "address" {
			a, err := mail.ParseAddress(text)
			if err != nil {
				t.Fatal(err)
			}
			who = strings.ToLower(a.Address)
		}
		if before, ok := people[kind[1]][who]; ok && before != shown {
			t.Errorf("%q is both %q and %q", who, before, shown)
		}
		people[kind[1]][who] = shown
	}
	if len(public) != len(canonical) {
		t.Errorf("%d places, want %d", len(public), len(canonical))
	}
	slices.Sort(differ)
	if want := []string{
		".access.tokens[0].name",
		".access.tokens[0].token_file", // files are called after people
		".access.users[0].name",
		".access.users[0].password_file",
		".access.users[1].name",
		".access.users[1].password_file",
		".alertmanagers[0].http_config.basic_auth.username",
		".alertmanagers[1].http_config.authorization.credentials_file",
		".alertmanagers[2].http_config.http_headers.X-Pass.files[0]",
		".alertmanagers[2].http_config.oauth2.client_id",
		".alertmanagers[2].http_config.oauth2.client_secret_file",
		".alertmanagers[3].http_config.oauth2.client_certificate_key_file",
		".alertmanagers[3].http_config.oauth2.client_id",
		".alertmanagers[3].http_config.oauth2.iss",
		".alertmanagers[4].http_config.basic_auth.password_file",
		".alertmanagers[4].http_config.basic_auth.username_file",
		".evidence.witness.email",
		".groups[0].email[0]",
		".groups[0].email[1]",
		".groups[1].email[0]",
		".groups[1].email[1]",
		".mail.envelope_from",
		".mail.from",
		".mail.password_file",
		".mail.reply_to",
		".mail.username",
		".teams[0].on_call.email[0]",
	}; !slices.Equal(differ, want) {
		t.Errorf("what differs is %q, want %q", differ, want)
	}
	for kind, by := range people {
		for i, who := range slices.Sorted(maps.Keys(by)) {
			if want := fmt.Sprintf("%s %d", kind, i+1); by[who] != want {
				t.Errorf("%q reads %q, want %q", who, by[who], want)
			}
		}
	}
}

// TestPublicFormKeepsItsNumbers has the groups in another order: each stays as it is.
func TestPublicFormKeepsItsNumbers(t *testing.T) {
	files := peopled()
	before := load(t, write(t, files))
	if again := load(t, write(t, files)); string(again.Public()) != string(before.Public()) {
		t.Errorf("read again it is %s, not %s", again.Public(), before.Public())
	}
	head, rest, _ := strings.Cut(files["sitrep.yml"], "groups:\n")
	first, rest, _ := strings.Cut(rest, "  - name: customer-support\n")
	second, tail, _ := strings.Cut(rest, "slo_files:")
	files["sitrep.yml"] = head + "groups:\n  - name: customer-support\n" + second + first + "slo_files:" + tail
	after := load(t, write(t, files))
	if after.Hash() == before.Hash() || after.PublicHash() == before.PublicHash() {
		t.Fatal("the groups are in the same order")
	}
	forms := [2]map[string]any{}
	for i, c := range []*config.Config{before, after} {
		if err := json.Unmarshal(c.Public(), &forms[i]); err != nil {
			t.Fatal(err)
		}
	}
	slices.Reverse(forms[1]["groups"].([]any))
	if !reflect.DeepEqual(forms[0], forms[1]) {
		t.Errorf("with the groups swapped it is %s, not %s", after.Public(), before.Public())
	}
}

// places returns what stands in a form, by its path.
func places(t *testing.T, form []byte) map[string]string {
	t.Helper()
	var value any
	if err := json.Unmarshal(form, &value); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				walk(path+"."+k, e)
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		default:
			out[path] = fmt.Sprint(v)
		}
	}
	walk("", value)
	return out
}
