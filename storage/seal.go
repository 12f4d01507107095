package storage

import (
	"context"
	"fmt"
	"time"

	"sitrep/ledger"
)

// Seal signs the log as it stands and keeps the checkpoint, unless the latest one says
// the same already. It returns the latest. Before it signs, it makes sure that the log
// still begins with what the latest checkpoint says: the error is ErrDamaged if it
// does not, and nothing is signed.
func Seal(ctx context.Context, s Store, key *ledger.Key, at time.Time) (signed []byte, err error) {
	err = s.Write(ctx, func(tx Tx) (err error) {
		signed, err = seal(tx, key, at)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("seal the ledger: %w", err)
	}
	return signed, nil
}

func seal(tx Tx, key *ledger.Key, at time.Time) ([]byte, error) {
	size, err := tx.LogSize()
	if err != nil {
		return nil, err
	}
	latest, err := tx.LastCheckpoint()
	if err != nil {
		return nil, err
	}
	if latest != nil {
		c, err := ledger.ReadCheckpoint(latest)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", err, ErrDamaged)
		}
		if c.Size > size {
			return nil, fmt.Errorf("it has %d leaves, and its latest checkpoint signed %d: %w", size, c.Size, ErrDamaged)
		}
		root, err := ledger.RootAt(c.Size, tx)
		if err != nil {
			return nil, err
		}
		if root != c.Root {
			return nil, fmt.Errorf("its first %d leaves are not those that the checkpoint of %s signed: %w", c.Size, c.At.Format(time.RFC3339), ErrDamaged)
		}
		if _, err := ledger.OpenCheckpoint(latest, key.Public()); err == nil && c.Size == size {
			return latest, nil
		}
	}
	root, err := ledger.RootAt(size, tx)
	if err != nil {
		return nil, err
	}
	signed, err := key.Sign(ledger.Checkpoint{Size: size, Root: root, At: at.UTC().Truncate(time.Second)})
	if err != nil {
		return nil, err
	}
	return signed, tx.PutCheckpoint(size, signed)
}
