package bolt_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A configuration of a large organisation says much the same again and again, and each that was in
// force is kept: packed. What an earlier build kept as it is, is read as before.
func TestConfigurationsAreKeptPacked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	var body bytes.Buffer
	body.WriteString(`{"teams":[`)
	for i := range 1000 {
		fmt.Fprintf(&body, `{"team":"team-%d","slos":[{"id":"team-%d-availability","priority":"P1","use_case":"Customers cannot use it"}]},`, i, i)
	}
	body.WriteString(`{}]}`)
	forms := []storage.Config{
		{Hash: "long", Body: body.Bytes()}, {Hash: "short", Body: []byte(`{}`)}, {Hash: "empty", Body: []byte{}}, {Hash: "looks packed", Body: []byte("\x1f\x8bnot")},
	}
	db := openAt(t, path)
	mustWrite(t, db, func(tx storage.Tx) error {
		return tx.PutConfig(t.Context(), storage.Loading{Hash: "long", At: noon}, forms...)
	})
	read := func(db *bolt.DB, hash string, want []byte) {
		t.Helper()
		mustRead(t, db, func(r storage.Snapshot) error {
			c, err := r.Config(t.Context(), hash)
			if err == nil && !bytes.Equal(c.Body, want) {
				t.Errorf("%s: got %.40q (%d bytes), want %.40q (%d)", hash, c.Body, len(c.Body), want, len(want))
			}
			return err
		})
	}
	for _, f := range forms {
		read(db, f.Hash, f.Body)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if kept := bolt.KeptConfig(t, path, "long"); len(kept) > body.Len()/5 {
		t.Errorf("of %d bytes, %d are kept", body.Len(), len(kept))
	}

	bolt.KeepConfig(t, path, "earlier", body.Bytes())
	bolt.SetVersion(t, path, 7)
	db = openAt(t, path)
	defer db.Close()
	read(db, "earlier", body.Bytes())
	read(db, "long", body.Bytes())
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
