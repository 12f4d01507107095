package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"sitrep/incident/incidentjson"
	"sitrep/internal/access"
	"sitrep/internal/httperr"
)

// OpenAPI returns the description of the routes, as OpenAPI 3.1 in JSON. The same
// routes always give the same bytes.
func OpenAPI(routes []Route) ([]byte, error) {
	s := newSchemas()
	s.of(reflect.TypeFor[httperr.Problem]())
	paths := map[string]map[string]any{}
	for i := range routes {
		r := &routes[i]
		if paths[r.Path] == nil {
			paths[r.Path] = map[string]any{}
		}
		method := strings.ToLower(r.Method)
		if paths[r.Path][method] != nil {
			return nil, fmt.Errorf("describe the API: %s %s is there twice", r.Method, r.Path)
		}
		paths[r.Path][method] = operation(r, s)
	}
	doc := map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title":   "sitrep",
			"version": "1",
			"description": "sitrep turns SLO alerts into incidents, and keeps the right people informed at the pace that the organisation promised.\n\n" +
				"Times are RFC 3339 in UTC. What is not set is null, \"\", [] or {}, never absent; answers may get further fields. " +
				"Errors are problems (RFC 9457) whose detail says what to do.",
		},
		"servers": []any{map[string]any{"url": "../..", "description": "The sitrep that serves this document."}},
		"paths":   paths,
		"tags": []any{
			map[string]any{"name": "incidents", "description": "What happens, who was told, and what people do about it."},
			map[string]any{"name": "configuration", "description": "What the configuration promises, and what it does not know."},
			map[string]any{"name": "audit", "description": "Evidence and reports."},
			map[string]any{"name": "service", "description": "sitrep itself."},
		},
		"components": map[string]any{
			"schemas":    s.named,
			"parameters": parameters(),
			"headers":    headers(),
			"responses":  problems(),
			"securitySchemes": map[string]any{
				"bearer": map[string]any{"type": "http", "scheme": "bearer", "description": "A token of the configuration."},
				"basic":  map[string]any{"type": "http", "scheme": "basic", "description": "A user of the configuration."},
			},
		},
	}
	body, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	return append(body, '\n'), nil
}

