package web

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/wording"
)

const (
	// toldShown is how many rows a list of messages has, give or take those of one read.
	toldShown = 50
	// messagesRead is how many messages are read for one at most, and messagesAtOnce how many at
	// once.
	messagesRead   = 500
	messagesAtOnce = 100
	// readsInVain is how often the store is asked again where it found none.
	readsInVain = 3
)

// sameMessage is how far apart messages to one group may have been due that are one message to
// its members.
const sameMessage = time.Minute

// A toldRow is one message to one group: one row, with those whom it went to below.
type toldRow struct {
	Kind      string
	Drill     bool
	Incidents []incidentLink
	More      bool // it tells of more
	Audience  string
	Group     groupLink
	// How far the messages to the members got.
	Failed, Pending, Delivered, Superseded int
	Due                                    *moment
	Sent                                   *moment // when it was last handed over
	Held                                   bool    // one of them was, by a quiet time
	Late                                   string  // by how much one of them missed the promise at most
	To                                     []deliveryRow
	// Continues is set if the page ends with it, so that it may have gone to others, too.
	Continues bool

	Anchor string // where its recipients stand in their list

	of   string // what it shares with the others: incident and pulse
	due  time.Time
	sent time.Time
	late time.Duration
	who  map[string]bool // the recipients, by id
}

// An incidentLink is the id of an incident to link to.
type incidentLink struct{ Root, ID string }

// Alone returns the one whom it went to, nil if there are several or they are not shown.
func (t *toldRow) Alone() *deliveryRow {
	if len(t.To) != 1 || t.To[0].Recipient == "" {
		return nil
	}
	return &t.To[0]
}

// Count is to how many it went, or is to go.
func (t *toldRow) Count() int { return t.Failed + t.Pending + t.Delivered + t.Superseded }

// readTold reads a page of messages, those of one message to one group in one row, and returns
// the cursor of the next. of is the incident whose page it is, or 0.
func (l *layout) readTold(ctx context.Context, tx storage.Snapshot, q storage.DeliveryQuery, of int64) (rows []toldRow, next string, err error) {
	q.Limit, q.Brief = messagesAtOnce, true
	n, inVain := 0, 0
	for n < messagesRead && len(rows) < toldShown && inVain < readsInVain {
		page, more, err := tx.Deliveries(ctx, q)
		if err != nil {
			return nil, "", err
		}
		for i := range page {
			rows = l.tell(rows, &page[i], of)
		}
		n += len(page)
		if len(page) == 0 {
			inVain++
		}
		if q.Cursor, next = more, more; next == "" {
			break
		}
	}
	for i := range rows {
		row := &rows[i]
		row.Due, row.Sent = l.at(row.due), l.at(row.sent)
		if row.late > 0 {
			row.Late = wording.Duration(row.late)
		}
		// Who has no message comes first.
		slices.SortStableFunc(row.To, func(a, b deliveryRow) int {
			return cmp.Or(urgent(a.State)-urgent(b.State), strings.Compare(a.Recipient, b.Recipient))
		})
		if l.Stranger {
			row.To = nil
		}
	}
	if len(rows) > 0 && next != "" {
		rows[len(rows)-1].Continues = true
	}
	return rows, next, nil
}

// urgent orders states: what failed first, then what waits.
func urgent(s incident.DeliveryState) int {
	switch s {
	case incident.DeliveryFailed:
		return 0
	case incident.DeliveryPending:
		return 1
	}
	return 2
}

// failuresFirst orders rows by whether somebody has no message.
func failuresFirst(rows []toldRow) {
	slices.SortStableFunc(rows, func(a, b toldRow) int {
		return cmp.Or(last(a.Failed == 0)-last(b.Failed == 0), last(a.Pending == 0)-last(b.Pending == 0))
	})
}

