package e2e_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sitrep/e2e/rig"
	"sitrep/storage/postgres/postgrestest"
)

// An instruction is one of a Dockerfile, such as COPY, with what follows it.
type instruction struct{ name, rest string }

// stages returns the instructions of each stage of the Dockerfile.
func stages(t *testing.T) [][]instruction {
	t.Helper()
	root, err := rig.Root()
	check(t, err)
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	check(t, err)
	var all [][]instruction
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
			continue
		case name == "FROM":
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], instruction{name, strings.TrimSpace(rest)})
	}
	if len(all) != 2 {
		t.Fatalf("the Dockerfile has %d stages", len(all))
	}
	return all
}

// one returns what follows the only instruction of a name.
func one(t *testing.T, of []instruction, name string) (found string) {
	t.Helper()
	n := 0
	for _, i := range of {
		if i.name == name {
			found = i.rest
			n++
		}
	}
	if n != 1 {
		t.Fatalf("the Dockerfile has %d times %s", n, name)
	}
	return found
}

// words returns the words of the form ["a", "b"].
func words(t *testing.T, text string) (all []string) {
	t.Helper()
	check(t, json.Unmarshal([]byte(text), &all))
	return all
}

// built runs the step of the Dockerfile that builds, on what .dockerignore leaves, and returns the folder that
// stands for its /out.
func built(t *testing.T, stage []instruction) string {
	t.Helper()
	root, err := rig.Root()
	check(t, err)
	ignored, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	check(t, err)
	patterns := strings.Fields(string(ignored))
	source, out := t.TempDir(), t.TempDir()
	check(t, filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil || name == "." {
			return err
		}
		for _, p := range patterns {
			if matches, err := path.Match(p, filepath.ToSlash(name)); err != nil || matches {
				if d.IsDir() {
					return filepath.SkipDir
				}
				return err
			}
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(source, name), 0o755)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(source, name), b, 0o644)
	}))
	var step string
	for _, i := range stage {
		if i.name == "RUN" && strings.Contains(i.rest, "/out") {
			step = i.rest
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(step, "/out/", out+"/"))
	cmd.Dir, cmd.Env = source, append(os.Environ(), "VERSION=1.2.3", "REVISION=abcdef", "GOFLAGS=-buildvcs=false")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", step, err, text)
	}
	return out
}

// An image is the Dockerfile's, unpacked.
type image struct {
	files       string // what it was unpacked from, as /out
	stages      [][]instruction
	uid         int
	entry, args []string
	health      []string
}

func newImage(t *testing.T) *image {
	t.Helper()
	im := &image{stages: stages(t)}
	last := im.stages[1]
	im.files = built(t, im.stages[0])
	user, _, _ := strings.Cut(one(t, last, "USER"), ":")
	var err error
	if im.uid, err = strconv.Atoi(user); err != nil || im.uid == 0 {
		t.Fatalf("it runs as %q", user)
	}
	im.entry, im.args = words(t, one(t, last, "ENTRYPOINT")), words(t, one(t, last, "CMD"))
	_, health, _ := strings.Cut(one(t, last, "HEALTHCHECK"), "CMD ")
	im.health = words(t, health)
	return im
}

// unpack makes a root of the image's files alone, without the folders of without.
func (im *image) unpack(t *testing.T, without ...string) *container {
	t.Helper()
	c := &container{t: t, image: im, root: filepath.Join(t.TempDir(), "root")}
	check(t, os.Mkdir(c.root, 0o755))
	for _, i := range im.stages[1] {
		if i.name != "COPY" {
			continue
		}
		said := strings.Fields(i.rest)
		from, to := said[len(said)-2], said[len(said)-1]
		if slices.Contains(without, to) {
			continue
		}
		if inOut, ok := strings.CutPrefix(from, "/out/"); ok {
			from = filepath.Join(im.files, inOut)
		}
		at := filepath.Join(c.root, to)
		check(t, os.MkdirAll(filepath.Dir(at), 0o755))
		info, err := os.Stat(from)
		check(t, err)
		if info.IsDir() {
			check(t, os.Mkdir(at, 0o755))
		} else {
			b, err := os.ReadFile(from)
			check(t, err)
			check(t, os.WriteFile(at, b, info.Mode().Perm()))
		}
		if strings.Contains(i.rest, "--chown="+strconv.Itoa(im.uid)+":") {
			c.own(to)
		}
	}
	return c
}

