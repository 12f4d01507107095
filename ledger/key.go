package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Key signs checkpoints. Its name is the origin of the log: it says whose log it
// is, and no two logs should share it.
type Key struct {
	secret string
	public string
	signer note.Signer
}

// GenerateKey returns a new Ed25519 key. An origin is text without spaces or plus
// signs, such as "sitrep.example.org/ledger".
func GenerateKey(origin string) (*Key, error) {
	secret, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("generate key %q: %w", origin, err)
	}
	k, err := ParseKey(secret)
	if err != nil {
		return nil, fmt.Errorf("generate key %q: an origin has no spaces and no plus signs, and is not empty", origin)
	}
	return k, nil
}

// ParseKey returns the key of a text that Secret gave. Errors do not repeat it.
func ParseKey(secret string) (*Key, error) {
	secret = strings.TrimSpace(secret)
	malformed := errors.New("read key: it is no private key of a note, which begins with PRIVATE+KEY+")
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, malformed
	}
	// NewSigner has checked the form: PRIVATE+KEY+name+hash+base64(algorithm, seed). The
	// base64 may hold plus signs.
	parts := strings.SplitN(secret, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return nil, malformed
	}
	private := ed25519.NewKeyFromSeed(seed[1:])
	public, err := note.NewEd25519VerifierKey(signer.Name(), private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	return &Key{secret, public, signer}, nil
}

// LoadKey reads a key file.
func LoadKey(path string) (*Key, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	k, err := ParseKey(string(b))
	if err != nil {
		return nil, fmt.Errorf("key file %q: %w", path, err)
	}
	return k, nil
}

// Save writes a key file that only its owner can read. It fails if the file exists:
// a key that was written over could never sign for its log again.
func (k *Key) Save(path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path)
			err = fmt.Errorf("save key: %w", err)
		}
	}()
	_, err = f.WriteString(k.secret + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// Origin returns the key's name.
func (k *Key) Origin() string { return k.signer.Name() }

// Public returns the text of the public key, which verifies checkpoints.
func (k *Key) Public() string { return k.public }

// ID returns the name and the hash of the key, by which people tell keys apart.
func (k *Key) ID() string { return KeyID(k.public) }

// KeyID returns the name and the hash of a public key, such as
// "sitrep.example.org/ledger+1f0e3c5a": it is the text up to the second plus sign.
func KeyID(public string) string {
	name, rest, _ := strings.Cut(strings.TrimSpace(public), "+")
	hash, _, _ := strings.Cut(rest, "+")
	return name + "+" + hash
}

// Secret returns the text of the key file.
func (k *Key) Secret() string { return k.secret }

// String returns the public key, so that no log holds the other.
func (k *Key) String() string { return k.public }

// GoString is String.
func (k *Key) GoString() string { return k.public }

// Sign returns the checkpoint of the tree as a signed note. Its origin is the key's.
func (k *Key) Sign(c Checkpoint) ([]byte, error) {
	c.Origin = k.Origin()
	signed, err := note.Sign(&note.Note{Text: c.text()}, k.signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint of %d leaves: %w", c.Size, err)
	}
	return signed, nil
}
