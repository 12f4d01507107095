package bolt

import (
	"encoding/binary"
	"testing"

	"go.etcd.io/bbolt"
)

// SetVersion makes a store one of another version.
func SetVersion(t *testing.T, path string, version uint32) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		return newTx(btx).put(bMeta, formKey, binary.BigEndian.AppendUint32(nil, version))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
