package incident_test

import (
	"strings"
	"testing"

	"sitrep/incident"
)

func TestNamesLookLikeWhatTheyAre(t *testing.T) {
	for name, ok := range map[string]bool{
		"ada": true, "Ada Lovelace": true, "ada@example.org": true, "Žofie": true, "Zoe\u0308": true, "艾达": true, "CORP\\ada": true, strings.Repeat("x", 256): true,
		"": false, " ada": false, "ada ": false, "a\x01b": false, "a\nb": false, "a\x7f": false, "a\xff": false, strings.Repeat("x", 257): false,
		"ada\u200b": false, "ada\u202egro": false, "a\u00adda": false, "a\u00a0b": false, "a\u2028b": false, "ada\ufeff": false, "ad\u2060a": false,
		"ada\u3164": false, "ada\u2800": false, "ada\ufe0f": false, "ada\U000e0041": false, "ada\ue000": false, "a\ufffdb": false, "\u200d": false,
	} {
		if err := incident.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
