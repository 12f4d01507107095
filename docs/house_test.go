package docs_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestEveryModuleIsKeptUpToDate: a module that nobody looks after ages unseen.
func TestEveryModuleIsKeptUpToDate(t *testing.T) {
	var updates struct {
		Updates []struct {
			Ecosystem string `yaml:"package-ecosystem"`
			Directory string
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "../.github/dependabot.yml")), &updates); err != nil {
		t.Fatal(err)
	}
	looked := map[string]bool{}
	for _, u := range updates.Updates {
		looked[u.Ecosystem+" "+u.Directory] = true
	}
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != ".." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		dir := "/" + strings.Trim(strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), ".."), "/")
		switch d.Name() {
		case "go.mod":
			dir = "gomod " + dir
		case "Dockerfile":
			dir = "docker " + dir
		default:
			return nil
		}
		if !looked[dir] {
			t.Errorf("dependabot.yml does not look at %s", dir)
		}
		delete(looked, dir)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range looked {
		t.Errorf("dependabot.yml looks at %s, and nothing is there", dir)
	}
}

// TestFormsOfIssuesAreRead: one that is no YAML is offered to nobody.
func TestFormsOfIssuesAreRead(t *testing.T) {
	files, err := filepath.Glob("../.github/ISSUE_TEMPLATE/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		var form map[string]any
		if err := yaml.Unmarshal([]byte(read(t, file)), &form); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if !strings.Contains(read(t, file), "SECURITY.md") {
			t.Errorf("%s does not say where a weakness is reported", file)
		}
	}
}

// TestAVersionIsBuiltOneWay: what is handed out as a program and as an image is the same.
func TestAVersionIsBuiltOneWay(t *testing.T) {
	release, image := read(t, "../RELEASE.md"), read(t, "../Dockerfile")
	arg := regexp.MustCompile(`(?m)^ARG ([A-Z]+)=`)
	for _, m := range arg.FindAllStringSubmatch(image, -1) {
		if !strings.Contains(release, "--build-arg "+m[1]+"=") {
			t.Errorf("RELEASE.md builds the image without %s", m[1])
		}
	}
	const common = "github.com/prometheus/common/version"
	flags := strings.NewReplacer("$common", common, "${VERSION}", "$version", "${REVISION}", "$revision")
	ldflags := regexp.MustCompile(`-ldflags "([^"]*)"`)
	program, inImage := ldflags.FindStringSubmatch(release), ldflags.FindStringSubmatch(image)
	if program == nil || inImage == nil || flags.Replace(program[1]) != flags.Replace(inImage[1]) {
		t.Errorf("RELEASE.md builds with %q, the Dockerfile with %q", program, inImage)
	}
}
