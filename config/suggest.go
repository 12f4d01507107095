package config

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// suggest says what would be right instead of a word that is unknown: the known
// word that it was probably meant to be, else all of them.
func suggest(word string, known []string) string {
	if near, ok := nearest(word, known); ok {
		return "did you mean \"" + near + "\"?"
	}
	if len(known) == 0 {
		return "there is none yet"
	}
	const most = 12
	if len(known) > most {
		return fmt.Sprintf("use one of the %d known, such as %s", len(known), enumerate(known[:3]))
	}
	return "use " + enumerate(known)
}

// nearest returns the known word that is closest to a mistyped one, if one is
// close enough to be meant.
func nearest(word string, known []string) (string, bool) {
	word = strings.ToLower(word)
	length := utf8.RuneCountInString(word)
	best, least := "", 1+len(word)/3
	for _, k := range known {
		if n := utf8.RuneCountInString(k) - length; (n >= least || -n >= least) && !strings.EqualFold(k, word+"_file") {
			continue // it takes more letters than that to make them equally long
		}
		lower := strings.ToLower(k)
		d := distance(word, lower)
		if lower == word+"_file" || lower == word+"s" {
			d = 0 // a secret that only a file can hold, or a list that only one is in
		}
		if d < least {
			best, least = k, d
		}
	}
	return best, best != ""
}

// distance is how many letters must be changed, added, removed or swapped with
// their neighbour to make b of a.
func distance(a, b string) int {
	const most = 100
	ra, rb := []rune(a), []rune(b)
	if len(ra) > most || len(rb) > most {
		return most
	}
	before, prev, cur := make([]int, len(rb)+1), make([]int, len(rb)+1), make([]int, len(rb)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(ra); i++ {
		cur[0] = i
		for j := 1; j <= len(rb); j++ {
			cost := 1
			if ra[i-1] == rb[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && ra[i-1] == rb[j-2] && ra[i-2] == rb[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(rb)]
}

// enumerate writes words as people do: a, b or c.
func enumerate(words []string) string { return joined(words, " or ") }

// conjunction is enumerate for all of the words: a, b and c.
func conjunction(words []string) string { return joined(words, " and ") }

func joined(words []string, last string) string {
	n := len(words) - 1
	if n == 0 {
		return words[0]
	}
	return strings.Join(words[:n], ", ") + last + words[n]
}
