package api

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// A spool keeps what is made at once and read slowly: a little in memory, all of more in a
// file.
type spool struct {
	memory bytes.Buffer // the end of it, or all
	file   *os.File     // nil while all is in memory
	size   int64        // in bytes
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	s.memory.Write(p)
	if s.memory.Len() < maxChunk {
		return len(p), nil
	}
	return len(p), s.flush()
}

// flush writes what is in memory to the file.
func (s *spool) flush() (err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp("", "sitrep-answer-*"); err != nil {
			return fmt.Errorf("make a file for the answer: %w", err)
		}
	}
	if _, err := s.memory.WriteTo(s.file); err != nil {
		return fmt.Errorf("write the answer to a file: %w", err)
	}
	return nil
}

// reader returns what reads all from the beginning, once.
func (s *spool) reader() (io.Reader, error) {
	if s.file == nil {
		return &s.memory, nil
	}
	if err := s.flush(); err != nil {
		return nil, err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the answer from its file: %w", err)
	}
	s.memory = bytes.Buffer{}
	return s.file, nil
}

// close throws all away.
func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}
