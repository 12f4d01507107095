package incident

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckName refuses the name of somebody who acts that does not look like what it is,
// as events and logs show it: one that is empty, longer than 256 bytes or no UTF-8, has
// spaces at its ends, or letters that nobody sees.
func CheckName(name string) error {
	if name == "" || len(name) > 256 || !utf8.ValidString(name) || name != strings.TrimSpace(name) || strings.ContainsFunc(name, invisible) {
		return errors.New("not a name: 1 to 256 bytes without control characters, invisible ones or spaces at its ends")
	}
	return nil
}

// invisible reports whether a letter shows nothing, or changes how its neighbours
// show: two names that look alike could be two people.
func invisible(r rune) bool {
	switch r {
	case ' ':
		return false
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0', unicode.ReplacementChar:
		return true // letters by their class that are drawn as nothing
	}
	return !unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r) || unicode.Is(unicode.Variation_Selector, r)
}
