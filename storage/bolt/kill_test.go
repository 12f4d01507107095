package bolt_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// killed names the file of a store that a process of this test writes to until it is
// killed.
const killed = "SITREP_TEST_STORE"

func TestMain(m *testing.M) {
	if path := os.Getenv(traced); path != "" {
		if err := writeTraced(context.Background(), path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if path := os.Getenv(killed); path != "" {
		if err := writeUntilKilled(context.Background(), path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if path := os.Getenv(compacted); path != "" {
		if err := compactUntilKilled(context.Background(), path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if dir := os.Getenv(copied); dir != "" {
		if err := copyFolder(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// writeUntilKilled stores breaches from many goroutines and prints the fingerprint of
// each once it is stored.
func writeUntilKilled(ctx context.Context, path string) error {
	db, err := bolt.Open(ctx, path, bolt.Options{})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	for w := range 16 {
		go func() {
			for i := 0; ; i++ {
				fp := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				err := db.Write(context.Background(), func(tx storage.Tx) error {
					return tx.PutBreaches(ctx, []*incident.Breach{{Fingerprint: fp, StartsAt: noon, HeardAt: noon, State: incident.BreachFiring, Incident: int64(w + 1)}})
				})
				if err != nil {
					return
				}
				mu.Lock()
				fmt.Println(fp)
				mu.Unlock()
			}
		}()
	}
	select {}
}

func TestWhatWasAnsweredIsThereAfterAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	var answered []string
	for round := range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), killed+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			answered = append(answered, lines.Text())
			if n == 100+round*37 {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		cancel()
	}
	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	err = db.Read(t.Context(), func(r storage.Snapshot) error {
		whole := answered[:len(answered)-1] // the last line may be torn
		found, err := r.LatestBreaches(t.Context(), whole)
		for _, fp := range whole {
			if err == nil && found[fp] == nil {
				err = fmt.Errorf("the breach of %s is not there", fp)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if len(answered) < 400 {
		t.Error("only " + strconv.Itoa(len(answered)) + " were answered")
	}
}
