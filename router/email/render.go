package email

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"mime"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-mail/mail/v2"

	"sitrep/incident"
	"sitrep/templates"
	"sitrep/wording"
)

//go:embed templates/*.tmpl
var builtIn embed.FS

// htmlTemplate has the styles that matter in the elements, too: a mail that is forwarded
// loses its style sheet.
var htmlTemplate = template.Must(template.New("").Funcs(template.FuncMap{"band": wording.Colour, "ink": ink}).ParseFS(builtIn, "templates/*.html.tmpl"))

// ink is the colour of what stands on a band of a tone's colour.
func ink(tone string) string {
	if tone == wording.Rank(2) || tone == wording.Rank(3) {
		return "#1b1f24"
	}
	return "#ffffff"
}

// A Letterhead is what all mails have in common.
type Letterhead struct {
	From netmail.Address
	// ReplyTo is where answers go; without an Address, to From.
	ReplyTo netmail.Address
	// ListID is the List-Id of messages, by which readers can sort them, without angle
	// brackets; none if empty.
	ListID string
	// Templates give mails words and looks of their own; nil: they have sitrep's.
	Templates *templates.Set
}

// headerOrder is the order in which headers stand in a mail. No mail has others.
var headerOrder = [...]string{
	"Date", "From", "To", "Reply-To", "Subject", "Message-ID", "In-Reply-To", "References", "List-Id", "Importance",
	"Auto-Submitted", "X-Auto-Response-Suppress", "X-Sitrep-Incident", "X-Sitrep-Kind", "X-Sitrep-Priority", "X-Sitrep-Sequence",
	"Content-Language", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}

// Render returns a message as a complete mail with CR LF at the end of each line,
// its text and its HTML saying the same. Where a template of one's own fails, all of it is in
// sitrep's words. The same message gives the same bytes.
func (l Letterhead) Render(m *incident.Message) ([]byte, error) { return l.renderWith(nil, m) }

// renderWith is Render with the contents that were made before; nil if they are not kept.
func (l Letterhead) renderWith(kept *contents, m *incident.Message) ([]byte, error) {
	if !m.Kind.OfPulse() && len(m.Items) == 0 {
		return nil, fmt.Errorf("render mail %q: a message of kind %q about no incident", m.ID, m.Kind)
	}
	body, err := l.render(kept, m)
	if err != nil {
		return nil, fmt.Errorf("render mail %q: %w", m.ID, err)
	}
	return body, nil
}

func (l Letterhead) render(kept *contents, m *incident.Message) ([]byte, error) {
	said, err := kept.of(m, l.Templates)
	if err != nil {
		return nil, err
	}
	if said.failed != nil {
		l.Templates.Fail(said.failed)
	}
	headers, err := l.headers(m, said.Subject, said.language)
	if err != nil {
		return nil, err
	}
	mark := boundary(m.ID, said.Text, said.HTML)
	var head bytes.Buffer
	if _, err := newMail(headers, m.At.In(m.Location)).WriteTo(&head); err != nil {
		return nil, err
	}
	head.WriteString("Content-Type: multipart/alternative;\r\n boundary=" + mark + "\r\n")
	return whole(head.Bytes(), said.between, []byte("--"+mark))
}

// newMail returns a mail with those headers. Go-mail does not escape what address
// headers hold: all of it is clean here.
func newMail(headers []header, date time.Time) *mail.Message {
	mm := mail.NewMessage(mail.SetCharset("UTF-8"), mail.SetEncoding(mail.QuotedPrintable))
	for _, h := range headers {
		if h.address != "" {
			mm.SetAddressHeader(h.name, h.address, h.display)
		} else {
			mm.SetHeader(h.name, h.value)
		}
	}
	mm.SetDateHeader("Date", date)
	return mm
}

// whole returns a mail with those headers and a body that is cut at its boundaries, checked.
func whole(head []byte, between [][]byte, boundary []byte) ([]byte, error) {
	mail, err := ordered(head, between, boundary)
	if err != nil {
		return nil, err
	}
	return mail, check(mail)
}

// A Note is a mail in plain text that is no message about an incident, such as one to a
// machine.
type Note struct {
	ID            string // the left side of its Message-ID
	To            netmail.Address
	Subject, Text string
	Language      string // the tag of what it is in
	At            time.Time
}