// tell adds a message to the row that it belongs to, or to a new one.
func (l *layout) tell(rows []toldRow, d *incident.Delivery, of int64) []toldRow {
	about := incident.ID(d.Incident)
	if of != 0 {
		about = incident.ID(of) // of digests, however many more they are about
	}
	if d.OfPulse() {
		about = d.Pulse()
	}
	line := l.deliveryRow(d, of)
	at := slices.IndexFunc(rows, func(t toldRow) bool {
		return t.of == about && t.Kind == line.Kind && t.Group.Name == d.Group && t.Audience == line.Audience && t.Drill == d.Drill &&
			t.due.Sub(d.DueAt).Abs() <= sameMessage && !t.who[d.Recipient]
	})
	if at < 0 {
		at = len(rows)
		row := toldRow{
			Kind: line.Kind, Drill: d.Drill, Audience: line.Audience, Group: l.groupLink(d.Group, d.Audience == incident.AudienceOnCall && !d.OfPulse()),
			of: about, due: d.DueAt, who: map[string]bool{},
		}
		if of == 0 && len(line.Incidents) >= storage.BriefCovers {
			line.Incidents, row.More = line.Incidents[:storage.BriefCovers-1], true
		}
		for _, id := range line.Incidents {
			if of == 0 || id != incident.ID(of) {
				row.Incidents = append(row.Incidents, incidentLink{l.Root, id})
			}
		}
		rows = append(rows, row)
	}
	row := &rows[at]
	row.who[d.Recipient] = true
	row.To, row.Anchor = append(row.To, line), line.ID // of the first to whom it went, as they come backwards
	if d.SentAt.After(row.sent) {
		row.sent = d.SentAt
	}
	row.Held, row.late = row.Held || d.Deferred, max(row.late, line.late)
	switch d.State {
	case incident.DeliveryFailed:
		row.Failed++
	case incident.DeliveryPending:
		row.Pending++
	case incident.DeliveryDelivered:
		row.Delivered++
	default:
		row.Superseded++
	}
	return rows
}

// A toldList is a list of messages with its name.
type toldList struct {
	Root, Name string
	Rows       []toldRow
}

// Slug begins the ids in the list.
func (t toldList) Slug() string { return strings.ReplaceAll(strings.ToLower(t.Name), " ", "-") }

// Told returns a list of messages for its template.
func (l *layout) Told(name string, rows []toldRow) toldList { return toldList{l.Root, name, rows} }

// A readerGroup are readers of one incident who read by the same audiences and groups.
type readerGroup struct {
	Audiences string
	Groups    []groupLink
	Active    bool
	Readers   []readerInfo
	Told      *moment // when one of them was last told
	NotTold   int     // how many were never told
	Kind      string  // of what is due next
	Next      *moment
	Overdue   int
	Since     *moment // of the first that is overdue
	Try       *moment // when the first of those who wait for that is tried again

	next, told, since, try time.Time
	place                  int // among the groups as they are found, which changes seldom
}

// Anchor is where they stand on the page.
func (g *readerGroup) Anchor() string { return "readers-" + strconv.Itoa(g.place) }

// Count is how many they are.
func (g *readerGroup) Count() int { return len(g.Readers) }

// Alone returns the one who reads, nil if there are several or they are not shown.
func (g *readerGroup) Alone() *readerInfo {
	if len(g.Readers) != 1 || g.Readers[0].Recipient == "" {
		return nil
	}
	return &g.Readers[0]
}

// byGroup puts readers together who read by the same groups, those to whom something is overdue
// first, and within a group, too.
func (l *layout) byGroup(readers []readerInfo) []readerGroup {
	var groups []readerGroup
	for _, r := range readers {
		at := slices.IndexFunc(groups, func(g readerGroup) bool {
			return g.Audiences == r.Audiences && g.Active == r.Active && slices.Equal(g.Groups, r.Groups)
		})
		if at < 0 {
			at = len(groups)
			groups = append(groups, readerGroup{Audiences: r.Audiences, Groups: r.Groups, Active: r.Active, place: at})
		}
		g := &groups[at]
		g.Readers = append(g.Readers, r)
		if r.told.IsZero() {
			g.NotTold++
		} else if r.told.After(g.told) {
			g.told = r.told
		}
		if !r.next.IsZero() && (g.next.IsZero() || r.next.Before(g.next)) {
			g.next, g.Kind = r.next, r.Kind
		}
		if r.Overdue {
			g.Overdue++
			g.since = earliest(g.since, r.next)
		}
		g.try = earliest(g.try, r.try)
	}
	for i := range groups {
		g := &groups[i]
		g.Told, g.Next, g.Since, g.Try = l.at(g.told), l.at(g.next), l.at(g.since), l.at(g.try)
		slices.SortStableFunc(g.Readers, func(a, b readerInfo) int { return last(!a.late()) - last(!b.late()) })
	}
	slices.SortStableFunc(groups, func(a, b readerGroup) int {
		return cmp.Or(last(!a.Active)-last(!b.Active), last(a.Overdue == 0 && a.Try == nil)-last(b.Overdue == 0 && b.Try == nil))
	})
	return groups
}

// late reports whether the reader waits for something that should have been handed over.
func (r *readerInfo) late() bool { return r.Overdue || r.Try != nil }

// earliest returns the earlier of two times, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
