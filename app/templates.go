package app

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/internal/tally"
	"sitrep/templates"
	"sitrep/wording"
)

// newTemplateFailures makes the counter of messages that a template failed for.
func newTemplateFailures(reg prometheus.Registerer) *prometheus.CounterVec {
	all := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "sitrep_template_failures_total", Help: "Messages that a template of one's own failed for, so that they were made in sitrep's own words.",
	}, []string{"template"})
	for _, name := range templates.Names() {
		all.WithLabelValues(name)
	}
	return all
}

// brokenTemplates are those that failed since a configuration came into force.
type brokenTemplates struct {
	total *prometheus.CounterVec
	log   *slog.Logger
	tally *tally.Tally

	mu   sync.Mutex
	seen map[string]brokenTemplate // by name
}

type brokenTemplate struct {
	last     *templates.Failure
	messages int
}

func newBrokenTemplates(total *prometheus.CounterVec, log *slog.Logger) *brokenTemplates {
	return &brokenTemplates{total: total, log: log, tally: tally.New(), seen: map[string]brokenTemplate{}}
}

// failed is told of each message that a template failed for.
func (b *brokenTemplates) failed(f *templates.Failure) {
	b.total.WithLabelValues(f.Template).Inc()
	if n, worth := b.tally.Count(f.Template); worth {
		b.log.Warn("template failed, the message has sitrep's own words", slog.String("template", f.Template), slog.Int("messages", n), slog.Any("err", f))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[f.Template] = brokenTemplate{f, b.seen[f.Template].messages + 1}
}

// warnings says which templates failed, by name; not in full nothing of what stands in their files.
func (b *brokenTemplates) warnings(full bool) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(b.seen)) {
		t := b.seen[name]
		what := t.last.Place() + ": a mistake; the log has its text"
		if full {
			what = t.last.Error()
		}
		all = append(all, fmt.Sprintf("%s (%s had sitrep's own words instead)", what, wording.Count(t.messages, "message")))
	}
	return all
}

// Render returns the bytes of a message as a service with that configuration hands them over, made
// by what sends. The error is that of a channel that cannot be used, or of the message. What a
// template fails for is told to failed; the message has sitrep's own words then.
func Render(c *config.Config, m *incident.Message, failed func(*templates.Failure)) ([]byte, error) {
	own := c.OwnTemplates().Telling(failed)
	if m.Recipient.Channel == incident.ChannelEmail {
		if c.Mail == nil {
			return nil, fmt.Errorf("the configuration has no mail section; add mail with from, and with smarthost or directory")
		}
		return letterhead(c.Mail, own).Render(m)
	}
	hooks, err := newHooks(c.Webhooks(), own)
	if err != nil {
		return nil, err
	}
	return hooks.Render(m)
}
