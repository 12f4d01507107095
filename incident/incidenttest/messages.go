package incidenttest

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"sitrep/incident"
)

func zone(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return loc
}

// At is a time on the day of the messages, 23 July 2026, in UTC: "13:59".
func At(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", "2026-07-23 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

// The priorities of the messages.
var (
	P1 = incident.Priority{
		Name: "P1", Rank: 0, Summary: "Severe customer impact",
		Actions: []incident.ActionRule{{Name: "hotfix"}, {Name: "postmortem", Within: 5 * 24 * time.Hour}},
		Inform:  []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}, UpdateEvery: 2 * time.Hour,
	}
	P2 = incident.Priority{
		Name: "P2", Rank: 1, Summary: "Deserves the attention of management and stakeholders",
		Inform: []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}, UpdateEvery: 4 * time.Hour,
	}
	P3 = incident.Priority{
		Name: "P3", Rank: 2, Summary: "Affects the work of some customers or stakeholders",
		Inform: []incident.Audience{incident.AudienceStakeholders}, UpdateEvery: 8 * time.Hour,
	}
)

// trouble is INC-42, open since 13:58 in Berlin.
func trouble() incident.Incident {
	return incident.Incident{
		Number: 42, Sequence: 9, SLO: "notifications-send-availability",
		UseCase: "Application cannot notify its users", SLI: "availability", Service: "notifications", Team: "notifications",
		Runbook: "https://wiki.example.org/notifications/send", Stakeholders: []string{"customer-support"},
		State: incident.StateOpen, Phase: incident.PhaseInvestigation,
		Priority: P1, Highest: P1, SLOPriority: "P1",
		Actions: []incident.Action{
			{Name: "hotfix", State: incident.ActionDue},
			{Name: "postmortem", State: incident.ActionDue, Within: 5 * 24 * time.Hour},
		},
		Breaches:  incident.Counts{Firing: 3, Total: 4},
		StartedAt: At("11:58"), OpenedAt: At("11:59"), AcknowledgedAt: At("12:05"), AcknowledgedBy: "ada",
	}
}

// Message returns one about INC-42 to a manager in Berlin, made at 15:59 there.
func Message(kind incident.Kind) *incident.Message {
	return &incident.Message{
		ID: "d-20260723-0042", Kind: kind, At: At("13:59"),
		Recipient: incident.Recipient{ID: "email:cto@example.org", Channel: incident.ChannelEmail, Address: "cto@example.org"},
		Audiences: []incident.Audience{incident.AudienceManagement}, Group: "leadership",
		Location: zone("Europe/Berlin"), BaseURL: "https://sitrep.example.org",
		Items: []incident.Item{{
			Kind: kind, Incident: trouble(), Audiences: P1.Inform,
			LastHeardAt: At("13:58"), NextBy: At("16:00"),
		}},
	}
}

func toOnCall(m *incident.Message) {
	m.Recipient.Address = "notifications-oncall@example.org"
	m.Audiences, m.Group = []incident.Audience{incident.AudienceOnCall}, "notifications"
	for i := range m.Items {
		m.Items[i].NextBy = time.Time{}
		m.Items[i].Runbook = m.Items[i].Incident.Runbook
	}
}

// Listed are that many alerts of the incident, those that are named one after the other.
func Listed(total int, alerts ...incident.ListedAlert) *incident.AlertList {
	for i := range alerts {
		a := &alerts[i]
		a.StartsAt, a.HeardAt, a.State = At("11:58").Add(-time.Duration(i)*time.Minute), At("11:59"), cmp.Or(a.State, incident.BreachFiring)
		a.URL = cmp.Or(a.URL, "https://prometheus.example.org/graph?g0.expr=sum%28rate%28sends_failed_total%5B5m%5D%29%29+%3E+0.05&g0.tab=1")
	}
	return &incident.AlertList{Alerts: alerts, Total: total}
}

// Event is one of INC-42, at a time of that day.
func Event(clock string, kind incident.EventType, actor incident.Actor, reason string, d incident.Data) incident.Event {
	return incident.Event{Incident: 42, Time: At(clock), Type: kind, Actor: actor, Reason: reason, Data: d}
}

