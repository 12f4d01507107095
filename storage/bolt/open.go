package bolt

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"sitrep/storage"
)

const (
	// formVersion is the version of the stored form. One with a higher one is refused, and
	// one with a lower one is brought up to it, unless it is only read. Since 2, bClosed
	// has what is to be forgotten; since 3, breaches are found by fingerprint alone and the
	// watchdog has buckets of its own; since 4, incidents are found by team, SLO and text; since 5,
	// where the latest breaches are stands in runs; since 6, deliveries are found by address, group
	// and due time; since 7, what is due to a recipient is found by how urgent it is, and a digest
	// may be partly settled; since 8, configurations are packed; since 9, what small commits change
	// stands first together.
	formVersion = 9
	// lockTimeout is how long Open waits for another process to close the file.
	lockTimeout = 2 * time.Second
	// mapAhead is how much more than the file is mapped, so that growing seldom has to
	// wait for readers. It costs addresses, no memory.
	mapAhead = 1 << 30
)

// formKey and nameKey are the keys of meta that say what the file is.
var (
	formKey = []byte("form")
	nameKey = []byte("name")
)

const formName = "sitrep"

// ErrLocked is a file that another process has open.
var ErrLocked = errors.New("it is locked")

// create makes an empty store at path unless something is there. It appears whole
// or not at all, also after a power cut.
func create(path string) error {
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".new-*") // 0600
	if err != nil {
		return err
	}
	temporary := f.Name()
	defer os.Remove(temporary)
	if err := f.Close(); err != nil {
		return err
	}
	if err := fill(temporary); err != nil {
		return err
	}
	// A link, unlike a rename, never replaces what another process put there meanwhile.
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, there := os.Lstat(path); !errors.Is(there, fs.ErrNotExist) {
			return there
		}
		if err := os.Rename(temporary, path); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// fill writes an empty store into an empty file.
func fill(path string) error {
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		for id, name := range bucketNames {
			if !bucketID(id).in(formVersion) {
				continue
			}
			if _, err := btx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		t := newTx(btx)
		if err := t.put(bMeta, nameKey, []byte(formName)); err != nil {
			return err
		}
		return t.put(bMeta, formKey, binary.BigEndian.AppendUint32(nil, formVersion))
	})
	return errors.Join(err, b.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// open opens a file that is there, and makes sure that it is a whole store of a
// form that we know. One that may be written to is brought up to the latest.
func open(ctx context.Context, path string, readOnly bool, o Options) (*DB, error) {
	db, err := openAsItIs(path, &bbolt.Options{ReadOnly: readOnly, NoStatistics: true})
	if err != nil {
		return nil, err
	}
	db.use(o)
	if err := db.prepare(ctx, o); err != nil {
		_ = db.bolt.Close()
		return nil, err
	}
	return db, nil
}

// prepare makes a store that was opened fit for use. One that is opened for a copy stays as it is,
// as it may turn out to be another's.
func (db *DB) prepare(ctx context.Context, o Options) error {
	if o.Unfinished {
		if db.version < formVersion {
			return fmt.Errorf("it is a store of an earlier build: name one that is empty, or not there: %w", storage.ErrOccupied)
		}
		return nil
	}
	if err := db.whole(ctx); err != nil || db.readOnly {
		return err
	}
	if db.version < formVersion {
		if err := db.upgrade(ctx); err != nil {
			return err
		}
	}
	return db.free()
}

// whole returns an error if the store is a copy that is not whole yet.
func (db *DB) whole(ctx context.Context) error {
	return db.view(func(r *reader) error {
		s, err := r.Unfinished(ctx)
		if s != nil {
			err = s.Error(db.path)
		}
		return err
	})
}

// openAsItIs opens a file that is there and is a whole store of a form that we know. Unless
// it is only read, no other process has it open.
func openAsItIs(path string, options *bbolt.Options) (db *DB, err error) {
	readOnly := options.ReadOnly
	file, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, errors.Unwrap(err)
	case file.IsDir():
		return nil, errors.New("it is a directory; name a file in it")
	case file.Size() == 0:
		return nil, fmt.Errorf("the file is empty, so it is no store; delete it to start anew: %w", storage.ErrDamaged)
	}

	// First without touching more than its head, as bbolt panics on a truncated file.
	b, _, err := openFile(path, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	err = wrap(path, b, file, true).view(func(r *reader) error {
		if want := r.tx.Size(); file.Size() < want {
			return fmt.Errorf("the file is cut off: it has %d of %d bytes; restore a backup: %w", file.Size(), want, storage.ErrDamaged)
		}
		if readOnly {
			return nil
		}
		listed, err := hasFreeList(path, r.tx)
		if err != nil || listed {
			return err
		}
		return r.walk()
	})
	if err := errors.Join(err, b.Close()); err != nil {
		return nil, err
	}

	options.Timeout, options.FreelistType = lockTimeout, bbolt.FreelistMapType
	options.NoFreelistSync = true // see saveFreeList
	if strconv.IntSize == 64 && !readOnly {
		options.InitialMmapSize = int(file.Size()) + mapAhead
	}
	if b, file, err = openFile(path, options); err != nil {
		return nil, err
	}
	db = wrap(path, b, file, readOnly)
	if db.version, err = db.recognize(); err == nil && !readOnly {
		// While it waited for the lock, another file may have been put in its place.
		_, err = db.there()
	}
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	return db, nil
}

// free ends the claims and forgets the jobs of a process that no longer is, and that it was
// there: who holds the file holds all of them.
func (db *DB) free() error {
	if id, err := db.pourAll(); err != nil {
		if db.noRoom(err, id) != nil {
			return nil // there is no room: it stays as it is
		}
		return err
	}
	var held []string
	var gone [][]byte
	err := db.view(func(r *reader) error {
		for _, prefix := range []string{jobPrefix, replicaPrefix} {
			err := r.ascend(bMeta, []byte(prefix), nil, func(k, _ []byte) (bool, error) {
				gone = append(gone, bytes.Clone(k))
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return r.ascend(bRecipients, nil, nil, func(k, v []byte) (bool, error) {
			var p recipient
			err := decode(bRecipients, k, v, &p)
			if p.Owner != "" {
				held = append(held, string(k))
			}
			return true, err
		})
	})
	if err != nil || held == nil && gone == nil {
		return err
	}
	var id int64
	err = db.bolt.Update(func(btx *bbolt.Tx) error {
		t := newTx(btx)
		id = int64(btx.ID())
		for _, k := range gone {
			if err := t.delete(bMeta, k); err != nil {
				return err
			}
		}
		for _, id := range held {
			if err := t.changeRecipient(id, func(p *recipient) { p.Owner, p.Until = "", time.Time{} }); err != nil {
				return err
			}
		}
		return t.flushRecipients()
	})
	if err != nil && db.noRoom(err, id) != nil {
		return nil // there is no room: then they end by themselves
	}
	return err
}

// openFile is bbolt.Open with errors that say what to do, and without panics. It also
// returns which file that is.
func openFile(path string, o *bbolt.Options) (b *bbolt.DB, file fs.FileInfo, err error) {
	var f *os.File
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		var err error
		if f, err = os.OpenFile(name, flag&^os.O_CREATE, mode); err == nil {
			file, err = f.Stat()
		}
		return f, err
	}
	defer func() {
		if err != nil && f != nil {
			_ = f.Close() // bbolt leaves it open, and locked, when it panics
		}
	}()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file is not whole (%v); restore a backup: %w", p, storage.ErrDamaged)
		}
	}()
	b, err = bbolt.Open(path, 0o600, o)
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, fmt.Errorf("%w: %s has it open", ErrLocked, holder(path))
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum),
		err != nil && strings.HasPrefix(err.Error(), "file size too small"):
		return nil, nil, fmt.Errorf("it is no store of sitrep, or its head is damaged (%w): %w", err, storage.ErrDamaged)
	case err != nil:
		var p *fs.PathError
		if errors.As(err, &p) {
			return nil, nil, p.Err
		}
	}
	return b, file, err
}

