package audit

import "io"

// A Progress is told, while something goes on that takes long, how many items of a kind are done, of how
// many about. It is called often, and by one goroutine at a time.
type Progress func(kind string, done, total int64)

// Bytes is the kind of items that are bytes.
const Bytes = "bytes"

func (p Progress) tell(kind string, done, total int64) {
	if p != nil {
		p(kind, done, total)
	}
}

// A toldReader counts what is read for all that share the count.
type toldReader struct {
	io.ReadCloser
	progress Progress
	done     *int64
	total    int64
}

func (r *toldReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	*r.done += int64(n)
	r.progress.tell(Bytes, *r.done, r.total)
	return n, err
}
