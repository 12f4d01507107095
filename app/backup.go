package app

import (
	"context"
	"io"

	"sitrep/storage"
)

// backup writes a copy of the store, signed first as far as that can be done.
func (s *Service) backup(ctx context.Context, begin func(size int64, key string) (io.Writer, error)) error {
	_, _ = s.notary.sign(ctx) // logged there; what is there is to be saved all the same
	return s.store.backup(ctx, func(r storage.Snapshot, size int64) (io.Writer, error) {
		head, err := r.LogHead(ctx)
		if err != nil {
			return nil, err
		}
		key := s.notary.key.Public()
		if !SignedBy(head.Signed, s.notary.key) {
			key = Signer(head.Signed)
		}
		return begin(size, key)
	})
}
