package receiver

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
)

// object is a JSON object of strings, and as many of those of format.
func object(members map[string]string, n int, format string) string {
	rest := many(n, format)
	if len(members) == 0 {
		return "{" + rest + "}"
	}
	own, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	if rest == "" {
		return string(own)
	}
	// The members come last, as if by their names.
	return "{" + rest + "," + string(own[1:])
}

func TestASurplusOfLabelsIsCutAndTheAlertTaken(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	long := x(MaxLabel+1) + "y"
	tests := []struct {
		name   string
		labels string
		want   map[string]string // of those asked for; an empty one is not there
		count  int
		cut    bool
	}{
		{"as many as may be", object(nil, MaxLabels, `"l%03d":"x"`), map[string]string{"l000": "x", "l255": "x"}, MaxLabels, false},
		{"one more", object(nil, MaxLabels+1, `"l%03d":"x"`), map[string]string{"l000": "x", "l255": "x", "l256": ""}, MaxLabels, true},
		{"one more that is kept", object(map[string]string{"sloth_id": "s"}, MaxLabels, `"l%03d":"x"`), map[string]string{"sloth_id": "s"}, MaxLabels + 1, false},
		{
			"kept ones behind a thousand", object(map[string]string{"env": "prod", "sloth_id": "s", "zone": "a"}, 1000, `"l%d":"x"`),
			map[string]string{"env": "prod", "sloth_id": "s", "zone": "", "l999": ""},
			MaxLabels + 2, true,
		},
		{"an empty one beyond", object(map[string]string{"z": ""}, MaxLabels, `"l%03d":"x"`), map[string]string{"z": ""}, MaxLabels, false},
		{"as long as may be", object(map[string]string{"a": x(MaxLabel)}, 0, ""), map[string]string{"a": x(MaxLabel)}, 1, false},
		{"too long", object(map[string]string{"a": long, "b": "y"}, 0, ""), map[string]string{"a": x(MaxLabel-3) + "…", "b": "y"}, 2, true},
		{
			"too long, at a character", object(map[string]string{"a": "x" + strings.Repeat("é", MaxLabel/2)}, 0, ""),
			map[string]string{"a": "x" + strings.Repeat("é", MaxLabel/2-2) + "…"},
			1, true,
		},
		{"too long and kept", object(map[string]string{"env": long}, 0, ""), map[string]string{"env": long}, 1, false},
		{"too long a name", object(map[string]string{x(MaxLabel + 1): "y", "b": "y"}, 0, ""), map[string]string{"b": "y"}, 1, true},
		{"too much of all", object(map[string]string{"sloth_id": "s"}, 10, `"l%d":"`+x(MaxLabel-2)+`"`), map[string]string{"l3": x(MaxLabel - 2), "l4": "", "sloth_id": "s"}, 5, true},
		{"a large one does not push out the small", object(map[string]string{"a": "y"}, 5, `"l%d":"`+x(MaxLabel-3)+`"`), map[string]string{"l4": "", "a": "y"}, 5, true},
		{"kept ones as long as may be", object(map[string]string{"env": x(MaxKeptBytes - 3)}, 0, ""), map[string]string{"env": x(MaxKeptBytes - 3)}, 1, false},
		{
			"kept ones beyond all bounds", object(map[string]string{"env": x(MaxKeptBytes), "region": long, "sloth_id": "s"}, MaxLabels, `"l%d":"x"`),
			map[string]string{"env": x(MaxKeptValue-3) + "…", "region": long, "sloth_id": "s"},
			MaxLabels + 3, true,
		},
		{
			"what a matcher has to see is whole", object(map[string]string{"env": x(MaxKeptBytes - 10), "region": long, "sloth_id": x(MaxKeptValue)}, MaxLabels, `"l%d":"x"`),
			map[string]string{"env": x(MaxKeptBytes - 10), "region": x(MaxKeptValue-3) + "…", "sloth_id": x(MaxKeptValue)},
			MaxLabels + 3, true,
		},
		{"control characters beyond bounds", object(map[string]string{"env": "a\x00\nb"}, MaxLabels, `"l%d":"x"`), map[string]string{"env": "a\ufffd\ufffdb"}, MaxLabels + 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sent map[string]string
			if err := json.Unmarshal([]byte(tt.labels), &sent); err != nil {
				t.Fatal(err)
			}
			p := mustDecode(t, body(good(`"labels":{"a":"b"}`), good(`"labels":`+tt.labels), good(`-fingerprint"labels":`+tt.labels)))
			if len(p.alerts) != 3 {
				t.Fatalf("faults %.500q", fmt.Sprint(p.faults))
			}
			a := p.alerts[1]
			checkClean(t, a)
			for name, want := range tt.want {
				if got := a.Labels[name]; got != want {
					t.Errorf("%.20s has %d bytes, %.20q…; want %d, %.20q…", name, len(got), got, len(want), want)
				}
			}
			if len(a.Labels) != tt.count {
				t.Errorf("%d labels, want %d", len(a.Labels), tt.count)
			}
			if a.Fingerprint != "42298cea74f37eb2" {
				t.Errorf("the fingerprint that was named is %s", a.Fingerprint)
			}
			if got, want := p.alerts[2].Fingerprint, alertmanagers(replaced(sent, false)); got != want {
				t.Errorf("the fingerprint that was not is %s, want %s", got, want)
			}
			wantCut, first := 0, 0
			if tt.cut {
				wantCut, first = 2, 1
			}
			if p.cut != wantCut || p.firstCut != first {
				t.Errorf("%d were cut, the first %d; want %d, %d", p.cut, p.firstCut, wantCut, first)
			}
		})
	}
}

