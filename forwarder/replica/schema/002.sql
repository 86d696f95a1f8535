-- Version 2.

-- The release that made the step, so that an older one can name it.
ALTER TABLE schema_version ADD COLUMN program TEXT NOT NULL DEFAULT '';

-- When the feed was last resynced to its end, or, before that, when resyncs were
-- first scheduled; 0 = never.
ALTER TABLE feed ADD COLUMN resynced INTEGER NOT NULL DEFAULT 0;