// Hostile is a text of somebody who wants to leave the place where it stands.
const Hostile = "<script>alert(1)</script>\r\nBcc: all@example.org\r\n\r\n.\r\nQUIT\x00\x07 \u202Egnp.exe\u2066 שלום עליכם مرحبا 🚒 \xff& \"quoted\" 'single' {{.}}"

// Messages returns messages of each kind, and the difficult ones, by what they are. They are
// new each time.
func Messages() map[string]*incident.Message {
	ms := map[string]*incident.Message{}
	add := func(name string, kind incident.Kind, change func(m *incident.Message, it *incident.Item)) {
		m := Message(kind)
		change(m, &m.Items[0])
		ms[name] = m
	}
	opened := func(m *incident.Message, it *incident.Item) {
		m.At = At("11:59")
		it.First, it.NextBy, it.LastHeardAt = true, At("14:00"), At("11:59")
		it.Incident.Phase, it.Incident.AcknowledgedAt, it.Incident.AcknowledgedBy = incident.PhaseInitialDiagnosis, time.Time{}, ""
		it.Incident.Breaches = incident.Counts{Firing: 1, Total: 1}
		it.Reasons = []incident.Owed{{Kind: incident.KindOpened, Reason: incident.DueOpened, At: At("11:59")}}
		it.Changes = []incident.Event{
			Event("11:59", incident.EventOpened, incident.ActorAlertmanager, "", incident.Data{Opening: &incident.Opening{}}),
		}
	}
	add("opened", incident.KindOpened, opened)
	add("opened-on-call-before-the-others", incident.KindOpened, func(m *incident.Message, it *incident.Item) {
		opened(m, it)
		toOnCall(m)
		it.Plan = []incident.PlannedReader{
			{Recipient: incident.Recipient{Address: "cto@example.org"}, Audience: incident.AudienceManagement, Group: "leadership", Kind: incident.KindOpened, At: At("12:09")},
			{Recipient: incident.Recipient{Name: "Head of Product", Address: "product@example.org"}, Audience: incident.AudienceManagement, Group: "leadership", Kind: incident.KindOpened, At: At("12:09")},
			{Recipient: incident.Recipient{Address: "support@example.org"}, Audience: incident.AudienceStakeholders, Group: "customer-support", Kind: incident.KindOpened, At: At("12:09")},
			{Recipient: incident.Recipient{Address: "https://chat.example.org"}, Audience: incident.AudienceStakeholders, Group: "customer-support", Kind: incident.KindOpened, At: At("12:30")},
		}
	})
	add("opened-on-call", incident.KindOpened, func(m *incident.Message, it *incident.Item) {
		opened(m, it)
		toOnCall(m)
		it.Alerts = Listed(1, incident.ListedAlert{
			Name: "NotificationsSendAvailability", Summary: "5.3 % of notifications fail to be sent",
			Labels: map[string]string{"cluster": "prod-eu", "severity": "critical"},
		})
	})
	add("reopened-on-call", incident.KindReopened, func(m *incident.Message, it *incident.Item) {
		toOnCall(m)
		it.Incident.ReopenedAt, it.Incident.Reopenings, it.Incident.AcknowledgedAt = At("13:58"), 1, time.Time{}
		it.Incident.Breaches = incident.Counts{Firing: 41, Unknown: 1, Total: 57}
		it.Changes = []incident.Event{Event("13:58", incident.EventReopened, incident.ActorAlertmanager, "", incident.Data{})}
		var alerts []incident.ListedAlert
		for i := range 5 {
			alerts = append(alerts, incident.ListedAlert{
				Name: "QueueFull", Summary: fmt.Sprintf("The queue of node %d is full", i),
				Labels: map[string]string{"instance": fmt.Sprintf("10.0.0.%d:9090", i), "severity": []string{"critical", "warning"}[i%2]},
			})
		}
		alerts[4].State = incident.BreachUnknown
		it.Alerts = Listed(42, alerts...)
	})
	add("update-to-a-manager-on-call", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		m.Audiences = []incident.Audience{incident.AudienceManagement, incident.AudienceOnCall}
		it.Runbook = it.Incident.Runbook
		it.NewWord = true
		it.Word = &incident.Word{Text: "The message queue of one data centre is full.", At: At("13:58"), By: "ada"}
		it.Alerts = Listed(2, incident.ListedAlert{Name: "QueueFull", Labels: map[string]string{"region": "eu"}},
			incident.ListedAlert{Name: "QueueFull", Labels: map[string]string{"region": "us"}})
	})
	add("opened-to-one-who-joins", incident.KindOpened, func(m *incident.Message, it *incident.Item) {
		it.First = true
		it.Reasons = []incident.Owed{{Kind: incident.KindOpened, Reason: incident.DueJoined, At: At("13:59")}}
		it.Changes = []incident.Event{
			Event("11:59", incident.EventOpened, incident.ActorAlertmanager, "", incident.Data{Opening: &incident.Opening{}}),
			Event("12:05", incident.EventAcknowledged, "ada", "", incident.Data{}),
			Event("12:20", incident.EventPhaseChanged, "ada", "the queue grows", incident.Data{From: "initial-diagnosis", To: "investigation"}),
			Event("13:59", incident.EventPriorityChanged, "ada", "most customers are hit, not some", incident.Data{From: "P3", To: "P1", Raised: true, Definition: &P1}),
		}
	})
	add("update-in-their-words", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		it.NewWord = true
		it.Breaches = incident.Tally{Started: 2, Ended: 1}
		it.Word = &incident.Word{Text: "The message queue of one data centre is full. We move its load to the other one.\n\nMails that were not sent will be sent later; none is lost.", At: At("13:58"), By: "ada"}
		it.Changes = []incident.Event{
			Event("13:10", incident.EventPhaseChanged, "ada", "the provider of the queue helps", incident.Data{From: "investigation", To: "escalation", EscalatedTo: "Queue Provider Ltd"}),
			Event("13:30", incident.EventActionChanged, "grace", "", incident.Data{Action: "hotfix", To: "done", Link: "https://git.example.org/hotfix/7"}),
			Event("13:58", incident.EventUpdateWritten, "ada", "", incident.Data{Message: it.Word.Text}),
		}
		it.Incident.Phase, it.Incident.EscalatedTo = incident.PhaseEscalation, "Queue Provider Ltd"
		it.Incident.Actions[0] = incident.Action{Name: "hotfix", State: incident.ActionDone, Link: "https://git.example.org/hotfix/7"}
	})
	add("update-without-news", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		it.Word = &incident.Word{Text: "We are looking into it.", At: At("12:02"), By: "ada"}
		it.Incident.Actions = nil
	})
	add("update-without-any-word", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		it.Changes = []incident.Event{Event("13:40", incident.EventUpdateMissed, incident.ActorScheduler, "",
			incident.Data{DueAt: At("13:30"), Missed: 1, Audience: incident.AudienceManagement, Cause: incident.Cause{Kind: incident.CauseSaid, Said: "no connection to the mail server"}})}
		it.LateSince = At("13:31")
	})
	add("update-unknown", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		it.Incident.Breaches = incident.Counts{Unknown: 3, Total: 3}
		it.Incident.UnknownSince = At("12:02")
		it.Silent = incident.Pulses{{AwaySince: At("12:01")}}
		it.LastHeardAt = At("07:00")
		it.Breaches = incident.Tally{Unknown: 3}
	})
	add("update-paused", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		it.Incident.Breaches = incident.Counts{Unknown: 1, Total: 1}
		it.Incident.UnknownSince = At("13:59").Add(-24 * time.Hour)
		it.Incident.StartedAt = At("13:59").Add(-30 * time.Hour)
		it.LastHeardAt = At("13:59").Add(-29 * time.Hour)
		it.Paused, it.NextBy = true, time.Time{}
	})
	add("update-all-ended", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		it.Incident.Breaches = incident.Counts{Total: 4}
		it.Incident.EndedAt = At("13:50")
	})
	add("priority-raised", incident.KindPriority, func(m *incident.Message, it *incident.Item) {
		it.Reasons = []incident.Owed{{Kind: incident.KindPriority, Reason: incident.DuePriority, At: At("13:59")}}
		it.Word = &incident.Word{Text: "We are looking into it.", At: At("12:02"), By: "ada"}
		it.Changes = []incident.Event{Event("13:59", incident.EventPriorityChanged, "ada", "most customers are hit", incident.Data{From: "P2", To: "P1", Raised: true, Definition: &P1})}
	})
	add("left-by-lowering", incident.KindLeft, func(m *incident.Message, it *incident.Item) {
		it.Incident.Priority, it.Audiences, it.NextBy = P3, P3.Inform, time.Time{}
		it.Changes = []incident.Event{Event("13:59", incident.EventPriorityChanged, "ada", "a workaround exists", incident.Data{From: "P1", To: "P3", Definition: &P3})}
	})
	add("left-by-merge", incident.KindLeft, func(m *incident.Message, it *incident.Item) {
		it.NextBy = time.Time{}
		it.Incident.State, it.Incident.MergedInto, it.Incident.ClosedAt = incident.StateClosed, 41, At("13:59")
		it.Changes = []incident.Event{Event("13:59", incident.EventMerged, "ada", "the same full queue", incident.Data{Into: 41})}
	})
	over := func(m *incident.Message, it *incident.Item) {
		in := &it.Incident
		in.State, in.Phase, in.Breaches = incident.StateResolved, incident.PhaseRecovery, incident.Counts{Total: 4}
		in.EndedAt, in.ResolvedAt = At("14:12"), At("14:22")
		in.Actions[0].State = incident.ActionDone
		in.Actions[1].DueAt = At("14:22").Add(5 * 24 * time.Hour)
		m.At, it.NextBy = At("14:22"), time.Time{}
		it.Breaches = incident.Tally{Ended: 4}
		it.Changes = []incident.Event{
			Event("14:22", incident.EventResolved, incident.ActorScheduler, "", incident.Data{}),
		}
	}
	add("resolved", incident.KindResolved, func(m *incident.Message, it *incident.Item) {
		over(m, it)
		it.NewWord = true
		it.Word = &incident.Word{Text: "All mails are sent again.", At: At("14:10"), By: "ada"}
		it.Changes = append(it.Changes, Event("14:10", incident.EventUpdateWritten, "ada", "", incident.Data{Message: it.Word.Text}))
	})
	add("resolved-with-the-whole-story", incident.KindResolved, func(m *incident.Message, it *incident.Item) {
		over(m, it)
		it.First, it.LateSince = true, At("11:59")
		it.Reasons = []incident.Owed{{Kind: incident.KindResolved, Reason: incident.DueResolved, At: At("14:22")}}
		it.Word = &incident.Word{Text: "We move the load to the other data centre.", At: At("12:40"), By: "ada"}
		it.NewWord = true
		it.Changes = append([]incident.Event{
			Event("11:59", incident.EventOpened, incident.ActorAlertmanager, "", incident.Data{Opening: &incident.Opening{}}),
			Event("12:05", incident.EventAcknowledged, "ada", "", incident.Data{}),
			Event("12:10", incident.EventUpdateWritten, "ada", "", incident.Data{Message: "We are looking into it."}),
			Event("12:40", incident.EventUpdateWritten, "ada", "", incident.Data{Message: it.Word.Text}),
		}, it.Changes...)
	})
	add("resolved-by-hand-while-firing", incident.KindResolved, func(m *incident.Message, it *incident.Item) {
		over(m, it)
		toOnCall(m)
		in := &it.Incident
		in.Breaches, in.EndedAt, in.ResolvedBy = incident.Counts{Firing: 1, Total: 4}, time.Time{}, "ada"
		it.Changes = []incident.Event{Event("14:22", incident.EventResolved, "ada", "the alert is too sharp", incident.Data{})}
	})
	add("reopened", incident.KindReopened, func(m *incident.Message, it *incident.Item) {
		it.Incident.ReopenedAt, it.Incident.Reopenings = At("13:58"), 1
		it.Incident.Breaches = incident.Counts{Firing: 1, Total: 5}
		it.Changes = []incident.Event{
			Event("13:58", incident.EventReopened, incident.ActorAlertmanager, "", incident.Data{}),
		}
	})
	add("reminder", incident.KindReminder, func(m *incident.Message, it *incident.Item) {
		toOnCall(m)
		m.At = At("13:45")
		it.Word = &incident.Word{Text: "We are looking into it.", At: At("12:02"), By: "ada"}
		it.Reasons = []incident.Owed{{Kind: incident.KindReminder, Reason: incident.DueUnfed, At: m.At, DueAt: At("14:00")}}
	})
	add("reminder-of-everything", incident.KindReminder, func(m *incident.Message, it *incident.Item) {
		toOnCall(m)
		it.Alerts = Listed(2, incident.ListedAlert{Name: "QueueFull", Summary: "A queue is full", State: incident.BreachUnknown}, incident.ListedAlert{Name: "QueueSlow", State: incident.BreachUnknown})
		it.Reasons = []incident.Owed{
			{Kind: incident.KindReminder, Reason: incident.DueActionOverdue, At: m.At, Action: "postmortem"},
			{Kind: incident.KindReminder, Reason: incident.DueAllUnknown, At: m.At},
			{Kind: incident.KindReminder, Reason: incident.DueUndeliverable, At: m.At, Address: "gone@example.org"},
		}
		it.Incident.Breaches = incident.Counts{Unknown: 2, Total: 2}
		it.Incident.UnknownSince = At("13:00")
	})
	add("drill", incident.KindOpened, func(m *incident.Message, it *incident.Item) {
		opened(m, it)
		in := &it.Incident
		in.Number, in.Drill, in.Declared, in.StartedAt, in.Breaches = 43, true, true, time.Time{}, incident.Counts{}
		it.Changes = []incident.Event{Event("11:59", incident.EventOpened, "ada", "practising log-on trouble", incident.Data{Opening: &incident.Opening{Declared: true, Drill: true}})}
	})
	add("clocks-go-back", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		night := time.Date(2026, 10, 25, 0, 10, 0, 0, time.UTC) // 02:10 CEST, 50 minutes before they do
		m.At = night
		it.Incident.StartedAt, it.Incident.OpenedAt, it.Incident.AcknowledgedAt = night.Add(-3*time.Hour), night.Add(-3*time.Hour), night.Add(-2*time.Hour)
		it.LastHeardAt, it.NextBy = night.Add(-time.Minute), night.Add(time.Hour)
	})
	add("clocks-go-forward", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		m.Location = zone("America/New_York")
		night := time.Date(2026, 3, 8, 6, 50, 0, 0, time.UTC) // 01:50 EST, 10 minutes before they do
		m.At = night
		it.Incident.StartedAt, it.Incident.OpenedAt, it.Incident.AcknowledgedAt = night.Add(-3*time.Hour), night.Add(-3*time.Hour), time.Time{}
		it.LastHeardAt, it.NextBy = night.Add(-time.Minute), night.Add(time.Hour)
	})
	add("hostile", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		m.Location = zone("Asia/Kathmandu")
		m.Recipient.Name, m.Group = "Eve \"<x@y>\"\r\nBcc: all@example.org", Hostile
		m.Audiences = append(m.Audiences, incident.AudienceOnCall)
		it.Runbook = "javascript:alert(1)"
		it.Alerts = Listed(7, incident.ListedAlert{Name: Hostile, Summary: Hostile, URL: "javascript:alert(1)", Labels: map[string]string{Hostile: Hostile}},
			incident.ListedAlert{Name: "\x00", URL: "https://example.org/\"><script>"})
		in := &it.Incident
		in.Affects = Hostile
		in.UseCase, in.Service, in.Runbook, in.EscalatedTo, in.AcknowledgedBy = Hostile, Hostile, "javascript:alert(1)", Hostile, Hostile
		in.Labels = map[string]string{Hostile: Hostile}
		in.Priority.Name, in.Priority.Summary = "P1\r\nX-Evil: 1", Hostile
		in.Actions = []incident.Action{
			{Name: Hostile, State: incident.ActionWaived, Link: "javascript:alert(1)", Reason: Hostile},
			{Name: "report", State: incident.ActionDone, Link: "https://example.org/?a=1&b=\"<x>"},
		}
		it.NewWord = true
		it.Word = &incident.Word{Text: Hostile, At: At("13:58"), By: Hostile}
		it.Changes = []incident.Event{Event("13:59", incident.EventPhaseChanged, incident.Actor(Hostile), Hostile, incident.Data{To: Hostile})}
	})
	add("long", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		in := &it.Incident
		in.UseCase = strings.Repeat("Ärger ", 1400)
		in.Labels = map[string]string{"region": strings.Repeat("x", 4096)}
		it.NewWord = true
		it.Word = &incident.Word{Text: strings.Repeat("The quick brown fox jumps over the lazy dog. ", 180), At: At("13:58"), By: "ada"}
		for range 20 {
			it.Changes = append(it.Changes, Event("13:59", incident.EventPhaseChanged, "ada", strings.Repeat("y", 8192), incident.Data{To: "investigation"}))
		}
	})
	add("digest", incident.KindDigest, func(m *incident.Message, it *incident.Item) {
		first := *it
		m.Items = nil
		for i := range int64(6) {
			it := first
			it.Kind, it.First = incident.KindOpened, true
			it.Incident.Number = 42 + i
			switch i {
			case 1:
				it.Kind, it.First = incident.KindPriority, false
				it.Changes = []incident.Event{Event("13:59", incident.EventPriorityChanged, "ada", "most customers are hit", incident.Data{From: "P2", To: "P1", Raised: true, Definition: &P1})}
			case 2:
				it.Kind, it.First = incident.KindUpdate, false
				it.NewWord, it.Word = true, &incident.Word{Text: "We have found the cause: a full queue.", At: At("13:58"), By: "ada"}
				it.Incident.UseCase = "Notifications arrive with a delay"
			case 3:
				it.Kind = incident.KindResolved
				it.Incident.State, it.Incident.Phase, it.Incident.Priority = incident.StateResolved, incident.PhaseRecovery, P2
				it.Incident.Breaches, it.Incident.EndedAt, it.NextBy = incident.Counts{Total: 1}, At("13:50"), time.Time{}
				it.Incident.UseCase = "Users cannot change their preferences"
			case 4, 5:
				it.Incident.Priority = P3
				it.Incident.UseCase = "Search shows old results"
			}
			m.Items = append(m.Items, it)
		}
	})
	add("digest-all-over", incident.KindDigest, func(m *incident.Message, it *incident.Item) {
		first := *it
		m.Items = nil
		for i := range int64(3) {
			it := first
			it.Kind, it.NextBy, it.Incident.Number = incident.KindResolved, time.Time{}, 42+i
			it.Incident.State, it.Incident.Phase = incident.StateResolved, incident.PhaseRecovery
			it.Incident.Breaches, it.Incident.EndedAt = incident.Counts{Total: 1}, At("13:50")
			if i > 0 {
				it.Incident.Priority, it.Incident.UseCase = P2, "Notifications arrive with a delay"
				it.Incident.Labels = map[string]string{"region": []string{"eu", "us"}[i-1]}
			}
			m.Items = append(m.Items, it)
		}
	})
	add("digest-of-many", incident.KindDigest, func(m *incident.Message, it *incident.Item) {
		toOnCall(m)
		first := m.Items[0]
		m.Items = nil
		for i := range 400 {
			it := first
			it.Kind, it.First, it.Incident.Number = incident.KindOpened, true, int64(42+i)
			it.Incident.Phase, it.Incident.AcknowledgedAt, it.Incident.AcknowledgedBy = incident.PhaseInitialDiagnosis, time.Time{}, ""
			it.Incident.Labels = map[string]string{"cluster": fmt.Sprintf("prod-%d", i)}
			it.Alerts = Listed(1, incident.ListedAlert{Name: "NotificationsSendAvailability"})
			if i >= 20 {
				it.Incident.Priority = P2
			}
			if i >= 380 {
				it.Kind, it.Alerts, it.Incident.State, it.Incident.Phase = incident.KindResolved, nil, incident.StateResolved, incident.PhaseRecovery
			}
			m.Items = append(m.Items, it)
		}
	})
	add("opened-in-one-region", incident.KindOpened, func(m *incident.Message, it *incident.Item) {
		opened(m, it)
		m.Audiences, m.Group = []incident.Audience{incident.AudienceStakeholders}, "customer-support"
		it.Incident.Affects = "Customers in Europe"
		it.Incident.Labels = map[string]string{"region": "eu"}
	})
	add("left-as-the-group-hears-of-others", incident.KindLeft, func(m *incident.Message, it *incident.Item) {
		it.Incident.Priority, it.Audiences, it.NextBy, it.Hears = P2, P2.Inform, time.Time{}, []string{"P1"}
		it.Changes = []incident.Event{Event("13:59", incident.EventPriorityChanged, "ada", "some customers only", incident.Data{From: "P1", To: "P2", Definition: &P2})}
	})
	add("watchdog-away", incident.KindWatchdog, func(m *incident.Message, it *incident.Item) {
		m.Items, m.Group, m.Audiences = nil, "sre", nil
		m.Watchdog = &incident.WatchdogNews{Away: true, HeardAt: At("13:40"), Within: 15 * time.Minute}
	})
	add("watchdog-away-cluster", incident.KindWatchdog, func(m *incident.Message, it *incident.Item) {
		m.Items, m.Group, m.Audiences = nil, "sre", nil
		m.Watchdog = &incident.WatchdogNews{Pulse: `cluster="eu"`, Labels: map[string]string{"cluster": "eu"}, Away: true, HeardAt: At("13:40"), Within: 15 * time.Minute}
	})
	add("watchdog-back", incident.KindWatchdog, func(m *incident.Message, it *incident.Item) {
		m.Items, m.Group, m.Audiences = nil, "sre", nil
		m.Watchdog = &incident.WatchdogNews{HeardAt: At("13:58"), Within: 15 * time.Minute}
	})
	canary := func(name string, n incident.CanaryNews) {
		add(name, incident.KindCanary, func(m *incident.Message, it *incident.Item) {
			m.Items, m.Group, m.Audiences = nil, "sre", []incident.Audience{incident.AudienceOnCall}
			n.Run, n.Within = "RUN", 10*time.Minute
			m.Canary = &n
		})
	}
	canary("canary-arrived", incident.CanaryNews{PostedAt: At("13:59"), HeardAt: At("14:00")})
	canary("canary-arrived-again", incident.CanaryNews{PostedAt: At("13:59"), HeardAt: At("14:00"), FailingSince: At("09:00")})
	canary("canary-back", incident.CanaryNews{PostedAt: At("13:58"), HeardAt: At("13:59"), PrometheusAt: At("13:58"), ArrivedAt: At("14:00")})
	canary("canary-no-prometheus", incident.CanaryNews{
		PostedAt: At("13:50"), HeardAt: At("13:51"), FailedAt: At("14:00"), Stage: incident.CanaryPrometheus, FailingSince: At("13:50"), LastArrivedAt: At("10:00"),
		Error: `ask Prometheus "http://prometheus.example:9090": connection refused`,
	})
	canary("canary-no-alertmanager", incident.CanaryNews{
		PostedAt: At("13:50"), FailedAt: At("14:00"), Stage: incident.CanaryPost, FailingSince: At("13:50"), LastArrivedAt: At("10:00"),
		Error: `post the canary to Alertmanager "http://alertmanager.example:9093": connection refused`,
	})
	canary("canary-no-route", incident.CanaryNews{PostedAt: At("13:50"), FailedAt: At("14:00"), Stage: incident.CanaryRoute, FailingSince: At("12:50")})
	canary("canary-no-mail", incident.CanaryNews{
		PostedAt: At("13:50"), HeardAt: At("13:51"), FailedAt: At("14:00"), Stage: incident.CanaryMail, FailingSince: At("13:50"), Error: "log in: 535 5.7.8 no such user",
	})
	return ms
}

