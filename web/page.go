package web

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/status"
	"sitrep/storage"
	"sitrep/wording"
)

//go:embed templates
var templateFiles embed.FS

// A page is a template with all that it is made of.
type page = *template.Template

// lazyPages returns the pages by name. Each is parsed, together with what all pages share, when it is
// first asked for: all of them are half of what a start would take.
func lazyPages(assets map[string]asset) (map[string]func() (page, error), error) {
	shared := sync.OnceValues(func() (page, error) {
		t, err := template.New("").Funcs(template.FuncMap{
			"asset":    func(name string) string { return "assets/" + name + "?v=" + assets[name].version },
			"phase":    wording.PhaseName,
			"audience": wording.AudienceName,
			"duration": wording.Duration,
			"list":     wording.List,
		}).ParseFS(templateFiles, "templates/shared/*.html")
		if err != nil {
			return nil, fmt.Errorf("parse the shared templates: %w", err)
		}
		return t, nil
	})
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("list the templates: %w", err)
	}
	pages := map[string]func() (page, error){}
	for _, file := range files {
		pages[strings.TrimSuffix(path.Base(file), ".html")] = sync.OnceValues(func() (page, error) {
			t, err := shared()
			if err != nil {
				return nil, err
			}
			if t, err = t.Clone(); err == nil {
				t, err = t.ParseFS(templateFiles, file)
			}
			if err != nil {
				return nil, fmt.Errorf("parse template %q: %w", file, err)
			}
			return t, nil
		})
	}
	return pages, nil
}

// A layout is what stands around the content of every page.
type layout struct {
	Title string
	// Root leads from the page to sitrep's own address, so that a proxy may serve it
	// anywhere.
	Root   string
	Here   string // the path of the navigation that the page belongs to
	Nav    []Link
	User   string // empty: nobody is logged in
	Role   access.Role
	CanAct bool // may give commands
	// Stranger is set for those who see no addresses and no messages.
	Stranger bool
	// Zone says in which zone the times are, OwnZone is the organisation's, and ZoneChosen is set
	// where whoever looks chose another.
	Zone, OwnZone string
	ZoneChosen    bool
	Offset        int    // of the zone now, in minutes east of UTC
	Back          string // the page itself, below sitrep's own address
	Version       string
	// Trouble are what everybody should know of sitrep itself.
	Trouble []string
	// Unsent says what should have been handed over and was not; empty if there is nothing.
	Unsent string
	// Refresh is set if the script keeps the page fresh; Revision changes when there is
	// news that are worth announcing.
	Refresh  bool
	Revision string

	clock  wording.Clock
	policy *incident.Policy
	actor  incident.Actor // who looks
}

// layout returns what stands around a page. It asks the store what was not handed over, so
// it is made once for each page.
func (h *Handler) layout(r *http.Request, title string) layout {
	id, policy, service := access.From(r.Context()), h.Repo.Policy(), h.Service()
	l := layout{
		Title: title, Root: root(r.URL.Path), Version: service.Version,
		User: id.Name, Role: id.Role, CanAct: id.Role.May(access.Responder), Stranger: id.Stranger(),
		Refresh: r.Method != http.MethodPost,
		clock:   wording.Clock{Now: h.Now()}, policy: policy, actor: id.Actor(),
	}
	l.setZone(r)
	l.Nav = append([]Link{
		{"Incidents", ""},
		{"Priorities", "priorities"},
		{"SLOs", "slos"},
		{"Coverage", "coverage"},
		{"Deliveries", "deliveries"},
		{"Reports", "reports"},
		{"Status", "status"},
	}, h.Links...)
	switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); first {
	case "", "incidents":
		l.Here = "Incidents"
	default:
		for _, n := range l.Nav {
			if n.Path == first {
				l.Here = n.Name
			}
		}
	}
	if id.Role.May(access.Viewer) && service.Config.Error != "" {
		l.Trouble = append(l.Trouble, "The configuration could not be reloaded; the one before stays in force.")
	}
	if id.Role.May(access.Viewer) && service.StorageError != "" {
		l.Trouble = append(l.Trouble, "Nothing can be stored: alerts are refused until they can be, and nobody is told anything.")
	}
	if id.Role.May(access.Viewer) {
		h.findUnsent(r.Context(), &l, &service)
	}
	return l
}

