package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/router"
	"sitrep/router/email"
	"sitrep/router/webhook"
)

// tellWitness brings a signed checkpoint to where the operator of sitrep cannot change
// it.
func (s *Service) tellWitness(ctx context.Context, w *config.Witness, signed []byte) error {
	if w.Email.Address != "" {
		return s.inForce.Load().mailCheckpoint(ctx, w.Email, signed, s.notary.key.Public())
	}
	client, err := w.HTTPConfig.NewPoster()
	if err != nil {
		return fmt.Errorf("post to %s: %w", webhook.Place(string(w.URL)), err)
	}
	return postCheckpoint(ctx, client, string(w.URL), signed)
}

// mailCheckpoint mails a checkpoint.
func (f *inForce) mailCheckpoint(ctx context.Context, to config.Address, signed []byte, public string) error {
	if f.mail == nil {
		return errors.New("no mail is configured")
	}
	at := now()
	id := "checkpoint." + strings.ToLower(rand.Text()[:16])
	text := fmt.Sprintf("This is what sitrep's ledger of incidents looked like on %s.\n"+
		"Keep this mail: with it anyone can prove later that nothing before was changed:\n\n"+
		"    sitrep audit verify --key=KEY --checkpoint=FILE\n\n"+
		"where FILE is this mail, or holds the lines below. They are signed by the KEY\n%s\n\n%s",
		at.Format(time.RFC3339), public, signed)
	body, err := f.mail.Letterhead.RenderNote(email.Note{
		ID: id, To: netmail.Address{Name: to.Name, Address: to.Address}, Language: "en",
		Subject: "sitrep ledger checkpoint of " + at.Format(time.DateOnly), Text: text, At: at,
	})
	if err != nil {
		return err
	}
	rcpt := incident.Recipient{ID: "witness", Channel: incident.ChannelEmail, Name: to.Name, Address: to.Address}
	return f.mail.Send(ctx, router.Envelope{ID: id, Recipient: rcpt, Body: body}, func(context.Context) error { return nil })
}

// postCheckpoint posts a checkpoint as it is.
func postCheckpoint(ctx context.Context, client *http.Client, to string, signed []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(signed))
	if err != nil {
		return fmt.Errorf("post to %s: the URL is malformed", webhook.Place(to))
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	req.Header.Set("User-Agent", "sitrep")
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL, which may be a secret
		}
		return fmt.Errorf("post to %s: %w", webhook.Place(to), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("post to %s: answered %s", webhook.Place(to), resp.Status)
	}
	return nil
}

// witnessName says who is told, for people; of a URL that may be a secret, only where.
func witnessName(w *config.Witness) string {
	switch {
	case w == nil:
		return ""
	case w.Email.Address != "":
		return w.Email.Address
	}
	return webhook.Place(string(w.URL))
}
