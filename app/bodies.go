package app

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// bodyWithin is how long the body of a request may take to come. Until it has come, or
// that time is over, the server does not even answer who refuses it unread.
const bodyWithin = 10 * time.Second

// boundBodies lets no client hold a connection for ever with a body that never comes.
func boundBodies(within time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			control := http.NewResponseController(w)
			// Where the connection knows no deadlines, the server's own have to do.
			_ = control.SetReadDeadline(time.Now().Add(within))
			r.Body = &boundBody{r.Body, func() { _ = control.SetReadDeadline(time.Time{}) }}
		}
		next.ServeHTTP(w, r)
	})
}

// A boundBody takes the deadline away at its end: it would end the watch for a client
// that leaves, too.
type boundBody struct {
	io.ReadCloser
	came func()
}

// Read implements io.Reader.
func (b *boundBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.came()
	}
	return n, err
}
