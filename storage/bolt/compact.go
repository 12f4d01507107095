package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"sitrep/storage"
)

const (
	// compactPiece is how many bytes are copied in one transaction.
	compactPiece = 16 << 20
	// tellEach is after how many bytes progress is told.
	tellEach = 1 << 20
)

// CompactOptions are what a file is compacted with. The zero value is fine.
type CompactOptions struct {
	// Rebuild makes anew what finds the latest breach of each fingerprint, from the breaches,
	// in place of what is there, which is not even read.
	Rebuild bool
	// Progress is told each MiB how many bytes of the store were copied, or compared with the
	// copy, of how many about; nil is fine.
	Progress func(comparing bool, done, total int64)
}

// Compacted is what compacting a file came to.
type Compacted struct {
	Before, After int64 // bytes of the file
}

// Compact puts a copy of the store in the place of the file at path that has no room in it
// which is free. No process may have it open, and none can open it meanwhile. The copy is
// made beside it, compared with it and on the disk before it is put in its place: at each
// moment the file at path is whole. A store of an earlier form stays one.
//
// The copy needs room. Where there is too little of it the error says how much, and nothing
// is done. It is ErrLocked if a process has the file open, and storage.ErrDamaged if
// what is stored has a wrong checksum.
func Compact(ctx context.Context, path string, o CompactOptions) (Compacted, error) {
	c, err := compact(ctx, path, o)
	if err != nil {
		return c, fmt.Errorf("compact store %q: %w", path, err)
	}
	return c, nil
}

func compact(ctx context.Context, path string, o CompactOptions) (c Compacted, err error) {
	if o.Progress == nil {
		o.Progress = func(bool, int64, int64) {}
	}
	// Not a link to it is replaced, but the file.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return c, errors.Unwrap(err)
	}
	from, err := openAsItIs(path, &bbolt.Options{})
	if err != nil {
		return c, err
	}
	// It is closed, and so unlocked, after the copy is in its place.
	defer func() { err = errors.Join(err, from.bolt.Close()) }()
	if _, err := from.pourAll(); err != nil {
		return c, err
	}
	c.Before = from.file.Size()
	if o.Rebuild && from.version < formVersion {
		return c, errors.New("it is of an earlier build, and has nothing to be rebuilt: start sitrep, which brings it up")
	}

	stats := from.bolt.Stats()
	var total int64
	if err := from.view(func(r *reader) error {
		total = r.tx.Size() - int64(stats.FreePageN)*int64(from.bolt.Info().PageSize)
		return nil
	}); err != nil {
		return c, err
	}
	if room, err := Free(path); err == nil && room < total {
		return c, fmt.Errorf("the copy needs up to %d MiB beside it, and there are %d MiB: make room", total>>20+1, room>>20)
	}
	made, err := beside(from)
	if err != nil {
		return c, err
	}
	defer os.Remove(made)

	to := &copying{ctx: ctx, from: from, path: made, rebuild: o.Rebuild, total: total, progress: o.Progress}
	if c.After, err = to.copy(); err != nil {
		return c, err
	}
	if err := to.compare(); err != nil {
		return c, err
	}
	if err := ctx.Err(); err != nil {
		return c, err
	}
	if err := os.Rename(made, path); err != nil {
		return c, err
	}
	return c, syncDir(filepath.Dir(path))
}

// beside makes an empty file beside a store, which is its owner's alone as that is. What an
// earlier try left there is deleted: whoever makes it has the store locked.
func beside(from *DB) (path string, err error) {
	dir, name := filepath.Split(from.path)
	pattern := "." + name + ".compact-"
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if len(e.Name()) > len(pattern) && e.Name()[:len(pattern)] == pattern && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return "", err
			}
		}
	}
	f, err := os.CreateTemp(dir, pattern+"*") // 0600
	if err != nil {
		return "", err
	}
	err = keepOwner(f, from.file)
	if err == nil {
		err = f.Chmod(from.file.Mode().Perm())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// A copying copies a store to another file.
type copying struct {
	ctx      context.Context
	from     *DB
	path     string
	rebuild  bool
	total    int64
	progress func(bool, int64, int64)

	done, told int64
}

// each calls fn for each pair of a bucket of the store, after a look at its checksum.
func (c *copying) each(name []byte, b *bbolt.Bucket, comparing bool, fn func(k, v []byte) error) error {
	id, known := idOf(name)
	return b.ForEach(func(k, v []byte) error {
		if v == nil {
			return fmt.Errorf("in bucket %q there is another, %x: %w", name, k, storage.ErrDamaged)
		}
		if known {
			if _, err := checked(id, k, v); err != nil {
				return err
			}
		}
		c.done += int64(len(k) + len(v))
		if c.done-c.told >= tellEach {
			c.told = c.done
			if err := c.ctx.Err(); err != nil {
				return err
			}
			c.progress(comparing, c.done, c.total)
		}
		return fn(k, v)
	})
}

// idOf returns which bucket a name is of.
func idOf(name []byte) (bucketID, bool) {
	for id, n := range bucketNames {
		if string(name) == n {
			return bucketID(id), true
		}
	}
	return 0, false
}

// copy writes the copy, all of which is on the disk then, and returns how long it is.
func (c *copying) copy() (size int64, err error) {
	to, err := bbolt.Open(c.path, 0o600, &bbolt.Options{
		PageSize: c.from.bolt.Info().PageSize, FreelistType: bbolt.FreelistMapType,
		NoFreelistSync: true, NoSync: true, NoGrowSync: true, // all of that at the end
	})
	if err != nil {
		return 0, err
	}
	err = c.from.view(func(r *reader) error {
		return r.tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if b == nil {
				return fmt.Errorf("beside the buckets there is %q: %w", name, storage.ErrDamaged)
			}
			if c.leavesOut(name) {
				return nil
			}
			return c.copyBucket(to, name, b)
		})
	})
	if err == nil && c.rebuild {
		err = wrap(c.path, to, nil, false).rebuildLatest(c.ctx)
	}
	if err == nil {
		to.NoFreelistSync = false
		err = to.Update(func(btx *bbolt.Tx) error { return nil })
	}
	if err == nil {
		err = to.View(func(btx *bbolt.Tx) error { size = btx.Size(); return nil })
	}
	if err := errors.Join(err, to.Close()); err != nil {
		return 0, err
	}
	f, err := os.OpenFile(c.path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	err = f.Truncate(size) // without what bbolt keeps to grow
	return size, errors.Join(err, f.Sync(), f.Close())
}