// RenderNote returns a note as a mail. What that decodes to is the text, with a line feed at
// its end.
func (l Letterhead) RenderNote(n Note) ([]byte, error) {
	hs, _, err := l.address(n.ID, n.To, n.Subject)
	if err != nil {
		return nil, err
	}
	mm := newMail(append(hs, header{name: "Auto-Submitted", value: "auto-generated"}, header{name: "Content-Language", value: n.Language}), n.At)
	mm.SetBody("text/plain", strings.TrimSuffix(n.Text, "\n")+"\n")
	var out bytes.Buffer
	if _, err := mm.WriteTo(&out); err != nil {
		return nil, err
	}
	head, body, ok := bytes.Cut(out.Bytes(), []byte("\r\n\r\n"))
	if !ok {
		return nil, errors.New("no end of the headers")
	}
	return whole(head, [][]byte{body}, nil)
}

// A header is a field of a mail: an address with a display name, or a value.
type header struct {
	name             string
	address, display string
	value            string
}

// address returns the headers that say from whom to whom a mail is, of what and with which
// ID, and the host of that.
func (l Letterhead) address(id string, to netmail.Address, subject string) (hs []header, host string, err error) {
	from, err := addressHeader("From", l.From)
	if err != nil {
		return nil, "", err
	}
	recipient, err := addressHeader("To", to)
	if err != nil {
		return nil, "", err
	}
	host = domain(from.address)
	messageID, err := messageID(id, host)
	if err != nil {
		return nil, "", err
	}
	return []header{
		from, recipient, {name: "Subject", value: words(wording.Line(subject, 250))}, {name: "Message-ID", value: words(messageID)},
	}, host, nil
}

// headers are all headers but for those that go-mail makes.
func (l Letterhead) headers(m *incident.Message, subject, language string) ([]header, error) {
	hs, host, err := l.address(m.ID, netmail.Address{Name: m.Recipient.Name, Address: m.Recipient.Address}, subject)
	if err != nil {
		return nil, err
	}
	add := func(name, value string) { hs = append(hs, header{name: name, value: words(value)}) }
	if l.ReplyTo.Address != "" {
		reply, err := addressHeader("Reply-To", l.ReplyTo)
		if err != nil {
			return nil, err
		}
		hs = append(hs, reply)
	}
	if root := thread(m, host); root != "" {
		add("In-Reply-To", root)
		add("References", root)
	}
	if l.ListID != "" {
		add("List-Id", "<"+l.ListID+">")
	}
	if len(m.Items) > 0 && m.First().Incident.Priority.Rank == 0 {
		add("Importance", "high")
	}
	add("Content-Language", language)
	add("Auto-Submitted", "auto-generated")
	add("X-Auto-Response-Suppress", "OOF, AutoReply")
	add("X-Sitrep-Kind", string(m.Kind))
	if len(m.Items) == 0 {
		return hs, nil
	}
	var ids, sequences []string
	for i := range m.Items[:min(len(m.Items), wording.DigestNamed)] {
		in := &m.Items[i].Incident
		ids = append(ids, in.ID())
		sequences = append(sequences, strconv.FormatInt(in.Sequence, 10))
	}
	// In one value each: of several, go-mail makes lines that are too long.
	add("X-Sitrep-Incident", strings.Join(ids, ", "))
	add("X-Sitrep-Sequence", strings.Join(sequences, ", "))
	if p := wording.Line(m.First().Incident.Priority.Name, 40); p != "" {
		add("X-Sitrep-Priority", p)
	}
	return hs, nil
}

func addressHeader(name string, a netmail.Address) (header, error) {
	addr, _, err := address(a.Address)
	if err != nil {
		return header{}, fmt.Errorf("%s: %w", name, err)
	}
	return header{name: name, address: addr, display: plainWords(wording.Line(a.Name, 80))}, nil
}

// words is a clean line in the form of a header: what is not ASCII is encoded, from
// the first word that is not, so that the beginning stays legible and no line gets
// too long.
func words(s string) string {
	s = plainWords(s)
	if ascii(s) {
		return s
	}
	start := 0
	for i, r := range s {
		if r == ' ' {
			start = i + 1
		}
		if r >= 0x80 {
			break
		}
	}
	return s[:start] + mime.QEncoding.Encode("UTF-8", s[start:])
}

// plainWords makes sure that nothing in a line reads as an encoded word.
func plainWords(s string) string { return strings.ReplaceAll(s, "=?", "= ?") }

// messageID is the delivery's ID as Message-ID, the same for each attempt.
func messageID(id, host string) (string, error) {
	if id == "" || len(id) > 200 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+=") != "" {
		return "", errors.New("the message's ID does not fit into a Message-ID")
	}
	return "<" + id + "@" + host + ">", nil
}

