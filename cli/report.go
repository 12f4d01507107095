package cli

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"sitrep/chain"
	"sitrep/wording"
)

// printReport prints what was found along the chains. Fails says what of it is a failure, where a
// format has those.
func printReport(out io.Writer, r *chain.Report, format string, fails func(*chain.Finding) bool) error {
	switch format {
	case "json":
		return printJSON(out, r)
	case "junit":
		return printJUnit(out, r, fails)
	case "github":
		printAnnotations(out, r)
	default:
		printText(out, r)
	}
	return nil
}

// longestFinding is how many characters of one are printed.
const longestFinding = 4096

func oneLine(text string) string { return wording.Line(text, longestFinding) }

func printText(out io.Writer, r *chain.Report) {
	for i := range r.Findings {
		f := &r.Findings[i]
		fmt.Fprintln(out, oneLine(f.String()))
		for _, s := range f.Sides {
			fmt.Fprintf(out, "    %s: %s\n", oneLine(s.Place.String()), oneLine(s.Text))
		}
	}
	whole := 0
	for i := range r.SLOs {
		if r.SLOs[i].Reached() == chain.Always {
			whole++
		}
	}
	fmt.Fprintf(out, "%s of %s: alerts claim it and surely come to sitrep. %s: %d ignored, %d no SLO's\n",
		fmt.Sprint(whole), wording.Count(len(r.SLOs), "SLO"), wording.Count(r.Alerts, "alerting rule"), r.Ignored, r.Others)
	if r.Errors()+r.Warnings() > 0 {
		fmt.Fprintf(out, "sitrep: %s, %s\n", wording.Count(r.Errors(), "error"), wording.Count(r.Warnings(), "warning"))
	}
}

// A placeJSON is where something stands.
type placeJSON struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

type sideJSON struct {
	placeJSON
	Text string `json:"text"`
}

type findingJSON struct {
	Kind     chain.Kind     `json:"kind"`
	Severity chain.Severity `json:"severity"`
	placeJSON
	Text  string     `json:"text"`
	Fix   string     `json:"fix,omitempty"`
	SLO   string     `json:"slo,omitempty"`
	Sides []sideJSON `json:"sides"`
}

type linkJSON struct {
	Alert string `json:"alert"`
	placeJSON
	Claimed  string     `json:"claimed"`
	Routed   string     `json:"routed"`
	Route    *placeJSON `json:"route"`
	Receiver string     `json:"receiver,omitempty"`
}

type audienceJSON struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups"`
}

type coverageJSON struct {
	ID string `json:"id"`
	placeJSON
	Team      string         `json:"team"`
	Priority  string         `json:"priority"`
	Reached   string         `json:"reached"`
	Audiences []audienceJSON `json:"audiences"`
	Alerts    []linkJSON     `json:"alerts"`
}

type reportJSON struct {
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Rules    int            `json:"alerting_rules"`
	Ignored  int            `json:"ignored"`
	Others   int            `json:"others"`
	Findings []findingJSON  `json:"findings"`
	SLOs     []coverageJSON `json:"slos"`
}

func jsonOf(p chain.Place) placeJSON { return placeJSON(p) }