// A container is a root in which the image's program runs, with nothing else to be seen.
type container struct {
	*image
	t       *testing.T
	root    string
	address string
	said    bytes.Buffer
}

// own makes a file its user's.
func (c *container) own(file string) {
	c.t.Helper()
	if os.Geteuid() == 0 {
		check(c.t, os.Chown(filepath.Join(c.root, file), c.uid, c.uid))
	}
}

// mount puts a file there, for its user alone to read.
func (c *container) mount(file string, b []byte) {
	c.t.Helper()
	at := filepath.Join(c.root, file)
	check(c.t, os.MkdirAll(filepath.Dir(at), 0o755))
	check(c.t, os.WriteFile(at, b, 0o400))
	c.own(file)
}

// command runs a program in it. Who is not root is it there: by a namespace of users.
func (c *container) command(ctx context.Context, env []string, line ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Env = "/", env
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root, Credential: &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.uid)}}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.Credential.NoSetGroups = true
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: c.uid, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: c.uid, HostID: os.Getegid(), Size: 1}}
	}
	return cmd
}

// start runs the image with its own command, or with other arguments, at an address of its own, until the test ends.
func (c *container) start(args ...string) {
	c.t.Helper()
	if args == nil {
		args = c.args
	}
	var err error
	c.address, err = rig.FreeAddress()
	check(c.t, err)
	args = slices.Clone(args)
	listens := slices.Index(args, "--web.listen-address=:9098")
	if listens < 0 {
		c.t.Fatalf("%q does not listen at the port of the image", args)
	}
	_, port, _ := net.SplitHostPort(c.address)
	args[listens] = "--web.listen-address=:" + port
	cmd := c.command(context.Background(), nil, slices.Concat(c.entry, args)...)
	cmd.Stdout, cmd.Stderr = &c.said, &c.said
	check(c.t, cmd.Start())
	stop := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			c.t.Errorf("it stopped with %v", err)
		}
		if c.t.Failed() {
			c.t.Logf("it said:\n%s", c.said.Bytes())
		}
		if code, said := c.healthcheck(); code != 1 {
			c.t.Errorf("once it is stopped the healthcheck says %d: %s", code, said)
		}
	})
	c.t.Cleanup(stop)
	if !rig.Poll(patience, func() bool { code, _ := c.healthcheck(); return code == 0 }) {
		_, said := c.healthcheck()
		c.t.Fatalf("it does not get healthy: %s", said)
	}
}

