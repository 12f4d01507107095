package config

import "time"

// Evidence says how the ledger is signed, and who else is told its heads.
type Evidence struct {
	KeyFile string   `yaml:"key_file" doc:"The file of the key that signs the ledger's heads. It is made at the first start if it is not there. Without it the file stands beside the store." eg:"secrets/ledger.key"`
	Witness *Witness `yaml:"witness" doc:"Somebody outside who is told the ledger's heads, so that nobody can rewrite it unseen."`

	// Key is what the file holds; empty if there is no file yet.
	Key Secret `yaml:"-"`
	// KeyPath is KeyFile, resolved against the config file's folder.
	KeyPath string `yaml:"-"`
}

// A Witness is told the ledger's heads.
type Witness struct {
	Email Address       `yaml:"email" doc:"An email address. Exactly one of email and url."`
	URL   Secret        `yaml:"url" show:"origin" doc:"An http or https URL that is told by POST. Exactly one of email and url."`
	Every time.Duration `yaml:"every" bounds:"more than 0s" doc:"How often."`
	// HTTPConfig has FollowRedirects false, whatever is the default elsewhere.
	HTTPConfig *HTTPClient `yaml:"http_config" doc:"How the URL is spoken to, as everywhere in Prometheus: headers, credentials, TLS, proxy. Its redirects are not followed."`
}
