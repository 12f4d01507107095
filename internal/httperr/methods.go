package httperr

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Methods are the handlers of one path, by method. Any other method is answered 405
// with those that are possible.
type Methods map[string]http.Handler

// ServeHTTP implements http.Handler.
func (m Methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := m[r.Method]; ok {
		h.ServeHTTP(w, r)
		return
	}
	var allowed []string
	for method := range m {
		allowed = append(allowed, method)
	}
	slices.Sort(allowed)
	Write(w, r, &Error{
		Code:   http.StatusMethodNotAllowed,
		Text:   fmt.Sprintf("%s is not possible here; use %s", r.Method, strings.Join(allowed, " or ")),
		Header: http.Header{"Allow": {strings.Join(allowed, ", ")}},
	})
}