// healthcheck runs the image's, and returns its exit code and what it said.
func (c *container) healthcheck() (int, string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := c.command(ctx, []string{"SITREP_URL=http://" + c.address}, c.health...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !asExit(err, &exit) {
		c.t.Fatal(err)
	} else if exit != nil {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

// configure mounts the configuration of contrib/compose.yml, and what it names. Without a key it makes its own,
// beside the store.
func (c *container) configure(key []byte) {
	c.t.Helper()
	root, err := rig.Root()
	check(c.t, err)
	for to, from := range map[string]string{"sitrep.yml": "compose/sitrep.yml", "slos/notifications.yml": "slos/notifications.yml"} {
		b, err := os.ReadFile(filepath.Join(root, "contrib", from))
		check(c.t, err)
		if key == nil {
			b = bytes.Replace(b, []byte("evidence: {key_file: secrets/ledger.key}\n"), nil, 1)
		}
		c.mount("etc/sitrep/"+to, b)
	}
	c.mount("etc/sitrep/secrets/receiver", []byte(rig.ReceiverToken))
	c.mount("etc/sitrep/secrets/ada.bcrypt", []byte("$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"))
	if key != nil {
		c.mount("etc/sitrep/secrets/ledger.key", key)
	}
}

// newKey makes a key of the ledger with the image's own program.
func (im *image) newKey(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ledger.key")
	out, err := exec.CommandContext(t.Context(), filepath.Join(im.files, "sitrep"), "storage", "new-key", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(file)
	check(t, err)
	return b
}

// kept returns the files that its user can have made, by their paths.
func (c *container) kept(known []string) (files []string) {
	c.t.Helper()
	check(c.t, filepath.WalkDir(c.root, func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !slices.Contains(known, file) {
			files = append(files, strings.TrimPrefix(file, c.root))
		}
		return err
	}))
	return files
}

func asExit(err error, exit **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError) //nolint:errorlint // as the command gave it
	*exit = e
	return ok
}

// TestImage builds what the Dockerfile does, unpacks it as the image is laid out, and runs it there as its user, with
// nothing else in sight: on a file in its volume, by TLS, and as three replicas that keep nothing.
func TestImage(t *testing.T) {
	t.Parallel()
	im := newImage(t)
	key := im.newKey(t)
	last := im.stages[1]
	if port := one(t, last, "EXPOSE"); !slices.Contains(im.args, "--web.listen-address=:"+port) {
		t.Errorf("it exposes %s, and runs %q", port, im.args)
	}
	probe := im.unpack(t).command(t.Context(), nil, im.entry[0], "--version")
	out, err := probe.CombinedOutput()
	if err != nil && os.Geteuid() != 0 && os.Getenv("CI") == "" {
		t.Skipf("only root, or who may make a namespace, can run it: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "version 1.2.3") || !strings.Contains(string(out), "abcdef") {
		t.Fatalf("--version: %v\n%s", err, out)
	}

	t.Run("keeps its store in the volume", func(t *testing.T) {
		t.Parallel()
		volume := one(t, last, "VOLUME")
		if !slices.ContainsFunc(im.args, func(a string) bool { return strings.HasPrefix(a, "--storage="+volume+"/") }) {
			t.Errorf("the volume is %s, and it runs %q", volume, im.args)
		}
		c := im.unpack(t)
		c.configure(nil)
		before := c.kept(nil)
		for i := range before {
			before[i] = c.root + before[i]
		}
		c.start()
		made := c.kept(before)
		if !slices.Contains(made, volume+"/sitrep.db") {
			t.Errorf("it keeps %q", made)
		}
		for _, file := range made {
			if !strings.HasPrefix(file, volume+"/") {
				t.Errorf("it keeps %s, and the volume is %s", file, volume)
			}
		}
	})

	t.Run("is asked by TLS", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewTLSServer(http.NotFoundHandler())
		defer server.Close()
		private, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
		check(t, err)
		c := im.unpack(t)
		c.configure(nil)
		c.mount("etc/sitrep/cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
		c.mount("etc/sitrep/key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
		c.mount("etc/sitrep/web.yml", []byte("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"))
		c.start(append(slices.Clone(im.args), "--web.config.file=/etc/sitrep/web.yml")...)
		if resp, err := http.Get("http://" + c.address + "/-/healthy"); err == nil {
			defer resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				t.Error("it answers without TLS")
			}
		}
	})

	t.Run("three replicas keep nothing", func(t *testing.T) {
		t.Parallel()
		database := postgrestest.Start(t).Database(t)
		for range 3 {
			c := im.unpack(t, "/data")
			c.configure(key)
			before := c.kept(nil)
			for i := range before {
				before[i] = c.root + before[i]
			}
			c.start("serve", "--config.file=/etc/sitrep/sitrep.yml", "--storage="+database, "--web.listen-address=:9098")
			ready := func() bool {
				resp, err := http.Get("http://" + c.address + "/-/ready")
				if err != nil {
					return false
				}
				defer resp.Body.Close()
				_, _ = io.Copy(io.Discard, resp.Body)
				return resp.StatusCode == http.StatusOK
			}
			if !rig.Poll(patience, ready) {
				t.Error("a replica does not get ready")
			}
			if made := c.kept(before); len(made) > 0 {
				t.Errorf("a replica keeps %q", made)
			}
		}
	})
}
