package bolt_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/storage"
	"sitrep/storage/bolt"
)

// What happens to the file of a store that is open, and what is said of it.
func TestAFileThatIsGoneTakesNothing(t *testing.T) {
	for name, take := range map[string]func(t *testing.T, path string){
		"deleted": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"renamed": func(t *testing.T, path string) {
			if err := os.Rename(path, path+".old"); err != nil {
				t.Fatal(err)
			}
		},
		"its folder renamed": func(t *testing.T, path string) {
			if err := os.Rename(filepath.Dir(path), filepath.Dir(path)+".old"); err != nil {
				t.Fatal(err)
			}
		},
		"replaced by a copy": func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path+".copy", b, 0o600)
			}
			if err = errors.Join(err, os.Rename(path+".copy", path)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			path := filepath.Join(dir, "sitrep.db")
			db, err := bolt.Open(t.Context(), path, bolt.Options{Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.Write(t.Context(), func(tx storage.Tx) error { return tx.PutAlive(t.Context(), storage.Replica{Owner: "a", SeenAt: noon}) }); err != nil {
				t.Fatal(err)
			}
			take(t, path)
			err = db.Write(t.Context(), func(tx storage.Tx) error {
				return tx.PutAlive(t.Context(), storage.Replica{Owner: "a", SeenAt: noon.Add(time.Hour)})
			})
			if !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknown) || !strings.Contains(err.Error(), "sitrep storage backup --url") {
				t.Errorf("write: %v", err)
			}
			info, err := db.Info(t.Context())
			if err != nil || !errors.Is(info.Trouble, storage.ErrUnavailable) || info.Bytes == 0 {
				t.Errorf("info: %+v, %v", info, err)
			}
			// All that was stored can be rescued.
			var copied bytes.Buffer
			err = db.Backup(t.Context(), func(r storage.Snapshot, size int64) (io.Writer, error) {
				at, err := r.Alive(t.Context())
				if !at.Equal(noon) {
					t.Errorf("alive %v", at)
				}
				copied.Grow(int(size))
				return &copied, err
			})
			if err != nil {
				t.Fatal(err)
			}
			rescued := filepath.Join(t.TempDir(), "rescued.db")
			if err := os.WriteFile(rescued, copied.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			again, err := bolt.OpenReadOnly(t.Context(), rescued)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if err := again.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAFileThatIsPutBackIsUsedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	write := func() error {
		return db.Write(t.Context(), func(tx storage.Tx) error { return tx.PutAlive(t.Context(), storage.Replica{Owner: "a", SeenAt: noon}) })
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := write(); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("gone: %v", err)
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Errorf("back: %v", err)
	}
	if info, err := db.Info(t.Context()); err != nil || info.Trouble != nil {
		t.Errorf("info: %+v, %v", info, err)
	}
}
