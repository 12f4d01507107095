package audit_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/ledger"
	"sitrep/router"
	"sitrep/storage"
)

func testKey(t testing.TB, origin string) *ledger.Key {
	t.Helper()
	key, err := ledger.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A case that a day leaves behind.
type evidence struct {
	key     *ledger.Key
	earlier []byte // a checkpoint from the middle of the day
	latest  []byte
	exports map[string][]byte
	at      time.Time
}

// aDay lets a few things happen: an incident with all its steps, one that was merged
// into it, a drill, one that nobody looked at, a change of the configuration, and a
// recipient who is refused.
func aDay(t *testing.T, then func(*world, *evidence)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, organisation(2, 3), 3)
		ev := &evidence{key: testKey(t, "sitrep.example.org/ledger"), exports: map[string][]byte{}}
		w.far.fails = func(recipient string) error {
			if recipient == incidenttest.Mail("gone").ID {
				return fmt.Errorf("RCPT %q: 550 no such user: %w", "gone@example.org", router.ErrPermanent)
			}
			return nil
		}
		time.Sleep(8 * time.Hour)
		w.run()
		start := now()
		p1, p2 := w.Policy().SLOs[0].ID, w.Policy().SLOs[1].ID
		var first, second int64
		w.at(start.Add(time.Minute), func() { first = w.alert(p1, start.Add(30*time.Second), time.Time{}) })
		w.at(start.Add(2*time.Minute), func() { second = w.alert(p2, start.Add(90*time.Second), time.Time{}) })
		w.orders(start.Add(5*time.Minute), &first, "ada", command.Acknowledge{})
		w.orders(start.Add(10*time.Minute), &first, "ada", command.Phase{Phase: incident.PhaseEscalation, Note: "beyond us", EscalatedTo: "Barbara Liskov"})
		w.orders(start.Add(20*time.Minute), &first, "bob", command.Update{Message: "The database is full. <b>We make room.</b>"})
		w.orders(start.Add(25*time.Minute), &first, "bob", command.Priority{Priority: "P2", Reason: "only some customers are affected"})
		w.at(start.Add(30*time.Minute), func() {
			w.Do(second, command.Merge{Into: incident.ID(first), Reason: "the same disk"})
			var err error
			if ev.earlier, err = storage.SignLog(t.Context(), w.Store(), ev.key, now()); err != nil {
				t.Error(err)
			}
		})
		w.at(start.Add(40*time.Minute), func() {
			p := *w.Policy()
			p.Priorities = slices.Clone(p.Priorities)
			p.Priorities[1].UpdateEvery = 3 * time.Hour
			w.load(&p, "grace")
		})
		w.declared(start.Add(time.Hour), w.Policy().SLOs[3].ID, true)
		w.at(start.Add(5*time.Hour), func() {
			w.alert(p1, start.Add(30*time.Second), start.Add(5*time.Hour))
			w.alert(p2, start.Add(90*time.Second), start.Add(5*time.Hour))
		})
		third := w.Policy().SLOs[5].ID
		w.at(start.Add(6*time.Hour), func() { w.alert(third, start.Add(6*time.Hour), time.Time{}) })
		w.at(start.Add(7*time.Hour), func() { w.alert(third, start.Add(6*time.Hour), start.Add(7*time.Hour)) })
		w.orders(start.Add(7*time.Hour), &first, "ada", command.Action{Name: "hotfix", State: incident.ActionDone, Link: "https://git.example.org/1"})
		w.orders(start.Add(7*time.Hour+time.Minute), &first, "ada", command.Action{Name: "postmortem", State: incident.ActionWaived, Reason: "written last week"})
		w.orders(start.Add(8*time.Hour), &first, "ada", command.Close{Note: "room was made"})
		w.live(start.Add(10 * time.Hour))
		w.end()
		ev.at = now()
		var err error
		if ev.latest, err = storage.SignLog(t.Context(), w.Store(), ev.key, now()); err != nil {
			t.Fatal(err)
		}
		then(w, ev)
	})
}

