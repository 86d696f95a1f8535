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
	landed chan struct{} // closed and replaced at every removal
}

// wait returns true once none of recs is in flight, false when ctx ends first.
func (s *oidSet) wait(ctx context.Context, recs []replica.Record) bool {
	for {
		s.mu.Lock()
		clash := false
		for i := range recs {
			if _, ok := s.oids[recs[i].OID]; ok {
				clash = true
				break
			}
		}
		if !clash {
			s.mu.Unlock()
			return true
		}
		if s.landed == nil {
			s.landed = make(chan struct{})
		}
		landed := s.landed
		s.mu.Unlock()
		select {
		case <-landed:
		case <-ctx.Done():
			return false
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
	for i := range ds {
		delete(s.oids, ds[i].record.OID)
	}
	if s.landed != nil {
		close(s.landed)
		s.landed = nil
	}
}
