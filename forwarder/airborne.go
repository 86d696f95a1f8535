package forwarder

import (
	"context"
	"slices"
	"sync"

	"taxii-forwarder/forwarder/replica"
)

// oidSet is the set of objects in flight.
type oidSet struct {
	mu     sync.Mutex
	oids   map[int64]struct{}
	late   map[int64]struct{} // settled since the last call of reading
	landed chan struct{}      // closed and replaced at every removal
}

// reading is called before records are read: what is settled from now on may
// be settled too late for them.
func (s *oidSet) reading() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.late)
}

// wait blocks until none of recs is in flight; ok is false when ctx ends
// first. Unless fresh, one of recs was in flight when they were read, so that
// its ledger entry is out of date.
func (s *oidSet) wait(ctx context.Context, recs []replica.Record) (fresh, ok bool) {
	in := func(set map[int64]struct{}) bool {
		return len(set) > 0 && slices.ContainsFunc(recs, func(rec replica.Record) bool {
			_, ok := set[rec.OID]
			return ok
		})
	}
	for {
		s.mu.Lock()
		if !in(s.oids) {
			fresh = !in(s.late)
			s.mu.Unlock()
			return fresh, true
		}
		if s.landed == nil {
			s.landed = make(chan struct{})
		}
		landed := s.landed
		s.mu.Unlock()
		select {
		case <-landed:
		case <-ctx.Done():
			return false, false
		}
	}
}

// absent returns those of recs that are not in flight.
func (s *oidSet) absent(recs []replica.Record) []replica.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(recs, func(rec replica.Record) bool {
		_, ok := s.oids[rec.OID]
		return ok
	})
}

// empty reports whether nothing is in flight.
func (s *oidSet) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.oids) == 0
}

func (s *oidSet) add(ds []decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.oids == nil {
		s.oids = make(map[int64]struct{})
	}
	for i := range ds {
		s.oids[ds[i].record.OID] = struct{}{}
	}
}

func (s *oidSet) remove(ds []decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.late == nil {
		s.late = make(map[int64]struct{})
	}
	for i := range ds {
		delete(s.oids, ds[i].record.OID)
		s.late[ds[i].record.OID] = struct{}{}
	}
	if s.landed != nil {
		close(s.landed)
		s.landed = nil
	}
}
