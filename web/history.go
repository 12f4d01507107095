package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/common/model"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/httperr"
	"sitrep/storage"
	"sitrep/wording"
)

const (
	// versionsShown is how many versions of the configuration a page shows at most.
	versionsShown = 20
	// slosRead is how many SLOs the versions that a page shows may have together: each is read in
	// full, and compared with the one before.
	slosRead = 200_000
)

// shownVersions is how many versions a page shows where each has so many SLOs.
func shownVersions(slos int) int { return min(max(slosRead/max(slos, 1), 1), versionsShown) }

// A versionInfo is a version as a page shows it.
type versionInfo struct {
	Number       int
	Hash, By     string
	Since, Until *moment
	First        bool
	Changes      []string
	More         int // changes that are not shown
	Hidden       int // changes that only an admin sees
}

// version describes a version, without what it changed.
func (l *layout) version(v *audit.Version) versionInfo {
	return versionInfo{Number: v.Number, Hash: v.Hash, By: wording.Line(string(v.Actor), 80), Since: l.on(v.At), Until: l.on(v.Until), First: v.Number == 1}
}

// versions returns what the versions with the numbers from and before, without before,
// changed: the latest first.
func (l *layout) versions(ctx context.Context, tx storage.Snapshot, all []audit.Version, from, before int) ([]versionInfo, error) {
	if from >= before {
		return nil, nil
	}
	if err := audit.Compare(ctx, tx, all[max(from-2, 0):before-1]); err != nil {
		return nil, err
	}
	var infos []versionInfo
	for _, v := range slices.Backward(all[from-1 : before-1]) {
		info := l.version(&v)
		left := room{left: textShown / versionsShown}
		if before-from == 1 { // it stands alone
			left = room{left: textShown}
		}
		for _, c := range v.Changes {
			if secluded(c) && !l.Role.May(access.Admin) {
				info.Hidden++
				continue
			}
			if text := wording.Line(c.String(), 1000); info.More == 0 && left.take(len(text)) {
				info.Changes = append(info.Changes, text)
			} else {
				info.More++
			}
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// secluded reports whether a change is about how sitrep is run, and not about what was
// promised.
func secluded(c audit.Change) bool {
	field, _, _ := strings.Cut(c.Field, ".")
	return c.Of == "settings" && slices.Contains([]string{"access", "mail", "alertmanagers", "evidence"}, field)
}

// readHistory reads a page of the history.
func (p *prioritiesPage) readHistory(ctx context.Context, tx storage.Snapshot, q url.Values) error {
	loadings, err := storage.Loadings(ctx, tx)
	if err != nil {
		return err
	}
	all := audit.Versions(loadings)
	before := len(all) + 1
	if n, err := strconv.Atoi(q.Get("before")); err == nil && n > 0 && n < before {
		before = n
	}
	from := max(before-shownVersions(len(p.policy.SLOs)), 1)
	if p.Versions, err = p.versions(ctx, tx, all, from, before); err != nil {
		return err
	}
	if p.Earlier = ""; from > 1 {
		p.Earlier = "?before=" + strconv.Itoa(from) + "#history"
	}
	return nil
}

type versionPage struct {
	layout
	versionInfo
	Priorities []priorityInfo
	Previous   int // 0: there is none
	Next       int
}

// version shows what a configuration said that was in force.
func (h *Handler) version(w http.ResponseWriter, r *http.Request) error {
	raw := mux.Vars(r)["version"]
	p := versionPage{layout: h.layout(r, "Version "+raw+" of the configuration")}
	p.Refresh = false
	return h.show(w, r, "version", &p, func(tx storage.Snapshot) error {
		loadings, err := storage.Loadings(r.Context(), tx)
		if err != nil {
			return err
		}
		all := audit.Versions(loadings)
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 || n > len(all) {
			return httperr.Statusf(http.StatusNotFound, "there is no version %s of the configuration", raw)
		}
		infos, err := p.versions(r.Context(), tx, all, n, n+1)
		if err != nil {
			return err
		}
		p.versionInfo = infos[0]
		if p.Previous, p.Next = n-1, 0; n < len(all) {
			p.Next = n + 1
		}
		c, _, err := storage.ConfigOf(r.Context(), tx, all[n-1].Loading)
		if err != nil {
			return err
		}
		p.Priorities, err = definitions(c.Body)
		return err
	})
}

// definitions are the priorities of a configuration as it was stored.
func definitions(body []byte) ([]priorityInfo, error) {
	var form struct {
		Management []string `json:"management"`
		Priorities []struct {
			Name        string   `json:"name"`
			Summary     string   `json:"summary"`
			Criteria    []string `json:"criteria"`
			Inform      []string `json:"inform"`
			UpdateEvery string   `json:"update_every"`
			InformAfter string   `json:"inform_after"`
			Actions     []struct {
				Name   string `json:"name"`
				Within string `json:"within"`
			} `json:"actions"`
		} `json:"priorities"`
	}
	if err := json.Unmarshal(body, &form); err != nil {
		return nil, fmt.Errorf("read a configuration: %w: %w", err, storage.ErrDamaged)
	}
	var all []priorityInfo
	for i, f := range form.Priorities {
		q := incident.Priority{Name: f.Name, Rank: i, Summary: f.Summary, Criteria: f.Criteria, UpdateEvery: lasting(f.UpdateEvery), InformAfter: lasting(f.InformAfter)}
		for _, a := range f.Actions {
			q.Actions = append(q.Actions, incident.ActionRule{Name: a.Name, Within: lasting(a.Within)})
		}
		for _, a := range f.Inform {
			q.Inform = append(q.Inform, incident.Audience(a))
		}
		all = append(all, infoOf(&q, &incident.Policy{Management: form.Management}))
	}
	return all, nil
}

// lasting is a duration as a configuration writes it.
func lasting(text string) time.Duration {
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0
	}
	return time.Duration(d)
}
