package replica

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"taxii-forwarder/forwarder/intel"
)

// Settle records in one transaction what became of changes on a route: the
// ledger, the dead letters and, unless cursor is 0, the cursor. The cursor never
// moves backwards here. It removes the intents of the batches concerned.
func (s *Store) Settle(ctx context.Context, route Route, cursor int64, settled []Settlement, intents ...int64) error {
	moved := false
	settled = lastOfEach(settled)
	var dropped int64
	err := s.write(ctx, "settle "+route.Feed+" -> "+route.Sink, func(t *tx) error {
		var epoch int64
		err := t.row(`SELECT epoch FROM route WHERE id = ?`, route.ID).Scan(&epoch)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoSuchRoute
		}
		if err != nil {
			return err
		}
		if err := t.settle(route.ID, settled); err != nil {
			return err
		}
		if dropped, err = t.settleDead(route.ID, settled); err != nil {
			return err
		}
		if err := t.forget(intents); err != nil {
			return err
		}
		if cursor <= 0 {
			return nil
		}
		if moved = epoch != route.Epoch; moved {
			return nil
		}
		return t.exec(`UPDATE route SET cursor = ? WHERE id = ? AND cursor < ?`, cursor, route.ID, cursor)
	})
	if err != nil {
		return err
	}
	if dropped > 0 {
		s.log.Warn("too many dead letters, the oldest were dropped", "dropped", dropped, "limit", s.maxDead)
	}
	if moved {
		return ErrRouteMoved
	}
	return nil
}

// lastOfEach sorts by object and keeps the last settlement of each.
func lastOfEach(settled []Settlement) []Settlement {
	list := slices.Clone(settled)
	slices.SortStableFunc(list, func(a, b Settlement) int { return cmp.Compare(a.OID, b.OID) })
	kept := list[:0]
	for i := range list {
		if i+1 == len(list) || list[i+1].OID != list[i].OID {
			kept = append(kept, list[i])
		}
	}
	return kept
}

// kind is what the table outcome counts by.
type kind struct {
	status intel.Status
	reason string
}

// settle writes the ledger and keeps its counters right.
func (t *tx) settle(route int64, settled []Settlement) error {
	if len(settled) == 0 {
		return nil
	}
	oids := make([]int64, len(settled))
	for i := range settled {
		oids[i] = settled[i].OID
	}
	delta := make(map[kind]int64)
	known := make(map[int64]bool) // in the ledger already
	if err := t.each(func(r scanner) error {
		var oid int64
		var k kind
		if err := r.Scan(&oid, &k.status, &k.reason); err != nil {
			return err
		}
		known[oid] = true
		delta[k]--
		return nil
	}, `SELECT l.oid, l.status, l.reason FROM json_each(?) j CROSS JOIN ledger l WHERE l.route = ? AND l.oid = j.value`,
		jsonInts(oids), route); err != nil {
		return err
	}
	var drop []int64
	put := make([]*Settlement, 0, len(settled))
	for i := range settled {
		st := &settled[i]
		if st.Entry == nil {
			drop = append(drop, st.OID)
			continue
		}
		delta[kind{st.Entry.Status, st.Entry.Reason}]++
		put = append(put, st)
	}
	if err := t.putLedger(route, put, known); err != nil {
		return err
	}
	if len(drop) > 0 {
		if err := t.exec(`DELETE FROM ledger WHERE route = ? AND oid IN (SELECT value FROM json_each(?))`, route, jsonInts(drop)); err != nil {
			return err
		}
	}
	for k, n := range delta {
		if n == 0 {
			continue
		}
		if err := t.exec(`INSERT INTO outcome (route, status, reason, n) VALUES (?, ?, ?, ?)
			ON CONFLICT (route, status, reason) DO UPDATE SET n = n + excluded.n`, route, int64(k.status), k.reason, n); err != nil {
			return err
		}
	}
	return nil
}

// Rows of the ledger that are known to be new are inserted many at a time; the
// others, few but for replays, replace what is there.
var (
	insertLedger = newInsert(`INSERT OR ROLLBACK INTO ledger (route, oid, version, digest, status, reason, refs, first, last, replay)`,
		`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	replaceLedger = newInsert(`INSERT OR ROLLBACK INTO ledger (route, oid, version, digest, status, reason, refs, first, last, replay)`,
		`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		`ON CONFLICT (route, oid) DO UPDATE SET version = excluded.version, digest = excluded.digest, status = excluded.status,
		reason = excluded.reason, refs = excluded.refs, first = excluded.first, last = excluded.last, replay = excluded.replay`)
)

// putLedger writes the entries of put, those of objects in known over what is
// there.
func (t *tx) putLedger(route int64, put []*Settlement, known map[int64]bool) error {
	now := t.s.now().UnixMicro()
	fresh, old := insertLedger.begin(t), replaceLedger.begin(t)
	for _, st := range put {
		e := st.Entry
		last := micro(e.Last)
		if last == 0 {
			last = now
		}
		first := micro(e.First)
		if first == 0 {
			first = last
		}
		in := fresh
		if known[st.OID] {
			in = old
		}
		if err := in.add(route, st.OID, e.Version, int64(e.Digest), int64(e.Status), e.Reason, encodeRefs(e.Refs), first, last, e.Replay); err != nil {
			return err
		}
	}
	return errors.Join(fresh.end(), old.end())
}
