package web_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// in gets a page in the zone that a cookie names.
func (f *fixture) in(zone, path string) answer {
	f.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://sitrep.example.org"+path, nil)
	r.Header.Set("Authorization", "Bearer viewer")
	r.AddCookie(&http.Cookie{Name: "sitrep_zone", Value: zone})
	return f.serve(r)
}

// footer is what stands below each page.
func (a *answer) footer() string {
	_, below, _ := strings.Cut(a.Body.String(), "<footer>")
	return html.UnescapeString(below)
}

func TestTimesStandInTheZoneThatWasChosen(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	for _, tt := range []struct{ zone, since, says string }{
		{"America/New_York", "04:00", "Times are America/New_York (EST is UTC-5), as you chose."},
		{"Asia/Kolkata", "14:30", "Times are Asia/Kolkata (IST is UTC+5:30), as you chose."},
		{"UTC", "09:00", "Times are UTC, as you chose."},
		{"Europe/Berlin", "10:00", "Times are Europe/Berlin (CET is UTC+1). "},
		{"Local", "10:00", "Times are Europe/Berlin (CET is UTC+1). "},
		{"../../etc/passwd", "10:00", "Times are Europe/Berlin (CET is UTC+1). "},
		{"Nowhere/At_All", "10:00", "Times are Europe/Berlin (CET is UTC+1). "},
		{strings.Repeat("x", 4000), "10:00", "Times are Europe/Berlin (CET is UTC+1). "},
	} {
		for _, path := range []string{"/", page(n, "")} {
			a := f.in(tt.zone, path)
			if !strings.Contains(a.text(), tt.since) || !strings.Contains(a.footer(), tt.says) {
				t.Errorf("%.40q: %s says %q below %s", tt.zone, path, a.footer(), a.text())
			}
		}
	}
	// The stretches of a report are those of the organisation.
	if a, b := f.in("Pacific/Auckland", "/reports"), f.in("UTC", "/reports"); a.text() != b.text() {
		t.Errorf("reports of %s, and of %s", a.text(), b.text())
	}
}

func TestTheChoiceOfAZoneIsRememberedAndLeadsBack(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct{ zone, back, cookie, to string }{
		{"Asia/Tokyo", "slos?q=a+b", "Asia/Tokyo", "./slos?q=a+b"},
		{" UTC ", "", "UTC", "./"},
		{"", "incidents/INC-1", "", "./incidents/INC-1"},
		{"UTC", "/evil.example.org", "UTC", ".//evil.example.org"}, // a path below this folder
		{"UTC", "https://evil.example.org/", "UTC", "./https://evil.example.org/"},
		{"UTC", "a\r\nSet-Cookie: b", "UTC", "./"},
		{"UTC", strings.Repeat("x", 3000), "UTC", "./"},
	} {
		a := f.send("viewer", "POST", "/zone", url.Values{"zone": {tt.zone}, "back": {tt.back}})
		cookies := a.Result().Cookies()
		if a.Code != http.StatusSeeOther || a.Header().Get("Location") != tt.to || len(cookies) != 1 {
			t.Errorf("%q: %d to %q, %v", tt.back, a.Code, a.Header().Get("Location"), cookies)
			continue
		}
		c := cookies[0]
		if c.Value != tt.cookie || c.Path != "" || c.SameSite != http.SameSiteLaxMode || (tt.cookie == "") != (c.MaxAge < 0) {
			t.Errorf("%q: cookie %+v", tt.zone, c)
		}
	}
	a := f.send("viewer", "POST", "/zone", url.Values{"zone": {"Berlin"}, "back": {"slos"}})
	if a.Code != http.StatusBadRequest || len(a.Result().Cookies()) != 0 || !strings.Contains(a.text(), "write it as Europe/Berlin") || !strings.Contains(a.Body.String(), `name="back" value="slos"`) {
		t.Errorf("a zone that there is not: %d %s", a.Code, a.text())
	}
	checkPage(t, &a)
	// Each page names itself, so that the choice leads back to it.
	a = f.get("viewer", "/slos?q=search")
	if !strings.Contains(a.footer(), `href="./zone?back=slos%3fq%3dsearch"`) || !strings.Contains(a.footer(), `name="back" value="slos?q=search"`) {
		t.Error(a.footer())
	}
}
