package config

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// Canonical returns the config in force as JSON: with the defaults and the teams'
// files, keys sorted, without secrets. Equal configs give the same bytes whatever
// their files are called and however they are laid out. Of a webhook's URL only
// scheme and host are there; email addresses are there in full. It must not be
// changed.
func (c *Config) Canonical() []byte { return c.canonical }

func canonical(c *Config) []byte {
	cache := fieldCache{}
	form := cache.show(reflect.ValueOf(c).Elem(), "").(map[string]any)
	teams := make([]any, len(c.Teams))
	for i := range c.Teams {
		teams[i] = cache.show(reflect.ValueOf(&c.Teams[i]).Elem(), "")
	}
	form["teams"] = teams
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(form); err != nil {
		panic("config: " + err.Error()) // there are only strings, numbers, lists and maps in it
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

var secretType = reflect.TypeFor[Secret]()

// show returns what JSON makes of a value; nil if the value is not set.
func (c fieldCache) show(v reflect.Value, how string) any {
	t := v.Type()
	if t == secretType {
		switch s := v.Interface().(Secret); {
		case s == "":
			return nil
		case how == "origin":
			return origin(string(s))
		}
		return hidden
	}
	if l, ok := leaves[t]; ok {
		if t.Kind() == reflect.Pointer && v.IsNil() {
			return nil
		}
		if text := l.format(v.Interface()); text != "" {
			return text
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return c.show(v.Elem(), "")
	case reflect.Struct:
		out := map[string]any{}
		for _, f := range c.of(t) {
			if shown := c.show(v.FieldByIndex(f.index), f.show); shown != nil {
				out[f.name] = shown
			}
		}
		return out
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = c.show(v.Index(i), "")
		}
		return out
	case reflect.Map:
		if v.Len() == 0 {
			return nil
		}
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[k.String()] = c.show(v.MapIndex(k), "")
		}
		return out
	}
	if v.IsZero() && t.Kind() != reflect.Int {
		return nil
	}
	return v.Interface()
}
