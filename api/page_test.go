package api

import (
	"strconv"
	"strings"
	"testing"
)

// TestAPageOfLargeItemsIsShort: a thousand breaches with all the labels that they may
// have are not held in memory for whoever reads slowly, and none is left out.
func TestAPageOfLargeItemsIsShort(t *testing.T) {
	const total, size = 1000, 100 << 10
	read := func(limit int, cursor string) (items []string, next string, err error) {
		from := 0
		if cursor != "" {
			if from, err = strconv.Atoi(cursor); err != nil {
				return nil, "", err
			}
		}
		for i := from; i < min(from+limit, total); i++ {
			items = append(items, strings.Repeat("x", size))
		}
		if from+limit < total {
			next = strconv.Itoa(from + limit)
		}
		return items, next, nil
	}
	seen, pages, cursor := 0, 0, ""
	for {
		s := &sheet{limit: 1000}
		next, err := fill(s, cursor, read)
		if err != nil {
			t.Fatal(err)
		}
		if s.body.Len() > maxAnswer+batch*(size+3) {
			t.Fatalf("a page of %d bytes", s.body.Len())
		}
		seen += s.items
		if pages++; next == "" {
			break
		}
		cursor = next
	}
	if seen != total || pages < 10 {
		t.Errorf("%d items on %d pages", seen, pages)
	}
	// Of small ones a page has as many as were asked for.
	s := &sheet{limit: 77}
	next, err := fill(s, "", func(limit int, _ string) ([]int, string, error) { return make([]int, limit), "more", nil })
	if err != nil || s.items != 77 || next != "more" {
		t.Errorf("%d items, next %q, %v", s.items, next, err)
	}
}
