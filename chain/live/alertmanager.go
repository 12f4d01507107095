package live

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"sitrep/chain"
)

// An alertmanager is one that is asked.
type alertmanager struct {
	source
	config  *chain.Alertmanager
	members []string // addresses of its cluster, itself among them
	settled bool     // its cluster is, or it has none
	partial error    // why not all of it is known
}

// ask asks for the configuration in force and the silences.
func (a *alertmanager) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	original, err := a.askStatus(ctx)
	if err != nil {
		return err
	}
	a.config = chain.ParseAlertmanager(a.Name()+"/#/status", []byte(original), a.Receiver)
	var silences []silence
	_, a.partial = a.get(ctx, asked{path: "/api/v2/silences", most: maxListAnswer, into: &silences})
	for i := range silences {
		if s := silences[i].chain(a.Name()); s != nil {
			a.config.Silences = append(a.config.Silences, *s)
		}
	}
	return nil
}

// askStatus asks for its cluster, and returns the configuration in force.
func (a *alertmanager) askStatus(ctx context.Context) (original string, err error) {
	var status struct {
		Config struct {
			Original string `json:"original"`
		} `json:"config"`
		Cluster struct {
			Status string `json:"status"`
			Peers  []struct {
				Address string `json:"address"`
			} `json:"peers"`
		} `json:"cluster"`
	}
	if _, err := a.get(ctx, asked{path: "/api/v2/status", most: maxConfigAnswer, into: &status}); err != nil {
		return "", err
	}
	a.settled = status.Cluster.Status != "settling"
	a.members = nil
	for _, p := range status.Cluster.Peers {
		a.members = append(a.members, p.Address)
	}
	return status.Config.Original, nil
}

// A silence as the API tells it.
type silence struct {
	ID     string    `json:"id"`
	EndsAt time.Time `json:"endsAt"`
	Status struct {
		State string `json:"state"`
	} `json:"status"`
	Matchers []struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		IsRegex bool   `json:"isRegex"`
		IsEqual *bool  `json:"isEqual"` // nil: it is
	} `json:"matchers"`
}

// chain returns it for the package chain; nil if it mutes nothing.
func (s *silence) chain(name string) *chain.Silence {
	if s.Status.State != "active" || len(s.Matchers) == 0 {
		return nil
	}
	out := &chain.Silence{Place: chain.Place{File: name + "/#/silences/" + url.PathEscape(s.ID)}, Until: s.EndsAt}
	for _, m := range s.Matchers {
		t := labels.MatchEqual
		switch equal := m.IsEqual == nil || *m.IsEqual; {
		case m.IsRegex && equal:
			t = labels.MatchRegexp
		case m.IsRegex:
			t = labels.MatchNotRegexp
		case !equal:
			t = labels.MatchNotEqual
		}
		matcher, err := labels.NewMatcher(t, m.Name, m.Value)
		if err != nil {
			return nil
		}
		out.Matchers = append(out.Matchers, matcher)
	}
	return out
}

// judge reports what is to be known of it beside its routes.
func (a *alertmanager) judge(l *looking) {
	place := chain.Place{File: a.Name()}
	if a.err != nil {
		l.add(unanswered(&a.source), "")
	}
	if !a.known() {
		return
	}
	if a.partial != nil {
		l.add(chain.Finding{Kind: chain.KindUnanswered, Severity: chain.Note, Place: place, Text: fmt.Sprintf("its silences are not known: %v", a.partial)}, "")
	}
	if !a.settled {
		l.add(chain.Finding{Kind: chain.KindMember, Severity: chain.Note, Place: place, Text: "its cluster is not settled yet, so it may send late"}, "")
	}
	if n := len(a.members); n > len(l.alertmanagers) {
		l.add(chain.Finding{
			Kind: chain.KindMember, Severity: chain.Note, Place: place,
			Text: fmt.Sprintf("its cluster has %d members, and %d %s asked", n, len(l.alertmanagers), areOf(len(l.alertmanagers))), Fix: "name each of them in alertmanagers",
		}, "")
	}
}

func areOf(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// unanswered is the finding that somebody did not answer.
func unanswered(s *source) chain.Finding {
	f := chain.Finding{
		Kind: chain.KindUnanswered, Severity: chain.Error, Place: chain.Place{File: s.Name()},
		Text: fmt.Sprintf("this %s does not answer: %v", s.program, s.err),
	}
	if refused := (*statusError)(nil); !errors.As(s.err, &refused) {
		f.Fix = "look whether it runs, and whether sitrep reaches it by this URL"
	}
	if s.known() {
		f.Text += fmt.Sprintf("; what it said at %s still counts", s.answeredAt.UTC().Format(time.DateTime)+" UTC")
	}
	return f
}
