/**
 * The tables of the PostgreSQL adapter, as sql/ringwal-replica.sql has them (test/replica/postgres-schema.test.ts compares the two).
 * Every statement may be run again.
 */
export const SCHEMA = `-- What ringwal/postgres keeps. Run it once in the database that logs are replicated to, as the owner of the tables:
--
--   psql -f ringwal-replica.sql        or        ringwal replica init
--
-- A writer needs SELECT, INSERT, UPDATE and DELETE on the three tables; followers and restores need SELECT on the first two.

-- One row for each log. Every append updates it, hence the fill factor: the new version of the row fits beside the old one.
CREATE TABLE IF NOT EXISTS ringwal_log (
  log_id bytea PRIMARY KEY,      -- 8 bytes, made with the log
  epoch bigint NOT NULL,         -- rises by one with each writer and each cut
  writer text NOT NULL,          -- who acquired the log last
  head bigint NOT NULL,          -- LSN of the last entry; 0 = none
  chain bytea NOT NULL,          -- SHA-256 over all batches up to head
  confirmed bigint NOT NULL,     -- entries up to it are known to be on the standby: followers may read them
  floor bigint NOT NULL,         -- entries below it were removed; 0 = none were
  beat bigint NOT NULL           -- counts the requests that only prove that earlier ones are durable
) WITH (fillfactor = 10);

-- The entries, in the order of their LSNs: each row accounts for the LSNs first to last.
CREATE TABLE IF NOT EXISTS ringwal_batch (
  log_id bytea NOT NULL,
  first bigint NOT NULL,
  last bigint NOT NULL,
  epoch bigint NOT NULL,         -- of the writer
  prev bytea NOT NULL,           -- the chain before the batch
  chain bytea NOT NULL,          -- the chain after it: SHA-256(prev || data)
  data bytea NOT NULL,
  PRIMARY KEY (log_id, first)
);
ALTER TABLE ringwal_batch ALTER data SET STORAGE EXTERNAL;

-- What truncateAfter has cut off. ringwal never reads it: delete what nobody needs.
CREATE TABLE IF NOT EXISTS ringwal_cut (
  log_id bytea NOT NULL,
  cut_epoch bigint NOT NULL,     -- the epoch that the cut began
  first bigint NOT NULL,
  last bigint NOT NULL,
  epoch bigint NOT NULL,
  prev bytea NOT NULL,
  chain bytea NOT NULL,
  data bytea NOT NULL,
  cut_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (log_id, cut_epoch, first)
);
ALTER TABLE ringwal_cut ALTER data SET STORAGE EXTERNAL;
`;
