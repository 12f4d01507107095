package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

// bbolt keeps a list of the pages of the file that are free, and writes it whole with each
// commit, which costs more than the commit itself once much was deleted. So it is not
// written while sitrep runs, but once, at a clean stop. Where it is missing, after a crash,
// bbolt walks through the file when it is opened, and finds them. The head of the file says
// which of the two it is, in the same commit: any bbolt can open it at any moment.

// saveFreeList brings what is fresh to its buckets, and writes the list of free pages. The writer has stopped. That there is no room
// for it, or that the disk does not take it, is no error: all that was stored is there, and
// the next start finds the pages. The error is a panic of bbolt, which cannot be closed then.
func (db *DB) saveFreeList() (err error) {
	if db.readOnly || db.failure() != nil || db.present() != nil {
		return nil
	}
	db.bolt.NoFreelistSync = false
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("save the free pages: panic: %v", p)
		}
	}()
	if _, err := db.pourAll(); err != nil {
		return nil
	}
	if btx, err := db.bolt.Begin(true); err == nil {
		_ = btx.Commit()
	}
	return nil
}

// The head of the file is one of its first two pages: after 16 bytes that each page begins
// with come the numbers of bbolt's form, as the processor orders bytes.
const (
	metaSize     = 80
	metaFreeList = 16 + 32 // the page of the list, or noFreeList
	metaID       = 16 + 48 // of the transaction that wrote it
	noFreeList   = ^uint64(0)
)

// hasFreeList reports whether the commit that a transaction reads wrote the list of free
// pages.
func hasFreeList(path string, btx *bbolt.Tx) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	var head [metaSize]byte
	id := uint64(btx.ID())
	_, err = f.ReadAt(head[:], int64(id%2)*int64(btx.DB().Info().PageSize))
	if err := errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	list := binary.NativeEndian.Uint64(head[metaFreeList:])
	return binary.NativeEndian.Uint64(head[metaID:]) == id && list != noFreeList, nil
}

// walk reads all pages that are in use. bbolt does that too before it makes the list of
// free pages, but in a way in which a page that is damaged ends the process.
func (r *reader) walk() error {
	return r.tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		if b == nil {
			return fmt.Errorf("beside the buckets there is %q", name)
		}
		sum := byte(0)
		c := b.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			sum += k[0] + k[len(k)-1]
		}
		_ = sum
		return nil
	})
}
