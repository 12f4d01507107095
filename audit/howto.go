package audit

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"

	"sitrep/ledger"
)

//go:embed templates/verify.txt
var howToText embed.FS

// howToVerify writes VERIFY.txt.
func howToVerify(x *exporter, c ledger.Checkpoint) ([]byte, error) {
	t, err := template.ParseFS(howToText, "templates/verify.txt")
	if err != nil {
		return nil, err
	}
	key := ""
	if x.o.Key != nil {
		key = x.o.Key.Public()
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Selection": oneLine(x.o.Selection.String()), "Origin": c.Origin, "Size": c.Size, "Root": c.Root.String(), "At": c.At.UTC().Format("2006-01-02 15:04:05 UTC"),
		"Key": key, "Pseudonyms": x.pseudonyms != nil, "Waiting": x.sum.Waiting, "Version": x.o.Version,
	})
	if err != nil {
		return nil, fmt.Errorf("write VERIFY.txt: %w", err)
	}
	return b.Bytes(), nil
}
