package email

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"sitrep/router"
)

// addressCodes are the enhanced status codes by which this address is wrong. Others blame
// the sender (5.1.7, 5.1.8), a quota, or the set-up.
var addressCodes = map[string]bool{"5.1.1": true, "5.1.2": true, "5.1.3": true, "5.1.6": true, "5.1.10": true, "5.2.1": true}

// slower finds in the words of a 4xx that it asks for less.
var slower = regexp.MustCompile(`(?i)\b(rate|throttl\w*|too (many|much|fast)|limit\w*|slow down)\b`)

// ofMail says what a refusal at MAIL speaks of: it knows nothing of a recipient yet.
func ofMail(e *refusal) error {
	switch code := e.enhanced; {
	case e.code == 421:
		e.kind = router.ErrServer
	case e.code/100 == 5:
		e.kind = router.ErrSetup
	case e.code == 454, e.code == 450 && strings.HasPrefix(code, "4.7."), slower.MatchString(e.text):
		e.kind = router.ErrRate
	}
	return e
}

// ofMessage says what a refusal at RCPT, at DATA or after it speaks of.
func ofMessage(e *refusal) error {
	switch code := e.enhanced; {
	case e.code == 421:
		e.kind = router.ErrServer
	case e.code/100 == 5 && addressCodes[code]:
		e.kind = router.ErrPermanent
	case (e.code == 550 || e.code == 553) && code == "":
		e.kind = router.ErrDoubtful
	case e.code/100 == 5:
		e.kind = router.ErrSetup
	case e.code == 454:
		e.kind = router.ErrRate
	}
	return e
}

// ofSetup reports whether a refusal speaks, or may speak, of how the server is set up: what
// serves a kept connection can go on with the old set-up once that was mended.
func ofSetup(err error) bool {
	return errors.Is(err, router.ErrSetup) || errors.Is(err, router.ErrDoubtful)
}

// unusable says that a mail was not tried, as the server could not be reached or be made to
// take mails, or had no time for this one.
func unusable(smarthost string, err error) error {
	err = fmt.Errorf("mail server %q: %w", smarthost, err)
	var connect *connectError
	switch {
	case errors.As(err, &connect):
		return fmt.Errorf("%w: %w", err, router.ErrServer)
	case errors.Is(err, errTurn):
		return fmt.Errorf("%w: %w", err, router.ErrRate)
	}
	return err
}