// findUnsent says on the page what was not handed over. That it cannot be known is said,
// too.
func (h *Handler) findUnsent(ctx context.Context, l *layout, service *status.Service) {
	var u incident.Unsent
	err := h.Repo.Store.Read(ctx, func(tx storage.Snapshot) (err error) {
		u, err = service.Unsent(ctx, tx, l.policy, l.clock.Now)
		return err
	})
	if err != nil {
		l.Unsent = "It cannot be said whether messages are handed over, as the store does not answer."
		return
	}
	if l.Stranger {
		u.LastError = "" // it may name whom something was to go to
	}
	l.Unsent = wording.Unsent(&u, l.clock)
}

// root returns the relative address of "/" as seen from a path.
func root(path string) string {
	if n := strings.Count(path, "/") - 1; n > 0 {
		return strings.Repeat("../", n)
	}
	return "./"
}

// render answers with a page.
func (h *Handler) render(w http.ResponseWriter, code int, name string, data any) error {
	body, err := h.execute(name, data)
	if err == nil {
		answer(w, code, "text/html; charset=utf-8", body)
	}
	return err
}

// show answers with a page that is read from one snapshot of the store. What read does may
// be done again.
func (h *Handler) show(w http.ResponseWriter, r *http.Request, name string, data any, read func(storage.Snapshot) error) error {
	if err := h.Repo.Store.Read(r.Context(), read); err != nil {
		return err
	}
	return h.render(w, http.StatusOK, name, data)
}

// answer writes a whole answer of that type.
func answer(w http.ResponseWriter, code int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client may be gone
}

func (h *Handler) execute(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	parsed, ok := h.pages[name]
	if !ok {
		return nil, fmt.Errorf("there is no template %q", name)
	}
	t, err := parsed()
	if err != nil {
		return nil, err
	}
	if err := t.ExecuteTemplate(wording.Shown(&b), "layout", data); err != nil {
		return nil, fmt.Errorf("write page %q: %w", name, err)
	}
	if d, ok := data.(interface{ hides() bool }); ok && d.hides() {
		return []byte(storage.WithoutAddresses(b.String())), nil
	}
	return b.Bytes(), nil
}

// hides reports whether the page is for a stranger: then all email addresses are taken out,
// in whatever text they stand.
func (l *layout) hides() bool { return l.Stranger }

// redirect sends the browser to an address relative to the page that was asked for.
func redirect(w http.ResponseWriter, to string) error {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// A moment is a time for people and for machines.
type moment struct {
	Machine string
	Text    string
}

// at returns a time as the page shows it, nil if it is not set.
func (l *layout) at(t time.Time) *moment { return momentOf(t, l.clock.Time) }

// on returns a time with its day and zone, as what is read long afterwards shows it;
// nil if it is not set.
func (l *layout) on(t time.Time) *moment {
	return momentOf(t, func(t time.Time) string { return t.In(l.clock.Location).Format("2 Jan 2006, 15:04 MST") })
}

func momentOf(t time.Time, write func(time.Time) string) *moment {
	if t.IsZero() {
		return nil
	}
	return &moment{t.UTC().Format(time.RFC3339), write(t)}
}

// ago says how long ago a time is.
func (l *layout) ago(t time.Time) string {
	if d := l.clock.Now.Sub(t); d >= time.Minute {
		return wording.Duration(d) + " ago"
	}
	return "just now"
}

// A rowIn is a row with the address that its links need.
type rowIn struct {
	Root   string
	Row    row
	Deep   bool // under a heading of its own
	Dense  bool // a line, in a list of one state
	Pick   bool // it can be chosen
	Chosen bool
}

// With returns a row of a list for its template.
func (l *layout) With(of incidentList, r row, deep bool) rowIn {
	return rowIn{l.Root, r, deep, !of.Cards && of.State != "", of.Pick, of.All}
}
