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

// Paths are the handlers of all paths, by method, in the order in which the paths came.
type Paths struct {
	order []string
	by    map[string]Methods
}

// Add adds a handler. What answers GET answers HEAD too.
func (p *Paths) Add(method, path string, h http.Handler) {
	if p.by == nil {
		p.by = map[string]Methods{}
	}
	if p.by[path] == nil {
		p.order, p.by[path] = append(p.order, path), Methods{}
	}
	p.by[path][method] = h
	if method == http.MethodGet {
		p.by[path][http.MethodHead] = h
	}
}

// Each calls fn for each path.
func (p *Paths) Each(fn func(path string, h http.Handler)) {
	for _, path := range p.order {
		fn(path, p.by[path])
	}
}
