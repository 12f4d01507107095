package web

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"sitrep/internal/access"
)

type reportsPage struct {
	layout
	From, To  string // the last full month
	CanExport bool
	PublicKey string
	Spans     []span
	Teams     []string
	Names     []string // of the priorities
}

// A span is a stretch of time that people often ask for.
type span struct {
	Name, Detail string
	Query        string // with its question mark
}

func (h *Handler) reports(w http.ResponseWriter, r *http.Request) error {
	p := reportsPage{layout: h.layout(r, "Reports"), PublicKey: h.Service().Ledger.PublicKey}
	p.Refresh = false
	p.spans(p.clock.Now.In(p.policy.Location))
	p.CanExport = p.Role.May(access.Auditor)
	p.Teams, p.Names = p.policy.TeamNames(), p.policy.PriorityNames()
	return h.render(w, http.StatusOK, "reports", &p)
}

// spans are this month and this quarter so far, and the last full month, quarter and year.
func (p *reportsPage) spans(now time.Time) {
	first := func(year int, month time.Month) time.Time {
		return time.Date(year, month, 1, 0, 0, 0, 0, now.Location())
	}
	month := first(now.Year(), now.Month())
	quarter := first(now.Year(), now.Month()-(now.Month()-1)%3)
	quarterName := func(t time.Time) string {
		return fmt.Sprintf("%s to %s %d", t.Month(), t.AddDate(0, 2, 0).Month(), t.Year())
	}
	add := func(name, detail string, from, to time.Time) {
		q := url.Values{"format": {"html"}, "from": {from.Format(time.DateOnly)}}
		if !to.IsZero() {
			q.Set("to", to.Format(time.DateOnly))
		}
		p.Spans = append(p.Spans, span{name, detail, "?" + q.Encode()})
	}
	lastMonth, lastQuarter := month.AddDate(0, -1, 0), quarter.AddDate(0, -3, 0)
	add("This month so far", "since "+month.Format("2 January 2006"), month, time.Time{})
	add("Last month", lastMonth.Format("January 2006"), lastMonth, month)
	add("Last quarter", quarterName(lastQuarter), lastQuarter, quarter)
	add("This quarter so far", "since "+quarter.Format("2 January 2006"), quarter, time.Time{})
	add("Last year", fmt.Sprint(now.Year()-1), first(now.Year()-1, 1), first(now.Year(), 1))
	p.From, p.To = lastMonth.Format(time.DateOnly), month.Format(time.DateOnly)
}
