-- A whole database of schema version 1 with a little of everything in it.
CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied TEXT NOT NULL);
INSERT INTO schema_version VALUES (1, '2026-01-01T00:00:00Z');

CREATE TABLE counter (
	name  TEXT PRIMARY KEY,
	value INTEGER NOT NULL
);
INSERT INTO counter (name, value) VALUES ('seq', 0), ('dead_dropped', 0);

CREATE TABLE feed (
	id         INTEGER PRIMARY KEY,
	name       TEXT    NOT NULL UNIQUE,
	head       INTEGER NOT NULL DEFAULT 0, -- highest seq of its objects
	walk       INTEGER NOT NULL DEFAULT 0, -- the resync under way, 0 = none
	walks      INTEGER NOT NULL DEFAULT 0, -- resyncs begun so far
	objects    INTEGER NOT NULL DEFAULT 0, -- of every type
	current    INTEGER NOT NULL DEFAULT 0, -- indicators by state
	revoked    INTEGER NOT NULL DEFAULT 0,
	expired    INTEGER NOT NULL DEFAULT 0,
	gone       INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE collection (
	id          INTEGER PRIMARY KEY,
	feed        INTEGER NOT NULL REFERENCES feed (id),
	root        TEXT    NOT NULL,
	name        TEXT    NOT NULL, -- its id at the server
	position    TEXT,             -- JSON; where the next poll resumes
	fingerprint TEXT    NOT NULL DEFAULT '',
	updated     INTEGER NOT NULL DEFAULT 0,
	UNIQUE (feed, root, name)
);

CREATE TABLE object (
	oid        INTEGER PRIMARY KEY, -- the first seq it ever had
	seq        INTEGER NOT NULL,
	feed       INTEGER NOT NULL REFERENCES feed (id),
	collection INTEGER NOT NULL REFERENCES collection (id), -- that first served it
	stix_id    TEXT    NOT NULL, -- one object each, in a feed
	id_hash    INTEGER NOT NULL,
	type       TEXT    NOT NULL,
	state      INTEGER NOT NULL, -- 0 current, 1 revoked, 2 expired, 3 gone
	version    INTEGER NOT NULL,
	expires    INTEGER NOT NULL,
	hash       INTEGER NOT NULL, -- of raw: SHA-256, first 8 bytes
	about      TEXT,             -- stix_id of the indicator it says something about
	about_hash INTEGER,
	target     TEXT,             -- stix_id of what it links that indicator to
	target_hash INTEGER,
	refs       TEXT    NOT NULL, -- stix_ids of what describes it, separated by blanks
	raw        TEXT    NOT NULL
);
CREATE INDEX object_id ON object (feed, id_hash);
CREATE UNIQUE INDEX object_change ON object (feed, seq) WHERE type = 'indicator';
CREATE INDEX object_expiry ON object (expires) WHERE state = 0 AND expires > 0;
CREATE INDEX object_about  ON object (feed, about_hash) WHERE about_hash IS NOT NULL;
CREATE INDEX object_target ON object (feed, target_hash) WHERE target_hash IS NOT NULL;

-- Objects that indicators refer to and that are not here (yet), and those
-- indicators.
CREATE TABLE missing (
	id      INTEGER PRIMARY KEY,
	feed    INTEGER NOT NULL,
	stix_id TEXT    NOT NULL,
	id_hash INTEGER NOT NULL
);
CREATE INDEX missing_id ON missing (feed, id_hash);
CREATE TABLE waiting (
	missing INTEGER NOT NULL,
	oid     INTEGER NOT NULL,
	PRIMARY KEY (missing, oid)
) WITHOUT ROWID;

-- Indicators whose context changed and that have yet to get a new seq.
CREATE TABLE due (
	feed INTEGER NOT NULL,
	oid  INTEGER NOT NULL,
	PRIMARY KEY (feed, oid)
) WITHOUT ROWID;

-- Objects served since the feed's resync began.
CREATE TABLE mark (
	feed INTEGER NOT NULL,
	oid  INTEGER NOT NULL,
	PRIMARY KEY (feed, oid)
) WITHOUT ROWID;

CREATE TABLE route (
	id          INTEGER PRIMARY KEY,
	feed        TEXT    NOT NULL,
	sink        TEXT    NOT NULL,
	fingerprint TEXT    NOT NULL,
	cursor      INTEGER NOT NULL DEFAULT 0,
	epoch       INTEGER NOT NULL DEFAULT 1, -- grows whenever the cursor goes back
	UNIQUE (feed, sink)
);

CREATE TABLE ledger (
	route   INTEGER NOT NULL REFERENCES route (id),
	oid     INTEGER NOT NULL,
	version INTEGER NOT NULL,
	digest  INTEGER NOT NULL,
	status  INTEGER NOT NULL, -- 1 delivered, 2 skipped, 3 rejected
	reason  TEXT    NOT NULL,
	refs    TEXT    NOT NULL, -- JSON array: observables the destination holds
	first   INTEGER NOT NULL,
	last    INTEGER NOT NULL,
	replay  INTEGER NOT NULL,
	PRIMARY KEY (route, oid)
) WITHOUT ROWID;

-- How many rows the ledger has of each kind.
CREATE TABLE outcome (
	route  INTEGER NOT NULL,
	status INTEGER NOT NULL,
	reason TEXT    NOT NULL,
	n      INTEGER NOT NULL,
	PRIMARY KEY (route, status, reason)
) WITHOUT ROWID;

-- What is being handed to a sink, so that nothing that may have arrived is
-- forgotten when the process dies before the answer.
CREATE TABLE intent (
	id      INTEGER PRIMARY KEY,
	route   INTEGER NOT NULL REFERENCES route (id),
	content TEXT    NOT NULL -- JSON: [{"oid": 1, "refs": ["…"]}, …]
);
CREATE INDEX intent_route ON intent (route);

CREATE TABLE dead (
	id       INTEGER PRIMARY KEY,
	route    INTEGER NOT NULL REFERENCES route (id),
	oid      INTEGER NOT NULL,
	seq      INTEGER NOT NULL,
	version  INTEGER NOT NULL,
	time     INTEGER NOT NULL,
	reason   TEXT    NOT NULL,
	detail   TEXT    NOT NULL,
	sent     TEXT    NOT NULL,
	attempts INTEGER NOT NULL,
	retry    INTEGER NOT NULL DEFAULT 0,
	UNIQUE (route, oid)
);
CREATE INDEX dead_reason ON dead (route, reason, retry);
CREATE INDEX dead_retry ON dead (route, id) WHERE retry = 1;

CREATE VIEW objects AS
	SELECT o.oid, o.seq, f.name AS feed, c.root, c.name AS collection, o.stix_id, o.type,
		CASE o.state WHEN 0 THEN 'current' WHEN 1 THEN 'revoked' WHEN 2 THEN 'expired' ELSE 'gone' END AS state,
		o.version, o.expires, o.about, o.target, o.refs, o.raw
	FROM object o JOIN feed f ON f.id = o.feed JOIN collection c ON c.id = o.collection;

CREATE VIEW deliveries AS
	SELECT r.feed, r.sink, o.stix_id, l.version,
		CASE l.status WHEN 1 THEN 'delivered' WHEN 2 THEN 'skipped' WHEN 3 THEN 'rejected' ELSE 'unknown' END AS status,
		l.reason, l.refs, l.first, l.last, l.replay
	FROM ledger l JOIN route r ON r.id = l.route JOIN object o ON o.oid = l.oid;

CREATE VIEW dead_letters AS
	SELECT d.id, r.feed, r.sink, o.stix_id, d.version, d.time, d.reason, d.detail, d.attempts, d.retry, d.sent
	FROM dead d JOIN route r ON r.id = d.route JOIN object o ON o.oid = d.oid;

UPDATE counter SET value = 5 WHERE name = 'seq';
INSERT INTO feed (id, name, head, walk, walks, objects, current, revoked, expired, gone) VALUES (1, 'f', 5, 0, 1, 4, 1, 1, 0, 0);
INSERT INTO collection (id, feed, root, name, position, fingerprint, updated) VALUES (1, 1, 'https://taxii.example.com/root/', 'c1', '{"w":"2026-01-01T00:00:00Z"}', 'fp', 1767225600000000);
INSERT INTO object (oid, seq, feed, collection, stix_id, id_hash, type, state, version, expires, hash, about, about_hash, target, target_hash, refs, raw) VALUES
	(1, 1, 1, 1, 'identity--1', -5511319389454147457, 'identity', 0, 5, 0, 1, NULL, NULL, NULL, NULL, '', '{"type":"identity","id":"identity--1","name":"Example"}'),
	(2, 2, 1, 1, 'indicator--1', 7750210101773544449, 'indicator', 1, 5, 0, 2, NULL, NULL, NULL, NULL, 'identity--1 marking-definition--9', '{"type":"indicator","id":"indicator--1","revoked":true}'),
	(3, 4, 1, 1, 'indicator--2', 8132526531904547783, 'indicator', 0, 6, 1893456000000000, 3, NULL, NULL, NULL, NULL, 'identity--1', '{"type":"indicator","id":"indicator--2"}'),
	(5, 5, 1, 1, 'sighting--1', 7367435920976050368, 'sighting', 0, 6, 0, 4, 'indicator--2', 8132526531904547783, NULL, NULL, '', '{"type":"sighting","id":"sighting--1"}');
INSERT INTO missing (id, feed, stix_id, id_hash) VALUES (1, 1, 'marking-definition--9', 3264342723068781350);
INSERT INTO waiting (missing, oid) VALUES (1, 2);
INSERT INTO route (id, feed, sink, fingerprint, cursor, epoch) VALUES (1, 'f', 'splunk.soc', 'fp', 3, 1);
INSERT INTO ledger (route, oid, version, digest, status, reason, refs, first, last, replay) VALUES
	(1, 2, 5, -7, 3, 'too_long', '[]', 1767225600000000, 1767225600000000, 0),
	(1, 3, 5, 0, 1, '', '["url:http://example.com/"]', 1767225600000000, 1767225600000000, 0);
INSERT INTO outcome (route, status, reason, n) VALUES (1, 3, 'too_long', 1), (1, 1, '', 1);
INSERT INTO dead (id, route, oid, seq, version, time, reason, detail, sent, attempts, retry) VALUES
	(1, 1, 2, 2, 5, 1767225600000000, 'too_long', 'value is too long', '{}', 1, 0);
INSERT INTO intent (id, route, content) VALUES (1, 1, '[{"oid":3,"refs":["url:http://example.com/new"]}]');
