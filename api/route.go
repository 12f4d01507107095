package api

import (
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/gorilla/mux"

	"sitrep/internal/access"
	"sitrep/internal/httperr"
)

// A Route is one thing that can be asked for.
type Route struct {
	Method string // of GET, HEAD is answered too
	Path   string // with {name} for what varies
	Role   access.Role
	// Summary says in a sentence what it does.
	Summary string
	Query   []Parameter
	// Body and Answer are values of the types of the JSON that goes in and comes out;
	// nil if none does.
	Body, Answer any
	// Media are the types of an answer that is no JSON, such as text/plain.
	Media   []string
	Handler httperr.HandlerFunc
}

// A Parameter is one of the query.
type Parameter struct {
	Name    string
	Summary string
	Values  []string // those that it may have; empty: any
}

// The parameters of what comes in pages.
var paging = []Parameter{
	{Name: "limit", Summary: "how many at most, 1 to 1000; default 100"},
	{Name: "cursor", Summary: "next of the page before"},
}

// Mount adds routes to r, each behind require. What has one of the paths and another
// method is answered 405. The router must leave paths as they are: with
// [mux.Router.SkipClean] and [mux.Router.UseEncodedPath].
func Mount(r *mux.Router, logger *slog.Logger, routes []Route, require func(access.Role, http.Handler) http.Handler) {
	var paths httperr.Paths
	for _, route := range routes {
		paths.Add(route.Method, route.Path, require(route.Role, httperr.Handle(logger, route.serve)))
	}
	paths.Each(func(path string, h http.Handler) { r.Path(path).Handler(httperr.WithRequestID(h)) })
}

// serve checks the query before the handler sees it: a misspelt parameter must not
// pass for none.
func (route *Route) serve(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalid("the query cannot be read: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		i := slices.IndexFunc(route.Query, func(p Parameter) bool { return p.Name == name })
		switch {
		case i < 0 && len(route.Query) == 0:
			return invalid("unknown parameter %q; this takes none", name)
		case i < 0:
			var names []string
			for _, p := range route.Query {
				names = append(names, p.Name)
			}
			return invalid("unknown parameter %q; use %s", name, or(names))
		case len(values) > 1:
			return invalid("parameter %q is there %d times; give it once", name, len(values))
		case values[0] != "" && len(route.Query[i].Values) > 0 && !slices.Contains(route.Query[i].Values, values[0]):
			return invalid("%s %q: use %s", name, values[0], or(route.Query[i].Values))
		}
	}
	if !stranger(r) {
		return route.Handler(w, r)
	}
	v := veil(w, r)
	if err := route.Handler(v, r); err != nil {
		return err
	}
	v.end()
	return nil
}

// pageOf returns limit and cursor of a request.
func pageOf(r *http.Request) (limit int, cursor string, err error) {
	q := r.URL.Query()
	limit = 100
	if s := q.Get("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > 1000 {
			return 0, "", invalid("limit %q: use a number from 1 to 1000", s)
		}
	}
	return limit, q.Get("cursor"), nil
}