func printJSON(out io.Writer, r *chain.Report) error {
	doc := reportJSON{
		Errors: r.Errors(), Warnings: r.Warnings(), Rules: r.Alerts, Ignored: r.Ignored, Others: r.Others,
		Findings: []findingJSON{}, SLOs: []coverageJSON{},
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		j := findingJSON{Kind: f.Kind, Severity: f.Severity, placeJSON: jsonOf(f.Place), Text: f.Text, Fix: f.Fix, SLO: f.SLO, Sides: []sideJSON{}}
		for _, s := range f.Sides {
			j.Sides = append(j.Sides, sideJSON{jsonOf(s.Place), s.Text})
		}
		doc.Findings = append(doc.Findings, j)
	}
	for i := range r.SLOs {
		c := &r.SLOs[i]
		j := coverageJSON{
			ID: c.SLO.ID, placeJSON: jsonOf(c.SLO.Place), Team: c.SLO.Team, Priority: c.SLO.Priority, Reached: c.Reached().String(),
			Audiences: []audienceJSON{}, Alerts: []linkJSON{},
		}
		for _, a := range c.SLO.Audiences {
			said := audienceJSON{Name: a.Name, Groups: []string{}}
			for _, g := range a.Groups {
				said.Groups = append(said.Groups, g.Name)
			}
			j.Audiences = append(j.Audiences, said)
		}
		for _, l := range c.Links {
			said := linkJSON{Alert: l.Rule.Name, placeJSON: jsonOf(l.Rule.Place), Claimed: l.Claimed.String(), Routed: l.Routed.String()}
			if l.Route != nil {
				at := jsonOf(l.Route.Place)
				said.Route, said.Receiver = &at, l.Route.Receiver
			}
			j.Alerts = append(j.Alerts, said)
		}
		doc.SLOs = append(doc.SLOs, j)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err := out.Write(wording.EscapeJSON(b.Bytes()))
	return err
}

// What JUnit's reports are made of.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class    string         `xml:"classname,attr"`
		Name     string         `xml:"name,attr"`
		File     string         `xml:"file,attr,omitempty"`
		Line     int            `xml:"line,attr,omitempty"`
		Failures []junitFailure `xml:"failure"`
		Out      string         `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// printJUnit prints a test case for each SLO, and one for each finding that is no SLO's.
func printJUnit(out io.Writer, r *chain.Report, fails func(*chain.Finding) bool) error {
	suite := junitSuite{Name: "sitrep check"}
	of := map[string]int{}
	for i := range r.SLOs {
		s := r.SLOs[i].SLO
		of[s.ID] = len(suite.Cases)
		suite.Cases = append(suite.Cases, junitCase{Class: "slo", Name: oneLine(s.ID), File: s.Place.File, Line: s.Place.Line})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		n, ok := of[f.SLO]
		if !ok || f.SLO == "" {
			n = len(suite.Cases)
			suite.Cases = append(suite.Cases, junitCase{Class: string(f.Kind), Name: oneLine(f.Place.String()), File: f.Place.File, Line: f.Place.Line})
		}
		if fails(f) {
			suite.Failures++
			suite.Cases[n].Failures = append(suite.Cases[n].Failures, junitFailure{string(f.Kind), oneLine(f.Text), block(f)})
			continue
		}
		suite.Cases[n].Out += block(f) + "\n"
	}
	suite.Tests = len(suite.Cases)
	b, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return err
	}
	_, err = wording.Shown(out).Write([]byte(xml.Header + string(b) + "\n"))
	return err
}

// block returns a finding and its sides, one a line.
func block(f *chain.Finding) string {
	lines := []string{oneLine(f.String())}
	for _, s := range f.Sides {
		lines = append(lines, oneLine(s.Place.String()+": "+s.Text))
	}
	return strings.Join(lines, "\n")
}

// What GitHub's annotations must not hold as it stands.
var (
	annotationText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	annotationProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func printAnnotations(out io.Writer, r *chain.Report) {
	level := map[chain.Severity]string{chain.Error: "error", chain.Warning: "warning", chain.Note: "notice"}
	for i := range r.Findings {
		f := &r.Findings[i]
		at := "file=" + annotationProperty.Replace(oneLine(f.Place.File))
		if f.Place.Line > 0 {
			at += fmt.Sprintf(",line=%d,col=%d", f.Place.Line, f.Place.Column)
		}
		_, text, _ := strings.Cut(block(f), ": "+string(f.Severity)+": ")
		fmt.Fprintf(out, "::%s %s,title=%s::%s\n", level[f.Severity], at, annotationProperty.Replace("sitrep "+string(f.Kind)), annotationText.Replace(text))
	}
}
