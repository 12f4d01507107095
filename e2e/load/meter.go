package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/e2e/rig"
	"sitrep/storage/postgres/postgrestest"
)

// A spent is what something took.
type spent struct {
	wall   time.Duration
	cpu    time.Duration // of sitrep
	served time.Duration // of the database
	wal    int64         // bytes
}

// each returns one of so many equal parts.
func (s spent) each(n int) spent {
	d := time.Duration(max(n, 1))
	return spent{s.wall / d, s.cpu / d, s.served / d, s.wal / int64(d)}
}

// minus returns what is left without so many times another.
func (s spent) minus(n float64, of spent) spent {
	less := func(a, b time.Duration) time.Duration { return max(0, a-time.Duration(n*float64(b))) }
	return spent{less(s.wall, of.wall), less(s.cpu, of.cpu), less(s.served, of.served), max(0, s.wal-int64(n*float64(of.wal)))}
}

func (s spent) plus(of spent) spent {
	return spent{s.wall + of.wall, s.cpu + of.cpu, s.served + of.served, s.wal + of.wal}
}

// A meter measures what sitreps and their database spend.
type meter struct {
	p     programs
	fleet fleet
	conn  *pgx.Conn // nil: they have a file
}

// of measures what is done.
func (m *meter) of(do func() error) (spent, error) {
	before, err := m.now()
	if err != nil {
		return spent{}, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return spent{}, err
	}
	took := time.Since(began)
	after, err := m.now()
	return spent{took, after.cpu - before.cpu, after.served - before.served, after.wal - before.wal}, err
}

func (m *meter) now() (s spent, err error) {
	for _, pid := range m.fleet.pids() {
		s.cpu += postgrestest.UsedBy(pid)
	}
	if m.conn != nil {
		s.served = m.p.usedByDatabase()
		err = m.conn.QueryRow(context.Background(), "select pg_current_wal_lsn() - '0/0'").Scan(&s.wal)
	}
	return s, err
}

// metric returns the value of a metric without labels.
func metric(s *rig.Sitrep, name string) (float64, error) {
	text, err := s.Text("/metrics")
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(rest), 64)
		}
	}
	if err == nil {
		err = fmt.Errorf("there is no metric %q", name)
	}
	return 0, err
}

// series returns how many the answer to a scrape has.
func series(s *rig.Sitrep) (n int, err error) {
	text, err := s.Text("/metrics")
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n, err
}

// patient asks for what takes long.
var patient = http.Client{Timeout: 30 * time.Minute}

// ask makes a request, and returns how many bytes came.
func ask(s *rig.Sitrep, method, path string) (int64, error) {
	req, err := http.NewRequest(method, s.URL()+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+rig.AdminToken)
	resp, err := patient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return n, err
}

// A look is at something that takes a while.
type look struct{ name, path string }

// A looked is what it took.
type looked struct {
	look
	spent
	bytes int64
}

// looksOf makes each request so many times, after one that does not count unless it is made once, and
// returns what one takes: in the middle, by the clock.
func (m *meter) looksOf(times int, looks []look) (all []looked, err error) {
	for _, l := range looks {
		one := looked{look: l}
		if times > 1 {
			if _, err := ask(m.fleet[0], http.MethodGet, l.path); err != nil {
				return nil, err
			}
		}
		var walls []time.Duration
		one.spent, err = m.of(func() error {
			for range times {
				began := time.Now()
				if one.bytes, err = ask(m.fleet[0], http.MethodGet, l.path); err != nil {
					return err
				}
				walls = append(walls, time.Since(began))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		one.spent = one.each(times)
		slices.Sort(walls)
		one.wall = walls[len(walls)/2]
		all = append(all, one)
	}
	return all, nil
}

// command runs the program to its end, and returns what it spent, and its most memory in bytes.
func (p programs) command(ctx context.Context, args ...string) (spent, int64, error) {
	cmd := exec.CommandContext(ctx, p.sitrep, args...)
	cmd.Dir = p.dir
	began := time.Now()
	out, err := cmd.CombinedOutput()
	s := spent{wall: time.Since(began)}
	if err != nil {
		return s, 0, fmt.Errorf("sitrep %s: %w\n%s", strings.Join(args[:min(2, len(args))], " "), err, out)
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	memory := int64(0)
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		memory = u.Maxrss << 10
	}
	return s, memory, nil
}
