package status

// A MailTest is a test mail, and what became of it.
type MailTest struct {
	To      string     `json:"to"`
	Preview bool       `json:"preview"` // nothing was sent
	Sent    bool       `json:"sent"`    // the mail server took it, or it is in the directory
	Message string     `json:"message"` // as it is sent
	Where   string     `json:"where"`   // the mail server, or the directory
	Steps   []MailStep `json:"steps"`   // of the conversation with the mail server
	Error   string     `json:"error"`   // why it was not sent; empty if it was
	Advice  string     `json:"advice"`  // what to change in the configuration; empty if that is not known
}

// A MailStep is one line of a conversation with a mail server, without what is secret.
type MailStep struct {
	By   string `json:"by"` // sitrep, server, or empty for a note about it
	Text string `json:"text"`
}
