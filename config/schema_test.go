package config

import (
	"encoding/json"
	"reflect"
)

// jsonSchema writes the schema of the files, from what the loader goes by.
func jsonSchema() []byte {
	cache := fieldCache{}
	root := schemaOf(cache, reflect.TypeFor[Config]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "sitrep's configuration"
	team := schemaOf(cache, reflect.TypeFor[TeamFile]())
	team["title"] = "a team's file"
	root["$defs"] = map[string]any{"team_file": team}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(text, '\n')
}

func schemaOf(cache fieldCache, t reflect.Type) map[string]any {
	if l, ok := leaves[t]; ok {
		out := map[string]any{}
		for k, v := range l.schema {
			out[k] = v
		}
		return out
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(cache, t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(cache, t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(cache, t.Elem())}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.String:
		return map[string]any{"type": "string", "minLength": 1}
	}
	properties := map[string]any{}
	var required []any
	for _, f := range cache.of(t) {
		p := schemaOf(cache, t.FieldByIndex(f.index).Type)
		p["description"] = f.doc
		properties[f.name] = p
		if f.required {
			required = append(required, f.name)
		}
	}
	out := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if required != nil {
		out["required"] = required
	}
	if _, ok := reflect.Zero(t).Interface().(shorthander); ok {
		return map[string]any{"anyOf": []any{map[string]any{"type": "string", "minLength": 1}, out}}
	}
	return out
}

// JSONSchema is for the tests from outside.
var JSONSchema = jsonSchema
