package postgres_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"testing"

	"sitrep/storage"
	"sitrep/storage/postgres"
)

// The server keeps the plans of statements, but not through a pooler of connections.
func TestPlansAreKeptWhereNoPoolerIsInBetween(t *testing.T) {
	straight := newStore(t)
	u, err := url.Parse(straight)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = pooler(t, u.Host)
	for _, c := range []struct {
		url  string
		kept bool
	}{{straight, true}, {u.String(), false}} {
		db := open(t, c.url)
		for range 3 {
			err := db.Read(t.Context(), func(r storage.Snapshot) error {
				_, err := r.Waiting(t.Context(), now(), 1)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		kept, err := postgres.KeepsPlans(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if kept != c.kept {
			t.Errorf("plans are kept: %v, want %v", kept, c.kept)
		}
	}
}

// pooler returns the address of what passes connections on to a server and, as a pooler does, tells
// of other processes than those of the server.
func pooler(t *testing.T, server string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				return
			}
			go func() {
				_, _ = io.Copy(to, client)
				_ = to.Close()
			}()
			go func() {
				defer client.Close()
				if tellOfAnother(client, to) == nil {
					_, _ = io.Copy(client, to)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// tellOfAnother passes messages of the server on, up to the one that tells of its process: that
// is changed.
func tellOfAnother(client io.Writer, server io.Reader) error {
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(server, head); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return err
		}
		last := head[0] == 'K'
		if last {
			binary.BigEndian.PutUint32(body, binary.BigEndian.Uint32(body)+1)
		}
		if _, err := client.Write(append(head, body...)); err != nil || last {
			return err
		}
	}
}
