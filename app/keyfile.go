package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sitrep/config"
	"sitrep/ledger"
	"sitrep/storage"
)

// keyPath is where the key of the ledger is: where the configuration says, else beside
// the store.
func keyPath(c *config.Config, store string) string {
	return cmp.Or(c.Evidence.KeyPath, KeyBeside(store))
}

// KeyBeside is where the key of the ledger of a store is, unless the configuration says
// otherwise.
func KeyBeside(store string) string { return store + ".key" }

// lostStore returns an error if there is no store and, where its key would be, a key that
// sitrep made: then there was one.
func lostStore(store, keyFile string) error {
	if _, err := os.Lstat(store); !errors.Is(err, fs.ErrNotExist) {
		return nil // opening it says what is wrong with it
	}
	key, err := ledger.LoadKey(keyFile)
	if err != nil || !madeName.MatchString(key.Origin()) {
		return nil
	}
	return fmt.Errorf("there is no store %q, and the key %q of one that was there: put it back (sitrep storage restore BACKUP --storage %s), mount its disk, or start with --storage.new for a new and empty one",
		store, keyFile, store)
}

// A keyFile says where the key of the ledger is, and of what store.
type keyFile struct {
	path     string
	store    string
	external string // URL of the service, for the name of a new key
	// latest is the last checkpoint in the store; nil if there is none.
	latest []byte
	// mayBeNew allows another key than the one that signed latest.
	mayBeNew bool
	// shared is set if other processes may have the store at the same time, which then sign with
	// the same key, and named if the configuration says where that is.
	shared, named bool
}

// load returns the key that signs the ledger. If there is none and the ledger was never
// signed, or another may go on, it makes one, for its owner alone to read, and says so.
func (f *keyFile) load(log *slog.Logger) (*ledger.Key, error) {
	if f.shared && !f.named {
		return nil, errors.New("evidence.key_file is not set: processes that share a store sign its ledger with one key, so the configuration has to say where each of them finds it")
	}
	key, err := ledger.LoadKey(f.path)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if there && SignedBy(f.latest, key) {
		return key, nil
	}
	if f.latest != nil && !f.mayBeNew {
		return nil, f.other(key)
	}
	if !there && f.shared && !f.mayBeNew {
		return nil, fmt.Errorf("there is no key in %q: give this process the file of the others or, as the first of all, make one with sitrep storage new-key %s and give it to all of them", f.path, f.path)
	}
	if !there {
		if key, err = MakeKey(f.path, f.external); err != nil {
			return nil, err
		}
		log.Info("a key for the ledger was made; keep a copy of it, and give auditors the public key", slog.String("file", f.path), slog.String("public_key", key.Public()))
	}
	if f.latest != nil {
		log.Warn("the ledger was signed by another key until now, and goes on with this one: whoever verifies it needs both public keys",
			slog.String("before", Signer(f.latest)), slog.String("public_key", key.Public()))
	}
	return key, nil
}

// MakeKey makes a key for the ledger of a service, whose URL names it, in a file for its owner alone to
// read. It is an error if the file is there.
func MakeKey(path, external string) (*ledger.Key, error) {
	key, err := ledger.GenerateKey(ledgerName(external))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the key: %w", err)
	}
	return key, key.Save(path)
}

// other says that the key of the file, nil if there is none, is not that of the store, and
// what to do.
func (f *keyFile) other(key *ledger.Key) error {
	what := fmt.Sprintf("is not in %q, where no file is", f.path)
	if key != nil {
		what = fmt.Sprintf("is not the one in %q, %s", f.path, key.ID())
	}
	back := "put the file of that key back"
	if beside := KeyBeside(f.store); beside != f.path {
		if k, err := ledger.LoadKey(beside); err == nil && SignedBy(f.latest, k) {
			back = fmt.Sprintf("move the file of that key, %q, there", beside)
		}
	}
	return fmt.Errorf("the store %q was signed by the key %s, which %s: %s, or start with --ledger.new-key to go on with another, which evidence then shows", f.store, Signer(f.latest), what, back)
}

// SignedBy reports whether the key signed the checkpoint, or there is none, which is nil.
func SignedBy(signed []byte, key *ledger.Key) bool {
	if signed == nil {
		return true
	}
	_, err := ledger.OpenCheckpoint(signed, key.Public())
	return err == nil
}

// Signer names the key that signed a checkpoint, for people; "unknown" if nothing can be
// read of it, which may be text from anywhere.
func Signer(signed []byte) string {
	return cmp.Or(strings.Join(ledger.Signers(signed), ", "), "unknown")
}

// lastSigned returns the last checkpoint in a store; nil if there is none.
func lastSigned(ctx context.Context, s storage.Store) (signed []byte, err error) {
	err = s.Read(ctx, func(r storage.Snapshot) error {
		head, err := r.LogHead(ctx)
		signed = head.Signed
		return err
	})
	return signed, err
}

// madeName is what ledgerName returns.
var madeName = regexp.MustCompile(`/ledger-[a-z2-7]{8}$`)

// ledgerName returns a name for a ledger. No two share one, not even two of one host.
func ledgerName(external string) string {
	host := "sitrep"
	if u, err := url.Parse(external); err == nil && u.Hostname() != "" {
		host = strings.Map(func(r rune) rune {
			if r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
				return r
			}
			return '.'
		}, strings.ToLower(u.Hostname()))
	}
	return host + "/ledger-" + strings.ToLower(rand.Text()[:8])
}
