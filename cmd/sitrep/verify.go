package main

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

	"sitrep/audit"
	"sitrep/ledger"
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
	q := c.query(map[string]string{"checkpoint": string(inOneText(o.Checkpoints))})
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
	v, err := audit.VerifyExport(ctx, f, info.Size(), o)
	if err != nil {
		return err
	}
	if v.Selection != "" {
		fmt.Fprintf(c.env.stdout, "evidence on %s, of the ledger %s\n", v.Selection, v.Origin)
	}
	for _, note := range v.Notes {
		fmt.Fprintf(c.env.stdout, "note: %s\n", note)
	}
	return c.judge(&v.Verification)
}

func (c *auditCLI) verifyStore(ctx context.Context, o audit.VerifyOptions) error {
	db, err := c.open()
	if err != nil {
		return err
	}
	defer db.Close()
	if len(o.Keys) == 0 {
		key, err := c.key()
		if err != nil {
			return err
		}
		if key == nil {
			return &usageError{fmt.Sprintf("there is no key file %q: give the public key of the ledger with --key", besideStore(c.storage))}
		}
		fmt.Fprintf(c.env.stdout, "note: The key is the one beside the store; who can change the store can have it too. Give yours with --key.\n")
		o.Keys = append(o.Keys, key.Public())
	}
	v, err := audit.Verify(ctx, db, o)
	if err != nil {
		return err
	}
	return c.judge(&v)
}

// judge prints what came out.
func (c *auditCLI) judge(v *audit.Verification) error {
	out := c.env.stdout
	for _, f := range v.Findings {
		fmt.Fprintf(out, "WRONG %s\n", f)
	}
	fmt.Fprintf(out, "%s of %s, %s, %s, %s\n", count(v.Events, "event"), count(v.Incidents, "incident"),
		count(v.Deliveries, "delivery record"), count(v.Messages, "message"), count(v.Configs, "configuration"))
	if !v.SignedAt.IsZero() {
		fmt.Fprintf(out, "signed at %s: %d leaves, root %s\n", v.SignedAt.Format(time.RFC3339), v.Signed, cmp.Or(v.SignedRoot, v.Root))
	}
	if newer := v.Leaves - v.Signed; newer > 0 {
		fmt.Fprintf(out, "note: %s newer than what is signed: nothing proves them yet\n", count(int(newer), "record"))
	}
	if v.MessagesGone > 0 {
		fmt.Fprintf(out, "note: %s of closed incidents are no longer kept; what the ledger holds of them are hashes\n", count(v.MessagesGone, "message"))
	}
	if v.Forgotten > 0 {
		fmt.Fprintf(out, "note: the names and addresses in %s were forgotten; what the ledger holds of them are hashes\n", count(v.Forgotten, "record"))
	}
	if v.Waiting > 0 {
		fmt.Fprintf(out, "note: %s newer than what is signed\n", count(v.Waiting, "record"))
	}
	if !v.OK() {
		fmt.Fprintf(out, "NOT as it was written: %s\n", count(len(v.Findings), "finding"))
		return errFound
	}
	fmt.Fprintln(out, "complete, unchanged and in order")
	return nil
}
