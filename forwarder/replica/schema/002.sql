-- Version 2: what is being handed to a sink, so that nothing that may have
-- arrived is forgotten when the process dies before the answer.

CREATE TABLE intent (
	id      INTEGER PRIMARY KEY,
	route   INTEGER NOT NULL REFERENCES route (id),
	content TEXT    NOT NULL -- JSON: [{"oid": 1, "refs": ["…"]}, …]
);
CREATE INDEX intent_route ON intent (route);
