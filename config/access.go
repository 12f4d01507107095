package config

import "net/netip"

// Access says who may do what.
type Access struct {
	Anonymous Role    `yaml:"anonymous" doc:"What someone without credentials may do. Without it, nothing."`
	Tokens    []Token `yaml:"tokens" doc:"Bearer tokens, for programs."`
	Users     []User  `yaml:"users" doc:"People who log in by name and password."`
	Proxy     *Proxy  `yaml:"proxy" doc:"A proxy that says in headers who it is."`
}

// A Role is what someone may do.
type Role string

// The roles. A viewer, a responder and an admin may each do what the one before may; an
// auditor is a viewer who may export, and a receiver posts alerts and reads /metrics, no
// more. An admin may do what both may, too.
const (
	Viewer    Role = "viewer"
	Auditor   Role = "auditor"
	Responder Role = "responder"
	Admin     Role = "admin"
	Receiver  Role = "receiver"
)

var roles = [...]string{string(Viewer), string(Auditor), string(Responder), string(Admin), string(Receiver)}

// A Token is a bearer token.
type Token struct {
	Name      string `yaml:"name,required" show:"name" doc:"Who holds it; the actor of what is done with it." eg:"deploy-bot"`
	Role      Role   `yaml:"role,required" doc:"What it may do." eg:"receiver"`
	TokenFile string `yaml:"token_file,required" show:"name" doc:"A file that holds the token." eg:"secrets/alertmanager"`

	// Token is what the file holds.
	Token Secret `yaml:"-"`
}

// A User is someone who logs in by name and password.
type User struct {
	Name         string `yaml:"name,required" show:"name" doc:"The name; the actor of what is done by them." eg:"ada"`
	Role         Role   `yaml:"role,required" doc:"What they may do." eg:"responder"`
	PasswordFile string `yaml:"password_file,required" show:"name" doc:"A file that holds the bcrypt hash of the password." eg:"secrets/ada.bcrypt"`

	// Hash is the bcrypt hash that the file holds.
	Hash Secret `yaml:"-"`
}

// A Proxy says in headers who someone is.
type Proxy struct {
	Trusted      []netip.Prefix  `yaml:"trusted,required" doc:"The networks from which its headers are believed." eg:"[127.0.0.1/32]"`
	UserHeader   Header          `yaml:"user_header" doc:"The header that holds the name."`
	GroupsHeader Header          `yaml:"groups_header" doc:"The header that holds the names of their groups, with commas between." eg:"X-Forwarded-Groups"`
	Roles        map[string]Role `yaml:"roles" doc:"What the members of each group may do; of several the highest holds." eg:"{oncall: responder}"`
	DefaultRole  Role            `yaml:"default_role" doc:"What those may do who are in none of these groups. Without it, nothing." eg:"viewer"`
}

// A Header is the name of an HTTP header.
type Header string