func export(t testing.TB, s storage.Store, o audit.ExportOptions) ([]byte, audit.ExportSummary) {
	t.Helper()
	var b bytes.Buffer
	sum, err := audit.Export(t.Context(), s, &b, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), sum
}

func verify(t testing.TB, zip []byte, o audit.VerifyOptions) audit.ExportVerification {
	t.Helper()
	v, err := audit.VerifyExport(context.Background(), bytes.NewReader(zip), int64(len(zip)), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func files(t testing.TB, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range z.File {
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name] = string(content)
	}
	return out
}

func TestAnExportVerifies(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		b, sum := export(t, w.Store(), audit.ExportOptions{Now: ev.at, Key: ev.key, Version: "1.0"})
		if sum.Incidents != 4 || sum.Events == 0 || sum.Deliveries == 0 || sum.Messages == 0 || sum.Configs != 2 || sum.Waiting != 0 || int64(sum.Proven) != sum.Size {
			t.Errorf("summary %+v", sum)
		}
		again, _ := export(t, w.Store(), audit.ExportOptions{Now: ev.at, Key: ev.key, Version: "1.0"})
		if !bytes.Equal(b, again) {
			t.Error("two exports of the same store differ")
		}
		v := verify(t, b, audit.VerifyOptions{Keys: []string{ev.key.Public()}, Checkpoints: [][]byte{ev.earlier, ev.latest}})
		if !v.OK() || len(v.Notes) != 0 {
			t.Errorf("findings %v, notes %v", v.Findings, v.Notes)
		}
		if v.Incidents != sum.Incidents || v.Events != sum.Events || v.Messages != sum.Messages || v.Configs != sum.Configs || v.Leaves != int64(sum.Proven) || v.Origin != "sitrep.example.org/ledger" {
			t.Errorf("verified %+v of %+v", v, sum)
		}
		names := files(t, b)
		checkLinks(t, names)
		page := names["index.html"]
		for _, want := range []string{"INC-1", "INC-2", "Barbara Liskov", "only some customers are affected", "The database is full. &lt;b&gt;We make room.&lt;/b&gt;", "merged into INC-1", "refused", "DRILL", "Gap: nobody acknowledged it", "written last week"} {
			if !strings.Contains(page, want) {
				t.Errorf("index.html does not have %q", want)
			}
		}
		if resource := regexp.MustCompile(`(?i)<(script|link|img|iframe|object)|src=|url\([^#]|@import`).FindString(page); resource != "" {
			t.Errorf("index.html asks for something: %q", resource)
		}
		keepFile(t, "evidence.zip", b)
	})
}

// checkLinks checks that what pages lead to is there.
func checkLinks(t testing.TB, files map[string]string) {
	t.Helper()
	n := 0
	for name, content := range files {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		for _, href := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(content, -1) {
			n++
			to, ok := strings.CutPrefix(href[1], "#")
			if ok && strings.Contains(content, `id="`+to+`"`) {
				continue
			}
			if _, there := files[path.Join(path.Dir(name), href[1])]; ok || !there {
				t.Errorf("%s leads to %s, and that is not there", name, href[1])
			}
		}
	}
	if n == 0 {
		t.Error("no page leads anywhere")
	}
}

func keepFile(t testing.TB, name string, b []byte) {
	t.Helper()
	if *keepIn == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*keepIn, name), b, 0o644); err != nil {
		t.Error(err)
	}
}