// thread is the ID that all mails about one incident refer to. No mail has it, so
// that all show as one thread, whichever of them a reader got.
func thread(m *incident.Message, host string) string {
	switch {
	case m.Kind == incident.KindWatchdog:
		pulse := ""
		if m.Watchdog != nil && m.Watchdog.Pulse != "" {
			sum := sha256.Sum256([]byte(m.Watchdog.Pulse))
			pulse = "." + hex.EncodeToString(sum[:6])
		}
		return "<watchdog" + pulse + ".sitrep@" + host + ">"
	case m.Kind == incident.KindCanary:
		return "<canary.sitrep@" + host + ">"
	case m.Kind == incident.KindDigest:
		return ""
	}
	in := &m.First().Incident
	return fmt.Sprintf("<%s.%s.sitrep@%s>", strings.ToLower(in.ID()), in.OpenedAt.UTC().Format("20060102T150405"), host)
}

// boundary returns what separates the parts: it depends on what they say, so that
// nobody can write it into them.
func boundary(id, text, page string) string {
	sum := sha256.Sum256([]byte(id + "\x00" + text + "\x00" + page))
	return "sitrep-" + hex.EncodeToString(sum[:16])
}

// ordered returns a mail whose headers, which go-mail writes in any order, stand in ours, with a body that is cut at
// its boundaries.
func ordered(head []byte, between [][]byte, boundary []byte) ([]byte, error) {
	var fields [len(headerOrder)][]byte
	at := -1 // of the field before
	for rest := head; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte("\r\n"))
		if at >= 0 && bytes.HasPrefix(line, []byte(" ")) {
			fields[at] = fields[at][:len(fields[at])+len("\r\n")+len(line)] // they stand one after the other
			rest = after
			continue
		}
		name, _, _ := bytes.Cut(line, []byte(":"))
		if at = slices.Index(headerOrder[:], string(name)); at < 0 || fields[at] != nil {
			return nil, fmt.Errorf("unexpected header %q", name)
		}
		fields[at], rest = line, after
	}
	size := len(head) + 2*len("\r\n")
	for _, part := range between {
		size += len(part) + len(boundary)
	}
	out := make([]byte, 0, size)
	for _, field := range fields {
		if field != nil {
			out = append(append(out, field...), "\r\n"...)
		}
	}
	out = append(out, "\r\n"...)
	for i, part := range between {
		if i > 0 {
			out = append(out, boundary...)
		}
		out = append(out, part...)
	}
	return out, nil
}

// check makes sure that a mail is one: its lines are sound, and a reader finds its headers.
func check(raw []byte) error {
	if err := checkLines(raw); err != nil {
		return err
	}
	mm, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("read it back: %w", err)
	}
	for _, name := range []string{"Date", "From", "To", "Subject", "Message-Id", "Content-Type"} {
		if len(mm.Header[name]) != 1 {
			return fmt.Errorf("%d headers %s", len(mm.Header[name]), name)
		}
	}
	for _, name := range []string{"From", "To"} {
		if list, err := mm.Header.AddressList(name); err != nil || len(list) != 1 {
			return fmt.Errorf("%s is not one address", name)
		}
	}
	return nil
}

// checkLines makes sure that every line ends with CR LF and is short enough, without NUL and, after the headers, in ASCII.
func checkLines(raw []byte) error {
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		return errors.New("the last line does not end")
	}
	body := -1 // where it begins: only headers may be more than ASCII
	lines := 0
	for rest := raw; len(rest) > 0; lines++ {
		end := bytes.IndexByte(rest, '\n') - len("\r")
		if end < 0 || rest[end] != '\r' {
			return errStray
		}
		if end > 998 {
			return errors.New("a line is longer than 998 bytes")
		}
		rest = rest[end+len("\r\n"):]
		if body < 0 && end == 0 {
			body = len(raw) - len(rest)
		}
	}
	if bytes.Count(raw, []byte("\r")) != lines || bytes.IndexByte(raw, 0) >= 0 {
		return errStray
	}
	if body < 0 {
		return errors.New("no end of the headers")
	}
	if !isASCII(raw[body:]) {
		return errors.New("a body that is not ASCII")
	}
	return nil
}

var errStray = errors.New("a stray control character")

// sentAt is the Date of a mail, or now if it has none.
func sentAt(body []byte) time.Time {
	if mm, err := netmail.ReadMessage(bytes.NewReader(body)); err == nil {
		if t, err := mm.Header.Date(); err == nil {
			return t.UTC()
		}
	}
	return time.Now().UTC()
}
