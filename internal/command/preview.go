package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/internal/eml"
	"sitrep/storage"
	"sitrep/wording"
)

// A Preview is what a command would bring about.
type Preview struct {
	incident.Preview
	// Rendered are the messages that differ in what they say, and Shown says which of them
	// each of Messages is; -1 if that is not known.
	Rendered []Rendered
	Shown    []int
	// Later is what those read of it with their next message who get none by it, if they get
	// one more.
	Later []Later
}

// A Rendered is a message as it would go out.
type Rendered struct {
	// Audiences are those by which its readers read, in order.
	Audiences []incident.Audience
	Kind      incident.Kind
	Subject   string
	Text      string
	HTML      string // of a mail; empty if it has none
	// JSON is what is posted, if no mail says the same; empty else. Subject and HTML are
	// empty then, and Text is what it says in words.
	JSON []byte
}

// A Later is what readers are told with the next message that they get.
type Later struct {
	Audiences []incident.Audience
	// Lines are sentences about what happened; none if that is not for them.
	Lines []string
}

// A Teller makes messages as they are sent.
type Teller interface {
	// Foretell returns the message that a recipient gets at a time about an incident that
	// stands as s says, where the latest of its events are recent ones that are not stored;
	// false if there is none.
	Foretell(ctx context.Context, r storage.Snapshot, s *incident.Situation, recent []incident.Event, recipient string, at time.Time) (incident.Message, bool, error)
	// Render returns the bytes of the message as they go out by its channel; nil if nothing
	// goes out by that.
	Render(m *incident.Message) ([]byte, error)
}

// Preview returns what the command would bring about, and does nothing. Of a merge
// it is told of the incident that goes on, with all messages of both. Without a teller
// nothing is rendered.
func (r *Request) Preview(ctx context.Context, repo *storage.Repository, at time.Time, teller Teller) (Preview, error) {
	var (
		policy *incident.Policy
		about  int64
		p      Preview
	)
	err := repo.Preview(ctx, at, func(c *storage.Change) error {
		policy = c.Policy
		s, err := r.Apply(c, nil)
		if err != nil {
			return err
		}
		about = s.Incident.Number
		if s.Incident.MergedInto != 0 {
			about = s.Incident.MergedInto
		}
		return nil
	}, func(snapshot storage.Snapshot, all []storage.Foreseen) error {
		p = Preview{}
		reads := map[string]bool{} // the one that goes on
		for i := range all {
			if s := all[i].After; s.Incident.Number == about {
				for _, sub := range s.Subscriptions {
					reads[sub.Recipient] = sub.Active
				}
			}
		}
		show := shower{teller: teller, snapshot: snapshot, at: at, into: &p}
		for i := range all {
			before, after := all[i].Before, all[i].After
			one := incident.Compare(before, after, policy)
			p.Messages = append(p.Messages, one.Messages...)
			for _, l := range one.Leaves {
				if !reads[l.Recipient.ID] {
					p.Leaves = append(p.Leaves, l)
				}
			}
			if after.Incident.Number == about {
				p.Joins, p.NextUpdateAt = one.Joins, one.NextUpdateAt
				p.Later = later(&all[i], one.Messages, policy)
			}
			if err := show.messages(ctx, &all[i], one.Messages); err != nil {
				return err
			}
		}
		return nil
	})
	return p, err
}

// A shower renders the messages of a preview, each text once.
type shower struct {
	teller   Teller
	snapshot storage.Snapshot
	at       time.Time
	into     *Preview
	alike    map[string]int // of readers who are told the same
	said     map[string]int // of what messages say
}

// messages notes for each message which of those rendered it is.
func (s *shower) messages(ctx context.Context, of *storage.Foreseen, planned []incident.PlannedReader) error {
	s.alike = map[string]int{} // is about one incident
	if s.said == nil {
		s.said = map[string]int{}
	}
	for i := range planned {
		shown := -1
		if s.teller != nil {
			var err error
			if shown, err = s.message(ctx, of, &planned[i]); err != nil {
				return err
			}
		}
		s.into.Shown = append(s.into.Shown, shown)
	}
	return nil
}

