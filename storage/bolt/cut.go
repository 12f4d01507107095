package bolt

import "encoding/binary"

// A cutter takes numbers and texts off the front of bytes, to which the texts refer. What is missing is
// zero, and then it is broken.
type cutter struct {
	b      []byte
	broken bool
}

func (c *cutter) number() uint64 {
	n, size := binary.Uvarint(c.b)
	if size <= 0 {
		c.broken, c.b = true, nil
		return 0
	}
	c.b = c.b[size:]
	return n
}

// count takes off how many there are of what follows, each of which takes a byte at least.
func (c *cutter) count() int {
	n := c.number()
	if n > uint64(len(c.b)) {
		c.broken = true
		return 0
	}
	return int(n)
}

// text takes off a length and as many bytes.
func (c *cutter) text() []byte {
	n := c.count()
	s := c.b[:n:n]
	c.b = c.b[n:]
	return s
}
