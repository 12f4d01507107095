package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/gorilla/mux"

	"sitrep/internal/httperr"
)

//go:embed assets
var assetFiles embed.FS

// An asset is a file that pages load. Its version stands in its address, so that a
// browser keeps it until it changes.
type asset struct {
	body    []byte
	mime    string
	version string
}

func loadAssets() (map[string]asset, error) {
	types := map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, fmt.Errorf("read the assets: %w", err)
	}
	all := map[string]asset{}
	for _, f := range files {
		body, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("read the assets: %w", err)
		}
		sum := sha256.Sum256(body)
		all[f.Name()] = asset{body: body, mime: types[path.Ext(f.Name())], version: hex.EncodeToString(sum[:6])}
	}
	return all, nil
}

func (h *Handler) asset(w http.ResponseWriter, r *http.Request) error {
	name := mux.Vars(r)["name"]
	a, ok := h.assets[name]
	if !ok {
		return httperr.Statusf(http.StatusNotFound, "there is no asset %q", name)
	}
	w.Header().Set("Content-Type", a.mime)
	w.Header().Set("ETag", `"`+a.version+`"`)
	if r.URL.Query().Get("v") == a.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.body))
	return nil
}
