package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"sitrep/config"
	"sitrep/ledger"
)

// keyPath is where the key of the ledger is: where the configuration says, else beside
// the store.
func keyPath(c *config.Config, store string) string {
	if c.Evidence.KeyPath != "" {
		return c.Evidence.KeyPath
	}
	return besideStore(store)
}

func besideStore(store string) string { return store + ".key" }

// ledgerKey returns the key that signs the ledger. If there is none it makes one, for
// its owner alone to read, and says so.
func ledgerKey(path, external string, log *slog.Logger) (*ledger.Key, error) {
	key, err := ledger.LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = ledger.GenerateKey(ledgerName(external)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the key: %w", err)
	}
	if err := key.Save(path); err != nil {
		return nil, err
	}
	log.Info("a key for the ledger was made; keep a copy of it, and give auditors the public key", slog.String("file", path), slog.String("public_key", key.Public()))
	return key, nil
}

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