func TestAnExportSelects(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		start := ev.at.Add(-10 * time.Hour)
		for name, c := range map[string]struct {
			audit.Selection
			want string
		}{
			"an incident, and what was merged into it":            {audit.Selection{Incident: 1}, "INC-1 INC-2"},
			"one that was merged, and where it goes on":           {audit.Selection{Incident: 2}, "INC-1 INC-2"},
			"what had a priority at some time":                    {audit.Selection{Priority: "P3"}, "INC-4"},
			"what was raised or lowered from it too":              {audit.Selection{Priority: "P1"}, "INC-1 INC-2 INC-3"},
			"a team":                                              {audit.Selection{Team: "team-02"}, "INC-3 INC-4"},
			"a team and a priority":                               {audit.Selection{Team: "team-02", Priority: "P1"}, "INC-3"},
			"what opened after a time":                            {audit.Selection{From: start.Add(5*time.Hour + 30*time.Minute)}, "INC-4"},
			"what was under way":                                  {audit.Selection{From: start.Add(4 * time.Hour), To: start.Add(5 * time.Hour)}, "INC-1 INC-2"},
			"nothing of a team that there is not":                 {audit.Selection{Team: "team-77"}, ""},
			"nothing of an incident that there is not":            {audit.Selection{Incident: 99}, ""},
			"nothing of an incident outside the other conditions": {audit.Selection{Incident: 1, Team: "team-02"}, ""},
		} {
			t.Run(name, func(t *testing.T) {
				var b bytes.Buffer
				_, err := audit.Export(context.Background(), w.Store(), &b, audit.ExportOptions{Selection: c.Selection, Now: ev.at, Key: ev.key})
				if c.want == "" {
					if !errors.Is(err, audit.ErrNothing) || b.Len() != 0 {
						t.Errorf("%d bytes, %v", b.Len(), err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if v := verify(t, b.Bytes(), audit.VerifyOptions{Keys: []string{ev.key.Public()}}); !v.OK() {
					t.Errorf("findings %v", v.Findings)
				}
				var got []string
				for _, id := range regexp.MustCompile(`<section class="page" id="(INC-\d+)">`).FindAllStringSubmatch(files(t, b.Bytes())["index.html"], -1) {
					got = append(got, id[1])
				}
				if strings.Join(got, " ") != c.want {
					t.Errorf("selected %v, want %s", got, c.want)
				}
			})
		}
	})
}

// The store has names and addresses; an export with pseudonyms has none of them, but
// in what people wrote, and verifies.
func TestPseudonymsKeepTheProofs(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		b, sum := export(t, w.Store(), audit.ExportOptions{Now: ev.at, Key: ev.key, Pseudonyms: true})
		v := verify(t, b, audit.VerifyOptions{Keys: []string{ev.key.Public()}, Checkpoints: [][]byte{ev.earlier}})
		if !v.OK() || len(v.Notes) != 2 || sum.Messages != 0 || sum.Configs != 2 || int64(sum.Proven) != sum.Size {
			t.Errorf("findings %v, notes %v, summary %+v", v.Findings, v.Notes, sum)
		}
		for name, content := range files(t, b) {
			for _, secret := range []string{"ada", "bob", "grace", "Liskov", "@example.org", "status.example.org"} {
				if regexp.MustCompile(`\b` + regexp.QuoteMeta(secret) + `\b`).MatchString(content) {
					t.Errorf("%s has %q", name, secret)
				}
			}
			if strings.HasPrefix(name, "messages/") {
				t.Errorf("%s is there", name)
			}
		}
		if page := files(t, b)["index.html"]; !strings.Contains(page, "person 1") || !strings.Contains(page, "recipient 1") {
			t.Error("index.html has no pseudonyms")
		} else if !strings.Contains(page, "<td>start</td>") {
			t.Error("a start of sitrep has a pseudonym, as if it were a person")
		}
	})
}

