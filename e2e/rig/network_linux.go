package rig

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// A Network is a cable to another machine: a network namespace, whose link can be taken down. What
// is sent meanwhile gets lost, and nobody is told.
type Network struct {
	name string
	ip   string // of the other side
}

// NewNetwork makes one. It takes root.
func NewNetwork() (*Network, error) {
	net := rand.IntN(1 << 14)
	n := &Network{name: fmt.Sprintf("sitrep%d", net), ip: fmt.Sprintf("10.213.%d.%d", net>>6, (net&63)*4+2)}
	here := fmt.Sprintf("10.213.%d.%d", net>>6, (net&63)*4+1)
	return n, n.ips(
		[]string{"netns", "add", n.name},
		[]string{"link", "add", n.name, "type", "veth", "peer", "name", "wire", "netns", n.name},
		[]string{"address", "add", here + "/30", "dev", n.name},
		[]string{"link", "set", n.name, "up"},
		[]string{"-n", n.name, "address", "add", n.ip + "/30", "dev", "wire"},
		[]string{"-n", n.name, "link", "set", "wire", "up"},
	)
}

func (n *Network) ips(commands ...[]string) error {
	for _, args := range commands {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	return nil
}

// Proxy starts a proxy on the other side, which reaches its targets from this one.
func (n *Network) Proxy(targets ...string) (p *Proxy, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread is not unlocked, and so ends with the goroutine: it stays on the other side.
		runtime.LockOSThread()
		var fd int
		if fd, err = unix.Open("/run/netns/"+n.name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		err = errors.Join(unix.Setns(fd, unix.CLONE_NEWNET), unix.Close(fd))
		var l net.Listener
		if err == nil {
			l, err = net.Listen("tcp", net.JoinHostPort(n.ip, "0"))
		}
		if err == nil {
			p = newProxy(l, targets)
		}
	}()
	<-done
	return p, err
}

// Down takes the link down, and Up brings it up again.
func (n *Network) Down() error {
	return n.ips([]string{"-n", n.name, "link", "set", "wire", "down"})
}

// Up brings the link up again after Down.
func (n *Network) Up() error { return n.ips([]string{"-n", n.name, "link", "set", "wire", "up"}) }

// Remove removes it.
func (n *Network) Remove() error { return n.ips([]string{"netns", "delete", n.name}) }
