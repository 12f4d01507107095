package rig

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A MailProgram is a mail server as people run them, without TLS and log-in. It is the
// last for all addresses at example.org, and keeps their mails in one folder. It knows
// no address gone@example.org.
type MailProgram struct {
	Address string

	name    string
	dir     string
	uid     int // of who writes the mails
	gid     int
	prepare func(settings string) error
	program string
	args    []string
	p       *process
}

// postfixPrograms is where Debian's package has the programs of Postfix.
const postfixPrograms = "/usr/lib/postfix/sbin"

// NewPostfix prepares Debian's Postfix. It can be run by root alone, and does not run yet.
func NewPostfix() (*MailProgram, error) {
	m, err := newMailProgram("Postfix", filepath.Join(postfixPrograms, "master"), "postfix")
	if err != nil {
		return nil, err
	}
	m.prepare = m.preparePostfix
	// It ends by itself where a test could not end it.
	m.args = []string{"-c", m.path("etc"), "-e", "300"}
	return m, nil
}

// NewExim prepares the Exim that test.sh unpacks into .cache. It can be run by root alone,
// and does not run yet.
func NewExim() (*MailProgram, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	m, err := newMailProgram("Exim", filepath.Join(root, ".cache", "exim", "usr", "sbin", "exim4"), "Debian-exim")
	if err != nil {
		return nil, err
	}
	m.prepare = m.prepareExim
	m.args = []string{"-C", m.path("etc/exim.conf"), "-bdf"}
	return m, nil
}

// newMailProgram makes the folders of a mail server.
func newMailProgram(name, program, owner string) (*MailProgram, error) {
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("prepare %s: only root can run it", name)
	}
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("prepare %s: %w; ./test.sh installs it", name, err)
	}
	u, err := user.Lookup(owner)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w; ./test.sh makes that user", name, err)
	}
	m := &MailProgram{name: name, program: program}
	if m.uid, err = strconv.Atoi(u.Uid); err != nil {
		return nil, fmt.Errorf("prepare %s: the user %s: %w", name, owner, err)
	}
	if m.gid, err = strconv.Atoi(u.Gid); err != nil {
		return nil, fmt.Errorf("prepare %s: the group of %s: %w", name, owner, err)
	}
	if m.Address, err = FreeAddress(); err != nil {
		return nil, err
	}
	// Its programs run as users that may look into no folder of a test.
	if m.dir, err = os.MkdirTemp("", "sitrep-mail"); err != nil {
		return nil, err
	}
	if err := os.Chmod(m.dir, 0o755); err != nil {
		return nil, err
	}
	for name, own := range map[string]bool{"etc": false, "spool": owner != "postfix", "data": true, "mail": true} {
		if err := os.Mkdir(m.path(name), 0o755); err != nil {
			return nil, err
		}
		if !own {
			continue
		}
		if err := os.Chown(m.path(name), m.uid, m.gid); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Start starts it with settings beside the usual ones, as lines of its own configuration,
// and waits until it listens. Of Exim they come first, and OURS is the domain that it is
// the last for.
func (m *MailProgram) Start(settings string) error {
	if err := m.prepare(settings); err != nil {
		return fmt.Errorf("prepare %s: %w", m.name, err)
	}
	cmd := exec.Command(m.program, m.args...)
	cmd.Dir = m.dir
	// Stop ends those too that serve its connections, by their group. Postfix makes one by
	// itself, and does not start where it has one.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: m.name != "Postfix"}
	p, err := startCommand(m.path("output"), cmd)
	if err != nil {
		return err
	}
	m.p = p
	if !Poll(20*time.Second, func() bool { return p.ended() || listens(m.Address) }) || p.ended() {
		_ = m.Stop()
		return fmt.Errorf("%s did not start:\n%s", m.name, m.Log())
	}
	return nil
}

// listens reports whether someone listens there. It makes no connection, as that would
// count.
func listens(address string) bool {
	l, err := net.Listen("tcp", address)
	if err == nil {
		l.Close()
	}
	return err != nil
}

// Stop asks it to end, and cuts the connections that are still open. Its mails stay.
func (m *MailProgram) Stop() error {
	defer func() { _ = syscall.Kill(-m.p.cmd.Process.Pid, syscall.SIGKILL) }()
	// A signal is how Postfix always ends.
	if err := m.p.stop(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return err
	}
	return nil
}

// Remove removes all that it wrote, once it was stopped.
func (m *MailProgram) Remove() error {
	var err error
	// What Stop has killed may write for a moment yet.
	Poll(5*time.Second, func() bool { err = os.RemoveAll(m.dir); return err == nil })
	return err
}

// Logged reports whether it logged a line with that text.
func (m *MailProgram) Logged(text string) (bool, error) {
	b, err := os.ReadFile(m.path("mail/mainlog"))
	return bytes.Contains(b, []byte(text)), err
}

// Log returns what it logged at last.
func (m *MailProgram) Log() string {
	return tail(m.path("output")) + "\n" + tail(m.path("mail/mainlog"))
}

// Mails returns those that it took and delivered, in the order in which they came.
func (m *MailProgram) Mails() ([]Mail, error) {
	entries, err := os.ReadDir(m.path("mail/all/new"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Mail
	for _, e := range entries {
		raw, err := os.ReadFile(m.path("mail/all/new/" + e.Name()))
		if err != nil {
			return nil, err
		}
		msg, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("mail %q: %w", e.Name(), err)
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		out = append(out, Mail{
			From: strings.Trim(msg.Header.Get("Return-Path"), "<>"), To: strings.ToLower(msg.Header.Get("X-Original-To")),
			Raw: raw, At: info.ModTime(), Header: msg.Header,
		})
	}
	slices.SortStableFunc(out, func(a, b Mail) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.To, b.To)) })
	return out, nil
}

