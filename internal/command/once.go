package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A Once tells a repetition of a request apart from a second one like it. The zero
// value tells nothing: each time is a new one.
type Once struct {
	// Key is what the person, or their program, made up for the request. The same key
	// of another actor is another key.
	Key string
	// Space sets the keys of one part of sitrep apart from those of all others.
	Space string
	// Asked is all that is asked, such as the path and the body.
	Asked []string
}

// answer returns what is stored of a request of the actor, but for the answer itself.
func (o Once) answer(actor incident.Actor, at time.Time) storage.Answer {
	whose := []string{string(actor), o.Key}
	if o.Space != "" {
		whose = append([]string{o.Space}, whose...)
	}
	return storage.Answer{Key: hash(whose...), Request: hash(o.Asked...), At: at}
}

// hash returns a hash of texts that no other texts have.
func hash(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// ErrKeyUsed says that the key of a request was used for another one. It is answered
// 422.
var ErrKeyUsed error = keyUsedError{}

type keyUsedError struct{}

func (keyUsedError) Error() string {
	return "this Idempotency-Key was used for another command; take a new one for each"
}

// HTTPStatus returns 422.
func (keyUsedError) HTTPStatus() int { return http.StatusUnprocessableEntity }

// A Result is what a request was answered.
type Result struct {
	Status int
	Body   []byte
	// Replayed is set if the request was carried out before, and is answered as it was
	// then; nothing was done.
	Replayed bool
}

// errReplayed ends a change in which nothing is to be done.
var errReplayed = errors.New("carried out before")

// Execute carries the request out in one change, and returns what answer says of it.
// The change and the answer are stored in one transaction, or neither is. Within a day
// a repetition of the request, as r.Once tells, does nothing and is answered the same,
// whatever happened meanwhile; ErrKeyUsed if it asks for something else. What failed
// was not done, and may be tried again with the same key.
//
// The function answer may run more than once. It is given what the change will store,
// but for what follows for the readers.
func (r *Request) Execute(ctx context.Context, repo *storage.Repository, at time.Time, answer func(*storage.Change, *incident.Situation) (Result, error)) (Result, error) {
	var given Result
	err := repo.Change(ctx, at, func(c *storage.Change) error {
		stored := r.Once.answer(r.Actor, c.At)
		s, err := r.Apply(c, func() error {
			if r.Once.Key == "" {
				return nil
			}
			before, err := c.Tx.Answer(ctx, stored.Key)
			switch {
			case errors.Is(err, incident.ErrNotFound):
				return nil
			case err != nil:
				return err
			case before.Request != stored.Request:
				return ErrKeyUsed
			}
			given = Result{Status: before.Status, Body: before.Body, Replayed: true}
			return errReplayed
		})
		if err != nil {
			return err
		}
		if given, err = answer(c, s); err != nil || r.Once.Key == "" {
			return err
		}
		stored.Status, stored.Body = given.Status, given.Body
		return c.Tx.PutAnswer(ctx, stored)
	})
	if errors.Is(err, errReplayed) { // it is acknowledged once it lasts, as what is stored is
		err = repo.Store.Present(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	return given, nil
}
