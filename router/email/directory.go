package email

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sitrep/incident"
	"sitrep/router"
)

// A Directory writes each mail as an .eml file instead of sending it.
type Directory struct {
	letterhead Letterhead
	path       string
}

var _ router.Sender = (*Directory)(nil)

// NewDirectory returns a sender that writes into the directory of that path. It is
// made if it is not there.
func NewDirectory(path string, l Letterhead) (*Directory, error) {
	if _, _, err := address(l.From.Address); err != nil {
		return nil, fmt.Errorf("mail from: %w", err)
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("make directory for mails: %w", err)
	}
	return &Directory{letterhead: l, path: path}, nil
}

// Render returns a message as a mail.
func (d *Directory) Render(m *incident.Message) ([]byte, error) { return d.letterhead.Render(m) }

// Send writes a mail to a file whose name begins with the time of the message, so
// that files sort by it. A file appears whole or not at all, and a mail that is sent
// again replaces itself.
func (d *Directory) Send(ctx context.Context, e router.Envelope, leased func(context.Context) error) (err error) {
	name := sentAt(e.Body).Format("20060102T150405Z") + "-" + fileName(e.ID) + ".eml"
	defer func() {
		if err != nil {
			err = fmt.Errorf("write mail %q: %w", name, err)
		}
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := os.CreateTemp(d.path, ".mail-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(e.Body)
	if err == nil {
		err = f.Chmod(0o640)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := cmp.Or(err, f.Close()); err != nil {
		return err
	}
	if err := leased(ctx); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(d.path, name)); err != nil {
		return err
	}
	return syncDir(d.path)
}

// syncDir makes the names in a directory durable. Its error leaves open whether the
// last one is.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", router.ErrUnknown, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("%w: %w", router.ErrUnknown, err)
	}
	return nil
}

// fileName is a delivery's ID without what could lead out of the directory.
func fileName(id string) string {
	id = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, id)
	return id[:min(len(id), 100)]
}
