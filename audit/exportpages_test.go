package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A watched store notes how many events are read for others than the page that is written, and
// how much of the archive is there whenever events are read.
type watched struct {
	storage.Store
	out   *bytes.Buffer
	sizes []int
}

func (w *watched) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	return w.Store.Read(ctx, func(s storage.Snapshot) error { return fn(watchedSnapshot{s, w}) })
}

type watchedSnapshot struct {
	storage.Snapshot
	w *watched
}

func (s watchedSnapshot) Records(ctx context.Context, q storage.RecordQuery) ([]storage.Record, error) {
	if q.Kind == ledger.Event {
		s.w.sizes = append(s.w.sizes, s.w.out.Len())
	}
	return s.Snapshot.Records(ctx, q)
}

// The page of an incident with a long history is written while that is read, some at a time.
func TestALongHistoryIsExportedAsItIsRead(t *testing.T) {
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p := organisation(1, 1)
	p.Index()
	repo := &storage.Repository{Store: db, Policy: func() *incident.Policy { return p }}
	const notes = 4500
	for from := 0; from < notes; from += 500 {
		err := repo.Change(t.Context(), noon, func(c *storage.Change) error {
			in, _, err := c.IncidentFor(&c.Policy.SLOs[0], incident.ActorAlertmanager)
			if err != nil {
				return err
			}
			s, err := c.Situation(in.Number)
			for i := from; i < from+500 && err == nil; i++ {
				var events []incident.Event
				// What can be packed badly, so that the archive grows as it is written.
				if events, err = s.Incident.WriteNote(c.Stamp("ada"), fmt.Sprintf("%x", pack(i))); err == nil {
					err = c.Record(s, events...)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ledger.GenerateKey("sitrep.example.org/ledger")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := storage.SignLog(t.Context(), db, key, noon); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := &watched{Store: db, out: &out}
	if _, err := audit.Export(t.Context(), w, &out, audit.ExportOptions{Selection: audit.Selection{Incident: 1}, Now: noon.Add(time.Hour), Key: key}); err != nil {
		t.Fatal(err)
	}
	// The last time that the history is read, the page grows from one read to the next.
	last := w.sizes[len(w.sizes)-5:]
	if last[4]-last[1] < 100<<10 {
		t.Errorf("while the history was read for its page, the archive had %v bytes", last)
	}
	v := verify(t, out.Bytes(), audit.VerifyOptions{Keys: []string{key.Public()}})
	if !v.OK() {
		t.Errorf("the export does not verify: %+v", v.Findings)
	}
	page := files(t, out.Bytes())["index.html"]
	if got := strings.Count(page, "<tr><td class=\"n\">"); got != notes+1 {
		t.Errorf("%d rows", got)
	}
}

// pack returns bytes that look like chance.
func pack(i int) []byte {
	x := uint64(i)*0x9e3779b97f4a7c15 + 1
	b := make([]byte, 0, 64)
	for range 64 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b = append(b, byte(x))
	}
	return b
}
