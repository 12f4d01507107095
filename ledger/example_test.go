package ledger_test

import (
	"errors"
	"fmt"

	"sitrep/ledger"
)

// A log is appended to, and its head signed. Who has the checkpoint and the public key
// can be shown that a leaf is in there.
func Example() {
	var tree ledger.Tree
	var hashes []ledger.Hash // an engine stores them beside the leaves
	for _, text := range []string{"INC-1 opened", "INC-1 resolved", "INC-1 closed"} {
		hashes = append(hashes, tree.Append(ledger.Leaf{Kind: ledger.Event, Bytes: []byte(text)})...)
	}
	stored := ledger.HashesFunc(func(numbers []int64) (found []ledger.Hash, err error) {
		for _, n := range numbers {
			found = append(found, hashes[n])
		}
		return found, nil
	})
	key, err := ledger.GenerateKey("sitrep.example.org/ledger")
	if err != nil {
		fmt.Println(err)
		return
	}
	signed, err := key.Sign(ledger.Checkpoint{Size: tree.Size(), Root: tree.Root()})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The auditor.
	checkpoint, err := ledger.OpenCheckpoint(signed, key.Public())
	if err != nil {
		fmt.Println(err)
		return
	}
	proof, err := ledger.ProveLeaf(checkpoint.Size, 1, stored)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(checkpoint.Size, "leaves of", checkpoint.Origin)
	fmt.Println(ledger.CheckLeaf(checkpoint, 1, ledger.Leaf{Kind: ledger.Event, Bytes: []byte("INC-1 resolved")}, proof))
	err = ledger.CheckLeaf(checkpoint, 1, ledger.Leaf{Kind: ledger.Event, Bytes: []byte("INC-1 was never there")}, proof)
	fmt.Println(errors.Is(err, ledger.ErrNotProven))
	// Output:
	// 3 leaves of sitrep.example.org/ledger
	// <nil>
	// true
}

// An older checkpoint that somebody kept, such as in a mail, is enough to know that
// nothing before it was changed or removed.
func ExampleCheckGrowth() {
	grow := func(texts ...string) (ledger.Checkpoint, ledger.Hashes) {
		var tree ledger.Tree
		var hashes []ledger.Hash
		for _, text := range texts {
			hashes = append(hashes, tree.Append(ledger.Leaf{Kind: ledger.Event, Bytes: []byte(text)})...)
		}
		return ledger.Checkpoint{Size: tree.Size(), Root: tree.Root()}, ledger.HashesFunc(func(numbers []int64) (found []ledger.Hash, err error) {
			for _, n := range numbers {
				found = append(found, hashes[n])
			}
			return found, nil
		})
	}
	kept, _ := grow("opened", "resolved")
	honest, stored := grow("opened", "resolved", "closed")
	proof, err := ledger.ProveGrowth(honest.Size, kept.Size, stored)
	fmt.Println(err, ledger.CheckGrowth(honest, kept, proof))

	forged, stored := grow("opened", "resolved a day earlier", "closed")
	proof, err = ledger.ProveGrowth(forged.Size, kept.Size, stored)
	fmt.Println(err, errors.Is(ledger.CheckGrowth(forged, kept, proof), ledger.ErrNotProven))
	// Output:
	// <nil> <nil>
	// <nil> true
}
