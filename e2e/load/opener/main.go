// Command opener opens a file of bbolt's to read it, reads what its buckets are called, and ends: the
// least that a program can do which has a store.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

func main() {
	if err := open(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "opener:", err)
		os.Exit(1)
	}
}

func open(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func([]byte, *bbolt.Bucket) error { return nil })
	})
}
