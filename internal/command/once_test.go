package command_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/internal/command"
	"sitrep/storage"
)

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// declare is a request that opens an incident.
func declare(actor incident.Actor, once command.Once) *command.Request {
	return &command.Request{
		Command: command.Declare{UseCase: "The office is dark", Team: "web", Priority: "P1", Reason: "no power"},
		Actor:   actor, Once: once,
	}
}

// named answers with the name of the incident.
func named(_ *storage.Change, s *incident.Situation) (command.Result, error) {
	return command.Result{Status: 201, Body: []byte(s.Incident.ID())}, nil
}

// incidents returns how many there are.
func incidents(t *testing.T, repo *storage.Repository) int {
	t.Helper()
	n := 0
	err := repo.Store.Read(t.Context(), func(r storage.Snapshot) error {
		all, _, err := r.Incidents(t.Context(), storage.IncidentQuery{Limit: 100})
		n = len(all)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestARequestIsCarriedOutOnceForEachKey(t *testing.T) {
	once := command.Once{Key: "k", Asked: []string{"/declare", "dark"}}
	page := once
	page.Space = "page"
	other := once
	other.Asked = []string{"/declare", "cold"}
	split := once
	split.Asked = []string{"/declaredark", ""}
	for name, tt := range map[string]struct {
		actor incident.Actor
		once  command.Once
		after time.Duration
		want  command.Result // of the second
		err   error
	}{
		"the same again is answered the same":        {"ada", once, time.Hour, command.Result{Status: 201, Body: []byte("INC-1"), Replayed: true}, nil},
		"the same for something else is refused":     {"ada", other, time.Hour, command.Result{}, command.ErrKeyUsed},
		"what is asked is not just put together":     {"ada", split, time.Hour, command.Result{}, command.ErrKeyUsed},
		"the same of another is another":             {"bob", once, time.Hour, command.Result{Status: 201, Body: []byte("INC-2")}, nil},
		"the same elsewhere is another":              {"ada", page, time.Hour, command.Result{Status: 201, Body: []byte("INC-2")}, nil},
		"without a key each is done":                 {"ada", command.Once{}, time.Hour, command.Result{Status: 201, Body: []byte("INC-2")}, nil},
		"it is known for a day":                      {"ada", once, 23 * time.Hour, command.Result{Status: 201, Body: []byte("INC-1"), Replayed: true}, nil},
		"the same for something else within the day": {"ada", other, 23 * time.Hour, command.Result{}, command.ErrKeyUsed},
	} {
		t.Run(name, func(t *testing.T) {
			repo := newRepository(t)
			woken, observed := 0, 0
			repo.Wake = func() { woken++ }
			repo.Observe = func(e []incident.Event) { observed += len(e) }
			first, err := declare("ada", once).Execute(t.Context(), repo, monday, named)
			if err != nil || first.Replayed || string(first.Body) != "INC-1" || woken != 1 || observed != 1 {
				t.Fatalf("first: %+v, %v, woken %d times, %d events", first, err, woken, observed)
			}
			got, err := declare(tt.actor, tt.once).Execute(t.Context(), repo, monday.Add(tt.after), named)
			if !errors.Is(err, tt.err) || got.Status != tt.want.Status || string(got.Body) != string(tt.want.Body) || got.Replayed != tt.want.Replayed {
				t.Errorf("second: %+v, %v\nwant    %+v, %v", got, err, tt.want, tt.err)
			}
			want := 1
			if tt.err == nil && !tt.want.Replayed {
				want = 2
			}
			if n := incidents(t, repo); n != want || woken != want || observed != want {
				t.Errorf("%d incidents, woken %d times, %d events; want %d", n, woken, observed, want)
			}
		})
	}
}

// A key is looked at before what the person had seen: that was so the first time.
func TestARepetitionIsAnsweredWhateverHappenedMeanwhile(t *testing.T) {
	repo := newRepository(t)
	if _, err := declare("ada", command.Once{}).Execute(t.Context(), repo, monday, named); err != nil {
		t.Fatal(err)
	}
	ack := &command.Request{Command: command.Acknowledge{}, Incident: 1, Actor: "ada", Seen: 1, Once: command.Once{Key: "k"}}
	for _, replayed := range []bool{false, true} {
		got, err := ack.Execute(t.Context(), repo, monday, named)
		if err != nil || got.Replayed != replayed {
			t.Errorf("%+v, %v", got, err)
		}
	}
	resolve := &command.Request{Command: command.Resolve{}, Incident: 1, Actor: "bob", Seen: 1, Once: command.Once{Key: "k"}}
	if _, err := resolve.Execute(t.Context(), repo, monday, named); !errors.Is(err, incident.ErrChanged) {
		t.Errorf("what was not seen: %v", err)
	}
	// What failed may be tried again with the same key.
	resolve.Seen = 2
	if got, err := resolve.Execute(t.Context(), repo, monday, named); err != nil || got.Replayed {
		t.Errorf("tried again: %+v, %v", got, err)
	}
}

func TestNobodyCommands(t *testing.T) {
	repo := newRepository(t)
	if _, err := declare("", command.Once{Key: "k"}).Execute(t.Context(), repo, monday, named); err == nil || incidents(t, repo) != 0 {
		t.Errorf("error = %v", err)
	}
	if _, err := declare("", command.Once{}).Preview(t.Context(), repo, monday, nil); err == nil {
		t.Error("nobody previewed")
	}
}

var errBroken = errors.New("broken")

// A broken store fails at a step of a transaction.
type broken struct {
	storage.Store
	at string // answer, incident, events or commit
}

func (b *broken) Write(ctx context.Context, fn func(storage.Tx) error) error {
	return b.Store.Write(ctx, func(tx storage.Tx) error {
		if err := fn(&brokenTx{tx, b.at}); err != nil {
			return err
		}
		return b.fails("commit")
	})
}

func (b *broken) fails(step string) error { return (&brokenTx{at: b.at}).fails(step) }

type brokenTx struct {
	storage.Tx
	at string
}

func (tx *brokenTx) fails(step string) error {
	if tx.at == step {
		return errBroken
	}
	return nil
}

func (tx *brokenTx) PutAnswer(ctx context.Context, a storage.Answer) error {
	return errors.Join(tx.Tx.PutAnswer(ctx, a), tx.fails("answer"))
}

func (tx *brokenTx) PutIncidents(ctx context.Context, all []*incident.Incident) error {
	return errors.Join(tx.Tx.PutIncidents(ctx, all), tx.fails("incident"))
}

func (tx *brokenTx) AppendEvents(ctx context.Context, events []incident.Event) error {
	return errors.Join(tx.Tx.AppendEvents(ctx, events), tx.fails("events"))
}

// Whatever breaks, and wherever: either both the change and its answer are stored, or
// neither is.
func TestTheChangeAndItsAnswerAreStoredTogether(t *testing.T) {
	for _, step := range []string{"made", "answer", "incident", "events", "commit"} {
		t.Run(step, func(t *testing.T) {
			repo := newRepository(t)
			whole := repo.Store
			repo.Store = &broken{whole, step}
			repo.Wake = func() { t.Error("woken by what was not done") }
			repo.Observe = func([]incident.Event) { t.Error("told of what was not done") }
			once := command.Once{Key: "k", Asked: []string{"dark"}}
			got, err := declare("ada", once).Execute(t.Context(), repo, monday, func(c *storage.Change, s *incident.Situation) (command.Result, error) {
				given, _ := named(c, s)
				if step == "made" {
					return given, errBroken
				}
				return given, nil
			})
			if !errors.Is(err, errBroken) || got.Status != 0 || got.Body != nil {
				t.Fatalf("%+v, %v", got, err)
			}
			repo = &storage.Repository{Store: whole, Policy: repo.Policy}
			if n := incidents(t, repo); n != 0 {
				t.Errorf("%d incidents", n)
			}
			// The key is free: even something else may be asked with it.
			once.Asked = []string{"cold"}
			if got, err := declare("ada", once).Execute(t.Context(), repo, monday, named); err != nil || got.Replayed || string(got.Body) != "INC-1" {
				t.Errorf("tried again: %+v, %v", got, err)
			}
		})
	}
}
