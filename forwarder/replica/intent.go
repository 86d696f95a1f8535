package replica

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	json "github.com/go-json-experiment/json"

	"taxii-forwarder/forwarder/intel"
)

// An Intent says what a destination may hold of one object once a batch has
// been sent, whether or not an answer comes.
type Intent struct {
	OID  int64    `json:"oid"`
	Refs []string `json:"refs"` // keys of observables
}

// Intend notes what a batch is about to tell a destination. The id goes to
// [Store.Settle] with the batch's outcomes; an intent that never gets there, as
// the process died, is found by [Store.Recover].
//
// The note survives the death of the process, but is not synchronised to the
// disk by itself: it would double the cost of every batch. It gets there with
// the next [Store.Apply] or [Store.Settle]. When the power fails in between,
// a withdrawal that follows a never answered delivery may lack an observable.
func (s *Store) Intend(ctx context.Context, route Route, intents []Intent) (id int64, err error) {
	content, err := json.Marshal(intents)
	if err != nil {
		return 0, err
	}
	err = s.writeAs(ctx, "note a batch for "+route.Sink, relaxed, func(t *tx) error {
		return t.row(`INSERT INTO intent (route, content) VALUES (?, ?) RETURNING id`, route.ID, string(content)).Scan(&id)
	})
	return id, err
}

// Recover turns intents that were never settled into rows of the ledger: the
// destination may hold those observables, and the indicators are to be sent
// again. It returns how many objects that concerns. Call it while nothing of
// the route is in flight.
func (s *Store) Recover(ctx context.Context, route Route) (n int, err error) {
	err = s.write(ctx, "recover "+route.Feed+" -> "+route.Sink, func(t *tx) error {
		n = 0
		var ids []int64
		maybe := map[int64][]string{}
		if err := t.each(func(r scanner) error {
			var id int64
			var content string
			var intents []Intent
			if err := r.Scan(&id, &content); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(content), &intents); err != nil {
				return err
			}
			ids = append(ids, id)
			for _, i := range intents {
				maybe[i.OID] = union(maybe[i.OID], i.Refs)
			}
			return nil
		}, `SELECT id, content FROM intent WHERE route = ?`, route.ID); err != nil {
			return err
		}
		settled := make([]Settlement, 0, len(maybe))
		for oid, refs := range maybe {
			e, err := t.ledgerEntry(route.ID, oid)
			if errors.Is(err, sql.ErrNoRows) {
				continue // the object is gone from the replica
			}
			if err != nil {
				return err
			}
			e.Refs = union(e.Refs, refs)
			e.Digest = 0
			settled = append(settled, Settlement{OID: oid, Entry: e})
		}
		n = len(settled)
		if err := t.settle(route.ID, lastOfEach(settled)); err != nil {
			return err
		}
		return t.forget(ids)
	})
	return n, err
}

// ledgerEntry returns what the ledger has of an object, or an entry that says
// nothing; [sql.ErrNoRows] when there is no such object.
func (t *tx) ledgerEntry(route, oid int64) (*Entry, error) {
	var version, digest, status, first, last, replay sql.NullInt64
	var reason, refs sql.NullString
	if err := t.row(`SELECT l.version, l.digest, l.status, l.reason, l.refs, l.first, l.last, l.replay
		FROM object o LEFT JOIN ledger l ON l.route = ? AND l.oid = o.oid WHERE o.oid = ?`, route, oid).
		Scan(&version, &digest, &status, &reason, &refs, &first, &last, &replay); err != nil {
		return nil, err
	}
	e := &Entry{
		Version: version.Int64, Digest: uint64(digest.Int64), Status: intel.Status(status.Int64), Reason: reason.String,
		First: fromMicro(first.Int64), Last: fromMicro(last.Int64), Replay: replay.Int64 != 0,
	}
	if refs.Valid {
		var err error
		if e.Refs, err = decodeRefs(refs.String); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// forget removes intents.
func (t *tx) forget(ids []int64) error {
	for _, id := range ids {
		if err := t.exec(`DELETE FROM intent WHERE id = ?`, id); err != nil {
			return err
		}
	}
	return nil
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
