package mailtest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// authenticate answers AUTH.
func (t *talk) authenticate(a *Auth, args string) error {
	if usual, err := t.say("AUTH", ""); err != nil || !usual {
		return err
	}
	mechanism, initial, _ := strings.Cut(args, " ")
	mechanism = strings.ToUpper(mechanism)
	switch {
	case !slices.Contains(a.Mechanisms, mechanism):
		return t.write("504 5.5.4 no such mechanism")
	case slices.Contains(a.Refused, mechanism):
		return t.write("504 5.7.4 not that one")
	case a.TwoLines && initial != "":
		return t.write("501 5.5.4 AUTH takes one argument")
	}
	switch mechanism {
	case "PLAIN":
		answer, err := t.answer(initial, "")
		if err != nil {
			return err
		}
		if parts := strings.Split(answer, "\x00"); len(parts) == 3 && a.knows(parts[1], parts[2]) {
			return t.welcome(mechanism, parts[1])
		}
	case "LOGIN":
		prompts := a.Prompts
		if len(prompts) != 2 {
			prompts = []string{"VXNlcm5hbWU6", "UGFzc3dvcmQ6"}
		}
		user, err := t.answer(initial, prompts[0])
		if err != nil {
			return err
		}
		password, err := t.answer("", prompts[1])
		if err != nil {
			return err
		}
		if a.knows(user, password) {
			return t.welcome(mechanism, user)
		}
	case "XOAUTH2":
		answer, err := t.answer(initial, "")
		if err != nil {
			return err
		}
		parts := strings.Split(answer, "\x01")
		user, named := strings.CutPrefix(parts[0], "user=")
		if named && len(parts) == 4 && a.Token != nil {
			if token, ok := strings.CutPrefix(parts[1], "auth=Bearer "); ok && a.Token(user, token) {
				return t.welcome(mechanism, user)
			}
		}
		why, err := json.Marshal(map[string]string{"status": "401", "schemes": "bearer", "scope": "https://mail.example.org/"})
		if err != nil {
			return err
		}
		// The client says nothing to that, and hears the verdict then.
		if err := t.write("334 " + base64.StdEncoding.EncodeToString(why)); err != nil {
			return err
		}
		if _, err := t.read(); err != nil {
			return err
		}
		return t.write("535 5.7.8 the token is not accepted")
	}
	return t.write("535 5.7.8 name or password is wrong")
}

// answer returns what the client says to a prompt, decoded, unless it was said already.
func (t *talk) answer(said, prompt string) (string, error) {
	if said == "" {
		if err := t.write("334 " + prompt); err != nil {
			return "", err
		}
		line, err := t.read()
		if err != nil {
			return "", err
		}
		said = line
	}
	text, err := base64.StdEncoding.DecodeString(said)
	if err != nil {
		_ = t.write("501 5.5.2 not base64")
		return "", errOver
	}
	return string(text), nil
}

func (a *Auth) knows(user, password string) bool {
	if a.Logins == nil {
		return user == User && password == Password
	}
	known, ok := a.Logins[user]
	return ok && known == password
}

func (t *talk) welcome(mechanism, user string) error {
	t.user = user
	t.s.mu.Lock()
	t.s.auth = append(t.s.auth, mechanism)
	t.s.mu.Unlock()
	return t.write("235 2.7.0 welcome")
}
