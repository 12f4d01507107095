package config

import (
	"encoding"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a time zone must not depend on the machine that sitrep happens to run on

	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"

	"sitrep/incident"
	"sitrep/wording"
)

// A leaf is a type that is written as one text.
type leaf struct {
	// parse returns the value, or an error that says what is wrong with the text and
	// what would be right.
	parse func(text string) (any, error)
	// format writes the value as the canonical form shows it.
	format func(v any) string
	// schema is what JSON Schema can say of the text.
	schema map[string]any
}

// URL is an http or https URL that may be shown.
type URL string

// A HostPort is a host and a port, such as smtp.example.org:587.
type HostPort string

// leaves are the types that are written as one text. Nothing changes it.
var leaves = map[reflect.Type]leaf{
	reflect.TypeFor[time.Duration](): {
		parse:  func(t string) (any, error) { return parseDuration(t) },
		format: func(v any) string { return model.Duration(v.(time.Duration)).String() },
		schema: map[string]any{"type": []any{"string", "integer"}, "pattern": durationPattern, "minimum": 0, "maximum": 0},
	},
	reflect.TypeFor[*time.Location](): {
		parse:  func(t string) (any, error) { return parseLocation(t) },
		format: func(v any) string { return v.(*time.Location).String() },
		schema: map[string]any{"type": "string"},
	},
	reflect.TypeFor[Address](): {
		parse:  func(t string) (any, error) { return parseAddress(t) },
		format: stringOf,
		schema: map[string]any{"type": "string", "pattern": "@"},
	},
	reflect.TypeFor[URL](): {
		parse:  func(t string) (any, error) { return URL(t), checkURL(t) },
		format: stringOf,
		schema: map[string]any{"type": "string", "pattern": "^https?://"},
	},
	reflect.TypeFor[HostPort](): {
		parse:  func(t string) (any, error) { return parseHostPort(t) },
		format: stringOf,
		schema: map[string]any{"type": "string", "pattern": ":[0-9]+$"},
	},
	reflect.TypeFor[Rate](): {
		parse:  func(t string) (any, error) { return parseRate(t) },
		format: stringOf,
		schema: map[string]any{"type": "string", "pattern": ratePattern},
	},
	reflect.TypeFor[Header](): {
		parse:  func(t string) (any, error) { return parseHeader(t) },
		format: stringOf,
		schema: map[string]any{"type": "string", "pattern": headerPattern},
	},
	reflect.TypeFor[netip.Prefix](): {
		parse:  func(t string) (any, error) { return parsePrefix(t) },
		format: stringOf,
		schema: map[string]any{"type": "string", "pattern": "/[0-9]+$"},
	},
	reflect.TypeFor[Clock](): {
		parse:  func(t string) (any, error) { return parseClock(t) },
		format: func(v any) string { return fmt.Sprintf("%02d:%02d", v.(Clock)/60, v.(Clock)%60) },
		schema: map[string]any{"type": "string", "pattern": clockPattern},
	},
	reflect.TypeFor[Matchers](): {
		parse:  func(t string) (any, error) { return parseMatchers(t) },
		format: stringOf,
		schema: map[string]any{"type": "string"},
	},
	reflect.TypeFor[PEM](): {
		parse:  func(t string) (any, error) { return parsePEM(t) },
		format: stringOf,
		schema: map[string]any{"type": "string", "pattern": "^\\s*-----BEGIN "},
	},
	reflect.TypeFor[Role]():               oneOf("role", roles[:]...),
	reflect.TypeFor[Format]():             oneOf("format", string(FormatJSON), string(FormatSlack), string(FormatTeams), string(FormatMattermost)),
	reflect.TypeFor[TLSMode]():            oneOf("mode", string(StartTLS), string(ImplicitTLS), string(NoTLS)),
	reflect.TypeFor[TLSVersion]():         oneOf("version of TLS", "TLS10", "TLS11", "TLS12", "TLS13"),
	reflect.TypeFor[GrantType]():          oneOf("grant type", string(ClientCredentials), string(JWTBearer)),
	reflect.TypeFor[SignatureAlgorithm](): oneOf("signature algorithm", "RS256", "RS384", "RS512"),
	reflect.TypeFor[Language](): {
		parse:  func(t string) (any, error) { return parseLanguage(t) },
		format: stringOf,
		schema: oneOf("", wording.Languages()...).schema,
	},
	reflect.TypeFor[incident.Audience](): {
		parse:  func(t string) (any, error) { return parseAudience(t) },
		format: stringOf,
		schema: map[string]any{"type": "string", "enum": []any{string(incident.AudienceManagement), string(incident.AudienceStakeholders)}},
	},
	reflect.TypeFor[timeinterval.WeekdayRange]():    interval[timeinterval.WeekdayRange]("write it as saturday or monday:friday", 0, 6),
	reflect.TypeFor[timeinterval.DayOfMonthRange](): interval[timeinterval.DayOfMonthRange]("write it as 1, 1:5 or -1", -31, 31),
	reflect.TypeFor[timeinterval.MonthRange]():      interval[timeinterval.MonthRange]("write it as december or 1:3", 1, 12),
	reflect.TypeFor[timeinterval.YearRange]():       interval[timeinterval.YearRange]("write it as 2026 or 2026:2028", 1, 9999),
}