func (m *MailProgram) path(name string) string { return filepath.Join(m.dir, name) }

// preparePostfix writes its configuration, and has it make its folders.
func (m *MailProgram) preparePostfix(settings string) error {
	main := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/mail/mainlog
maillog_file_prefixes = %[1]s
myhostname = mail.example.org
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = regexp:%[1]s/etc/mailboxes
virtual_uid_maps = static:%[2]d
virtual_gid_maps = static:%[3]d
virtual_minimum_uid = 1
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
# Without it, this host may do all.
smtpd_client_event_limit_exceptions =
%[4]s
`, m.dir, m.uid, m.gid, settings)
	services := m.Address + ` inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
`
	for name, text := range map[string]string{"main.cf": main, "master.cf": services, "mailboxes": "!/^gone@/ all/\n"} {
		if err := os.WriteFile(m.path("etc/"+name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if out, err := exec.Command("postfix", "-c", m.path("etc"), "check").CombinedOutput(); err != nil {
		return fmt.Errorf("postfix check: %w\n%s", err, out)
	}
	return nil
}

// prepareExim writes its configuration.
func (m *MailProgram) prepareExim(settings string) error {
	host, port, err := net.SplitHostPort(m.Address)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`%[5]s
.ifndef OURS
OURS = example.org
.endif
exim_path = %[2]s
spool_directory = %[1]s/spool
log_file_path = %[1]s/mail/%%slog
pid_file_path = %[1]s/data/exim.pid
primary_hostname = mail.example.org
qualify_domain = example.org
local_interfaces = %[3]s
daemon_smtp_ports = %[4]s
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
deliver_drop_privilege
smtp_accept_queue_per_connection = 0
domainlist ours = OURS
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  deny message = Unknown user
       local_parts = gone
  accept domains = +ours
  deny message = relay not permitted
begin routers
all:
  driver = accept
  transport = mailbox
begin transports
mailbox:
  driver = appendfile
  maildir_format
  create_directory
  directory = %[1]s/mail/all
  return_path_add
  headers_add = X-Original-To: $local_part@$domain
`, m.dir, m.program, host, port, settings)
	return os.WriteFile(m.path("etc/exim.conf"), []byte(text), 0o644)
}
