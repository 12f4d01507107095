// Command opener opens a file of bbolt's as a store does, reads what its buckets are called, and ends:
// the least that a program can do which has a store. With -write it opens it to write to it, for which
// the free pages have to be known.
package main

import (
	"flag"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

func main() {
	write := flag.Bool("write", false, "open it to write to it")
	flag.Parse()
	if err := open(flag.Arg(0), *write); err != nil {
		fmt.Fprintln(os.Stderr, "opener:", err)
		os.Exit(1)
	}
}

func open(path string, write bool) error {
	// What sitrep left in the file stays as it is.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: !write, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func([]byte, *bbolt.Bucket) error { return nil })
	})
}