// alertmanagers is the fingerprint that Alertmanager gives those labels.
func alertmanagers(labels map[string]string) string {
	set := model.LabelSet{}
	for name, value := range labels {
		if value != "" {
			set[model.LabelName(name)] = model.LabelValue(value)
		}
	}
	return set.Fingerprint().String()
}

func TestOfANameThatComesTwiceByCleaningTheFirstCounts(t *testing.T) {
	surplus := many(MaxLabels, `"l%d":"x"`)
	p := mustDecode(t, body(
		good(`-fingerprint"labels":{"a\u0000":"first","a\u0001":"second",`+surplus+`}`),
		good(`-fingerprint"labels":{"a\ufffd":"first",`+surplus+`}`)))
	if len(p.alerts) != 2 || p.alerts[0].Fingerprint != p.alerts[1].Fingerprint {
		t.Errorf("%+v", p.faults)
	}
}

func TestAThousandLabelsAreTakenWithTheirSLO(t *testing.T) {
	data, err := os.ReadFile("testdata/thousand-labels.json")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(openAll)
	w := b.do(post(data))
	want := `{"alerts":[{"fingerprint":"b74586269857fba3","slo":"register-availability","incident":"INC-1","result":"opened","ambiguous":[]}]}` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
	// The labels come in any order.
	var sent webhook
	if err := json.Unmarshal(data, &sent); err != nil {
		t.Fatal(err)
	}
	sent.Alerts[0].Labels["l999"], sent.Alerts[0].Labels["zz"] = "", "last"
	for range 10 {
		labels := []string{}
		for name, value := range sent.Alerts[0].Labels {
			labels = append(labels, fmt.Sprintf("%q:%q", name, value))
		}
		p := mustDecode(t, body(good(`-fingerprint"labels":{`+strings.Join(labels, ",")+`}`)))
		if len(p.alerts) != 1 || p.alerts[0].Labels["sloth_id"] != "register-availability" || p.alerts[0].Fingerprint != alertmanagers(sent.Alerts[0].Labels) {
			t.Errorf("%+v", p.faults)
		}
	}
}

func TestCutAlertsAreCountedAndLogged(t *testing.T) {
	b := newBench(openAll)
	surplus := good(`"labels":` + object(map[string]string{"sloth_id": "s"}, MaxLabels+1, `"l%d":"x"`))
	for _, alerts := range [][]string{{good("")}, {good(""), surplus, surplus}, {good("-status"), good("")}} {
		if w := b.do(post(body(alerts...))); w.Code != 200 {
			t.Fatalf("answer %d %s", w.Code, w.Body)
		}
	}
	if v := b.value(t, "sitrep_alerts_cut_total"); v != 2 {
		t.Errorf("counted %v", v)
	}
	if n := strings.Count(b.log.String(), "level=DEBUG"); n != 1 || !strings.Contains(b.log.String(), "alerts=2 fingerprint=42298cea74f37eb2") {
		t.Errorf("%d lines in the log: %s", n, b.log)
	}
}
