package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"sitrep/ledger"
)

// sumOf returns the SHA-256 of a file in hexadecimal; empty if that is a finding.
func (v *exportVerifier) sumOf(name string) (string, error) {
	rc, err := v.open(name)
	if rc == nil {
		return "", err
	}
	defer rc.Close()
	h := sha256.New()
	if _, err := io.Copy(h, rc); err != nil {
		return "", v.find(name, name, "it cannot be read: %v", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// eachFile judges each file of a folder by its SHA-256. What judge returns is wrong with it,
// empty if nothing is; then it is counted.
func (v *exportVerifier) eachFile(folder string, count *int, judge func(name, sum string) string) error {
	for _, name := range v.order {
		if !strings.HasPrefix(name, folder) {
			continue
		}
		sum, err := v.sumOf(name)
		if err == nil && sum != "" {
			if wrong := judge(name, sum); wrong != "" {
				err = v.find(name, name, "%s", wrong)
			} else {
				*count++
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *exportVerifier) readMessages() error {
	return v.eachFile("messages/", &v.out.Messages, func(name, sum string) string {
		switch want, ok := v.messages[name]; {
		case !ok:
			return "no delivery has this message"
		case sum != want:
			return "it is not the message that was sent"
		}
		return ""
	})
}

func (v *exportVerifier) readConfigs() error {
	err := v.eachFile("configs/", &v.out.Configs, func(name, sum string) string {
		switch {
		case !v.configs[name]:
			return "no configuration of that name came into force"
		case configName(sum) != name:
			return "it is not the configuration that was in force"
		}
		return ""
	})
	if err != nil {
		return err
	}
	if v.withheld {
		v.note("Names and addresses are pseudonyms, and messages are left out: what the log holds of them are hashes.")
	}
	if v.forgotten > 0 {
		v.note("The names and addresses in %s were forgotten: what the log holds of them are hashes.", plural(v.forgotten, "record", "records"))
	}
	public := 0
	for _, hash := range slices.Sorted(maps.Keys(v.loaded)) {
		switch l := v.loaded[hash]; {
		case v.files[configName(hash)] != nil:
		case l.Public != "" && v.files[configName(l.Public)] != nil:
			public++
		case v.withheld && l.Public == "":
			v.note("The configuration %s is left out: what the log holds of it is its hash.", hash)
		default:
			if err := v.find(configName(hash), configName(hash), "missing"); err != nil {
				return err
			}
		}
	}
	if public > 0 {
		v.note("Of %s the public form is here, without names and addresses.", plural(public, "configuration", "configurations"))
	}
	return nil
}

// readManifest checks the list of files, and that they are those in it. What was
// found before is not found again.
func (v *exportVerifier) readManifest() error {
	const name = manifestName
	b, err := v.whole(name)
	if b == nil {
		return err
	}
	text := string(b)
	if t, _, ok := strings.Cut(text, "\n\n"); ok {
		text = t + "\n"
		if len(v.o.Keys) > 0 {
			var verifiers []note.Verifier
			for _, key := range v.o.Keys {
				verifier, err := note.NewVerifier(strings.TrimSpace(key))
				if err != nil {
					return fmt.Errorf("%q: %w", key, ledger.ErrBadKey)
				}
				verifiers = append(verifiers, verifier)
			}
			if _, err := note.Open(b, note.VerifierList(verifiers...)); err != nil {
				return v.find(name, name, "%v", err)
			}
		}
	} else {
		v.note("The list of files is not signed: index.html and VERIFY.txt are only as good as where you have them from.")
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] != manifestHead || !strings.HasSuffix(text, "\n") {
		return v.find(name, name, "it is no list of files")
	}
	v.out.Selection = lines[1]
	if v.out.MadeAt, err = time.Parse(time.RFC3339, strings.TrimPrefix(lines[2], "made ")); err != nil {
		return v.find(name, name, "it does not say when it was made")
	}
	listed := map[string]bool{name: true}
	for _, line := range lines[3:] {
		sum, file, ok := strings.Cut(line, "  ")
		if !ok || len(sum) != 2*sha256.Size {
			return v.find(name, name, "%q is not a file and its SHA-256", line)
		}
		listed[file] = true
		if v.wrong[file] {
			continue
		}
		have, err := v.sumOf(file)
		if err == nil && have != "" && have != sum {
			err = v.find(file, file, "it is not the one that was exported")
		}
		if err != nil {
			return err
		}
	}
	for _, file := range v.order {
		if !listed[file] && !v.wrong[file] {
			if err := v.find(file, file, "it was not exported"); err != nil {
				return err
			}
		}
	}
	return nil
}

// readEarlier checks that the log begins with those that the auditor knows.
func (v *exportVerifier) readEarlier() error {
	if len(v.o.Checkpoints) == 0 || v.checkpoint.Origin == "" {
		return nil
	}
	b, err := v.whole("growth.jsonl")
	if err != nil {
		return err
	}
	proofs := map[int64][]ledger.Hash{}
	for line := range bytes.Lines(b) {
		var l growthLine
		if err := json.Unmarshal(line, &l); err != nil {
			return v.find("growth.jsonl", "growth.jsonl", "%v", err)
		}
		proofs[l.Size] = l.Proof
	}
	for i, signed := range v.o.Checkpoints {
		if err := v.earlier(fmt.Sprintf("given checkpoint %d", i+1), signed, proofs); err != nil {
			return err
		}
	}
	return nil
}

func (v *exportVerifier) earlier(place string, signed []byte, proofs map[int64][]ledger.Hash) error {
	var c ledger.Checkpoint
	var err error
	if len(v.o.Keys) > 0 {
		c, err = ledger.OpenCheckpoint(signed, v.o.Keys...)
	} else {
		c, err = ledger.ReadCheckpoint(signed)
	}
	if err != nil {
		return v.find("", place, "%v", err)
	}
	proof, ok := proofs[c.Size]
	origin := c.Origin
	if len(v.o.Keys) > 0 {
		// With the keys of both, one from before the key was changed is as good as any.
		c.Origin = v.checkpoint.Origin
	}
	switch {
	case c.Origin != v.checkpoint.Origin:
		return v.find("", place, "it is of the log %q, and the export is of %q", origin, v.checkpoint.Origin)
	case c.Size > v.checkpoint.Size:
		return v.find("", place, "it signed %d leaves, and the export is of a log of %d: that is an older copy, or was rewritten", c.Size, v.checkpoint.Size)
	case c.Size == v.checkpoint.Size:
		if c.Root != v.checkpoint.Root {
			return v.find("", place, "it signed another log of %d leaves", c.Size)
		}
	case c.Size == 0:
	case !ok:
		return v.find("", place, "the export has no proof that its log begins with these %d leaves: ask for one that was made with this checkpoint", c.Size)
	default:
		if err := ledger.CheckGrowth(v.checkpoint, c, proof); err != nil {
			return v.find("", place, "the log of the export does not begin with these %d leaves: it was rewritten", c.Size)
		}
	}
	v.out.Checkpoints++
	return nil
}
