package storage

import (
	"context"
	"fmt"
	"time"

	"sitrep/ledger"
)

// SignLog signs the log as it stands and keeps the checkpoint, unless the latest one says
// the same already. It returns the latest. Before it signs, it makes sure that the log
// still begins with what the latest checkpoint says: the error is ErrDamaged if it
// does not, and nothing is signed.
func SignLog(ctx context.Context, s Store, key *ledger.Key, at time.Time) (signed []byte, err error) {
	return signIf(ctx, s, key, at, func(Tx) (bool, error) { return true, nil })
}

// SignLogOnce is SignLog where all processes that have the store sign by the clock: it signs if the
// job is due and nobody has it, and returns the latest checkpoint in any case; nil if there is
// none.
func SignLogOnce(ctx context.Context, s Store, key *ledger.Key, at time.Time, j Job) (signed []byte, err error) {
	return signIf(ctx, s, key, at, func(tx Tx) (bool, error) {
		taken, err := tx.TakeJob(ctx, j, at)
		if err != nil || !taken {
			return false, err
		}
		return true, tx.EndJob(ctx, j, at)
	})
}

// signIf is SignLog where there is something to sign and may says yes.
func signIf(ctx context.Context, s Store, key *ledger.Key, at time.Time, may func(Tx) (bool, error)) (signed []byte, err error) {
	err = s.Write(ctx, func(tx Tx) (err error) {
		signed, err = sign(ctx, tx, key, at, may)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sign the ledger: %w", err)
	}
	return signed, nil
}

// LastSigned returns the latest checkpoint, signed and read, and makes sure that the log
// still begins with what it says: the error is ErrDamaged if it does not. Signed is nil
// if there is none. Who signed it is for the caller to look at.
func LastSigned(ctx context.Context, r Snapshot) (signed []byte, c ledger.Checkpoint, err error) {
	head, err := r.LogHead(ctx)
	if err != nil {
		return nil, c, err
	}
	c, err = checkHead(ctx, r, head)
	if err != nil {
		return nil, c, err
	}
	return head.Signed, c, nil
}

// checkHead reads the latest checkpoint, if there is one, and makes sure that the log still
// begins with what it says.
func checkHead(ctx context.Context, r LogReader, head LogHead) (c ledger.Checkpoint, err error) {
	if head.Signed == nil {
		return c, nil
	}
	if c, err = ledger.ReadCheckpoint(head.Signed); err != nil {
		return c, fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	if c.Size > head.Size {
		return c, fmt.Errorf("it has %d leaves, and its latest checkpoint signed %d: %w", head.Size, c.Size, ErrDamaged)
	}
	root, err := ledger.RootAt(c.Size, Hashes(ctx, r))
	if err == nil && root != c.Root {
		err = fmt.Errorf("its first %d leaves are not those that the checkpoint of %s signed: %w", c.Size, c.At.Format(time.RFC3339), ErrDamaged)
	}
	return c, err
}

func sign(ctx context.Context, tx Tx, key *ledger.Key, at time.Time, may func(Tx) (bool, error)) ([]byte, error) {
	head, err := tx.LogHead(ctx)
	if err != nil {
		return nil, err
	}
	c, err := checkHead(ctx, tx, head)
	if err != nil {
		return nil, err
	}
	if head.Signed != nil && c.Size == head.Size {
		if _, err := ledger.OpenCheckpoint(head.Signed, key.Public()); err == nil {
			return head.Signed, nil
		}
	}
	if yes, err := may(tx); err != nil || !yes {
		return head.Signed, err
	}
	root, err := ledger.RootAt(head.Size, Hashes(ctx, tx))
	if err != nil {
		return nil, err
	}
	signed, err := key.Sign(ledger.Checkpoint{Size: head.Size, Root: root, At: at.UTC().Truncate(time.Second)})
	if err != nil {
		return nil, err
	}
	return signed, tx.PutCheckpoint(ctx, head.Size, signed)
}
