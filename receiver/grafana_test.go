package receiver

import (
	"maps"
	"os"
	"strings"
	"testing"
)

func TestGrafanasPayloadIsTaken(t *testing.T) {
	data, err := os.ReadFile("testdata/grafana/unified-firing.json")
	if err != nil {
		t.Fatal(err)
	}
	p := mustDecode(t, data)
	if len(p.alerts) != 1 {
		t.Fatalf("faults %+v", p.faults)
	}
	a := p.alerts[0]
	checkClean(t, a)
	want := map[string]string{"alertname": "SLO burn rate very high", "grafana_folder": "SLOs", "grafana_slo_severity": "critical", "grafana_slo_uuid": "register-availability"}
	if !a.Grafana || a.Fingerprint != "2d325cfeb14a1e89" || a.GeneratorURL != "http://prometheus.example:9090/graph?g0.expr=x" || !maps.Equal(a.Labels, want) || a.Resolved {
		t.Errorf("alert %+v", a)
	}
	if w := newBench(openAll).do(post(data)); w.Code != 200 {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
}

func TestGrafanaIsToldFromAlertmanager(t *testing.T) {
	alert := good(`"silenceURL":"x","dashboardURL":"","panelURL":"","imageURL":"x","values":{"B":44.2,"C":null},"valueString":"[ var='B' ]","orgId":1`)
	tests := []struct {
		name    string
		body    string
		grafana bool
	}{
		{"its newest", `{"version":"1","orgId":1,"title":"x","state":"alerting","message":"y","appVersion":"12.0.1","alerts":[` + alert + `]}`, true},
		{"an old one, without orgId", `{"version":"1","title":"x","state":"ok","message":"y","alerts":[` + alert + `]}`, true},
		{"the alerts first", `{"alerts":[` + alert + `],"state":"ok","version":"1"}`, true},
		{"values of any type", `{"alerts":[` + alert + `],"orgId":"x","title":null,"state":{"a":[1]},"message":[],"version":"1"}`, true},
		{"twice", `{"alerts":[` + alert + `],"title":"x","title":"y","version":"1"}`, true},
		{"Alertmanager with fields of Grafana's", `{"version":"4","orgId":1,"title":"x","state":"ok","alerts":[` + alert + `]}`, false},
		{"Alertmanager", `{"version":"4","alerts":[` + alert + `]}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			two := strings.Replace(tt.body, alert, alert+","+good(`"status":"resolved"`), 1)
			p := mustDecode(t, []byte(two))
			if len(p.alerts) != 2 || p.alerts[0].Grafana != tt.grafana || p.alerts[1].Grafana != tt.grafana {
				t.Errorf("got %+v, faults %+v", p.alerts, p.faults)
			}
		})
	}
}
