package web

import "testing"

// A page is parsed when it is first asked for, so that each can be is for a test to say.
func TestEachPageParses(t *testing.T) {
	assets, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	pages, err := lazyPages(assets)
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 10 {
		t.Errorf("%d pages", len(pages))
	}
	for name, parsed := range pages {
		if p, err := parsed(); err != nil || p.Lookup("layout") == nil {
			t.Errorf("page %q: %v", name, err)
		}
	}
}
