package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
)

const (
	// mailLines is how many lines of a mail are shown.
	mailLines = 16
	// mailWithin is how long a mail of the story may take; the machine may be busy.
	mailWithin = time.Minute
)

// mails shows the mails in a folder as they come.
type mails struct {
	dir    string
	out    io.Writer
	seen   map[string]bool
	counts map[incident.Kind]int // of this chapter
}

func newMails(dir string, out io.Writer) *mails {
	return &mails{dir: dir, out: out, seen: map[string]bool{}, counts: map[incident.Kind]int{}}
}

// chapter begins to count anew.
func (ms *mails) chapter() { ms.counts = map[incident.Kind]int{} }

// await shows the mails that come, until there are n of the kind in this chapter.
func (ms *mails) await(ctx context.Context, kind incident.Kind, n int) error {
	timeout := time.NewTimer(mailWithin)
	defer timeout.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		if err := ms.show(); err != nil {
			return err
		}
		if ms.counts[kind] >= n {
			return nil
		}
		select {
		case <-look.C:
		case <-timeout.C:
			return fmt.Errorf("%d of %d mails of kind %q came within %s", ms.counts[kind], n, kind, mailWithin)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// show shows the mails that are new.
func (ms *mails) show() error {
	names, err := filepath.Glob(filepath.Join(ms.dir, "*.eml"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if ms.seen[name] {
			continue
		}
		ms.seen[name] = true
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		m, err := readMail(b)
		if err != nil {
			return fmt.Errorf("read mail %q: %w", name, err)
		}
		ms.counts[m.kind]++
		fmt.Fprintf(ms.out, "\n   to %s: %s (%s)\n", m.to, m.subject, m.kind)
		if ms.counts[m.kind] > 1 {
			continue // it says much the same as the first
		}
		lines := strings.Split(strings.TrimSpace(m.text), "\n")
		for _, l := range lines[:min(len(lines), mailLines)] {
			fmt.Fprintf(ms.out, "   | %s\n", strings.TrimRight(l, "\r"))
		}
		if len(lines) > mailLines {
			fmt.Fprintln(ms.out, "   | …")
		}
	}
	return nil
}

// A mail is what of one is shown.
type mail struct {
	to, subject, text string
	kind              incident.Kind
}

// readMail reads a mail as sitrep writes them.
func readMail(b []byte) (mail, error) {
	msg, err := netmail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		return mail{}, err
	}
	decoder := mime.WordDecoder{}
	m := mail{kind: incident.Kind(msg.Header.Get("X-Sitrep-Kind"))}
	if m.subject, err = decoder.DecodeHeader(msg.Header.Get("Subject")); err != nil {
		return mail{}, err
	}
	if m.to, err = decoder.DecodeHeader(msg.Header.Get("To")); err != nil {
		return mail{}, err
	}
	_, parameters, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return mail{}, err
	}
	parts := multipart.NewReader(msg.Body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return mail{}, errors.New("it has no plain text")
		}
		if err != nil {
			return mail{}, err
		}
		if kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind != "text/plain" {
			continue
		}
		var body io.Reader = part
		if part.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(part)
		}
		text, err := io.ReadAll(body)
		m.text = string(text)
		return m, err
	}
}