// leavesOut reports whether a bucket is not copied, as it is made anew.
func (c *copying) leavesOut(name []byte) bool {
	id, known := idOf(name)
	return c.rebuild && known && (id == bBreachRecent || id == bBreachRuns)
}

func (c *copying) copyBucket(to *bbolt.DB, name []byte, b *bbolt.Bucket) error {
	var into *bbolt.Tx
	var put *bbolt.Bucket
	var pending int64
	begin := func() (err error) {
		if into, err = to.Begin(true); err != nil {
			return err
		}
		put, err = into.CreateBucketIfNotExists(name)
		if err != nil {
			return errors.Join(err, into.Rollback())
		}
		// What is only added to is not written in between again.
		put.FillPercent = 0.9
		if id, known := idOf(name); known && appended[id] {
			put.FillPercent = 1
		}
		return nil
	}
	if err := begin(); err != nil {
		return err
	}
	err := put.SetSequence(b.Sequence())
	if err == nil {
		err = c.each(name, b, false, func(k, v []byte) error {
			if pending += int64(len(k) + len(v)); pending > compactPiece {
				pending = 0
				if err := into.Commit(); err != nil {
					return err
				}
				if err := begin(); err != nil {
					return err
				}
			}
			return put.Put(k, v)
		})
	}
	if err != nil {
		_ = into.Rollback() // an error if it is over
		return err
	}
	return into.Commit()
}

// compare makes sure that the copy has what the store has, and nothing else.
func (c *copying) compare() error {
	c.done, c.told = 0, 0
	to, err := openAsItIs(c.path, &bbolt.Options{ReadOnly: true, NoStatistics: true})
	if err != nil {
		return fmt.Errorf("the copy: %w", err)
	}
	differs := errors.New("the copy is not the same, and was deleted; is the disk or the memory of this machine sound?")
	err = c.from.view(func(r *reader) error {
		return to.view(func(made *reader) error {
			buckets := 0
			err := r.tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
				buckets++
				if c.leavesOut(name) {
					return nil
				}
				in := made.tx.Bucket(name)
				if in == nil || in.Sequence() != b.Sequence() {
					return differs
				}
				cursor := in.Cursor()
				key, value := cursor.First()
				err := c.each(name, b, true, func(k, v []byte) error {
					if !bytes.Equal(k, key) || !bytes.Equal(v, value) {
						return differs
					}
					key, value = cursor.Next()
					return nil
				})
				if err == nil && key != nil {
					err = differs
				}
				return err
			})
			if err != nil {
				return err
			}
			return made.tx.ForEach(func([]byte, *bbolt.Bucket) error {
				if buckets--; buckets < 0 {
					return differs
				}
				return nil
			})
		})
	})
	if err == nil && c.rebuild {
		err = to.Check(c.ctx)
	}
	return errors.Join(err, to.bolt.Close())
}

// keepOwner gives a file to the owner of another.
func keepOwner(f *os.File, of fs.FileInfo) error {
	uid, gid, ok := ownerOf(of)
	if !ok {
		return nil
	}
	is, err := f.Stat()
	if err != nil {
		return err
	}
	if u, g, _ := ownerOf(is); u == uid && g == gid {
		return nil
	}
	if err := f.Chown(uid, gid); err != nil {
		return fmt.Errorf("the copy cannot be given to the owner of the file (%w): run it as the user that sitrep runs as", err)
	}
	return nil
}