// operation describes one route.
func operation(r *Route, s *schemas) any {
	_, command := r.Answer.(incidentjson.Incident)
	command = command && r.Method == http.MethodPost && r.Body != nil
	op := map[string]any{
		"operationId": operationID(r),
		"summary":     strings.TrimSuffix(r.Summary, "."),
		"description": r.Summary + " " + role(r.Role),
		"tags":        []string{tag(r.Path)},
		"responses":   responses(r, s, command),
		"security":    security(r.Role),
	}
	params := []any{}
	for _, name := range variables(r.Path) {
		params = append(params, reference("parameters", name))
	}
	for _, p := range r.Query {
		schema := map[string]any{"type": "string"}
		if len(p.Values) > 0 {
			schema["enum"] = p.Values
		}
		if p.Name == "limit" {
			schema = map[string]any{"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
		}
		params = append(params, map[string]any{"name": p.Name, "in": "query", "description": p.Summary, "schema": schema})
	}
	if command {
		params = append(params, reference("parameters", "Idempotency-Key"))
		if slices.Contains(variables(r.Path), "id") {
			params = append(params, reference("parameters", "If-Match"))
		}
	}
	if r.Body != nil {
		s.suffix = "Command"
		schema := s.of(reflect.TypeOf(r.Body))
		s.suffix = ""
		op["requestBody"] = map[string]any{
			"required": needed[reflect.TypeOf(r.Body).Name()+"Command"] != nil,
			"content":  map[string]any{"application/json": map[string]any{"schema": schema}},
		}
	}
	if len(params) > 0 {
		op["parameters"] = params
	}
	return op
}

// responses describes the answers of a route, by status.
func responses(r *Route, s *schemas, command bool) any {
	out := map[string]any{"default": reference("responses", "Problem")}
	ok := map[string]any{"description": "Done."}
	content := map[string]any{}
	if r.Answer != nil {
		content["application/json"] = map[string]any{"schema": s.of(reflect.TypeOf(r.Answer))}
	}
	for _, media := range r.Media {
		schema := map[string]any{"type": "string"}
		if !strings.HasPrefix(media, "text/") {
			schema["contentMediaType"] = media // bytes
		}
		content[media] = map[string]any{"schema": schema}
	}
	if len(content) > 0 {
		ok["content"] = content
	}
	out["200"] = ok
	var codes []int
	if r.Role != access.Nobody {
		codes = append(codes, 401, 403)
	}
	if strings.HasPrefix(r.Path, "/api/") {
		codes = append(codes, 400, 500, 503)
	}
	if slices.Contains(variables(r.Path), "id") || slices.ContainsFunc(r.Query, func(p Parameter) bool { return p.Name == "incident" }) {
		codes = append(codes, 404)
	}
	_, one := r.Answer.(incidentjson.Incident)
	if one {
		ok["headers"] = map[string]any{"ETag": reference("headers", "ETag")}
	}
	if r.Body != nil && !command {
		codes = append(codes, 409, 413, 415)
	}
	if command {
		codes = append(codes, 409, 413, 415, 422)
		preview := s.of(reflect.TypeFor[Preview]())
		answer := content["application/json"].(map[string]any)["schema"]
		done := map[string]any{
			"description": "Done; or done before by the same command.",
			"headers": map[string]any{
				"ETag":                 reference("headers", "ETag"),
				"Idempotency-Replayed": reference("headers", "Idempotency-Replayed"),
			},
			"content": map[string]any{"application/json": map[string]any{"schema": map[string]any{"oneOf": []any{answer, preview}}}},
		}
		out["200"] = done
		if slices.Contains(variables(r.Path), "id") {
			codes = append(codes, 412)
		} else {
			out["200"] = map[string]any{
				"description": "The preview that was asked for.",
				"content":     map[string]any{"application/json": map[string]any{"schema": preview}},
			}
			done["content"] = map[string]any{"application/json": map[string]any{"schema": answer}}
			done["headers"].(map[string]any)["Location"] = reference("headers", "Location")
			out["201"] = done
		}
	}
	if r.Path == "/-/ready" {
		codes = append(codes, 503)
	}
	for _, code := range codes {
		out[strconv.Itoa(code)] = reference("responses", problemName(code))
	}
	return out
}

// variables returns what varies in a path.
func variables(path string) []string {
	var names []string
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

// operationID is such as getIncidentsById.
func operationID(r *Route) string {
	id := strings.ToLower(r.Method)
	for part := range strings.FieldsFuncSeq(strings.TrimPrefix(r.Path, "/api/v1"), func(c rune) bool { return strings.ContainsRune("/-._", c) }) {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			part = "by" + upper(strings.TrimSuffix(name, "}"))
		}
		id += upper(part)
	}
	return id
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func tag(path string) string {
	switch rest := strings.TrimPrefix(path, "/api/v1/"); {
	case strings.HasPrefix(rest, "incidents"), strings.HasPrefix(rest, "deliveries"):
		return "incidents"
	case strings.HasPrefix(rest, "audit"):
		return "audit"
	case rest == "priorities", rest == "slos", rest == "unmapped", rest == "coverage":
		return "configuration"
	}
	return "service"
}

// role says who may use a route.
func role(need access.Role) string {
	switch need {
	case access.Nobody:
		return "Needs no credentials."
	case access.Any:
		return "Needs any role."
	case access.Auditor:
		return "Needs the role auditor or admin."
	}
	return fmt.Sprintf("Needs the role %s.", need)
}

// security is role for programs.
func security(need access.Role) any {
	if need == access.Nobody {
		return []any{}
	}
	roles := []string{}
	for _, r := range access.Roles() {
		if r.May(need) {
			roles = append(roles, string(r))
		}
	}
	return []any{map[string]any{"bearer": roles}, map[string]any{"basic": roles}}
}

func parameters() any {
	text := func(in, name, description string, schema map[string]any) any {
		schema["type"] = "string"
		return map[string]any{"name": name, "in": in, "required": in == "path", "description": description, "schema": schema}
	}
	return map[string]any{
		"id":   text("path", "id", "The incident, such as INC-42.", map[string]any{"pattern": "^[Ii][Nn][Cc]-[1-9][0-9]*$"}),
		"name": text("path", "name", "The name of the action, such as postmortem.", map[string]any{}),
		"Idempotency-Key": text("header", "Idempotency-Key",
			"A new value, such as a UUID, for each command: the same command sent again with it, within a day, is answered as before and not done twice.",
			map[string]any{"minLength": 1, "maxLength": 255}),
		"If-Match": text("header", "If-Match",
			"The ETag that the incident had when the person decided. If a person changed it since, the answer is 412; what alerts did does not count.",
			map[string]any{"examples": []string{`"12"`}}),
	}
}

func headers() any {
	text := func(description string, schema map[string]any) any {
		schema["type"] = "string"
		return map[string]any{"description": description, "schema": schema}
	}
	return map[string]any{
		"ETag":                 text("The sequence of the incident, for If-Match.", map[string]any{"pattern": `^"[1-9][0-9]*"$`}),
		"Location":             text("The path of the incident that was opened.", map[string]any{}),
		"Idempotency-Replayed": text("Set to true if this is the answer to the same command before.", map[string]any{"enum": []string{"true"}}),
	}
}

// problemStatuses are the statuses of problems, and what each means.
var problemStatuses = map[int]string{
	400: "What was asked is wrong in itself; the detail says what would be right.",
	401: "Credentials are missing or wrong.",
	403: "The role does not allow it.",
	404: "It is not there.",
	409: "The state of the incident forbids it, such as closing with an action due.",
	412: "A person changed the incident since the sequence in If-Match.",
	413: "The body is too large.",
	415: "The body is not application/json.",
	422: "The Idempotency-Key was used for another command.",
	500: "Something is wrong with sitrep; its log says what, under the request's name.",
	503: "It cannot be done now; nothing was changed, try again.",
}

func problemName(code int) string { return "Problem" + strconv.Itoa(code) }

func problems() any {
	content := map[string]any{"application/problem+json": map[string]any{"schema": reference("schemas", "Problem")}}
	out := map[string]any{"Problem": map[string]any{"description": "Something else went wrong.", "content": content}}
	for code, text := range problemStatuses {
		out[problemName(code)] = map[string]any{"description": text, "content": content}
	}
	return out
}

func (h *Handler) openAPI(w http.ResponseWriter, _ *http.Request) error {
	body, err := OpenAPI(append(h.Routes(), h.Beside...))
	if err != nil {
		return err
	}
	return answerBytes(w, http.StatusOK, body)
}
