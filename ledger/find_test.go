package ledger_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"sitrep/ledger"
)

func TestCheckpointsAreFoundInWhatPeopleKeep(t *testing.T) {
	key, err := ledger.GenerateKey("sitrep.example.org/ledger")
	if err != nil {
		t.Fatal(err)
	}
	var signed [2]string
	for i := range signed {
		b, err := key.Sign(ledger.Checkpoint{Size: int64(i + 1), Root: ledger.Hash{byte(i)}, At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		signed[i] = string(b)
	}
	one, two := signed[0], signed[1]
	mail := "This is what it looked like.\nKeep it:\n\n    sitrep audit verify\n\n" + one + "\n-- \nthe operators\n"
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"a checkpoint":                    {one, []string{one}},
		"without its last line feed":      {strings.TrimSuffix(one, "\n"), []string{one}},
		"with lines that end as in mails": {strings.ReplaceAll(one, "\n", "\r\n"), []string{one}},
		"in a mail":                       {mail, []string{one}},
		"two of them":                     {one + two, []string{one, two}},
		"two with words between":          {one + "\nand\n\n" + two, []string{one, two}},
		"signed twice":                    {one + "— other AAAAAAAA\n", []string{one + "— other AAAAAAAA\n"}},
		"nothing":                         {"", nil},
		"a mark without a text":           {"— a b\n\n— c d\n", nil},
		"a note that is no checkpoint":    {"a\nb\nc\n\n— a b\n", nil},
		"half of one":                     {one[:len(one)/3], nil},
	} {
		t.Run(name, func(t *testing.T) {
			found := ledger.FindCheckpoints([]byte(tt.text))
			if len(found) != len(tt.want) {
				t.Fatalf("found %q", found)
			}
			for i, f := range found {
				if !bytes.Equal(f, []byte(tt.want[i])) {
					t.Errorf("found %q, want %q", f, tt.want[i])
				}
				if _, err := ledger.OpenCheckpoint(f, key.Public()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