const (
	durationPattern = `^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$`
	headerPattern   = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
	clockPattern    = `^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$`
)

// oneOf is the leaf of a type that knows few words.
func oneOf(noun string, words ...string) leaf {
	enum := make([]any, len(words))
	for i, w := range words {
		enum[i] = w
	}
	return leaf{
		parse: func(text string) (any, error) {
			if slices.Contains(words, text) {
				return text, nil
			}
			return nil, fmt.Errorf("no %s %q; %s", noun, shorten(text), suggest(text, words))
		},
		format: stringOf,
		schema: map[string]any{"type": "string", "enum": enum},
	}
}

// interval is the leaf of one of Alertmanager's ranges, which know how to read
// themselves.
func interval[T any](advice string, low, high int) leaf {
	return leaf{
		parse: func(text string) (any, error) {
			v := new(T)
			read := any(v).(interface {
				UnmarshalYAML(func(any) error) error
			}).UnmarshalYAML
			err := read(func(to any) error { *to.(*string) = text; return nil })
			if err == nil {
				r := reflect.ValueOf(v).Elem().Field(0).Interface().(timeinterval.InclusiveRange)
				if r.Begin < low || r.End > high {
					err = errors.New("out of range")
				}
			}
			if err != nil {
				return nil, fmt.Errorf("%q is not such a time (%w); %s", shorten(text), err, advice)
			}
			return *v, nil
		},
		format: func(v any) string {
			text, err := v.(encoding.TextMarshaler).MarshalText()
			if err != nil {
				return fmt.Sprint(v)
			}
			return string(text)
		},
		schema: map[string]any{"type": []any{"string", "integer"}},
	}
}

func stringOf(v any) string {
	if s, ok := v.(fmt.Stringer); ok {
		return s.String()
	}
	return reflect.ValueOf(v).String()
}

func parsePEM(text string) (PEM, error) {
	if !strings.HasPrefix(text, "-----BEGIN ") {
		return PEM{}, errors.New("it is no PEM text, which begins with -----BEGIN; to name a file, use the key that ends in _file")
	}
	return PEM{Secret(text)}, nil
}

var wordyDuration = regexp.MustCompile(`^([0-9]+) *(millisecond|second|sec|minute|min|hour|hr|day|week|year|ms|s|m|h|d|w|y)s?$`)

func parseDuration(text string) (time.Duration, error) {
	d, err := model.ParseDuration(text)
	if err == nil {
		return time.Duration(d), nil
	}
	text = shorten(text)
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		return 0, fmt.Errorf("%s has no unit; write %ss, %sm or %sh", text, text, text, text)
	}
	if m := wordyDuration.FindStringSubmatch(strings.ToLower(text)); m != nil {
		unit := m[2][:1]
		if m[2] == "ms" || m[2] == "millisecond" {
			unit = "ms"
		}
		if _, err := model.ParseDuration(m[1] + unit); err == nil {
			return 0, fmt.Errorf("%q is not a duration; write %s%s", text, m[1], unit)
		}
		return 0, fmt.Errorf("%q is too long; write something shorter than 290 years", text)
	}
	return 0, fmt.Errorf("%q is not a duration; write it as 90s, 1h30m or 5d", text)
}

func parseLocation(text string) (*time.Location, error) {
	if text != "Local" { // which is another one on each machine
		if loc, err := time.LoadLocation(text); err == nil {
			return loc, nil
		}
	}
	return nil, fmt.Errorf("no time zone %q; write its name in the IANA database, such as Europe/Berlin or UTC", shorten(text))
}

