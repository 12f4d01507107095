package email

import (
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sitrep/router"
)

// TestWhatARefusalSpeaksOf goes through replies as servers give them.
func TestWhatARefusalSpeaksOf(t *testing.T) {
	kinds := []error{router.ErrPermanent, router.ErrDoubtful, router.ErrSetup, router.ErrUnknown, router.ErrReader, router.ErrServer, router.ErrRate}
	for _, tc := range []struct {
		at    string // the step
		reply string
		want  error // nil: the message, for now
	}{
		{"RCPT", "550 5.1.1 no such user", router.ErrPermanent},
		{"RCPT", "550 5.1.2 no such host", router.ErrPermanent},
		{"RCPT", "501 5.1.3 bad address", router.ErrPermanent},
		{"RCPT", "551 5.1.6 moved", router.ErrPermanent},
		{"RCPT", "550 5.1.10 RESOLVER.ADR.RecipientNotFound", router.ErrPermanent},
		{"RCPT", "550 5.2.1 disabled", router.ErrPermanent},
		{"dot", "550 5.1.1 no such user", router.ErrPermanent},
		{"DATA", "550 5.1.1 no such user", router.ErrPermanent},
		{"RCPT", "550 no such user", router.ErrDoubtful},
		{"RCPT", "553 sorry", router.ErrDoubtful},
		{"dot", "550 blocked", router.ErrDoubtful},
		{"RCPT", "550 5.1.7 sender rejected", router.ErrSetup},
		{"RCPT", "553 5.1.8 sender's domain", router.ErrSetup},
		{"RCPT", "554 5.7.1 relay access denied", router.ErrSetup},
		{"RCPT", "504 5.5.2 HELO rejected", router.ErrSetup},
		{"RCPT", "553 5.7.1 sender refused", router.ErrSetup},
		{"RCPT", "554 5.2.0 STOREDRV QuotaExceeded", router.ErrSetup},
		{"RCPT", "552 quota", router.ErrSetup},
		{"RCPT", "551 user not local", router.ErrSetup},
		{"dot", "554 message refused", router.ErrSetup},
		{"dot", "550 5.1.100 is none of them", router.ErrSetup},
		{"DATA", "554 no valid recipients", router.ErrSetup},
		{"RCPT", "450 4.7.1 greylisted, come back later", nil},
		{"RCPT", "451 later", nil},
		{"RCPT", "452 4.2.2 mailbox full", nil},
		{"RCPT", "450 4.7.1 rate limit exceeded", nil}, // it may be about this mail; the pool goes more slowly
		{"dot", "454 Throttling failure: Maximum sending rate exceeded.", router.ErrRate},
		{"MAIL", "450 4.7.1 Error: too much mail from 192.0.2.1", router.ErrRate},
		{"MAIL", "452 4.5.3 too many mails in this session", router.ErrRate},
		{"MAIL", "451 later", nil},
		{"MAIL", "550 5.1.1 even so, it knows of no recipient", router.ErrSetup},
		{"MAIL", "550 not from there", router.ErrSetup},
		{"MAIL", "421 closing", router.ErrServer},
		{"RCPT", "421 4.7.0 too many connections", router.ErrServer},
		{"dot", "421 closing", router.ErrServer},
	} {
		code, err := strconv.Atoi(tc.reply[:3])
		if err != nil {
			t.Fatal(err)
		}
		classify, at := ofMessage, step(tc.at)
		if at == stepMail {
			classify = ofMail
		}
		err = classify(refused(at, tc.at, code, []string{tc.reply[4:]}))
		for _, kind := range kinds {
			if errors.Is(err, kind) != errors.Is(tc.want, kind) {
				t.Errorf("%s at %s: %v", tc.reply, tc.at, err)
			}
		}
	}
}

// TestProvidersAnswersDoWhatThePageSays goes through the answers of docs/mail-providers.md.
func TestProvidersAnswersDoWhatThePageSays(t *testing.T) {
	page, err := os.ReadFile("../../docs/mail-providers.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| (log-in|MAIL|RCPT|dot) \\| `([0-9]{3}) (.*)` \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1)
	if len(rows) < 20 {
		t.Errorf("%d answers", len(rows))
	}
	for _, row := range rows {
		at, then := step(row[1]), row[4]
		code, _ := strconv.Atoi(row[2])
		e := refused(at, row[1], code, []string{row[3]})
		var kind error
		switch row[1] {
		case "log-in":
			kind = refused(stepAuth, row[1], code, []string{row[3]})
		case "MAIL":
			kind = ofMail(e)
		default:
			kind = ofMessage(e)
		}
		known := false
		for says, is := range map[string]bool{
			"waits as a whole":               at == step("log-in"),
			"all go more slowly":             e.rate(),
			"set up wrongly":                 errors.Is(kind, router.ErrSetup),
			"refused for good":               errors.Is(kind, router.ErrPermanent),
			"the server rests":               errors.Is(kind, router.ErrServer),
			"that mail alone is tried again": e.kind == nil && !e.rate(),
		} {
			if strings.HasPrefix(then, says) {
				known = true
				if !is {
					t.Errorf("%s: it is %v", row[0], kind)
				}
			}
		}
		if !known {
			t.Errorf("%s: the page does not say what comes of it", row[0])
		}
	}
}

func TestWhoCannotBeReachedIsTheServer(t *testing.T) {
	for name, answers := range map[string]map[string]string{
		"a greeting that refuses": {"greeting": "554 go away"}, "EHLO": {"EHLO": "550 who?", "HELO": "550 who?"},
	} {
		err := client(t, follow(t, answers).addr, nil).Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
		if !errors.Is(err, router.ErrServer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := client(t, "127.0.0.1:1", nil).Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
	if !errors.Is(err, router.ErrServer) {
		t.Errorf("no connection: %v", err)
	}
}