func (s *shower) message(ctx context.Context, of *storage.Foreseen, to *incident.PlannedReader) (int, error) {
	sub := *of.After.Subscription(to.Recipient.ID)
	if !sub.ToldAt.IsZero() {
		sub.ToldAt = time.Unix(0, 0) // only whether it ever was told makes a difference
	}
	sub.Recipient, sub.Reader, sub.Urgency = "", 0, incident.Urgency(0)
	alike := fmt.Sprintf("%s %s %+v", to.Recipient.Channel, to.At, sub)
	if n, ok := s.alike[alike]; ok {
		return n, nil
	}
	at := to.At
	if at.Before(s.at) {
		at = s.at
	}
	m, ok, err := s.teller.Foretell(ctx, s.snapshot, of.After, of.Events, to.Recipient.ID, at)
	if err != nil || !ok {
		return -1, err
	}
	n, err := s.render(&m)
	if err == nil {
		s.alike[alike] = n
	}
	return n, err
}

// render returns which of those rendered a message is, but for the names of groups. A mail
// takes the place of what is posted, if it says the same.
func (s *shower) render(m *incident.Message) (int, error) {
	nameless := *m
	nameless.Group = ""
	text, err := wording.Text(&nameless)
	if err != nil {
		return -1, err
	}
	said := fmt.Sprintf("%s %s %s", m.Kind, m.Audiences, text)
	n, ok := s.said[said]
	byMail := m.Recipient.Channel == incident.ChannelEmail
	if ok && (s.into.Rendered[n].JSON == nil || !byMail) {
		return n, nil
	}
	body, err := s.teller.Render(m)
	if err != nil {
		return -1, err
	}
	r := Rendered{Audiences: slices.Clone(m.Audiences), Kind: m.Kind}
	switch {
	case byMail && body != nil:
		mail := eml.Parse(body)
		r.Subject, r.Text, r.HTML = mail.Get("Subject"), strings.ReplaceAll(mail.Text, "\r\n", "\n"), mail.HTML
	default:
		if r.Text, err = wording.Text(m); err != nil {
			return -1, err
		}
		if r.JSON = body; byMail {
			r.Subject, r.JSON = wording.Subject(m), nil
		}
	}
	if !ok {
		n = len(s.into.Rendered)
		s.said[said] = n
		s.into.Rendered = append(s.into.Rendered, Rendered{})
	}
	s.into.Rendered[n] = r
	return n, nil
}

// later says what readers are told with their next message who get none now; those who read
// the same stand together.
func later(of *storage.Foreseen, now []incident.PlannedReader, policy *incident.Policy) []Later {
	in := &of.After.Incident
	if in.State == incident.StateClosed || len(of.Events) == 0 {
		return nil
	}
	var all []Later
	for _, audience := range []incident.Audience{incident.AudienceOnCall, incident.AudienceManagement, incident.AudienceStakeholders} {
		onCall := audience == incident.AudienceOnCall
		if !onCall && in.State != incident.StateOpen || !slices.ContainsFunc(of.After.Subscriptions, func(sub incident.Subscription) bool {
			// Who is in an audience and on call reads as those on call do.
			return sub.Active && slices.Contains(sub.Audiences, audience) && (onCall || !slices.Contains(sub.Audiences, incident.AudienceOnCall)) &&
				!slices.ContainsFunc(now, func(r incident.PlannedReader) bool { return r.Recipient.ID == sub.Recipient })
		}) {
			continue
		}
		how := wording.Describer{Time: wording.Clock{Now: in.ChangedAt, Location: policy.Location}.Time}
		if onCall {
			how.Depth = wording.ForTeam
		}
		var lines []string
		for _, e := range of.Events {
			if e, told := e.ForReader([]incident.Audience{audience}); told {
				lines = append(lines, how.Event(&e))
			}
		}
		if n := len(all); n > 0 && slices.Equal(all[n-1].Lines, lines) {
			all[n-1].Audiences = append(all[n-1].Audiences, audience)
			continue
		}
		all = append(all, Later{[]incident.Audience{audience}, lines})
	}
	return all
}