// Longest returns the longest message of a kind that there can be, with these words wherever
// people or strangers write; a digest is of 2000 incidents.
func Longest(kind incident.Kind, words string) *incident.Message {
	long := strings.Repeat(words, 8192/len(words))
	link := "https://example.org/" + strings.Repeat("&ü", 600)
	m := Message(kind)
	m.Group, m.Recipient.Name = long, long
	m.Audiences = append(m.Audiences, incident.AudienceOnCall)
	switch kind {
	case incident.KindDigest:
		m.BaseURL += "/" + strings.Repeat("a-path", 20)
		for i := range 2000 {
			it := m.Items[0]
			it.Kind = []incident.Kind{incident.KindUpdate, incident.KindReminder, incident.KindLeft}[i%3]
			it.Incident.Number = int64(1_000_000 + i)
			it.Incident.Priority.Rank = i / 400
			m.Items = append(m.Items, it)
		}
	case incident.KindCanary:
		m.Items = nil
		m.Canary = &incident.CanaryNews{PostedAt: At("13:50"), FailedAt: At("14:00"), Stage: incident.CanaryPost, FailingSince: At("12:50"), LastArrivedAt: At("11:00"), Within: 10 * time.Minute, Error: long}
	case incident.KindWatchdog:
		m.Items = nil
		m.Watchdog = &incident.WatchdogNews{Pulse: long, Labels: map[string]string{"cluster": long, long: long}, Away: true, HeardAt: At("13:40"), Within: 15 * time.Minute}
	}
	for i := range m.Items[:min(len(m.Items), 50)] {
		lengthen(&m.Items[i], long, link)
	}
	return m
}

