package replica

import (
	"context"
	"database/sql"
	"time"

	json "github.com/go-json-experiment/json"

	"taxii-forwarder/forwarder/intel"
)

// recordColumns and the joins around them are what scanRecord reads.
const recordColumns = `o.seq, o.oid, o.stix_id, o.collection, o.version, o.state, o.refs, o.raw,
	l.version, l.digest, l.status, l.reason, l.refs, l.first, l.last, l.replay`

// Changes returns the route's indicators that changed after the number after,
// in the order of their change, whatever their state: at most maxRecords of
// them and, unless it is a single one, at most maxBytes of objects and their
// links.
//
// through is the highest number that was looked at. It is that of the last
// record, or, when there are no more, the feed's highest; a cursor may go there,
// past objects that are no indicators.
func (s *Store) Changes(ctx context.Context, route Route, after int64, maxRecords, maxBytes int) (recs []Record, through int64, err error) {
	maxRecords, maxBytes = max(maxRecords, 1), max(maxBytes, 1)
	err = s.read(ctx, "read changes of "+route.Feed+" for "+route.Sink, func(t *readTx) error {
		recs, through = nil, after
		feed, head, err := t.feedID(route.Feed)
		if err != nil || feed == 0 || head <= after {
			return err
		}
		var enough bool
		recs, enough, err = t.records(feed, maxRecords, maxBytes,
			`SELECT `+recordColumns+` FROM object o LEFT JOIN ledger l ON l.route = ? AND l.oid = o.oid
			WHERE o.feed = ? AND o.type = 'indicator' AND o.seq > ? ORDER BY o.seq LIMIT ?`,
			route.ID, feed, after, maxRecords)
		if err != nil {
			return err
		}
		through = head
		if enough || len(recs) == maxRecords {
			through = recs[len(recs)-1].Seq
		}
		return nil
	})
	if err != nil {
		return nil, after, err
	}
	return recs, through, nil
}

// records reads the records of q with their context, up to maxBytes. enough
// says that there were more.
func (t *readTx) records(feed int64, maxRecords, maxBytes int, q string, args ...any) (recs []Record, enough bool, err error) {
	names, err := t.collectionNames(feed)
	if err != nil {
		return nil, false, err
	}
	recs = make([]Record, 0, min(maxRecords, 1024))
	refs := make([]string, 0, min(maxRecords, 1024))
	size := 0
	err = t.each(func(r scanner) error {
		rec, coll, ref, err := scanRecord(r)
		if err != nil {
			return err
		}
		size += len(rec.Raw)
		if len(recs) > 0 && size > maxBytes {
			return errEnough
		}
		rec.Collection = names[coll]
		recs, refs = append(recs, rec), append(refs, ref)
		return nil
	}, q, args...)
	if err == errEnough {
		enough = true
	} else if err != nil {
		return nil, false, err
	}
	done, err := t.addContext(feed, recs, refs, maxBytes)
	if err != nil {
		return nil, false, err
	}
	return recs[:done], enough || done < len(recs), nil
}

func (t *readTx) collectionNames(feed int64) (map[int64]string, error) {
	names := make(map[int64]string)
	err := t.each(func(r scanner) error {
		var id int64
		var name string
		err := r.Scan(&id, &name)
		names[id] = name
		return err
	}, `SELECT id, name FROM collection WHERE feed = ?`, feed)
	return names, err
}

func scanRecord(r scanner) (rec Record, coll int64, refs string, err error) {
	var version, digest, status, first, last, replay sql.NullInt64
	var reason, held sql.NullString
	if err := r.Scan(&rec.Seq, &rec.OID, &rec.ID, &coll, &rec.Version, &rec.State, &refs, &rec.Raw,
		&version, &digest, &status, &reason, &held, &first, &last, &replay); err != nil {
		return rec, 0, "", err
	}
	if version.Valid {
		rec.Ledger = &Entry{
			Version: version.Int64, Digest: uint64(digest.Int64), Status: intel.Status(status.Int64), Reason: reason.String,
			First: fromMicro(first.Int64), Last: fromMicro(last.Int64), Replay: replay.Int64 != 0,
		}
		if rec.Ledger.Refs, err = decodeRefs(held.String); err != nil {
			return rec, 0, "", err
		}
	}
	return rec, coll, refs, nil
}

// encodeRefs is the form of the ledger's column refs: a JSON array.
func encodeRefs(refs []string) string {
	if len(refs) == 0 {
		return "[]"
	}
	return jsonStrings(refs)
}

func decodeRefs(s string) (refs []string, err error) {
	if s == "[]" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(s), &refs)
	return refs, err
}

// micro and fromMicro keep a zero time zero.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
