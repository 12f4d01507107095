package bolt_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// sector is how many bytes a disk writes whole or not at all.
const sector = 512

// A step is one thing that the process did to its file, or said.
type step struct {
	kind byte // 'w'rite, 'r'esize, 's'ync begun, 'd'one with it, 'a'nswered
	off  int64
	data []byte
	size int64  // of a resize
	text string // of an answer
}

// trace runs the process that writes to the store at path, and returns what it did.
func trace(t *testing.T, path string) []step {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no strace, and in CI nothing is skipped")
		}
		t.Skip("there is no strace")
	}
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-qq", "-xx", "-s", strconv.Itoa(64<<20), "-e", "signal=none",
		"-e", "trace=openat,close,pwrite64,write,pwritev,ftruncate,fallocate,fsync,fdatasync", "-o", out, os.Args[0])
	cmd.Env = append(os.Environ(), traced+"="+path)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return steps(t, string(b), path)
}

var (
	call    = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumed = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>.*= (-?\w+)`)
	result  = regexp.MustCompile(`\) += (-?\w+)[^"]*$`)
)

// steps reads what strace wrote. Of a call that others came between, the beginning counts for
// what it writes, and the end for a sync.
func steps(t *testing.T, text, path string) []step {
	t.Helper()
	var all []step
	store := map[string]bool{} // the file descriptors of the store
	opening := map[string]bool{}
	wanted := quoted(path)
	for line := range strings.Lines(text) {
		if m := resumed.FindStringSubmatch(line); m != nil {
			switch pid, name := m[1], m[2]; {
			case name == "openat" && opening[pid]:
				store[m[3]], opening[pid] = true, false
			case name == "fsync" || name == "fdatasync":
				if m[3] != "0" {
					t.Fatalf("a sync failed: %s", line)
				}
				all = append(all, step{kind: 'd'})
			}
			continue
		}
		m := call.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		pid, name, args := m[1], m[2], strings.Split(m[3], ", ")
		done := result.FindStringSubmatch(m[3])
		fd, _, _ := strings.Cut(args[0], ")")
		fd = strings.TrimSuffix(fd, " <unfinished ...>")
		switch {
		case name == "openat":
			if args[1] == wanted {
				if done != nil {
					store[done[1]] = true
				} else {
					opening[pid] = true
				}
			} else if done != nil {
				delete(store, done[1])
			}
		case name == "write" && fd == "1":
			for word := range strings.FieldsSeq(string(unquoted(t, args[1]))) {
				all = append(all, step{kind: 'a', text: word})
			}
		case !store[fd]:
		case name == "close":
			delete(store, fd)
		case name == "pwrite64":
			off, err := strconv.ParseInt(strings.FieldsFunc(args[3], func(r rune) bool { return r == ')' || r == ' ' })[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, step{kind: 'w', off: off, data: unquoted(t, args[1])})
		case name == "ftruncate":
			size, err := strconv.ParseInt(strings.FieldsFunc(args[1], func(r rune) bool { return r == ')' || r == ' ' })[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, step{kind: 'r', size: size})
		case name == "fsync" || name == "fdatasync":
			all = append(all, step{kind: 's'})
			if done != nil {
				all = append(all, step{kind: 'd'})
			}
		default:
			t.Fatalf("%s to the store, which this test does not know: %.200s", name, line)
		}
	}
	return all
}

// quoted writes a text as strace does with -xx.
func quoted(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return `"` + b.String() + `"`
}

func unquoted(t *testing.T, s string) []byte {
	t.Helper()
	s, _, _ = strings.Cut(strings.TrimPrefix(s, `"`), `"`)
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A disk is what would be there after the power went: sectors by number, and a size.
type disk struct {
	sectors map[int64][]byte
	size    int64
}

func (d *disk) clone() *disk { return &disk{maps.Clone(d.sectors), d.size} }

// apply does a step, of a write only those sectors that keep says.
func (d *disk) apply(s step, keep func() bool) {
	if s.kind == 'r' {
		if keep() {
			d.size = s.size
		}
		return
	}
	for at := 0; at < len(s.data); at += sector {
		if keep() {
			d.sectors[(s.off+int64(at))/sector] = s.data[at:min(at+sector, len(s.data))]
			d.size = max(d.size, s.off+int64(at)+sector)
		}
	}
}

func (d *disk) save(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range slices.Sorted(maps.Keys(d.sectors)) {
		if _, err := f.WriteAt(d.sectors[n], n*sector); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(d.size), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func always() bool { return true }

// What was answered is there after the power went at any moment: of what the process wrote
// since its last sync the disk may have kept any part, torn between sectors.
func TestWhatWasAnsweredIsThereAfterAPowerCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := trace(t, path)

	safe := &disk{sectors: map[int64][]byte{}}
	safe.apply(step{kind: 'w', data: first}, always)
	var since []step // the last sync that is done, in order
	syncing := 0     // how many of those came before the sync that is under way
	var answered []string
	r := rand.New(rand.NewPCG(1, 2))
	images, syncs := 0, 0
	cut := func(what string, keep func() bool) {
		images++
		d := safe.clone()
		for _, s := range since {
			d.apply(s, keep)
		}
		image := filepath.Join(t.TempDir(), "image.db")
		d.save(t, image)
		if err := holds(t, image, answered); err != nil {
			t.Errorf("power cut after sync %d and %d answers, %s: %v", syncs, len(answered), what, err)
		}
	}
	for _, s := range all {
		switch s.kind {
		case 'w', 'r':
			since = append(since, s)
			if len(since)%3 == 0 {
				cut("with a part of what came since", func() bool { return r.IntN(2) == 0 })
			}
			continue
		case 's':
			syncing = len(since)
			continue
		case 'd':
			for _, s := range since[:syncing] {
				safe.apply(s, always)
			}
			since, syncing = since[syncing:], 0
			syncs++
		case 'a':
			answered = append(answered, s.text)
		}
		cut("with nothing of what came since", func() bool { return false })
		if len(since) > 0 {
			cut("with all of what came since", always)
			last := len(since)
			cut("with the last of what came since", func() bool { last--; return last == 0 })
		}
		if t.Failed() {
			break
		}
	}
	if want := tracedWriters * tracedWrites; !t.Failed() && (len(answered) != want || syncs < 10 || images < 100) {
		t.Errorf("%d of %d answers, %d syncs, %d images", len(answered), want, syncs, images)
	}
	t.Logf("%d images, %d syncs", images, syncs)
}

// holds says what an image of a store is lacking, as it is, and once it was written to.
func holds(t *testing.T, image string, answered []string) error {
	as, err := bolt.OpenReadOnly(t.Context(), image)
	if err != nil {
		return err
	}
	if err := errors.Join(lacks(t, as, answered), as.Close()); err != nil {
		return err
	}
	db, err := bolt.Open(t.Context(), image, bolt.Options{})
	if err != nil {
		return err
	}
	err = db.Write(t.Context(), func(tx storage.Tx) error {
		var all []*incident.Breach
		for _, fp := range tracedFingerprints("after") {
			all = append(all, &incident.Breach{Fingerprint: fp, StartsAt: noon, HeardAt: noon, State: incident.BreachFiring, Incident: 1})
		}
		return tx.PutBreaches(t.Context(), all)
	})
	return errors.Join(err, lacks(t, db, append(slices.Clone(answered), "after")), db.Close())
}

// lacks says what a store is lacking.
func lacks(t *testing.T, db *bolt.DB, answered []string) error {
	if err := db.Check(t.Context()); err != nil {
		return err
	}
	return db.Read(t.Context(), func(r storage.Snapshot) error {
		for _, name := range answered {
			fingerprints := tracedFingerprints(name)
			found, err := r.LatestBreaches(t.Context(), fingerprints)
			if err != nil {
				return err
			}
			if len(found) != len(fingerprints) {
				return fmt.Errorf("of the breaches of %s there are %d", name, len(found))
			}
		}
		return nil
	})
}

// The disk of this test is a disk: what is written and synced is read back.
func TestADiskKeepsWhatWasSynced(t *testing.T) {
	d := &disk{sectors: map[int64][]byte{}}
	data := bytes.Repeat([]byte("0123456789abcdef"), 3*sector/16)
	d.apply(step{kind: 'w', off: sector, data: data}, always)
	n := 0
	d.apply(step{kind: 'w', off: 2 * sector, data: make([]byte, 2*sector)}, func() bool { n++; return n == 2 })
	path := filepath.Join(t.TempDir(), "disk")
	d.save(t, path)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(make([]byte, sector), data[:2*sector], make([]byte, sector))
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}