// lengthen makes an item as long as it can be.
func lengthen(it *incident.Item, long, link string) {
	in := &it.Incident
	in.UseCase, in.Affects, in.Service, in.EscalatedTo, in.AcknowledgedBy, in.Team = long, long, long, long, long, long
	in.Labels = map[string]string{"region": long, "cluster": long, long: long}
	in.Priority.Name, in.Priority.Summary = long, long
	in.Actions = nil
	for range 20 {
		in.Actions = append(in.Actions, incident.Action{Name: long, State: incident.ActionWaived, Link: link, Reason: long})
		it.Changes = append(it.Changes, Event("13:58", incident.EventUpdateWritten, incident.Actor(long), "", incident.Data{Message: long}),
			Event("13:59", incident.EventPriorityChanged, incident.Actor(long), long, incident.Data{From: long, To: long}),
			Event("13:59", incident.EventActionChanged, incident.Actor(long), long, incident.Data{Action: long, Link: link, To: "done"}))
		it.Reasons = append(it.Reasons, incident.Owed{Reason: incident.DueUndelivered, Address: long}, incident.Owed{Reason: incident.DueActionOverdue, Action: long})
		it.Plan = append(it.Plan, incident.PlannedReader{Recipient: incident.Recipient{Name: long, Address: long}, Group: long, At: At("12:09")})
		it.Silent = append(it.Silent, incident.Pulse{Name: long, AwaySince: At("12:01"), Labels: map[string]string{"cluster": long, long: long}})
	}
	it.NewWord, it.Word = true, &incident.Word{Text: long, By: long, At: At("13:59")}
	it.Runbook, it.LateSince, in.Previous = link, At("13:31"), 7
	var alerts []incident.ListedAlert
	for range incident.AlertsListed {
		alerts = append(alerts, incident.ListedAlert{Name: long, Summary: long, URL: link, Labels: map[string]string{"a": long, "b": long, "c": long, long: long}})
	}
	it.Alerts = Listed(100, alerts...)
}

// Strangers returns a message with those words wherever strangers' words can stand.
func Strangers(words, priority string) *incident.Message {
	m := Message(incident.KindUpdate)
	m.Recipient.Name = words
	it := &m.Items[0]
	it.Incident.UseCase, it.Incident.Service, it.Incident.Priority.Name = words, words, priority
	m.Audiences = append(m.Audiences, incident.AudienceOnCall)
	it.Runbook = words
	it.Alerts = Listed(2, incident.ListedAlert{Name: words, Summary: words, URL: words, Labels: map[string]string{words: words}})
	it.NewWord, it.Word = true, &incident.Word{Text: words, By: words, At: At("13:00")}
	it.Changes = []incident.Event{Event("13:00", incident.EventPhaseChanged, incident.Actor(words), words, incident.Data{To: words})}
	return m
}
