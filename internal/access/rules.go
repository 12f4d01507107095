package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"sitrep/incident"
)

// Rules say who may do what. They are plain values and are not changed once given.
type Rules struct {
	// Loopback is set where the configuration has no access rules: nobody but this
	// machine is served, and everybody on it is an admin. All else is unused then.
	Loopback bool
	// Local is the name of who is on this machine, with Loopback; empty: local.
	Local string
	// Anonymous is the role of those who show no credentials; empty: none.
	Anonymous Role
	Tokens    []Token
	Users     []User
	Proxy     *Proxy // nil: no proxy is trusted
	// Hosts are the names and addresses, without ports, by which sitrep is known beside
	// loopback; 0.0.0.0 stands for every address. Under another Host those without
	// credentials are refused.
	Hosts []string
	// Origins are further origins of sitrep's own pages, such as
	// "https://sitrep.example.org", where a proxy changes the host of requests.
	Origins []string
}

// A Token is a secret that a program shows.
type Token struct {
	Name  string
	Role  Role
	Token string
}

// A User is a person with a password.
type User struct {
	Name string
	Role Role
	Hash string // bcrypt
}

// A Proxy names, in headers, the person that it has logged in.
type Proxy struct {
	Trusted      []netip.Prefix // from where it is believed
	UserHeader   string
	GroupsHeader string          // groups separated by commas; empty: none are read
	Roles        map[string]Role // by group; the highest counts
	DefaultRole  Role            // of those in no such group; empty: none
}

// A ruleset is Rules, checked, with what is computed of them once.
type ruleset struct {
	Rules
	key      [32]byte // random; what is remembered of credentials is keyed by it
	tokens   [][sha256.Size]byte
	verified *verified
	cross    *http.CrossOriginProtection
}

// newRuleset checks rules and prepares them. The error names all that is wrong.
func newRuleset(rules Rules) (*ruleset, error) {
	rs := &ruleset{Rules: rules, verified: newVerified(), cross: http.NewCrossOriginProtection()}
	_, _ = rand.Read(rs.key[:]) // never fails
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if rules.Anonymous != "" && rules.Anonymous.rank() == 0 {
		fail("anonymous: no role %q", rules.Anonymous)
	}
	tokens := map[string]Role{} // by name
	for _, t := range rules.Tokens {
		if err := checkName(t.Name, t.Role); err != nil {
			fail("token %q: %w", t.Name, err)
		}
		if _, twice := tokens[t.Name]; twice {
			fail("token %q: twice", t.Name)
		}
		tokens[t.Name] = t.Role
		if t.Token == "" {
			fail("token %q: the token is empty", t.Name)
		}
		sum := sha256.Sum256([]byte(t.Token))
		if slices.Contains(rs.tokens, sum) {
			fail("token %q: another has the same token", t.Name)
		}
		rs.tokens = append(rs.tokens, sum)
	}
	names := map[string]bool{}
	for _, u := range rules.Users {
		if err := checkName(u.Name, u.Role); err != nil {
			fail("user %q: %w", u.Name, err)
		}
		if strings.Contains(u.Name, ":") {
			fail("user %q: a colon cannot be in the name of a user", u.Name)
		}
		if _, err := bcrypt.Cost([]byte(u.Hash)); err != nil {
			fail("user %q: not a bcrypt hash; make one with htpasswd -nBC 12 \"\" | tr -d ':\\n'", u.Name)
		}
		if names[u.Name] {
			fail("user %q: twice", u.Name)
		}
		names[u.Name] = true
		if role, ok := tokens[u.Name]; ok && role != u.Role {
			fail("user %q: the role is %s, and that of the token of this name %s; a person has one role", u.Name, u.Role, role)
		}
	}
	if p := rules.Proxy; p != nil {
		if p.UserHeader == "" {
			fail("proxy: without the name of a header for the user")
		}
		if p.DefaultRole != "" && p.DefaultRole.rank() == 0 {
			fail("proxy: no role %q", p.DefaultRole)
		}
		for group, role := range p.Roles {
			if role.rank() == 0 {
				fail("proxy: group %q: no role %q", group, role)
			}
		}
	}
	for _, o := range rules.Origins {
		if err := rs.cross.AddTrustedOrigin(o); err != nil {
			fail("origin %q: %w", o, err)
		}
	}
	return rs, errors.Join(errs...)
}

// checkName checks the name of one who can act: it goes into logs and events.
func checkName(name string, role Role) error {
	if role.rank() == 0 {
		return fmt.Errorf("no role %q", role)
	}
	if err := incident.CheckName(name); err != nil {
		return err
	}
	for _, a := range []incident.Actor{incident.ActorAlertmanager, incident.ActorScheduler, incident.ActorStart, incident.ActorSignal, incident.Forgotten} {
		// A receiver leaves no event under its name, so it may be called what it is.
		if strings.EqualFold(name, string(a)) && role.May(Responder) {
			return fmt.Errorf("the name is %q, which is what sitrep writes where it names no person; choose another", a)
		}
	}
	return nil
}

// digest returns what is remembered of values that may be secret.
func (rs *ruleset) digest(values ...string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, rs.key[:])
	var size [8]byte
	for _, v := range values {
		for i := range size {
			size[i] = byte(len(v) >> (8 * i))
		}
		mac.Write(size[:])
		mac.Write([]byte(v))
	}
	return [sha256.Size]byte(mac.Sum(nil))
}

// trial is one that is told apart by the values.
func (rs *ruleset) trial(values ...string) *trial {
	return &trial{who: rs.digest(values...), values: values}
}