// parseLanguage accepts the tag of a language that messages can be written in.
func parseLanguage(text string) (Language, error) {
	known := wording.Languages()
	if slices.Contains(known, text) {
		return Language(text), nil
	}
	names := make([]string, len(known))
	base, _, _ := strings.Cut(strings.ReplaceAll(text, "_", "-"), "-") // of de-AT
	for i, tag := range known {
		name := wording.In(tag).Name()
		if strings.EqualFold(text, name) || strings.EqualFold(base, tag) {
			return "", fmt.Errorf("no language %q; did you mean %q?", shorten(text), tag)
		}
		names[i] = fmt.Sprintf("%s (%s)", tag, name)
	}
	return "", fmt.Errorf("no language %q; use %s", shorten(text), enumerate(names))
}

// address is what an SMTP envelope can carry without quoting or SMTPUTF8.
var address = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@" +
	`[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// maxAddress is the most octets of an address that SMTP carries.
const maxAddress = 254

func parseAddress(text string) (Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || !address.MatchString(a.Address) || len(a.Address) > maxAddress || strings.ContainsFunc(a.Name, unprintable) {
		for _, r := range text {
			if err == nil && r > 127 && !strings.ContainsRune(a.Name, r) {
				return Address{}, fmt.Errorf("%q has letters that not every mail server takes; write the domain in its xn-- form", shorten(text))
			}
		}
		return Address{}, fmt.Errorf("%q is not an email address; write it as ada@example.org or Ada <ada@example.org>", shorten(text))
	}
	return Address{Name: a.Name, Address: a.Address}, nil
}

// parseURL parses a URL that has a host and one of the schemes; nil if it is none.
func parseURL(text string, schemes ...string) *url.URL {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || strings.ContainsFunc(text, unprintable) || strings.Contains(text, " ") {
		return nil
	}
	return u
}

// checkURL accepts http and https URLs that have a host and no password.
func checkURL(text string) error {
	u := parseURL(text, "http", "https")
	switch {
	case u == nil:
		return fmt.Errorf("%q is not an http or https URL; write it as https://example.org/path", shorten(text))
	case u.User != nil:
		return errors.New("the URL holds a name or password; take it out, as URLs are shown")
	case u.Port() != "" && !validPort(u.Port()):
		return fmt.Errorf("the port of %q is not between 1 and 65535", shorten(text))
	}
	return nil
}

// checkSecretURL is checkURL for a URL that must not be repeated in the error.
func checkSecretURL(text string) error {
	if u := parseURL(text, "http", "https"); u == nil || u.Port() != "" && !validPort(u.Port()) {
		return errors.New("it is not an http or https URL; write it as https://example.org/path")
	}
	return nil
}

func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func parseHostPort(text string) (HostPort, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || !validPort(port) || strings.ContainsAny(host, " /@") || strings.ContainsFunc(host, unprintable) {
		return "", fmt.Errorf("%q is not a host and port; write it as smtp.example.org:587", shorten(text))
	}
	return HostPort(text), nil
}

var header = regexp.MustCompile(headerPattern)

func parseHeader(text string) (Header, error) {
	if !header.MatchString(text) {
		return "", fmt.Errorf("%q is not the name of a header; write it as X-Forwarded-User", shorten(text))
	}
	return Header(text), nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.Prefix{}, fmt.Errorf("%q is an address, not a network; write %s/%d", text, text, a.BitLen())
	}
	return netip.Prefix{}, fmt.Errorf("%q is not a network; write it as 10.0.0.0/8", shorten(text))
}

var clock = regexp.MustCompile(clockPattern)

func parseClock(text string) (Clock, error) {
	if !clock.MatchString(text) {
		return 0, fmt.Errorf("%q is not a time of day; write it in quotes as \"07:30\", at most \"24:00\"", shorten(text))
	}
	h, _ := strconv.Atoi(text[:2])
	m, _ := strconv.Atoi(text[3:])
	return Clock(h*60 + m), nil
}

func parseAudience(text string) (incident.Audience, error) {
	switch a := incident.Audience(text); a {
	case incident.AudienceManagement, incident.AudienceStakeholders:
		return a, nil
	case incident.AudienceOnCall:
		return "", fmt.Errorf("%q hears of every incident anyway; leave it out", text)
	}
	return "", fmt.Errorf("no audience %q; %s", shorten(text),
		suggest(text, []string{string(incident.AudienceManagement), string(incident.AudienceStakeholders)}))
}
