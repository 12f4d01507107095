package api_test

import (
	"encoding/json"
	"net/url"
	"testing"

	"sitrep/api"
	"sitrep/chain"
	"sitrep/chain/live"
	"sitrep/internal/coverage"
)

func TestCoverageTellsEachChain(t *testing.T) {
	f := newFixture(t)
	f.breach("send", "a")
	about := []chain.Finding{{Kind: chain.KindUnfed, Severity: chain.Error, Place: chain.Place{File: "slos/a.yml", Line: 3, Column: 9}, SLO: "send", Text: "no rule raises an alert", Fix: "write it", Sides: []chain.Side{{Text: "the SLO"}}}}
	r := &live.Result{
		At: f.clock.Now(), Report: &chain.Report{Findings: about}, General: []chain.Finding{{Kind: chain.KindReceiver, Severity: chain.Error, Text: "no receiver"}},
		Sources: []live.Source{{Program: "Prometheus", Name: "http://prometheus.example:9090", Error: "connection refused"}},
	}
	for i := range f.policy.SLOs {
		c := live.Chain{SLO: &chain.SLO{ID: f.policy.SLOs[i].ID}, State: live.Whole}
		for _, stage := range chain.Stages() {
			c.Links = append(c.Links, live.Link{Stage: stage, State: live.Whole})
		}
		if c.SLO.ID == "send" {
			c.State, c.Links[0].State, c.Links[0].Findings, c.Alerts = live.Broken, live.Broken, about, []string{"A"}
		}
		r.Chains = append(r.Chains, c)
	}
	f.coverage = coverage.New(r, true, true)
	read := func(query string) (page api.CoveragePage) {
		t.Helper()
		w := f.send("viewer", "GET", "/api/v1/coverage"+query, "")
		if err := json.Unmarshal(w.Body.Bytes(), &page); w.Code != 200 || err != nil {
			t.Fatalf("%d %v: %s", w.Code, err, w.Body)
		}
		return page
	}
	all := read("")
	if len(all.Chains) != len(f.policy.SLOs) || all.Next != "" || all.CheckedAt == nil || all.States["broken"] != 1 || len(all.Sources) != 1 || all.Sources[0].Error == "" || len(all.Findings) != 1 {
		t.Errorf("%+v", all)
	}
	broken := read("?state=broken")
	if len(broken.Chains) != 1 {
		t.Fatalf("%+v", broken)
	}
	c := broken.Chains[0]
	if c.SLO != "send" || c.State != live.Broken || len(c.Links) != 4 || c.Links[0].Findings[0].Place != "slos/a.yml:3:9" || c.Links[0].Findings[0].Fix != "write it" || c.LastIncident == nil || *c.LastIncident != "INC-1" || c.Recipients == 0 {
		t.Errorf("%+v", c)
	}
	// Page by page it is the same.
	var ids []string
	for query := "?limit=1"; ; {
		page := read(query)
		for _, c := range page.Chains {
			ids = append(ids, c.SLO)
		}
		if page.Next == "" {
			break
		}
		query = "?limit=1&cursor=" + url.QueryEscape(page.Next)
	}
	if len(ids) != len(all.Chains) {
		t.Errorf("page by page: %q", ids)
	}
	f.refused(f.send("viewer", "GET", "/api/v1/coverage?cursor=nothing", ""), 400, "there is no such page")
	f.refused(f.send("viewer", "GET", "/api/v1/coverage?state=good", ""), 400, "use broken")
}
