package config

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden is what is shown instead of a secret.
const hidden = "<secret>"

// A Secret is a text that must not be shown: it reads <secret> in logs, YAML,
// JSON and whatever fmt makes of it. string(s) is the text.
type Secret string

// String returns <secret>, or nothing if there is none.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format writes <secret> for every verb, wrong ones too.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText is for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue is for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