func TestAnExportWithoutTheKeyUsesTheLatestCheckpoint(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		w.load(w.Policy(), "grace") // one more leaf
		w.Write(func(tx storage.Tx) error { return nil })
		b, sum := export(t, w.Store(), audit.ExportOptions{Now: now()})
		v := verify(t, b, audit.VerifyOptions{Keys: []string{ev.key.Public()}})
		if !v.OK() || len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "not signed") {
			t.Errorf("findings %v, notes %v", v.Findings, v.Notes)
		}
		if c, err := ledger.ReadCheckpoint(ev.latest); err != nil || c.Size != sum.Size {
			t.Errorf("the checkpoint is of %d leaves, and the latest of %d, %v", sum.Size, c.Size, err)
		}
		if v := verify(t, b, audit.VerifyOptions{}); !v.OK() || len(v.Notes) != 2 {
			t.Errorf("without a key: findings %v, notes %v", v.Findings, v.Notes)
		}
	})
}

// Whatever byte is changed, it is found, and so is what is cut off or added.
func TestEachChangedByteOfAnExportIsFound(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		b, _ := export(t, w.Store(), audit.ExportOptions{Selection: audit.Selection{Incident: 4}, Now: ev.at, Key: ev.key})
		o := audit.VerifyOptions{Keys: []string{ev.key.Public()}, Checkpoints: [][]byte{ev.earlier}, Limit: 1}
		if v := verify(t, b, o); !v.OK() {
			t.Fatal(v.Findings)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range 2000 {
			at := rng.IntN(len(b))
			if i < 400 {
				at = len(b) - 1 - i // all of the end, where the lists are
			}
			changed := bytes.Clone(b)
			changed[at] ^= byte(1 << rng.IntN(8))
			if v := verify(t, changed, o); v.OK() {
				t.Fatalf("a changed bit in byte %d of %d was not found", at, len(b))
			}
		}
		for range 100 {
			n := rng.IntN(len(b))
			if v := verify(t, b[:n], o); v.OK() {
				t.Fatalf("cut off after %d of %d bytes, and not found", n, len(b))
			}
		}
		for _, more := range [][]byte{append(bytes.Clone(b), 0), append([]byte{'x'}, b...), append(bytes.Clone(b), b...)} {
			if v := verify(t, more, o); v.OK() {
				t.Error("bytes were added, and not found")
			}
		}
	})
}

// rezip makes an export of files, as somebody would who has all but the key.
func rezip(t testing.TB, b []byte, change func(name, content string) (string, bool)) []byte {
	t.Helper()
	return audit.Rezip(t, b, change)
}

