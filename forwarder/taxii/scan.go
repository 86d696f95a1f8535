package taxii

import (
	"bytes"
	"errors"
	"io"
)

// blockSize is how much of a body is read into one block. Objects that fit are
// handed out as slices of the block, without a copy.
const blockSize = 512 << 10

// errShort says that a body ended within a value.
var errShort = errors.New("the answer ends in the middle of its JSON text")

// A scanner cuts JSON values out of a stream by their brackets and quotes
// alone. It does not care whether what is between them is valid, which is what
// lets one broken object pass without the loss of its page, and it never
// holds more of a value than its limit.
//
// A value that was kept is a slice of a block that is not written to again.
type scanner struct {
	r     io.Reader
	buf   []byte // the current block
	pos   int    // next byte to look at
	end   int    // end of what has been read into buf
	mark  int    // where the value being kept begins; -1 = none is being kept
	limit int    // most bytes of a kept value
	lent  bool   // slices of buf were handed out
	read  int64  // bytes taken from r
	err   error  // sticky error of r
}

func newScanner(r io.Reader, limit int) *scanner {
	return &scanner{r: r, mark: -1, limit: limit}
}

// fill makes at least one more byte available behind s.end. It returns false at
// the end of the stream or at an error, which is then in s.err.
func (s *scanner) fill() bool {
	if s.err != nil {
		return false
	}
	if s.mark >= 0 && s.pos-s.mark > s.limit {
		s.mark = -1 // too long to keep: from here on it is only skipped
	}
	if s.end == len(s.buf) {
		s.room()
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		s.read += int64(n)
		if err != nil {
			s.err = err
		}
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	s.err = io.ErrNoProgress
	return false
}

// room makes space behind s.end: in the same block when nothing in it is
// needed, else in a new one.
func (s *scanner) room() {
	keep := s.pos
	if s.mark >= 0 {
		keep = s.mark
	}
	tail := s.buf[keep:s.end]
	block := s.buf
	if s.lent || block == nil || len(tail) > len(block)/2 {
		block = make([]byte, max(blockSize, 2*len(tail)))
		s.lent = false
	}
	n := copy(block, tail)
	s.buf, s.end = block, n
	s.pos -= keep
	if s.mark >= 0 {
		s.mark = 0
	}
}

// peek returns the next byte that is no white space, without taking it.
func (s *scanner) peek() (byte, error) {
	for {
		for s.pos < s.end {
			switch c := s.buf[s.pos]; c {
			case ' ', '\t', '\n', '\r':
				s.pos++
			default:
				return c, nil
			}
		}
		if !s.fill() {
			return 0, s.failure()
		}
	}
}

// failure is the error behind a fill that returned false.
func (s *scanner) failure() error {
	if s.err == io.EOF {
		return errShort
	}
	return s.err
}

// value takes the next value. It returns nil and no error for one that is
// longer than the limit; the slice is capped, so that appending to it copies.
func (s *scanner) value() ([]byte, error) {
	if _, err := s.peek(); err != nil {
		return nil, err
	}
	s.mark = s.pos
	err := s.skip()
	mark := s.mark
	s.mark = -1
	if err != nil {
		return nil, err
	}
	if mark < 0 || s.pos-mark > s.limit {
		return nil, nil
	}
	s.lent = true
	return s.buf[mark:s.pos:s.pos], nil
}

// skip moves behind the next value, keeping it if s.mark says so.
func (s *scanner) skip() error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{', '[':
		return s.skipContainer()
	case '"':
		s.pos++
		return s.skipString()
	case ',', ':', '}', ']':
		return nil // an empty value; whoever asked will find out
	}
	return s.skipScalar()
}

// skipScalar moves to the delimiter behind a number or literal.
func (s *scanner) skipScalar() error {
	for {
		for s.pos < s.end {
			switch s.buf[s.pos] {
			case ',', ']', '}', ':', ' ', '\t', '\n', '\r', '"', '{', '[':
				return nil
			}
			s.pos++
		}
		if !s.fill() {
			if s.err == io.EOF {
				return nil
			}
			return s.err
		}
	}
}

// structural marks the bytes that skipContainer stops at.
var structural = [256]bool{'"': true, '{': true, '}': true, '[': true, ']': true}

// skipContainer moves behind the bracket that closes the one at s.pos.
func (s *scanner) skipContainer() error {
	depth := 0
	for {
		b := s.buf[s.pos:s.end]
		i := 0
		for i < len(b) {
			c := b[i]
			i++
			if !structural[c] {
				continue
			}
			switch c {
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					s.pos += i
					return nil
				}
			case '"':
				// The common case, a string without escapes that is all here, is
				// dealt with in place.
				if j := bytes.IndexByte(b[i:], '"'); j >= 0 && (j == 0 || b[i+j-1] != '\\') {
					i += j + 1
					continue
				}
				s.pos += i
				if err := s.skipString(); err != nil {
					return err
				}
				b, i = s.buf[s.pos:s.end], 0
			}
		}
		s.pos = s.end
		if !s.fill() {
			return s.failure()
		}
	}
}

// skipString moves behind the quote that ends the string that s.pos is in.
func (s *scanner) skipString() error {
	escaped := false // an odd number of backslashes came just before s.pos
	for {
		b := s.buf[s.pos:s.end]
		j := bytes.IndexByte(b, '"')
		part := b
		if j >= 0 {
			part = b[:j]
		}
		slashes := 0
		for slashes < len(part) && part[len(part)-1-slashes] == '\\' {
			slashes++
		}
		if slashes < len(part) {
			escaped = false // something else than backslashes lies between
		}
		if slashes%2 == 1 {
			escaped = !escaped
		}
		if j >= 0 {
			s.pos += j + 1
			if !escaped {
				return nil
			}
			escaped = false
			continue
		}
		s.pos = s.end
		if !s.fill() {
			return s.failure()
		}
	}
}
