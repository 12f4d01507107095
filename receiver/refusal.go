package receiver

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"time"

	"sitrep/storage"
)

// A refusal is why a post is answered with 4xx.
type refusal struct {
	status int
	reason string // one of refusedReasons
	text   string // for the person who looks: what is wrong, and what would be right
}

func (r *refusal) Error() string { return r.text }

// The reasons of refusals, as the metrics name them.
const (
	refusedPath     = "path"               // not exactly Path
	refusedMethod   = "method"             // not a POST
	refusedType     = "content_type"       // not JSON by its header
	refusedEncoding = "content_encoding"   // compressed
	refusedSize     = "too_large"          // beyond MaxBody
	refusedAlerts   = "too_many_alerts"    // beyond MaxAlerts
	refusedSyntax   = "not_json"           // not JSON by its content
	refusedPayload  = "not_a_payload"      // JSON, but not what Alertmanager sends
	refusedEmpty    = "no_alerts"          // a payload without any
	refusedInvalid  = "all_alerts_invalid" // none of its alerts is valid
	refusedAccess   = "access"             // refused before it came here
)

var refusedReasons = []string{
	refusedPath, refusedMethod, refusedType, refusedEncoding, refusedSize, refusedAlerts,
	refusedSyntax, refusedPayload, refusedEmpty, refusedInvalid, refusedAccess,
}

// check looks at what stands around the body, before it is read.
func check(r *http.Request) error {
	if r.URL.Path != Path {
		return &refusal{http.StatusNotFound, refusedPath, fmt.Sprintf("there is nothing at %.100q; post to %s, without a slash at the end", r.URL.Path, Path)}
	}
	if r.Method != http.MethodPost {
		return &refusal{http.StatusMethodNotAllowed, refusedMethod, fmt.Sprintf("%.20q is not POST; if Alertmanager sent this it was redirected: give it the final URL", r.Method)}
	}
	if encodings := r.Header["Content-Encoding"]; len(encodings) > 0 {
		return &refusal{http.StatusUnsupportedMediaType, refusedEncoding, fmt.Sprintf("the body is encoded as %.40q; send it without Content-Encoding", encodings[0])}
	}
	kind := r.Header.Get("Content-Type")
	if kind != "application/json" {
		// An error about a parameter leaves the type itself.
		if parsed, _, _ := mime.ParseMediaType(kind); parsed != "application/json" {
			return &refusal{http.StatusUnsupportedMediaType, refusedType, fmt.Sprintf("the content type is %.80q; send application/json", kind)}
		}
	}
	if r.ContentLength > MaxBody {
		return tooLarge()
	}
	return nil
}

// Refused counts, logs and records a post that was refused before it came to the
// handler, as when nobody knows who posts. It answers nothing. It does not wait. Who
// is refused again and again is logged and recorded the first time, the second, the
// fourth, and so on; all are counted. A status of 500 or above, on which the post comes
// again, is counted alone.
func (h *Handler) Refused(r *http.Request, status int, text string) {
	h.metrics.answered(status)
	if status < 500 {
		h.refuse(r, &refusal{status, refusedAccess, text})
	}
}

// refuse counts, logs and records a refused post.
func (h *Handler) refuse(r *http.Request, why *refusal) {
	client := h.client(r)
	h.metrics.refused.WithLabelValues(why.reason).Inc()
	recordings, times := h.recordings, 1
	if why.reason == refusedAccess {
		var worth bool
		if times, worth = h.strangers.Count(client); !worth {
			return
		}
		recordings = h.strangerRecordings
	}
	h.log.WarnContext(r.Context(), "post refused, its alerts come again only with the next group_interval",
		"client", client, "status", why.status, "reason", why.reason, "err", why.text, "agent", fmt.Sprintf("%.80s", r.UserAgent()), "times", times)
	if h.refused == nil || !recordings.Allow() {
		return
	}
	record := storage.Refusal{At: now(), Status: why.status, Client: client, Reason: why.text}
	ctx := context.WithoutCancel(r.Context())
	h.running.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, recordWithin)
		defer cancel()
		h.refused(ctx, record)
	})
}

// now is the time in the form in which it is stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
