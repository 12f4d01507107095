package email

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// A mail made of a content that was kept must be the one that is made by itself.
func TestMailsOfKeptContentsAreTheSame(t *testing.T) {
	s, err := NewSMTP(Config{Smarthost: "mail.example.org:25", Letterhead: letterhead})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range incidenttest.Messages() {
		t.Run(name, func(t *testing.T) {
			for i := range 3 {
				one := *m
				one.ID = fmt.Sprintf("%s.%d", m.ID, i)
				one.Recipient.Name, one.Recipient.Address = fmt.Sprint("Reader ", i), fmt.Sprintf("reader-%d@example.org", i)
				want, err := letterhead.Render(&one)
				if err != nil {
					t.Fatal(err)
				}
				got, err := s.Render(&one)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("mail %d differs:\n%s\nby itself:\n%s", i, got, want)
				}
			}
		})
	}
}

// Whatever tells two messages apart but the reader and the ID keeps one from being told what
// the other says.
func TestOnlyWhoIsToldTheSameSharesAContent(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	var c contents
	m := *incidenttest.Messages()["opened"]
	first, err := c.of(&m, nil)
	if err != nil {
		t.Fatal(err)
	}
	shared := func(m incident.Message) bool {
		got, err := c.of(&m, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &got.between[0] == &first.between[0]
	}
	for name, change := range map[string]func(*incident.Message){
		"the time":     func(m *incident.Message) { m.At = m.At.Add(time.Microsecond) },
		"the kind":     func(m *incident.Message) { m.Kind = incident.KindUpdate },
		"the zone":     func(m *incident.Message) { m.Location = tokyo },
		"the audience": func(m *incident.Message) { m.Audiences = []incident.Audience{incident.AudienceOnCall} },
		"the group":    func(m *incident.Message) { m.Group += "x" },
		"the links":    func(m *incident.Message) { m.BaseURL += "/x" },
		"the incident": func(m *incident.Message) { m.Items[0].Incident.Number++ },
		"the state":    func(m *incident.Message) { m.Items[0].Incident.Sequence++ },
		"what is new":  func(m *incident.Message) { m.Items[0].Changes = append(m.Items[0].Changes, incident.Event{}) },
		"the promise":  func(m *incident.Message) { m.Items[0].NextBy = m.Items[0].NextBy.Add(time.Hour) },
	} {
		other := *incidenttest.Messages()["opened"]
		change(&other)
		if shared(other) {
			t.Errorf("a message that differs by %s has the content of another", name)
		}
	}
	other := *incidenttest.Messages()["opened"]
	other.ID, other.Recipient = "another", incident.Recipient{ID: "email:b@example.org", Address: "b@example.org"}
	if !shared(other) {
		t.Error("another reader who is told the same has a content of its own")
	}
	for i := range contentsKept { // as many others push it out
		other.At = other.At.Add(time.Second)
		if shared(other) {
			t.Fatalf("message %d has the content of another", i)
		}
	}
	if shared(m) {
		t.Error("more contents are kept than may be")
	}
}

// BenchmarkRenderToMany renders one message to many readers.
func BenchmarkRenderToMany(b *testing.B) {
	s, err := NewSMTP(Config{Smarthost: "mail.example.org:25", Letterhead: letterhead})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("alike", func(b *testing.B) { benchmarkRender(b, s.Render) })
	b.Run("each", func(b *testing.B) { benchmarkRender(b, letterhead.Render) })
}

func benchmarkRender(b *testing.B, render func(*incident.Message) ([]byte, error)) {
	first := *incidenttest.Messages()["opened"]
	for i := range b.N {
		m := first
		m.Items = slices.Clone(first.Items) // the readers share none
		m.ID, m.Recipient.Address = fmt.Sprint("inc-1.", i), fmt.Sprintf("reader-%d@example.org", i)
		if _, err := render(&m); err != nil {
			b.Fatal(err)
		}
	}
}
