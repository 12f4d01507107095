package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"sitrep/config"
)

func TestSecretIsNeverShown(t *testing.T) {
	s := config.Secret("classified")
	holder := struct {
		A config.Secret
		B *config.Secret
		C config.Webhook
	}{s, &s, config.Webhook{URL: s, Secret: s}}

	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		if got := fmt.Sprintf(verb+" "+verb, s, holder); strings.Contains(got, "classified") || strings.Contains(got, "636c6173") {
			t.Errorf("%s shows %s", verb, got)
		}
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("secret", "plain", s, "holder", holder)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("secret", "plain", s, "holder", holder)
	asJSON, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]string{"the log": log.String(), "JSON": string(asJSON), "YAML": string(asYAML)} {
		if strings.Contains(got, "classified") || !strings.Contains(got, "secret>") && !strings.Contains(got, `secret\u003e`) {
			t.Errorf("%s shows %s", what, got)
		}
	}
	if got := config.Secret("").String(); got != "" {
		t.Errorf("no secret shows %q", got)
	}
}
