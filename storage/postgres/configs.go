package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
	"sitrep/storage"
)

func (r *reader) Config(ctx context.Context, hash string) (storage.Config, error) {
	c := storage.Config{Hash: hash}
	found, err := r.one(ctx, []any{&c.Body}, "select body from configs where hash = $1", name(hash))
	if err == nil && !found {
		err = storage.NotFound("configuration", hash)
	}
	if err != nil {
		return storage.Config{}, err
	}
	return c, nil
}

const selectGeneration = "select number, at, hash from loadings order by number desc limit 1"

func scanGeneration(g *storage.Generation) func(pgx.Rows) error {
	return eachRow(func(rows pgx.Rows) error {
		var at *time.Time
		err := rows.Scan(&g.Number, &at, &g.Hash)
		g.At = timeOf(at)
		return err
	})
}

func (r *reader) Generation(ctx context.Context) (g storage.Generation, err error) {
	err = r.query(ctx, scanGeneration(&g), selectGeneration)
	return g, err
}

// queueGeneration asks for the configuration in force, unless it is known. It was locked first of
// all.
func (t *tx) queueGeneration() {
	if t.generation == nil {
		g := new(storage.Generation)
		t.ask(func(rows pgx.Rows) error {
			t.generation = g
			return scanGeneration(g)(rows)
		}, selectGeneration)
	}
}

func (t *tx) Generation(ctx context.Context) (storage.Generation, error) {
	if t.generation == nil {
		t.queueGeneration()
		if err := t.send(ctx); err != nil {
			return storage.Generation{}, err
		}
	}
	return *t.generation, nil
}

func (t *tx) PutConfig(ctx context.Context, l storage.Loading, forms ...storage.Config) error {
	if !t.alone {
		return t.fail(errAlone)
	}
	g, err := t.Generation(ctx)
	if err != nil {
		return err
	}
	for _, c := range forms {
		body := c.Body
		if body == nil {
			body = []byte{} // and not null
		}
		t.exec("insert into configs (hash, body) values ($1, $2) on conflict do nothing", name(c.Hash), body)
	}
	record, err := storage.EncodeLoading(l)
	if err != nil {
		return err
	}
	next := storage.Generation{Number: g.Number + 1, Hash: l.Hash, At: timeOf(moment(l.At))}
	t.generation = &next
	t.exec("insert into loadings (number, at, hash) values ($1, $2, $3)", next.Number, moment(l.At), name(l.Hash))
	t.putRecord(ledger.Config, 0, next.Number, record)
	return nil
}
