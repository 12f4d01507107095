package config

import (
	"encoding/base64"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// openTeams reads the teams' files that the main file names, each once, in the
// order of the patterns and then of the names. The sources stand beside c.Teams.
func (l *loading) openTeams(main *source, c *Config) []*source {
	var sources []*source
	seen := map[string]bool{}
	for i, text := range c.SLOFiles {
		path := elem("slo_files", i)
		files := l.filesOf(main, path, text, "slos/*.yml")
		for n, f := range files {
			files[n].text = nil // which is not needed once it is parsed
			if f.err == nil && os.SameFile(f.info, main.info) {
				main.errorf(path, "%q matches this file itself; keep the teams' files in a folder of their own", text)
				continue
			}
			if seen[f.name] {
				continue
			}
			seen[f.name] = true
			if s, root := l.parse(f); s != nil {
				s.team = true
				var t TeamFile
				if s.decode(root, reflect.ValueOf(&t).Elem(), "") {
					sources, c.Teams = append(sources, s), append(c.Teams, t)
				}
			}
		}
	}
	return sources
}

// filesOf returns the files that a pattern in the main file names, sorted by name; a pattern that is right is the example. If there are none,
// that is a problem.
func (l *loading) filesOf(main *source, path, text, example string) []content {
	if text == "" {
		return nil
	}
	p, err := parsePattern(text, example)
	if err != nil {
		main.errorf(path, "%v", err)
		return nil
	}
	p.folder = main.abs(p.folder)
	files, err := l.visit.files(p)
	switch {
	case err != nil:
		main.errorf(path, "%s", advise(err, "look at the path, which is relative to this file"))
	case len(files) == 0 && wild(text):
		main.errorf(path, "no file matches %q; look at the path, which is relative to this file, or remove it", text)
	case len(files) == 0:
		main.errorf(path, "there is no file %q; look at the path, which is relative to this file", main.abs(text))
	}
	return files
}

// resolve fills in what the files leave to others: what stands in secret files,
// and what the SLOs of a team have in common.
func (l *loading) resolve(main *source, teams []*source, c *Config) {
	for i := range c.Groups {
		main.webhooks(join(elem("groups", i), "webhooks"), c.Groups[i].Webhooks)
	}
	if m := c.Mail; m != nil {
		main.mail(m)
	}
	for i := range c.Alertmanagers {
		main.httpClient(join(elem("alertmanagers", i), "http_config"), c.Alertmanagers[i].HTTPConfig)
	}
	for i := range c.Prometheus {
		main.httpClient(join(elem("prometheus", i), "http_config"), c.Prometheus[i].HTTPConfig)
	}
	if a := c.Access; a != nil {
		for i := range a.Tokens {
			t := &a.Tokens[i]
			t.Token = Secret(main.secret(join(elem("access.tokens", i), "token_file"), t.TokenFile, oneLine))
		}
		for i := range a.Users {
			u := &a.Users[i]
			u.Hash = Secret(main.secret(join(elem("access.users", i), "password_file"), u.PasswordFile, oneLine))
		}
	}
	if !main.has("retention.messages") {
		c.Retention.Messages = min(c.Retention.Messages, c.Retention.Personal)
	}
	if w := c.Evidence.Witness; w != nil {
		main.poster("evidence.witness.http_config", w.HTTPConfig)
	}
	c.Evidence.KeyPath = main.abs(c.Evidence.KeyFile)
	c.Evidence.Key = Secret(main.secret("evidence.key_file", c.Evidence.KeyFile, optional))
	// After all that the main file names, which is not theirs.
	same := shared{}
	for i, s := range teams {
		t := &c.Teams[i]
		s.webhooks("on_call.webhooks", t.OnCall.Webhooks)
		for j := range t.SLOs {
			o := &t.SLOs[j]
			if o.Stakeholders == nil {
				o.Stakeholders = t.Stakeholders
			}
			o.Affects, o.SLI, o.Service, o.Priority = same.one(o.Affects), same.one(o.SLI), same.one(o.Service), same.one(o.Priority)
		}
	}
}

// shared are texts of which there is one, however many SLOs have it.
type shared map[string]string

func (t shared) one(text string) string {
	if had, ok := t[text]; ok {
		return had
	}
	t[text] = text
	return text
}

// webhooks reads the URLs and keys of webhooks, and checks them.
func (s *source) webhooks(path string, hooks []Webhook) {
	for i := range hooks {
		w, path := &hooks[i], elem(path, i)
		urlAt, fileAt := join(path, "url"), join(path, "url_file")
		where := urlAt
		switch {
		case s.has(urlAt) && s.has(fileAt):
			s.errorf(path, "it has both url and url_file; keep one")
		case s.has(fileAt):
			where = fileAt
			w.URL = Secret(s.secret(fileAt, w.URLFile, oneLine))
		case !s.has(urlAt) && !s.broken(path):
			s.errorf(path, "it has no URL; add url, or url_file where the URL is a secret")
		}
		if w.URL != "" {
			if err := checkSecretURL(string(w.URL)); err != nil {
				s.errorf(where, "%v", err)
				w.URL = ""
			}
			s.format(path, where, w)
		}
		s.poster(join(path, "http_config"), w.HTTPConfig)
		w.Secret = Secret(s.secret(join(path, "secret_file"), w.SecretFile, oneLine))
		if chat := w.Format.chatName(); chat != "" && s.has(join(path, "secret_file")) {
			s.warnf(join(path, "secret_file"), "%s does not look at signatures, and trusts who has the URL; remove it", chat)
		}
		if text, ok := strings.CutPrefix(string(w.Secret), "whsec_"); ok {
			if _, err := base64.StdEncoding.DecodeString(text); err != nil {
				s.errorf(join(path, "secret_file"), "what follows whsec_ in the file is not base64; make a key with: echo whsec_$(openssl rand -base64 32)")
			}
		}
	}
}

// format warns where a webhook's URL is one of a chat that reads another format.
func (s *source) format(path, where string, w *Webhook) {
	at := join(path, "format")
	if s.broken(at) {
		return
	}
	switch want, known := formatOf(string(w.URL)); {
	case !known || want == w.Format:
	case s.has(at):
		s.warnf(at, "the URL is one of %s, which does not take this format; write format: %s", want.chatName(), want)
	default:
		s.warnf(where, "it is a URL of %s, which does not take sitrep's JSON; add format: %s", want.chatName(), want)
	}
}

// either returns a secret that stands in the config itself or in a file of its
// own: exactly one of them.
func (s *source) either(path, key string, inline Secret, file string) Secret {
	switch at := s.oneWay(path, key); at {
	case "":
	case join(path, key):
		s.exposed(at)
	default:
		return Secret(s.secret(at, file, oneLine))
	}
	return inline
}

// oneWay returns which of key and key_file a section has; nothing, and a problem, if
// that is not exactly one.
func (s *source) oneWay(path, key string) string {
	inlineAt, fileAt := join(path, key), join(path, key+"_file")
	switch {
	case s.has(inlineAt) && s.has(fileAt):
		s.errorf(path, "it has both %s and %s_file; keep one", key, key)
	case s.has(fileAt):
		return fileAt
	case s.has(inlineAt):
		return inlineAt
	default:
		s.errorf(path, "it has neither %s nor %s_file; add one", key, key)
	}
	return ""
}

// exposed warns where a secret stands in a config file that everybody can read.
func (s *source) exposed(path string) {
	if othersRead(s.info.Mode()) {
		s.warnf(path, "everybody on this machine can read this secret; move it into a file of its own, or take that away with chmod o-rwx")
	}
}

// tls reads the certificates and keys that a tls_config names, and checks them.
func (s *source) tls(path string, t *TLSConfig) {
	if t == nil {
		return
	}
	before := len(s.l.problems)
	for _, f := range []struct {
		key, inline, file string
		kind              secretKind
		to                *string
	}{
		{"ca", t.CA.text(), t.CAFile, public, &t.files.ca},
		{"cert", t.Cert.text(), t.CertFile, public, &t.files.cert},
		{"key", t.Key.text(), t.KeyFile, wholePEM, &t.files.key},
	} {
		if f.inline != "" && f.file != "" {
			s.errorf(path, "it has both %s and %s_file; keep one", f.key, f.key)
		}
		*f.to = s.secret(join(path, f.key+"_file"), f.file, f.kind)
	}
	if t.Key.text() != "" {
		s.exposed(join(path, "key"))
	}
	if slices.ContainsFunc(s.l.problems[before:], Problem.isError) {
		return
	}
	if err := t.prepare(); err != nil {
		s.errorf(path, "%v; look at its certificates, keys and versions", err)
	}
}

// elem is the path of one element of a list.
func elem(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
