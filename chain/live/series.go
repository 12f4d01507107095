package live

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sitrep/chain"
)

const (
	// maxSelectors is of how many selectors it is asked whether there are series.
	maxSelectors = 4000
	// perQuery is how many are asked at once, if their text is not longer than maxQuery.
	perQuery = 40
	maxQuery = 4000
)

// series asks whether there is anything that the rules of SLOs look at.
func (l *looking) series(ctx context.Context, p *prometheus) {
	p.series = nil
	if !p.known() || p.err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	byText := map[string]chain.Selector{}
	l.each(p, func(_ *chain.SLO, s sighting) {
		for _, sel := range s.chain.Selectors() {
			if len(byText) == maxSelectors {
				p.series = fmt.Errorf("there are more than %d selectors, and the others are not looked at", maxSelectors)
			} else if len(sel.Text) < maxQuery {
				byText[sel.Text] = sel
			}
		}
	})
	there, err := p.there(ctx, keys(byText))
	if err != nil {
		p.series = err
		return
	}
	names := map[string]bool{}
	for text, sel := range byText {
		if !there[text] && sel.Name != "" {
			names[nameSelector(sel.Name)] = true
		}
	}
	thereByName, err := p.there(ctx, keys(names))
	if err != nil {
		p.series = err
		return
	}
	l.each(p, func(slo *chain.SLO, s sighting) { l.lacks(s, slo, there, thereByName) })
}

// lacks reports a rule if nothing is there that it looks at.
func (l *looking) lacks(s sighting, slo *chain.SLO, there, byName map[string]bool) {
	selectors := s.chain.Selectors()
	if len(selectors) == 0 || slices.ContainsFunc(selectors, func(sel chain.Selector) bool {
		found, asked := there[sel.Text]
		return !asked || found
	}) {
		return
	}
	f := chain.Finding{
		Kind: chain.KindNoSeries, Severity: chain.Warning, Place: s.chain.Place,
		Text: fmt.Sprintf("nothing is there now that the alert %q looks at, such as %s, so it cannot fire", short(s.chain.Name), short(selectors[0].Text)),
		Fix:  "look at the labels that the expression asks for; if series come with the first error only, that is all right",
	}
	if !slices.ContainsFunc(selectors, func(sel chain.Selector) bool { return sel.Name == "" || byName[nameSelector(sel.Name)] }) {
		f.Severity = chain.Error
		f.Text = fmt.Sprintf("no series is there of the metrics that the alert %q looks at (%s), so it can never fire", short(s.chain.Name), short(selectors[0].Name))
		f.Fix = "look whether they were renamed, and whether what tells them is scraped"
	}
	l.blame(f, slo)
}

func nameSelector(name string) string { return "{__name__=" + strconv.Quote(name) + "}" }

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// there returns of each selector whether it finds a series.
func (p *prometheus) there(ctx context.Context, selectors []string) (map[string]bool, error) {
	out := make(map[string]bool, len(selectors))
	for len(selectors) > 0 {
		n, size := 0, 0
		var parts []string
		for n < len(selectors) && n < perQuery && (n == 0 || size+len(selectors[n]) < maxQuery) {
			out[selectors[n]] = false
			parts = append(parts, fmt.Sprintf(`label_replace(count(%s), "n", "%d", "", "")`, selectors[n], n))
			size += len(selectors[n]) + 50
			n++
		}
		found, err := p.instant(ctx, strings.Join(parts, " or "))
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if i, err := strconv.Atoi(s.labels["n"]); err == nil && i >= 0 && i < n {
				out[selectors[i]] = true
			}
		}
		selectors = selectors[n:]
	}
	return out, nil
}
