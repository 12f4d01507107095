package rig

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Proxy passes connections on, and can be told to cut them or to let them hang.
type Proxy struct {
	Address string // where it listens

	listener net.Listener
	targets  []string
	next     atomic.Uint64

	mu      sync.Mutex
	refuses bool
	hangs   chan struct{} // closed when bytes go on; nil while they do
	open    map[net.Conn]bool
}

// NewProxy starts one that passes connections on to the targets, by turns: to the next of
// them that takes a connection.
func NewProxy(targets ...string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return newProxy(l, targets), nil
}

func newProxy(l net.Listener, targets []string) *Proxy {
	p := &Proxy{Address: l.Addr().String(), listener: l, targets: targets, open: map[net.Conn]bool{}}
	go p.accept()
	return p
}

// Close stops it and cuts all connections.
func (p *Proxy) Close() {
	p.listener.Close()
	p.Cut()
}

// URL returns where it listens, for HTTP.
func (p *Proxy) URL() string { return "http://" + p.Address }

// Cut cuts all connections and refuses new ones, until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = true
	for c := range p.open {
		c.Close()
	}
}

// Hang lets connections stay open and passes nothing on, as a network that lost its way does,
// until Heal.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hangs == nil {
		p.hangs = make(chan struct{})
	}
}

// Heal makes it pass all on again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = false
	if p.hangs != nil {
		close(p.hangs)
		p.hangs = nil
	}
}

func (p *Proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.pass(in)
	}
}

func (p *Proxy) pass(in net.Conn) {
	defer in.Close()
	if !p.keep(in) {
		return
	}
	defer p.drop(in)
	for range p.targets {
		target := p.targets[int(p.next.Add(1)%uint64(len(p.targets)))]
		out, err := net.DialTimeout("tcp", target, time.Second)
		if err != nil {
			continue
		}
		defer out.Close()
		if !p.keep(out) {
			return
		}
		defer p.drop(out)
		var both sync.WaitGroup
		both.Go(func() { p.copy(out, in) })
		both.Go(func() { p.copy(in, out) })
		both.Wait()
		return
	}
}

// copy passes bytes on until one side ends, and ends the other then.
func (p *Proxy) copy(to, from net.Conn) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		hangs := p.hangs
		p.mu.Unlock()
		if hangs != nil {
			<-hangs
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// keep notes a connection, to be cut; false if it is to be refused.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.refuses {
		p.open[c] = true
	}
	return !p.refuses
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}
