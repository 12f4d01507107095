package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
)

// zoneCookie is the cookie that remembers in which zone somebody reads times. It has no path of its
// own, so that it holds below the folder of the page that sets it, wherever a proxy serves that.
const zoneCookie = "sitrep_zone"

// A zonePage asks in which zone times are to be shown.
type zonePage struct {
	layout
	Error  string // what is wrong with what was filled in
	Typed  string
	Known  []string // some zones that people may want
	Own    string   // the organisation's
	Return string
}

// someZones are those that the form proposes beside the configuration's.
var someZones = []string{
	"America/Bogota", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Mexico_City", "America/New_York", "America/Sao_Paulo", "America/Toronto",
	"Asia/Dubai", "Asia/Hong_Kong", "Asia/Jakarta", "Asia/Kolkata", "Asia/Manila", "Asia/Seoul", "Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo",
	"Africa/Cairo", "Africa/Johannesburg", "Africa/Lagos", "Africa/Nairobi", "Australia/Melbourne", "Australia/Perth", "Australia/Sydney",
	"Europe/Amsterdam", "Europe/Athens", "Europe/Berlin", "Europe/Dublin", "Europe/Helsinki", "Europe/Istanbul", "Europe/Kyiv", "Europe/Lisbon", "Europe/London",
	"Europe/Madrid", "Europe/Paris", "Europe/Rome", "Europe/Stockholm", "Europe/Vienna", "Europe/Warsaw", "Europe/Zurich", "Pacific/Auckland", "UTC",
}

// loadZone returns a zone by its name, such as Europe/Berlin; nil if there is none.
func loadZone(name string) *time.Location {
	strange := strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/_+-", r)
	})
	if name == "" || name == "Local" || len(name) > 64 || strange {
		return nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return loc
}

// chosenZone returns the zone that whoever asks has chosen, nil if none was.
func chosenZone(r *http.Request) *time.Location {
	c, err := r.Cookie(zoneCookie)
	if err != nil {
		return nil
	}
	return loadZone(c.Value)
}

// setZone says on a page in which zone its times are, and how to have another.
func (l *layout) setZone(r *http.Request) {
	l.clock.Location = l.policy.Location
	if loc := chosenZone(r); loc != nil && loc.String() != l.policy.Location.String() {
		l.clock.Location, l.ZoneChosen = loc, true
	}
	l.Zone, l.OwnZone = l.clock.Zones(), l.policy.Location.String()
	_, offset := l.clock.Now.In(l.clock.Location).Zone()
	l.Offset = offset / 60
	l.Back = strings.TrimPrefix(r.URL.Path, "/")
	if r.Method == http.MethodGet && r.URL.RawQuery != "" {
		l.Back += "?" + r.URL.RawQuery
	}
	if len(l.Back) > maxBack || strings.HasPrefix(l.Back, "zone") {
		l.Back = ""
	}
}

// maxBack is how long the address of a page may be to which a choice leads back, in bytes.
const maxBack = 2000

func (h *Handler) zoneForm(w http.ResponseWriter, r *http.Request) error {
	return h.showZones(w, r, http.StatusOK, &zonePage{Return: r.URL.Query().Get("back")})
}

// zone remembers the zone that was chosen, or forgets it where none is named, and leads back.
func (h *Handler) zone(w http.ResponseWriter, r *http.Request) error {
	values, _, err := readForm(w, r)
	if err != nil {
		return err
	}
	name, back := strings.TrimSpace(values.Get("zone")), values.Get("back")
	cookie := http.Cookie{Name: zoneCookie, Value: name, MaxAge: 400 * 24 * 60 * 60, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	switch {
	case name == "":
		cookie.MaxAge = -1
	case loadZone(name) == nil:
		code, text := explain(noZone(name))
		return h.showZones(w, r, code, &zonePage{Typed: name, Return: back, Error: text})
	}
	http.SetCookie(w, &cookie)
	// Below this folder, whatever it is.
	to, err := url.Parse("./" + back)
	if err != nil || len(back) > maxBack || to.IsAbs() || to.Host != "" {
		to = &url.URL{Path: "./"}
	}
	return redirect(w, to.String())
}

// noZone is the error for the name of a zone that there is not.
func noZone(name string) error {
	return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("there is no time zone %q; write it as Europe/Berlin or America/New_York, or UTC", name)}
}

func (h *Handler) showZones(w http.ResponseWriter, r *http.Request, code int, p *zonePage) error {
	p.layout = h.layout(r, "Time zone")
	p.Refresh = false
	p.Own, p.Known = p.OwnZone, zonesOf(p.policy)
	if p.Error == "" && p.ZoneChosen {
		p.Typed = cmp.Or(p.Typed, p.clock.Location.String())
	}
	return h.render(w, code, "zone", p)
}

// zonesOf are the zones that the form proposes: the organisation's, those of its groups, and some more.
func zonesOf(p *incident.Policy) []string {
	known := []string{p.Location.String()}
	for i := range p.Groups {
		if loc := p.Groups[i].Location; loc != nil {
			known = append(known, loc.String())
		}
	}
	known = append(known, someZones...)
	known = slices.DeleteFunc(known, func(name string) bool { return loadZone(name) == nil })
	slices.Sort(known)
	return slices.Compact(known)
}
