package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	promconfig "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"

	"sitrep/api/client"
)

// defaultURL is where a sitrep on this machine listens.
const defaultURL = "http://127.0.0.1:9098"

// A connection says where a running sitrep is, and who asks. What a flag says goes
// before the environment, and that before the file.
type connection struct {
	url          string
	tokenFile    string
	user         string
	passwordFile string
	config       string
	tls          promconfig.TLSConfig
	timeout      time.Duration
}

// flagger is what flags are declared on.
type flagger interface {
	Flag(name, help string) *kingpin.FlagClause
}

// declare declares the flags.
func (c *connection) declare(on flagger) {
	on.Flag("url", "Where sitrep is; else $SITREP_URL, the file, or "+defaultURL+".").PlaceHolder("URL").StringVar(&c.url)
	on.Flag("token-file", "A file that holds the token to show; else $SITREP_TOKEN is the token, or the file says.").PlaceHolder("FILE").StringVar(&c.tokenFile)
	on.Flag("user", "The name to log in with, where no token is used.").PlaceHolder("NAME").StringVar(&c.user)
	on.Flag("password-file", "A file that holds the password of --user.").PlaceHolder("FILE").StringVar(&c.passwordFile)
	declareTLS(on, &c.tls)
	on.Flag("timeout", "How long one attempt may take.").Default("15s").DurationVar(&c.timeout)
	on.Flag("cli.config", "A file with what these flags say; else sitrep/cli.yml in the folder of your settings, if it is there.").PlaceHolder("FILE").StringVar(&c.config)
}

// declareTLS declares the flags of TLS.
func declareTLS(on flagger, c *promconfig.TLSConfig) {
	on.Flag("tls.ca-file", "Certificates to trust.").PlaceHolder("FILE").StringVar(&c.CAFile)
	on.Flag("tls.cert-file", "The client certificate.").PlaceHolder("FILE").StringVar(&c.CertFile)
	on.Flag("tls.key-file", "The key of the client certificate.").PlaceHolder("FILE").StringVar(&c.KeyFile)
	on.Flag("tls.server-name", "The name to verify instead of the host's.").PlaceHolder("NAME").StringVar(&c.ServerName)
	on.Flag("tls.insecure-skip-verify", "Do not verify who answers.").BoolVar(&c.InsecureSkipVerify)
}

// connectionFile is the form of the file. Its paths are relative to it.
type connectionFile struct {
	URL       string                `yaml:"url"`
	TokenFile string                `yaml:"token_file"`
	BasicAuth *promconfig.BasicAuth `yaml:"basic_auth"`
	TLSConfig promconfig.TLSConfig  `yaml:"tls_config"`
	ProxyURL  promconfig.URL        `yaml:"proxy_url"`
}

// client returns what speaks with the sitrep that is meant.
func (c *connection) client(env Environment) (*client.Client, error) {
	settings, err := c.settings(env)
	if err != nil {
		return nil, err
	}
	httpConfig, err := c.http(env, settings)
	if err != nil {
		return nil, err
	}
	if err := httpConfig.Validate(); err != nil {
		return nil, fmt.Errorf("connection to sitrep: %w", err)
	}
	h, err := promconfig.NewClientFromConfig(*httpConfig, "sitrep", promconfig.WithUserAgent("sitrep-cli"))
	if err != nil {
		return nil, fmt.Errorf("connection to sitrep: %w", err)
	}
	h.Timeout = c.timeout
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	at := cmp.Or(c.url, env.Getenv("SITREP_URL"), settings.URL, defaultURL)
	speaks, err := client.New(client.Options{URL: at, HTTP: h})
	if err != nil {
		return nil, &usageError{fmt.Sprintf("%q: %v", redact(at), err)}
	}
	return speaks, nil
}

// settings reads the file, if there is one.
func (c *connection) settings(env Environment) (*connectionFile, error) {
	path := c.config
	if path == "" {
		folder := env.Getenv("XDG_CONFIG_HOME")
		if folder == "" && env.Getenv("HOME") != "" {
			folder = filepath.Join(env.Getenv("HOME"), ".config")
		}
		if folder == "" {
			return &connectionFile{}, nil
		}
		path = filepath.Join(folder, "sitrep", "cli.yml")
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && c.config == "" {
		return &connectionFile{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the settings of the command line: %w", err)
	}
	defer f.Close()
	dec := yaml.NewDecoder(io.LimitReader(f, 1<<20))
	dec.KnownFields(true)
	s := &connectionFile{}
	if err := dec.Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the settings of the command line in %q: %w", path, err)
	}
	folder := filepath.Dir(path)
	s.TLSConfig.SetDirectory(folder)
	if s.BasicAuth != nil {
		s.BasicAuth.SetDirectory(folder)
	}
	s.TokenFile = promconfig.JoinDir(folder, s.TokenFile)
	return s, nil
}

// http puts flags, environment and file together.
func (c *connection) http(env Environment, s *connectionFile) (*promconfig.HTTPClientConfig, error) {
	out := &promconfig.HTTPClientConfig{TLSConfig: s.TLSConfig, EnableHTTP2: true}
	out.ProxyURL = s.ProxyURL
	to := &out.TLSConfig
	to.CAFile, to.CertFile, to.KeyFile = cmp.Or(c.tls.CAFile, to.CAFile), cmp.Or(c.tls.CertFile, to.CertFile), cmp.Or(c.tls.KeyFile, to.KeyFile)
	to.ServerName, to.InsecureSkipVerify = cmp.Or(c.tls.ServerName, to.ServerName), to.InsecureSkipVerify || c.tls.InsecureSkipVerify
	switch token := strings.TrimSpace(env.Getenv("SITREP_TOKEN")); {
	case c.tokenFile != "" && c.user != "":
		return nil, &usageError{"--token-file and --user: use one of them"}
	case c.user == "" && c.passwordFile != "":
		return nil, &usageError{"--password-file needs --user"}
	case c.user != "" && c.passwordFile == "":
		return nil, &usageError{"--user needs --password-file"}
	case c.user != "":
		out.BasicAuth = &promconfig.BasicAuth{Username: c.user, PasswordFile: c.passwordFile}
	case c.tokenFile != "":
		return bearer(out, c.tokenFile)
	case token != "":
		out.Authorization = &promconfig.Authorization{Type: "Bearer", Credentials: promconfig.Secret(token)}
	case s.TokenFile != "" && s.BasicAuth != nil:
		return nil, errors.New("the settings of the command line have token_file and basic_auth: use one of them")
	case s.TokenFile != "":
		return bearer(out, s.TokenFile)
	default:
		out.BasicAuth = s.BasicAuth
	}
	return out, nil
}

// bearer sets the token that is in a file.
func bearer(out *promconfig.HTTPClientConfig, file string) (*promconfig.HTTPClientConfig, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return nil, fmt.Errorf("read the token: %q is empty", file)
	}
	out.Authorization = &promconfig.Authorization{Type: "Bearer", Credentials: promconfig.Secret(token)}
	return out, nil
}

// redact hides what a URL may hold of a password.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "<url>"
	}
	return u.Redacted()
}
