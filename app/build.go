package app

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/common/version"
)

// Build says what was built: the version stamped by the release build, else what the Go
// tool noted, "(devel)" if nothing did.
func Build() (v, revision, goVersion string) {
	v, revision, goVersion = version.Version, version.GetRevision(), runtime.Version()
	if info, ok := debug.ReadBuildInfo(); ok {
		v = cmp.Or(v, info.Main.Version)
	}
	return cmp.Or(v, "(devel)"), revision, goVersion
}
