package incident_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"sitrep/incident"
)

func TestAlertList(t *testing.T) {
	began := time.Date(2026, 7, 23, 11, 58, 0, 0, time.UTC)
	in := &incident.Incident{Number: 7, SLO: "mail-send", SLI: "availability", Service: "mail", Team: "notifications", Labels: map[string]string{"region": "eu"}}
	breach := func(minutes int, state incident.BreachState, labels ...string) incident.Breach {
		b := incident.Breach{
			Fingerprint: fmt.Sprintf("f%02d", minutes), StartsAt: began.Add(time.Duration(minutes) * time.Minute), State: state, Incident: 7,
			Labels: map[string]string{"alertname": "Failing"},
		}
		for i := 0; i < len(labels); i += 2 {
			b.Labels[labels[i]] = labels[i+1]
		}
		return b
	}
	many := func(n int) (all []incident.Breach) {
		for i := range n {
			all = append(all, breach(i, incident.BreachFiring, "node", fmt.Sprint(i), "rack", fmt.Sprint(i%2), "env", "prod"))
		}
		return all
	}
	for name, tc := range map[string]struct {
		breaches []incident.Breach
		counts   incident.Counts
		names    []string // the labels of each
		total    int
	}{
		"none":           {nil, incident.Counts{Firing: 3, Total: 3}, nil, 0},
		"what has ended": {[]incident.Breach{breach(0, incident.BreachEnded)}, incident.Counts{Total: 1}, nil, 0},
		"a lone one says what the incident does not": {
			[]incident.Breach{
				breach(0, incident.BreachFiring, "sloth_id", "x", "sitrep_slo", "mail-send", "service", "mail", "region", "eu", "cluster", "b", "severity", "page", "a", "1", "z", "2", "zz", "3"),
				breach(1, incident.BreachEnded, "cluster", "c"),
			},
			incident.Counts{Firing: 1, Total: 2},
			[]string{"a=1 cluster=b severity=page z=2"},
			1,
		},
		"what differs tells them apart": {
			[]incident.Breach{breach(0, incident.BreachFiring, "region", "eu", "env", "prod"), breach(1, incident.BreachUnknown, "region", "us", "env", "prod", "only", "here")},
			incident.Counts{Firing: 1, Unknown: 1, Total: 2},
			[]string{"only=here region=us", "region=eu"},
			2,
		},
		"the latest five of many": {
			many(9),
			incident.Counts{Firing: 9, Total: 9},
			[]string{"node=8 rack=0", "node=7 rack=1", "node=6 rack=0", "node=5 rack=1", "node=4 rack=0"},
			9,
		},
		"those that are not known count": {many(2), incident.Counts{Firing: 40, Unknown: 2, Total: 50}, []string{"node=1 rack=1", "node=0 rack=0"}, 42},
	} {
		in.Breaches = tc.counts
		list := incident.NewAlertList(in, tc.breaches)
		if list == nil {
			if tc.total != 0 {
				t.Errorf("%s: no list", name)
			}
			continue
		}
		var got []string
		for _, a := range list.Alerts {
			said := ""
			for _, label := range slices.Sorted(maps.Keys(a.Labels)) {
				said += " " + label + "=" + a.Labels[label]
			}
			got = append(got, said[min(1, len(said)):])
		}
		if !slices.Equal(got, tc.names) || list.Total != tc.total {
			t.Errorf("%s: got %q of %d, want %q of %d", name, got, list.Total, tc.names, tc.total)
		}
	}
}

func TestAnAlertSaysWhatItIs(t *testing.T) {
	for name, tc := range map[string]struct {
		labels, annotations map[string]string
		want                incident.ListedAlert
	}{
		"by name and summary": {map[string]string{"alertname": "Failing"}, map[string]string{"summary": "5 % fail", "description": "long"}, incident.ListedAlert{Name: "Failing", Summary: "5 % fail"}},
		"by its description":  {map[string]string{"alertname": "Failing"}, map[string]string{"description": "long"}, incident.ListedAlert{Name: "Failing", Summary: "long"}},
		"by nothing":          {nil, nil, incident.ListedAlert{Name: "f"}},
	} {
		b := incident.Breach{Fingerprint: "f", State: incident.BreachFiring, Labels: tc.labels, Annotations: tc.annotations, GeneratorURL: "https://prometheus.example.org/graph"}
		got := incident.NewAlertList(&incident.Incident{}, []incident.Breach{b}).Alerts[0]
		if got.Name != tc.want.Name || got.Summary != tc.want.Summary || got.URL != b.GeneratorURL || got.State != incident.BreachFiring {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
