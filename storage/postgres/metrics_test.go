package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sitrep/storage"
	"sitrep/storage/postgres"
)

func TestTransactionsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := postgres.NewMetrics(reg)
	url := newStore(t)
	db, err := postgres.Open(t.Context(), url, postgres.Options{Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	postgres.Still(db)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	write := func() error {
		return db.Write(t.Context(), func(tx storage.Tx) error { return tx.PutAnswer(t.Context(), storage.Answer{Key: "a", At: now()}) })
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Clock(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, url, "alter table answers rename to elsewhere")
	if err := write(); err == nil {
		t.Error("it was stored nowhere")
	}
	run(t, url, "alter table elsewhere rename to answers")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := write(); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("after it was closed: %v", err)
	}
	var said strings.Builder
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, one := range f.Metric {
			for _, l := range one.Label {
				said.WriteString(l.GetValue() + " ")
			}
			if h := one.Histogram; h != nil && h.GetSampleCount() > 0 {
				said.WriteString("took ")
			}
			if c := one.Counter; c != nil && c.GetValue() > 0 && len(one.Label) > 0 {
				said.WriteString("failed ")
			}
			said.WriteString("\n")
		}
	}
	for _, line := range []string{"write took", "clock took", "write other failed", "claim "} {
		if !strings.Contains(said.String(), line) {
			t.Errorf("no %q in\n%s", line, said.String())
		}
	}
}
