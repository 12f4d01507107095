package email

import (
	"slices"
	"time"
)

// The wait between two mails to a server that said that they come too fast: it doubles
// with each such answer, and is halved with each mail that is taken.
const (
	firstGap   = time.Second
	longestGap = 15 * time.Second
	leastGap   = 200 * time.Millisecond
)

// A Rate is how many mails may begin within a time. The zero value is no bound.
type Rate struct {
	Mails int
	Per   time.Duration
}

// A pace says when the next mail may begin: as the operator set it, and as the server
// lets one. It is not safe for concurrent use.
type pace struct {
	rate  Rate
	began []time.Time // the latest, at most rate.Mails, the oldest first

	gap    time.Duration // zero: as fast as it goes
	slowed time.Time     // when gap was last made longer
	next   time.Time     // because of gap
}

// at returns when the next mail may begin, which may be past.
func (p *pace) at() time.Time {
	next := p.next
	if p.rate.Mails > 0 && len(p.began) == p.rate.Mails {
		// What is slower on its way than the one before must not come into its window.
		if free := p.began[0].Add(p.rate.Per + p.rate.Per/60); free.After(next) {
			next = free
		}
	}
	return next
}

// begin notes that a mail begins.
func (p *pace) begin(now time.Time) {
	if p.gap > 0 {
		p.next = now.Add(p.gap)
	}
	if p.rate.Mails > 0 {
		if len(p.began) == p.rate.Mails {
			p.began = slices.Delete(p.began, 0, 1)
		}
		p.began = append(p.began, now)
	}
}

// slow notes that the server wants what began at that time more slowly. What began before
// the pace was last changed says nothing new.
func (p *pace) slow(began, now time.Time) {
	if began.Before(p.slowed) {
		return
	}
	p.gap = min(max(2*p.gap, firstGap), longestGap)
	p.slowed, p.next = now, now.Add(p.gap)
}

// taken notes that the server took a mail that began at that time.
func (p *pace) taken(began time.Time) {
	if began.Before(p.slowed) {
		return
	}
	if p.gap /= 2; p.gap < leastGap {
		p.gap = 0
	}
}
