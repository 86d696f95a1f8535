// Package replica keeps the durable state of the forwarder: the newest version
// of every STIX object of every feed, the order in which they changed, how far
// each route has delivered them, and what a destination refused.
//
// # Change numbers
//
// Every object that is new, newer, changed in content, revoked, expired or gone
// is given the next change number, its seq. Numbers come from one counter, only
// ever grow and are never given twice. An object holds only its newest number:
// whoever reads the changes after a cursor meets each object once, in its
// newest state, however often it changed in between. The first number an
// object ever had is its oid, its identity for life; the ledger of deliveries
// and the dead letters are keyed on it.
//
// # Guarantees
//
//   - [Store.Apply] and [Store.Settle] are one transaction each, on disk
//     (synchronous=FULL) when they return. After a crash all of it is there, or
//     nothing.
//   - Versions never go backwards: an older version that arrives late is counted
//     and ignored, and a tombstone (revoked, expired) yields only to a strictly
//     newer version.
//   - Memory does not depend on the number of objects.
//   - One process writes. [Open] takes an exclusive lock on the directory; a
//     second one is refused with a [LockedError]. Any number may read
//     ([Options].ReadOnly).
//   - A damaged database is set aside under another name and reported as a
//     [CorruptError]; it is never overwritten nor silently replaced.
//   - An older database is upgraded in one transaction, after a copy of it was
//     made; a newer one is refused with a [SchemaError].
//   - A full disk, an I/O error or a locked database is a *[intel.Failure] of kind
//     [intel.FailLocal]; nothing is half done.
//
// # Database
//
// The state is one SQLite file, state.db, in WAL mode. It is meant to be read
// with the sqlite3 shell too: ids, markings and objects are plain text, times
// are microseconds since 1970 (UTC), and the views objects, deliveries and
// dead_letters spell out names and states. The SQL keeps to what PostgreSQL
// has as well, WITHOUT ROWID, PRAGMA and json_each aside.
//
// # Use by several goroutines
//
// A Store's methods may be called at any time by any goroutine. Writes wait for
// one another; reads run beside them and each sees one consistent state.
package replica
