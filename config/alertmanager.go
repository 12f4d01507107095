package config

import promconfig "github.com/prometheus/common/config"

// An Alertmanager is one that is asked whether a breach is still firing.
type Alertmanager struct {
	URL           URL            `yaml:"url,required" doc:"Where it is, with its path prefix if it has one." eg:"http://alertmanager.example:9093"`
	BasicAuth     *BasicAuth     `yaml:"basic_auth" doc:"The name and password to show. At most one of basic_auth and authorization."`
	Authorization *Authorization `yaml:"authorization" doc:"The Authorization header to show. At most one of basic_auth and authorization."`
	TLSConfig     *TLSConfig     `yaml:"tls_config" doc:"How it is verified, as everywhere in Prometheus."`
}

// BasicAuth is a name and a password that are shown to a server.
type BasicAuth struct {
	Username     string `yaml:"username,required" show:"name" doc:"The name." eg:"sitrep"`
	Password     Secret `yaml:"password" doc:"The password. At most one of password and password_file."`
	PasswordFile string `yaml:"password_file" show:"name" doc:"A file that holds the password."`
}

// Authorization is an Authorization header that is shown to a server.
type Authorization struct {
	Type            string `yaml:"type" doc:"The scheme." eg:"Bearer"`
	Credentials     Secret `yaml:"credentials" doc:"The credentials. Exactly one of credentials and credentials_file."`
	CredentialsFile string `yaml:"credentials_file" show:"name" doc:"A file that holds the credentials."`
}

// HTTPClientConfig returns what Prometheus's library needs to make a client for
// it. Nothing in it is left to be read from a file.
func (a *Alertmanager) HTTPClientConfig() promconfig.HTTPClientConfig {
	h := promconfig.DefaultHTTPClientConfig
	h.TLSConfig = a.TLSConfig.prometheus()
	if b := a.BasicAuth; b != nil {
		h.BasicAuth = &promconfig.BasicAuth{Username: b.Username, Password: promconfig.Secret(b.Password)}
	}
	if z := a.Authorization; z != nil {
		h.Authorization = &promconfig.Authorization{Type: z.Type, Credentials: promconfig.Secret(z.Credentials)}
	}
	return h
}
