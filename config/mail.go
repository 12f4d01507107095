package config

// Mail says how mail is sent.
type Mail struct {
	Smarthost    HostPort   `yaml:"smarthost" doc:"The host and port of the mail server. Exactly one of smarthost and directory." eg:"smtp.example.org:587"`
	Directory    string     `yaml:"directory" doc:"Instead of a server: the folder in which each mail is written as an .eml file. For trying out and drills." eg:"outbox"`
	From         Address    `yaml:"from,required" doc:"The sender." eg:"Incident updates <incidents@example.org>"`
	ReplyTo      Address    `yaml:"reply_to" doc:"Where answers go; else to the sender." eg:"sre@example.org"`
	Username     string     `yaml:"username" show:"name" doc:"The name to log in with."`
	PasswordFile string     `yaml:"password_file" show:"name" doc:"A file that holds the password to log in with." eg:"secrets/smtp"`
	TLS          TLSMode    `yaml:"tls" doc:"starttls, which is then required; implicit, from the first byte; or none."`
	TLSConfig    *TLSConfig `yaml:"tls_config" doc:"How the server is verified, as everywhere in Prometheus."`

	// Password is what PasswordFile holds.
	Password Secret `yaml:"-"`
	// Outbox is Directory, resolved against the config file's folder.
	Outbox string `yaml:"-"`
}

// A TLSMode says when a connection to a mail server is encrypted.
type TLSMode string

// The modes.
const (
	StartTLS    TLSMode = "starttls"
	ImplicitTLS TLSMode = "implicit"
	NoTLS       TLSMode = "none"
)
