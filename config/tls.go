package config

import (
	"cmp"
	"crypto/tls"
	"errors"
	"strings"

	promconfig "github.com/prometheus/common/config"
)

// TLSConfig says how the other side is verified, and what is shown to it.
type TLSConfig struct {
	CA                 PEM        `yaml:"ca" doc:"Certificates to trust, as PEM text."`
	CAFile             string     `yaml:"ca_file" doc:"A file of certificates to trust." eg:"ca.pem"`
	Cert               PEM        `yaml:"cert" doc:"The client certificate, as PEM text."`
	CertFile           string     `yaml:"cert_file" doc:"A file that holds the client certificate."`
	Key                PEM        `yaml:"key" doc:"The key of the client certificate, as PEM text."`
	KeyFile            string     `yaml:"key_file" doc:"A file that holds the key of the client certificate."`
	ServerName         string     `yaml:"server_name" doc:"The name to verify instead of the host's."`
	InsecureSkipVerify bool       `yaml:"insecure_skip_verify" doc:"Do not verify the other side's certificate."`
	MinVersion         TLSVersion `yaml:"min_version" doc:"The lowest version of TLS: TLS10, TLS11, TLS12 or TLS13."`
	MaxVersion         TLSVersion `yaml:"max_version" doc:"The highest version of TLS: TLS10, TLS11, TLS12 or TLS13."`

	files struct{ ca, cert, key string } // what stands in the files
	made  *tls.Config
}

// PEM is certificates or a key as they stand in a PEM file. It is shown as a
// secret.
type PEM struct{ Secret }

// text returns what is in it.
func (p PEM) text() string { return string(p.Secret) }

// A TLSVersion is a version of TLS by Prometheus's name for it, such as TLS12.
type TLSVersion string

// Client returns the settings for a connection, to be changed freely by the
// caller. Of nil it returns the defaults.
func (t *TLSConfig) Client() *tls.Config {
	if t == nil || t.made == nil {
		return &tls.Config{}
	}
	return t.made.Clone()
}

// prometheus returns the same settings in Prometheus's terms, with nothing left
// to be read from a file.
func (t *TLSConfig) prometheus() promconfig.TLSConfig {
	if t == nil {
		return promconfig.TLSConfig{}
	}
	return promconfig.TLSConfig{
		CA:                 cmp.Or(t.files.ca, t.CA.text()),
		Cert:               cmp.Or(t.files.cert, t.Cert.text()),
		Key:                promconfig.Secret(cmp.Or(t.files.key, t.Key.text())),
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify,
		MinVersion:         promconfig.TLSVersions[string(t.MinVersion)],
		MaxVersion:         promconfig.TLSVersions[string(t.MaxVersion)],
	}
}

// prepare makes the settings for connections, and finds what is wrong with them.
func (t *TLSConfig) prepare() error {
	c := t.prometheus()
	if c.MinVersion != 0 && c.MaxVersion != 0 && c.MinVersion > c.MaxVersion {
		return errors.New("min_version is above max_version")
	}
	if (c.Cert == "") != (c.Key == "") {
		return errors.New("a client certificate needs its key, and a key its certificate")
	}
	made, err := promconfig.NewTLSConfig(&c)
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "tls: "))
	}
	t.made = made
	return nil
}