// Who changes a file and makes the zip whole again is found too, by what is in it.
func TestAForgedExportIsFoundByWhatIsInIt(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		b, _ := export(t, w.Store(), audit.ExportOptions{Now: ev.at, Key: ev.key})
		o := audit.VerifyOptions{Keys: []string{ev.key.Public()}, Checkpoints: [][]byte{ev.earlier}}
		replace := func(file, old, new string) func(string, string) (string, bool) {
			return func(name, content string) (string, bool) {
				if strings.HasPrefix(name, file) {
					return strings.Replace(content, old, new, 1), true
				}
				return content, true
			}
		}
		line := func(file string, fn func([]string) []string) func(string, string) (string, bool) {
			return func(name, content string) (string, bool) {
				if name == file {
					return strings.Join(fn(strings.SplitAfter(content, "\n")), ""), true
				}
				return content, true
			}
		}
		for name, c := range map[string]struct {
			change func(string, string) (string, bool)
			place  string
		}{
			"nothing":                    {replace("index.html", "x", "x"), ""},
			"a reason":                   {replace("events.jsonl", "only some customers", "no customers at all"), "event INC-1/"},
			"a name beside a leaf":       {replace("events.jsonl", `"actor":"ada"`, `"actor":"eve"`), "events.jsonl, line"},
			"a time":                     {replace("deliveries.jsonl", `"attempts":1`, `"attempts":2`), "deliveries.jsonl, line 1, delivery"},
			"an index":                   {replace("events.jsonl", `{"index":1,`, `{"index":2,`), "events.jsonl, line 1"},
			"an index beyond the log":    {replace("events.jsonl", `{"index":1,`, `{"index":99999,`), "leaf 1, event INC-1/1"},
			"white space":                {replace("events.jsonl", `{"index":1,`, `{"index": 1,`), "events.jsonl, line 1"},
			"a message":                  {replace("messages/", "Subject", "subject"), "messages/"},
			"a configuration":            {replace("configs/", "P1", "P9"), "configs/"},
			"an event removed":           {line("events.jsonl", func(l []string) []string { return slices.Delete(l, 3, 4) }), "event INC-1/4"},
			"an event doubled":           {line("events.jsonl", func(l []string) []string { return slices.Insert(l, 3, l[3]) }), "events.jsonl, line 5, event INC-1/4"},
			"two events moved":           {line("events.jsonl", func(l []string) []string { l[3], l[4] = l[4], l[3]; return l }), "event INC-1/4"},
			"the last events cut off":    {line("events.jsonl", func(l []string) []string { return l[:len(l)-2] }), "leaf"},
			"a delivery removed":         {line("deliveries.jsonl", func(l []string) []string { return slices.Delete(l, 2, 3) }), "leaf"},
			"half a line":                {line("events.jsonl", func(l []string) []string { l[len(l)-2] = strings.TrimSuffix(l[len(l)-2], "\n"); return l }), "events.jsonl, line"},
			"a proof":                    {replace("proofs.jsonl", `"hash":"`, `"hash":"A`), "proofs.jsonl"},
			"the name of a proven leaf":  {replace("proofs.jsonl", `"name":"INC-1/1"`, `"name":"INC-1/2"`), "proofs.jsonl"},
			"a page":                     {replace("index.html", "acknowledged", "ignored"), "index.html"},
			"how to verify":              {replace("VERIFY.txt", "Python 3", "Python 2"), "VERIFY.txt"},
			"the list of files":          {replace("manifest", "made ", "made  "), "manifest"},
			"a proof of growth":          {replace("growth.jsonl", `"proof":["`, `"proof":["A`), "growth.jsonl"},
			"the size in the checkpoint": {replace("checkpoint", "\n", "\n1"), "checkpoint"},
			"a file less":                {func(name, content string) (string, bool) { return content, name != "configs.jsonl" }, "configs.jsonl"},
		} {
			t.Run(name, func(t *testing.T) {
				v := verify(t, rezip(t, b, c.change), o)
				switch {
				case c.place == "" && !v.OK():
					t.Errorf("findings %v", v.Findings)
				case c.place != "" && v.OK():
					t.Error("it was not found")
				case c.place != "" && !strings.Contains(v.Findings[0].Place, c.place):
					t.Errorf("the first finding is %v, want one about %s", v.Findings[0], c.place)
				}
			})
		}
	})
}

