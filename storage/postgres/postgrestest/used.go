package postgrestest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is in what the kernel counts the time of processors.
const tick = 10 * time.Millisecond

// Used returns the time of processors that the server has used, with all that it started; 0 if that
// cannot be told.
func (c *Cluster) Used() time.Duration {
	server := c.PID()
	all := usedFields(statOf(server), 11, 12, 13, 14) // with those of its children that have ended
	for _, pid := range processes() {
		if fields := statOf(pid); len(fields) > 1 && fields[1] == strconv.Itoa(server) {
			all += usedFields(fields, 11, 12)
		}
	}
	return all
}

// UsedBy returns the time of processors that the threads of a process have used which it has, 0 if it
// cannot be told. Go ends few, and PostgreSQL has one a process.
func UsedBy(pid int) (all time.Duration) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*/schedstat", pid)) // the pattern is well-formed
	for _, path := range threads {
		if b, err := os.ReadFile(path); err == nil { // else it has just ended
			ns, _, _ := strings.Cut(string(b), " ")
			n, _ := strconv.ParseInt(ns, 10, 64)
			all += time.Duration(n)
		}
	}
	if all == 0 { // a kernel that does not count so finely
		all = usedFields(statOf(pid), 11, 12)
	}
	return all
}

func usedFields(fields []string, which ...int) (all time.Duration) {
	for _, i := range which {
		if i < len(fields) {
			n, _ := strconv.ParseInt(fields[i], 10, 64)
			all += time.Duration(n) * tick
		}
	}
	return all
}

// processes are the ids of all processes.
func processes() (all []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	for _, path := range stats {
		if pid, err := strconv.Atoi(filepath.Base(path)); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// statOf returns what the kernel has of a process after its name, which is in parentheses and may
// have any bytes in it: its state, its parent, and so on. Nil if it has ended.
func statOf(pid int) []string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}
