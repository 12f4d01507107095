package bolt

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// replicaPrefix is what the keys of meta begin with that hold who has the store, as JSON, and
// aliveKey that of when somebody last said so.
const replicaPrefix = "replica:"

var aliveKey = []byte("alive")

// Glance implements storage.Store.
func (db *DB) Glance(ctx context.Context) (g storage.Glance, err error) {
	err = db.Read(ctx, func(r storage.Snapshot) error {
		g, err = storage.GlanceOf(ctx, r)
		return err
	})
	return g, err
}

// Clock is that of this process: no other has the store.
func (db *DB) Clock(context.Context) (time.Time, error) {
	return time.Now().UTC().Truncate(time.Microsecond), db.failure()
}

func (r *reader) Alive(context.Context) (time.Time, error) {
	b, err := r.get(bMeta, aliveKey)
	if b == nil || err != nil {
		return time.Time{}, err
	}
	return timeAt(b, 0), nil
}

func (r *reader) Replicas(context.Context) (all []storage.Replica, err error) {
	err = r.ascend(bMeta, []byte(replicaPrefix), nil, func(k, v []byte) (bool, error) {
		var one storage.Replica
		err := decode(bMeta, k, v, &one)
		all = append(all, one)
		return true, err
	})
	slices.SortFunc(all, func(a, b storage.Replica) int {
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Owner, b.Owner))
	})
	return all, err
}

func (t *tx) PutAlive(ctx context.Context, r storage.Replica) error {
	if r.Owner == "" || len(r.Owner) > 200 {
		return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("replica %q: its owner has to be of 1 to 200 bytes", r.Owner)}
	}
	known, err := t.Replicas(ctx)
	if err != nil {
		return err
	}
	for i := range known {
		if r.SeenAt.Sub(known[i].SeenAt) > storage.ReplicasKept {
			if err := t.delete(bMeta, key(replicaPrefix).rest(known[i].Owner)); err != nil {
				return err
			}
		}
	}
	if err := t.putJSON(bMeta, key(replicaPrefix).rest(r.Owner), r); err != nil {
		return err
	}
	return t.put(bMeta, aliveKey, key(nil).time(r.SeenAt))
}
