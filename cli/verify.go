package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"strings"
	"time"

	"sitrep/app"
	"sitrep/audit"
	"sitrep/ledger"
	"sitrep/wording"
)

// verifyOptions reads the keys and checkpoints that the auditor has.
func (c *auditCLI) verifyOptions() (o audit.VerifyOptions, err error) {
	for _, key := range c.keys {
		public, err := publicKeys(key)
		if err != nil {
			return o, err
		}
		o.Keys = append(o.Keys, public...)
	}
	o.Checkpoints, err = c.keptCheckpoints()
	return o, err
}

// publicKeys returns a key that was given, or those in a file, one a line. A public key
// is a name, a hash and base64 with plus signs between; a file's name rarely is.
func publicKeys(given string) ([]string, error) {
	text, where := given, "--key"
	if b, err := os.ReadFile(given); err == nil {
		text, where = string(b), fmt.Sprintf("--key: the file %q", given)
	}
	var keys []string
	for _, key := range strings.Fields(text) {
		if strings.HasPrefix(key, "PRIVATE+KEY+") {
			private, err := ledger.ParseKey(key)
			if err != nil {
				return nil, &usageError{where + ": " + err.Error()}
			}
			key = private.Public()
		}
		if _, err := ledger.OpenCheckpoint(nil, key); errors.Is(err, ledger.ErrBadKey) {
			if where == "--key" {
				return nil, &usageError{fmt.Sprintf("--key: %q is no public key, and no file is there; sitrep audit key prints it", key)}
			}
			return nil, &usageError{where + " holds something else than public keys; sitrep audit key prints it"}
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, &usageError{where + " holds no key"}
	}
	return keys, nil
}

// keptCheckpoints reads the checkpoints that were kept elsewhere.
func (c *auditCLI) keptCheckpoints() ([][]byte, error) {
	var all [][]byte
	for _, file := range c.checkpoints {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read checkpoint: %w", err)
		}
		found := ledger.FindCheckpoints(mailText(b))
		if len(found) == 0 {
			return nil, fmt.Errorf("read checkpoint: there is none in %q; it is some lines, the last of which begins with a dash", file)
		}
		all = append(all, found...)
	}
	return all, nil
}

// mailText returns the text of a mail as it was saved, and what is none as it is.
func mailText(b []byte) []byte {
	m, err := netmail.ReadMessage(bytes.NewReader(b))
	if err != nil || !strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		return b
	}
	text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		return b
	}
	return text
}

// inOneText puts checkpoints one after the other.
func inOneText(checkpoints [][]byte) []byte { return bytes.Join(checkpoints, []byte("\n")) }

func (c *auditCLI) verify(ctx context.Context) error {
	if c.file != "" && c.storage != "" {
		return &usageError{"name an export or --storage, not both"}
	}
	if err := c.source(); err != nil {
		return err
	}
	if c.noKey && len(c.keys) > 0 {
		return &usageError{"--key and --no-key: use one of them"}
	}
	o, err := c.verifyOptions()
	if err != nil {
		return err
	}
	switch {
	case c.storage != "":
		return c.verifyStore(ctx, o)
	case c.file != "":
		return c.verifyFile(ctx, c.file, o)
	}
	f, err := os.CreateTemp("", "sitrep-export-*.zip")
	if err != nil {
		return fmt.Errorf("make a file for the export: %w", err)
	}
	defer os.Remove(f.Name())
	q := map[string]string{"checkpoint": string(inOneText(o.Checkpoints))}
	if err := errors.Join(c.download(ctx, "/audit/export", q, "application/zip", f), f.Close()); err != nil {
		return err
	}
	return c.verifyFile(ctx, f.Name(), o)
}

func (c *auditCLI) verifyFile(ctx context.Context, file string, o audit.VerifyOptions) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read export: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read export: %w", err)
	}
	p := c.progress()
	o.Progress = p.of("verified")
	v, err := audit.VerifyExport(ctx, f, info.Size(), o)
	p.end()
	if err != nil {
		return err
	}
	if v.Selection != "" {
		c.say("evidence on %s, of the ledger %s", v.Selection, v.Origin)
	}
	for _, note := range v.Notes {
		c.say("note: %s", note)
	}
	return c.judge(&v.Verification)
}

func (c *auditCLI) verifyStore(ctx context.Context, o audit.VerifyOptions) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	p := c.progress()
	o.Progress = p.of("verified")
	v, err := audit.Verify(ctx, db, o)
	p.end()
	if err != nil {
		return err
	}
	return c.judge(&v)
}

// longestLine is how many characters of a line of somebody else's words are printed.
const longestLine = 2000

// say prints a line. What is in it comes from a file that may be forged, so that it stays
// one line, and nothing in it moves the cursor.
func (c *auditCLI) say(format string, args ...any) {
	fmt.Fprintln(c.env.Stdout, wording.Line(fmt.Sprintf(format, args...), longestLine))
}

// judge prints what came out.
func (c *auditCLI) judge(v *audit.Verification) error {
	for _, f := range v.Findings {
		c.say("WRONG %s", f)
	}
	c.say("%s of %s, %s, %s, %s", wording.Count(v.Events, "event"), wording.Count(v.Incidents, "incident"),
		wording.Count(v.Deliveries, "delivery record"), wording.Count(v.Messages, "message"), wording.Count(v.Configs, "configuration"))
	if !v.SignedAt.IsZero() {
		c.say("signed at %s: %d leaves, root %s", v.SignedAt.Format(time.RFC3339), v.Signed, cmp.Or(v.SignedRoot, v.Root))
	}
	if len(v.Signers) > 1 {
		from := int64(0)
		for _, s := range v.Signers {
			unknown := ""
			if !s.Known && len(c.keys) > 0 {
				unknown = ", whose public key was not given: that rests on the key after it"
			}
			c.say("note: leaves %d to %d were signed by the key %s, until %s%s", from, s.To-1, s.Key, s.At.Format(time.RFC3339), unknown)
			from = s.To
		}
	}
	if newer := v.Leaves - v.Signed; newer > 0 {
		c.say("note: %s newer than what is signed: nothing proves them yet", wording.Count(int(newer), "record"))
	}
	if v.MessagesGone > 0 {
		c.say("note: %s of closed incidents are no longer kept; what the ledger holds of them are hashes", wording.Count(v.MessagesGone, "message"))
	}
	if v.Forgotten > 0 {
		c.say("note: the names and addresses in %s were forgotten; what the ledger holds of them are hashes", wording.Count(v.Forgotten, "record"))
	}
	if v.Waiting > 0 {
		c.say("note: %s newer than what is signed", wording.Count(v.Waiting, "record"))
	}
	switch {
	case !v.OK():
		c.say("NOT as it was written: %s", wording.Count(len(v.Findings), "finding"))
		return errFound
	case c.noKey:
		c.say("consistent in itself; nobody's signature was checked, so anybody can have made it")
	case len(c.keys) == 0:
		if key, err := c.key(); c.storage != "" && err == nil && key != nil {
			c.say("note: --key %s would be the key beside the store, %s: who can change the store can have that too", app.KeyBeside(c.storage), key.ID())
		}
		c.say("NOT verified: it is consistent in itself, but nobody's signature was checked, so anybody can have made it; give the public key that you have from elsewhere with --key, or say --no-key")
		return errFound
	default:
		c.say("complete, unchanged and in order")
	}
	return nil
}