func TestAnExportOfAnotherLogIsFound(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		b, _ := export(t, w.Store(), audit.ExportOptions{Now: ev.at, Key: ev.key})
		public := []string{ev.key.Public()}
		stranger := testKey(t, "sitrep.example.org/ledger")
		another, err := stranger.Sign(ledger.Checkpoint{Size: 7, At: ev.at})
		if err != nil {
			t.Fatal(err)
		}
		rewritten, err := ev.key.Sign(ledger.Checkpoint{Size: 7, Root: ledger.Hash{1}, At: ev.at})
		if err != nil {
			t.Fatal(err)
		}
		ahead, err := ev.key.Sign(ledger.Checkpoint{Size: 1 << 20, Root: ledger.Hash{1}, At: ev.at})
		if err != nil {
			t.Fatal(err)
		}
		c, err := ledger.ReadCheckpoint(ev.earlier)
		if err != nil {
			t.Fatal(err)
		}
		forked, err := ev.key.Sign(ledger.Checkpoint{Size: c.Size, Root: ledger.Hash{1}, At: ev.at})
		if err != nil {
			t.Fatal(err)
		}
		for name, o := range map[string]audit.VerifyOptions{
			"another key":                             {Keys: []string{stranger.Public()}},
			"a checkpoint of another log":             {Keys: public, Checkpoints: [][]byte{another}},
			"a checkpoint of a log that was longer":   {Keys: public, Checkpoints: [][]byte{ahead}},
			"a checkpoint of a log with other leaves": {Keys: public, Checkpoints: [][]byte{forked}},
			"a checkpoint that nothing is proven for": {Keys: public, Checkpoints: [][]byte{rewritten}},
		} {
			if v := verify(t, b, o); v.OK() {
				t.Errorf("%s was not found", name)
			}
		}
		// After a change of the key an older checkpoint counts, for who has both keys.
		renewed := testKey(t, "sitrep.example.org/renewed")
		later, _ := export(t, w.Store(), audit.ExportOptions{Now: ev.at, Key: renewed, Earlier: [][]byte{ev.earlier}})
		if v := verify(t, later, audit.VerifyOptions{Keys: []string{ev.key.Public(), renewed.Public()}, Checkpoints: [][]byte{ev.earlier}}); !v.OK() {
			t.Errorf("with both keys: findings %v", v.Findings)
		}
		if v := verify(t, later, audit.VerifyOptions{Keys: []string{renewed.Public()}, Checkpoints: [][]byte{ev.earlier}}); v.OK() {
			t.Error("a checkpoint whose key is not given was accepted")
		}
		// An auditor's own checkpoint is proven where it is given at the export.
		b, _ = export(t, w.Store(), audit.ExportOptions{Now: ev.at, Key: ev.key, Earlier: [][]byte{rewritten}})
		if v := verify(t, b, audit.VerifyOptions{Keys: public, Checkpoints: [][]byte{rewritten}}); v.OK() || !strings.Contains(v.Findings[0].What, "rewritten") {
			t.Errorf("findings %v", v.Findings)
		}
	})
}

// The program in VERIFY.txt is the one in the documentation, which is where it is to be
// taken from, as the file says.
func TestTheProgramIsThatOfTheDocumentation(t *testing.T) {
	program := regexp.MustCompile(`(?ms)^import base64.*?^print.*?\n`)
	var found [2]string
	for i, name := range []string{"templates/verify.txt", "../docs/evidence.md"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found[i] = program.FindString(string(b))
	}
	if found[0] == "" || found[0] != found[1] {
		t.Errorf("in VERIFY.txt:\n%s\nin the documentation:\n%s", found[0], found[1])
	}
	if b, err := os.ReadFile("templates/verify.txt"); err != nil || !strings.Contains(string(b), "with the evidence proves nothing") {
		t.Errorf("VERIFY.txt does not warn of itself: %v", err)
	}
}

// What VERIFY.txt says works without sitrep.
func TestAnExportVerifiesWithoutSitrep(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no python3, and in CI nothing is skipped")
		}
		t.Skip("there is no python3")
	}
	aDay(t, func(w *world, ev *evidence) {
		for _, pseudonyms := range []bool{false, true} {
			b, sum := export(t, w.Store(), audit.ExportOptions{Selection: audit.Selection{Incident: 1}, Now: ev.at, Key: ev.key, Pseudonyms: pseudonyms})
			dir := t.TempDir()
			all := files(t, b)
			for name, content := range all {
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			program := regexp.MustCompile(`(?ms)^import base64.*?^print.*?\n`).FindString(all["VERIFY.txt"])
			run := func() (string, error) {
				cmd := exec.Command(python, "-c", program)
				cmd.Dir = dir
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			out, err := run()
			if want := fmt.Sprintf("%d lines are in the log", sum.Proven); err != nil || !strings.HasPrefix(out, want) {
				t.Errorf("%s, %v; want %s", out, err, want)
			}
			path := filepath.Join(dir, "events.jsonl")
			if err := os.WriteFile(path, []byte(strings.Replace(all["events.jsonl"], "only some", "not many", 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := run(); err == nil {
				t.Errorf("a changed event was not found: %s", out)
			}
		}
	})
}