// recognize makes sure that the file is a store, of a form that we know, and returns
// the version of the form.
func (db *DB) recognize() (version uint32, err error) {
	foreign := fmt.Errorf("it is a bbolt file of another program: %w", storage.ErrDamaged)
	err = db.view(func(r *reader) error {
		if r.tx.Bucket([]byte(bucketNames[bMeta])) == nil {
			return foreign
		}
		name, err := r.get(bMeta, nameKey)
		if err != nil {
			return err
		}
		if string(name) != formName {
			return foreign
		}
		form, err := r.get(bMeta, formKey)
		if err != nil {
			return err
		}
		if len(form) != 4 {
			return fmt.Errorf("its version is not to be read: %w", storage.ErrDamaged)
		}
		switch version = binary.BigEndian.Uint32(form); {
		case version < 1:
			return fmt.Errorf("its version is not to be read: %w", storage.ErrDamaged)
		case version > formVersion:
			return fmt.Errorf("its version is %d, and this sitrep knows up to %d; use the newer sitrep: %w", version, formVersion, storage.ErrNewer)
		}
		for id, name := range bucketNames {
			if bucketID(id).in(version) && r.tx.Bucket([]byte(name)) == nil {
				return fmt.Errorf("its bucket %q is missing: %w", name, storage.ErrDamaged)
			}
		}
		return nil
	})
	return version, err
}

// holder says who holds the lock on a file.
func holder(path string) string {
	const unknown = "another process"
	info, err := os.Stat(path)
	if err != nil {
		return unknown
	}
	inode, ok := inodeOf(info)
	if !ok {
		return unknown
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return unknown
	}
	defer f.Close()
	// 1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" {
			continue
		}
		pid, err := strconv.Atoi(fields[4])
		if err == nil && pid > 0 && strings.HasSuffix(fields[5], ":"+strconv.FormatUint(inode, 10)) {
			return "process " + strconv.Itoa(pid)
		}
	}
	return unknown
}

// damage turns a panic of bbolt, or a fault while reading the mapped file, into an
// error. It is deferred; panics of others go on.
func damage(path string, err *error) {
	p := recover()
	if p == nil {
		return
	}
	if !damaged(p) {
		panic(p)
	}
	*err = fmt.Errorf("read store %q: %v: %w", path, p, storage.ErrDamaged)
}

// damaged reports whether a panic that is being recovered from is bbolt's, or a fault
// while reading the mapped file.
func damaged(p any) bool {
	if _, fault := p.(interface{ Addr() uintptr }); fault {
		return true
	}
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	panicked := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicked = true
		case panicked && !strings.HasPrefix(frame.Function, "runtime."):
			return strings.HasPrefix(frame.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}
