package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sitrep/storage/postgres/postgrestest"
)

// A result is what a measurement found.
type result struct {
	posts, alerts int
	took          time.Duration
	p50, p99      time.Duration
	memory        int64         // bytes; 0: not known
	used          time.Duration // of processors by the server; 0: not known
	served        time.Duration // of processors by its database; 0: it has none
	err           error         // the first
}

// rate returns alerts a second.
func (r result) rate() float64 { return float64(r.alerts) / r.took.Seconds() }

// each returns how much of a time is one alert's.
func (r result) each(all time.Duration) string {
	return (all / time.Duration(max(r.alerts, 1))).Round(100 * time.Nanosecond).String()
}

func (r result) print(out io.Writer, name string) {
	mem := "-"
	if r.memory > 0 {
		mem = fmt.Sprintf("%d MiB", r.memory>>20)
	}
	each := "-"
	if r.used > 0 && r.alerts > 0 {
		each = r.each(r.used)
		if r.served > 0 {
			each += " + " + r.each(r.served)
		}
	}
	fmt.Fprintf(out, "%-14s %12.0f %10s %10s %10s %10s\n", name, r.rate(), r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond), mem, each)
	if r.err != nil {
		fmt.Fprintf(out, "%-14s %v\n", "", r.err)
	}
}

// drive lets each client do its work over and over for o.duration, or until it was done o.posts
// times. client returns one client's work, and what is to be done at its end.
func drive(o options, client func(n int) (work func() error, end func())) result {
	var begun atomic.Int64
	more := func(at, deadline time.Time) bool {
		if o.posts > 0 {
			return begun.Add(1) <= int64(o.posts)
		}
		return at.Before(deadline)
	}
	times := make([][]time.Duration, o.clients)
	errs := make([]error, o.clients)
	start := time.Now()
	deadline := start.Add(o.duration)
	var wg sync.WaitGroup
	for n := range o.clients {
		wg.Go(func() {
			work, end := client(n)
			defer end()
			for at := time.Now(); more(at, deadline); {
				err := work()
				now := time.Now()
				if err != nil {
					errs[n] = err
					return
				}
				times[n] = append(times[n], now.Sub(at))
				at = now
			}
		})
	}
	wg.Wait()
	r := result{took: time.Since(start)}
	all := slices.Concat(times...)
	slices.Sort(all)
	r.posts = len(all)
	r.alerts = len(all) * o.alerts
	if len(all) > 0 {
		r.p50, r.p99 = all[len(all)/2], all[len(all)*99/100]
	}
	for _, err := range errs {
		if err != nil {
			r.err = err
			break
		}
	}
	return r
}

// poster returns clients that post bodies to the URL of each, over its own connection. An
// answer other than 2xx is an error, but for 503, which is tried again at once.
func poster(o options, url func(int) string, f form, token string) func(int) (func() error, func()) {
	return func(n int) (func() error, func()) {
		url := url(n)
		transport := &http.Transport{MaxConnsPerHost: 1}
		client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
		b := newBody(o, f)
		post := func() (int, error) {
			req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(b.bytes))
			if err != nil {
				return 0, err
			}
			req.Header.Set("Content-Type", "application/json")
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			resp, err := client.Do(req)
			if err != nil {
				return 0, err
			}
			defer resp.Body.Close()
			answer, err := io.ReadAll(resp.Body)
			if err == nil && resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusServiceUnavailable {
				err = fmt.Errorf("answered %s: %.200s", resp.Status, answer)
			}
			return resp.StatusCode, err
		}
		return func() error {
			b.renew()
			for range 1000 {
				status, err := post()
				if err != nil || status != http.StatusServiceUnavailable {
					return err
				}
			}
			return fmt.Errorf("answered 503 a thousand times")
		}, transport.CloseIdleConnections
	}
}

// one is a URL for all clients.
func one(url string) func(int) string { return func(int) string { return url } }

// driveServer is drive where the work is that of servers, and notes what their processes need.
func driveServer(o options, pids []int, client func(n int) (work func() error, end func())) result {
	all := func() (sum time.Duration) {
		for _, pid := range pids {
			sum += postgrestest.UsedBy(pid)
		}
		return sum
	}
	before := all()
	r := drive(o, client)
	r.used = all() - before
	for _, pid := range pids {
		r.memory += memory(pid, "VmRSS:")
	}
	return r
}

// memory returns the memory of a process in bytes by the kernel's name for it, such as VmRSS:, what
// is resident; 0 if it cannot be told.
func memory(pid int, of string) int64 { return field(pid, "status", of) << 10 } // it is in KiB

// written returns how many bytes a process has caused to be written to disks, 0 if it cannot be told.
func written(pid int) int64 { return field(pid, "io", "write_bytes:") }

// field returns a number that the kernel has of a process under a name in a file, 0 if it cannot be told.
func field(pid int, file, name string) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/" + file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}
