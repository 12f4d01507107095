package wording

import (
	"math"
	"slices"
	"unicode/utf8"
)

// A Room is how much a report may be. Text counts as HTML has it, with escapes, and with what
// HTML puts around it; other channels find out what is too much by trying.
type Room struct {
	// Weight is how many bytes its texts may be.
	Weight int
	// Named is how many incidents of a digest are named, at most DigestNamed; those beyond are
	// counted.
	Named int
}

// inMail is the room of a mail, as mail programs cut what is long: Gmail after 102 kB of HTML.
var inMail = Room{Weight: 64_000, Named: DigestNamed}

// Less returns a room that is smaller by a quarter.
func (r Room) Less() Room { return Room{Weight: r.Weight * 3 / 4, Named: r.Named * 3 / 4} }

// Within returns as much of the report as there is room for, and says what is left out.
func (r *Report) Within(room Room) *Report {
	out := *r
	out.Briefs, out.Sections = slices.Clone(r.Briefs), slices.Clone(r.Sections)
	if beyond := len(r.items) - room.Named; beyond > 0 {
		rest := Section{Heading: r.language.count("digest.more", beyond)}
		for _, f := range r.language.counts(r.items[room.Named:]) {
			rest.Lines = append(rest.Lines, Entry{Text: f.Line()})
		}
		out.Briefs, out.Sections = out.Briefs[:room.Named], slices.Insert(out.Sections, 0, rest)
	}
	out.fit(room.Weight)
	return &out
}

const (
	// What HTML puts around an entry or a fact, a paragraph, and an incident of a digest.
	aroundLine      = 250
	aroundParagraph = 50
	aroundBrief     = 500
	// urlWeight is how much of a brief its URL may be.
	urlWeight = 400
)

// fit leaves out of the report what is too much for one message: of a digest the last lines
// of what has the most, else the last entries of the longest sections. It says so there.
func (r *Report) fit(most int) {
	r.fitLead(most / 5)
	r.fitFacts(most / 3)
	left := most - weight(r.Lead...)
	for _, f := range r.Facts {
		left -= weight(f.Name, f.Value) + aroundLine
	}
	if len(r.Briefs) > 0 {
		share := r.share(left * 9 / 10)
		for i := range r.Briefs {
			r.Briefs[i].fit(share)
			left -= r.Briefs[i].weight()
		}
	}
	r.fitSections(left)
}

// fitLead leaves out the last sentences of the lead, and says so.
func (r *Report) fitLead(most int) {
	lead := fitLines(r.Lead, most)
	if !slices.Equal(lead, r.Lead) {
		lead = append(lead, r.language.say("cut.lead"))
	}
	r.Lead = lead
}

// fitFacts cuts what is long among the facts, if together they are too much.
func (r *Report) fitFacts(most int) {
	all := 0
	for _, f := range r.Facts {
		all += weight(f.Value)
	}
	if all <= most {
		return
	}
	r.Facts = slices.Clone(r.Facts)
	for i := range r.Facts {
		f := &r.Facts[i]
		f.Value = fitText(f.Value, most/len(r.Facts))
	}
}

// share is how much each brief may weigh so that together they weigh no more than most:
// what light ones leave is for the others.
func (r *Report) share(most int) int {
	weights := make([]int, len(r.Briefs))
	for i := range r.Briefs {
		weights[i] = r.Briefs[i].weight()
	}
	slices.Sort(weights)
	for i, w := range weights {
		if fair := most / (len(weights) - i); w > fair {
			return fair
		}
		most -= w
	}
	return math.MaxInt
}

func (b *Brief) weight() int {
	return aroundBrief + weight(b.Status, b.ID, b.Title) + linkWeight(b.URL) + weight(b.Lines...) + aroundParagraph*len(b.Lines)
}

// fit makes the brief no heavier than share.
func (b *Brief) fit(share int) {
	if b.weight() <= share {
		return
	}
	if linkWeight(b.URL) > urlWeight {
		b.URL = "" // the link to all remains
	}
	share -= aroundBrief + weight(b.Status, b.ID) + linkWeight(b.URL)
	b.Title = fitText(b.Title, share/2)
	b.Lines = fitLines(b.Lines, share-weight(b.Title))
}

// fitSections leaves out the last entries of the heaviest sections, one after the other, and none
// that say where all of it is.
func (r *Report) fitSections(most int) {
	weights := make([]int, len(r.Sections))
	total := 0
	for i := range r.Sections {
		weight := 0
		for _, e := range r.Sections[i].Lines {
			weight += e.weight()
		}
		if total += weight; !r.Sections[i].stays {
			weights[i] = weight
		}
	}
	left := make([]int, len(r.Sections)) // out
	for total > most && slices.ContainsFunc(weights, func(w int) bool { return w > 0 }) {
		i := slices.Index(weights, slices.Max(weights))
		lines := r.Sections[i].Lines
		last := lines[len(lines)-1].weight()
		r.Sections[i].Lines, weights[i], total = lines[:len(lines)-1:len(lines)-1], weights[i]-last, total-last
		left[i]++
	}
	more := "cut.entries"
	if r.ID == "" {
		more = "cut.entries_of_all"
	}
	for i, n := range left {
		if n > 0 {
			r.Sections[i].Lines = append(r.Sections[i].Lines, Entry{Text: r.language.count(more, n)})
		}
	}
}

func (e *Entry) weight() int {
	w := aroundLine + weight(e.When, e.Text, e.Says, e.Small, e.Quote, e.Command) + linkWeight(e.URL)
	if e.Text == "" || e.Command != "" || e.When != "" {
		w += weight(e.URL) // it is shown, too
	}
	return w + 4*len(e.QuoteLines())
}

// fitLines leaves out the last of the lines, until they weigh no more than most; the last
// that remains may be cut.
func fitLines(lines []string, most int) []string {
	for i, s := range lines {
		left := most
		if most -= weight(s) + aroundParagraph; most >= 0 {
			continue
		}
		lines = lines[:i:i]
		if s = fitText(s, left-aroundParagraph); utf8.RuneCountInString(s) > 20 {
			lines = append(lines, s)
		}
		break
	}
	return lines
}

// fitText cuts a line so that it weighs no more than most.
func fitText(s string, most int) string {
	for w := weight(s); w > most; w = weight(s) {
		limit := utf8.RuneCountInString(s) * max(most, 0) / w
		if limit < 2 {
			return ""
		}
		s = shorten(s, limit-1)
	}
	return s
}

// weight is how many bytes texts are in HTML.
func weight(texts ...string) int {
	n := 0
	for _, s := range texts {
		n += len(s)
		for _, r := range s {
			switch r {
			case '<', '>', '&', '"', '\'', '+':
				n += len("&#34;") - 1
			}
		}
	}
	return n
}

// linkWeight is how many bytes a URL is as the target of a link.
func linkWeight(url string) int {
	n := weight(url)
	for i := range len(url) {
		if url[i] >= utf8.RuneSelf {
			n += len("%C3") - 1
		}
	}
	return n
}
