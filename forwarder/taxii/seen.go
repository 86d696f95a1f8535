package taxii

import "hash/maphash"

// generation is how many objects one half of a seen remembers: several pages.
const generation = 1 << 16

// A seen remembers the objects of the last pages by their hash, in bounded
// memory. It tells a page with something new from one without; what is new to
// the replica is another question.
type seen struct {
	seed     maphash.Seed
	now, old map[uint64]struct{}
}

func newSeen() *seen { return &seen{seed: maphash.MakeSeed(), now: map[uint64]struct{}{}} }

func (s *seen) hash(raw []byte) uint64 { return maphash.Bytes(s.seed, raw) }

// add reports whether h is new.
func (s *seen) add(h uint64) bool {
	if _, ok := s.now[h]; ok {
		return false
	}
	_, known := s.old[h]
	if len(s.now) >= generation {
		s.old, s.now = s.now, make(map[uint64]struct{}, generation)
	}
	s.now[h] = struct{}{}
	return !known
}

func (s *seen) reset() {
	clear(s.now)
	s.old = nil
}
