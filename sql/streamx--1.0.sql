/* sql/streamx--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION streamx" to load this file. \quit

/*
 * Rooms: schema streamx is what users see, schema streamx_state holds what
 * the extension makes for each view and stream (stored queries, states,
 * journals); those are ordinary objects, no members of the extension, so
 * that pg_dump carries them.
 */
CREATE SCHEMA streamx;
CREATE SCHEMA streamx_state;
GRANT USAGE ON SCHEMA streamx TO PUBLIC;
COMMENT ON SCHEMA streamx IS 'streamx: functions, status views and tables of continuous views';
COMMENT ON SCHEMA streamx_state IS 'streamx: stored queries, aggregate states and journals; not for users';

-- ERROR with the cure when the library is not in shared_preload_libraries
CREATE FUNCTION streamx.require_preload() RETURNS void
AS 'MODULE_PATHNAME', 'streamx_require_preload' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION streamx.require_preload() FROM PUBLIC;
COMMENT ON FUNCTION streamx.require_preload() IS 'raises an error with the cure unless streamx is in shared_preload_libraries';
SELECT streamx.require_preload();

/* ---- streams -------------------------------------------------------- */

CREATE FUNCTION streamx.fdw_handler() RETURNS fdw_handler
AS 'MODULE_PATHNAME', 'streamx_fdw_handler' LANGUAGE C STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.fdw_handler() IS 'handler of foreign data wrapper streamx';

CREATE FUNCTION streamx.fdw_validator(text[], oid) RETURNS void
AS 'MODULE_PATHNAME', 'streamx_fdw_validator' LANGUAGE C STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.fdw_validator(text[], oid) IS 'checks the options of servers, user mappings, streams and columns';

CREATE FOREIGN DATA WRAPPER streamx
  HANDLER streamx.fdw_handler VALIDATOR streamx.fdw_validator;
GRANT USAGE ON FOREIGN DATA WRAPPER streamx TO PUBLIC;
COMMENT ON FOREIGN DATA WRAPPER streamx IS 'streams: Kafka topics, sockets, a generator, and native ones';

CREATE SERVER streamx FOREIGN DATA WRAPPER streamx;
GRANT USAGE ON FOREIGN SERVER streamx TO PUBLIC;
COMMENT ON SERVER streamx IS 'native streams: rows come by INSERT and COPY';

/* ---- continuous views ----------------------------------------------- */

-- One row per continuous view.  "view" is the result table.
CREATE TABLE streamx.continuous_views (
  view           regclass PRIMARY KEY,
  id             int NOT NULL UNIQUE,
  query          regclass NOT NULL,      -- the stored query, a view in streamx_state
  state          regclass,               -- partial states per group; NULL: the strategy keeps none
  emit           text NOT NULL DEFAULT 'update',
  lateness       interval NOT NULL DEFAULT '0',
  late           text NOT NULL DEFAULT 'drop',
  retention      interval,
  start          text,                   -- NULL: the stream's
  batch_interval interval NOT NULL DEFAULT '200 ms',
  options        jsonb NOT NULL DEFAULT '{}',
  settings       text[] NOT NULL DEFAULT '{}',  -- TimeZone, DateStyle, IntervalStyle, search_path of CREATE
  paused         boolean NOT NULL DEFAULT false,
  sqlstate       text,                   -- why it has stopped; NULL: it has not
  error          text
);
REVOKE ALL ON streamx.continuous_views FROM PUBLIC;
COMMENT ON TABLE streamx.continuous_views IS 'catalog of continuous views: result table, stored query, options';
CREATE SEQUENCE streamx.object_id AS int;
COMMENT ON SEQUENCE streamx.object_id IS 'numbers the objects in schema streamx_state';

-- Which streams a view reads.
CREATE TABLE streamx.view_streams (
  view           regclass NOT NULL,
  stream         regclass NOT NULL,
  PRIMARY KEY (view, stream)
);
REVOKE ALL ON streamx.view_streams FROM PUBLIC;
COMMENT ON TABLE streamx.view_streams IS 'streams that each continuous view reads';

CREATE TABLE streamx.progress (
  view           regclass NOT NULL,
  stream         regclass NOT NULL,
  partition      int NOT NULL,
  next_offset    bigint NOT NULL,
  watermark      timestamptz,
  snapshot       text,                   -- native streams: which transactions have been read
  first_offset   bigint NOT NULL,        -- where the view began to read
  first_snapshot text,                   -- native streams: likewise
  PRIMARY KEY (view, stream, partition)
) WITH (fillfactor = 50);
GRANT SELECT ON streamx.progress TO PUBLIC;
COMMENT ON TABLE streamx.progress IS 'per view, stream and partition: next offset to read and watermark; changes with the results, in one transaction';

-- Counters that change with each batch, in its transaction.
CREATE TABLE streamx.view_counters (
  view           regclass PRIMARY KEY,
  rows_in        bigint NOT NULL DEFAULT 0,
  rows_out       bigint NOT NULL DEFAULT 0,
  rows_late      bigint NOT NULL DEFAULT 0,
  dead_letters   bigint NOT NULL DEFAULT 0,
  batches        bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
REVOKE ALL ON streamx.view_counters FROM PUBLIC;
COMMENT ON TABLE streamx.view_counters IS 'per view: rows taken in, rows written, late rows, dead letters, batches';

CREATE TABLE streamx.dead_letters (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream         regclass NOT NULL,
  view           regclass,               -- NULL: the message did not decode
  partition      int NOT NULL,
  position       bigint NOT NULL,
  arrived        timestamptz,
  key            bytea,
  payload        bytea,
  sqlstate       text NOT NULL,
  error          text NOT NULL
);
-- kept once per stream, or once per view
CREATE UNIQUE INDEX dead_letters_position ON streamx.dead_letters (stream, partition, position, view) NULLS NOT DISTINCT;
ALTER TABLE streamx.dead_letters ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers_of_the_stream ON streamx.dead_letters FOR SELECT
  USING (pg_catalog.has_table_privilege(stream, 'SELECT'));
GRANT SELECT ON streamx.dead_letters TO PUBLIC;
COMMENT ON TABLE streamx.dead_letters IS 'rows that could not be decoded or evaluated, with their raw bytes and the reason; a role sees those of streams that it may SELECT';

CREATE TABLE streamx.late_rows (
  view           regclass NOT NULL,
  stream         regclass NOT NULL,
  partition      int NOT NULL,
  position       bigint NOT NULL,
  event_time     timestamptz,
  row_data       jsonb
);
ALTER TABLE streamx.late_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers_of_the_stream ON streamx.late_rows FOR SELECT
  USING (pg_catalog.has_table_privilege(stream, 'SELECT'));
GRANT SELECT ON streamx.late_rows TO PUBLIC;
COMMENT ON TABLE streamx.late_rows IS 'rows that came after their windows had closed, of views with late = ''keep''';

-- Journals of streams whose rows cannot be asked for again.
CREATE TABLE streamx.journals (
  stream         regclass PRIMARY KEY,
  id             int NOT NULL UNIQUE,
  segments       regclass[] NOT NULL,    -- tables in streamx_state, used in turn
  closed         timestamptz[] NOT NULL, -- per segment: when it last stopped taking rows in
  current        int NOT NULL DEFAULT 1, -- index of the one that takes rows in
  era            int NOT NULL DEFAULT 1, -- counts the clusters that the journal has lived in
  system         bigint NOT NULL,        -- the one of this era: transaction ids mean something only there
  columns        text[] NOT NULL,        -- names of the stream's columns by attribute number when last looked at; NULL: dropped
  slots          int[] NOT NULL,         -- and the number of the journal's column for each
  next_position  bigint NOT NULL DEFAULT 0  -- sockets: first position after the rows that were emptied
);
REVOKE ALL ON streamx.journals FROM PUBLIC;
COMMENT ON TABLE streamx.journals IS 'where native and socket streams keep what they took in until every view has it';

-- When the rows of a generator began to fall due.
CREATE TABLE streamx.generators (
  stream         regclass PRIMARY KEY,
  started        timestamptz NOT NULL
);
REVOKE ALL ON streamx.generators FROM PUBLIC;
COMMENT ON TABLE streamx.generators IS 'when each generator stream began: its row number i is due i / rows_per_second later';

CREATE FUNCTION streamx.create_continuous_view(
  name text, query text, emit text DEFAULT 'update', lateness interval DEFAULT NULL,
  late text DEFAULT NULL, retention interval DEFAULT NULL, start text DEFAULT NULL,
  batch_interval interval DEFAULT NULL, final_column text DEFAULT NULL,
  sink text DEFAULT NULL, notify text DEFAULT NULL)
RETURNS regclass
AS 'MODULE_PATHNAME', 'streamx_create_continuous_view' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.create_continuous_view(text, text, text, interval, text, interval, text, interval, text, text, text)
  IS 'makes a continuous view, as CREATE VIEW ... WITH (streamx.continuous) does';

CREATE FUNCTION streamx.pause(view regclass) RETURNS void
AS 'MODULE_PATHNAME', 'streamx_pause' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.pause(regclass) IS 'stops keeping a continuous view up to date; resume goes on where it stopped';

CREATE FUNCTION streamx.resume(view regclass) RETURNS void
AS 'MODULE_PATHNAME', 'streamx_resume' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.resume(regclass) IS 'goes on with a paused or stopped continuous view';

/* ---- windows: in the extension's own schema ---------------------------- */

CREATE FUNCTION tumble(ts timestamptz, size interval) RETURNS timestamptz
AS 'MODULE_PATHNAME', 'streamx_tumble_timestamptz' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION tumble(ts timestamptz, size interval, origin timestamptz) RETURNS timestamptz
AS 'MODULE_PATHNAME', 'streamx_tumble_timestamptz' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION tumble(ts timestamp, size interval) RETURNS timestamp
AS 'MODULE_PATHNAME', 'streamx_tumble_timestamp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION tumble(ts timestamp, size interval, origin timestamp) RETURNS timestamp
AS 'MODULE_PATHNAME', 'streamx_tumble_timestamp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION tumble(ts date, size interval) RETURNS timestamp
AS 'MODULE_PATHNAME', 'streamx_tumble_date' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION tumble(ts date, size interval, origin date) RETURNS timestamp
AS 'MODULE_PATHNAME', 'streamx_tumble_date' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION tumble(timestamptz, interval) IS 'start of the fixed window that holds ts; origin Monday 2000-01-03 00:00 UTC, for months and years 2000-01-01 in TimeZone';
COMMENT ON FUNCTION tumble(timestamptz, interval, timestamptz) IS 'start of the fixed window that holds ts, counted from origin';
COMMENT ON FUNCTION tumble(timestamp, interval) IS 'start of the fixed window that holds ts; origin Monday 2000-01-03 00:00, for months and years 2000-01-01';
COMMENT ON FUNCTION tumble(timestamp, interval, timestamp) IS 'start of the fixed window that holds ts, counted from origin';
COMMENT ON FUNCTION tumble(date, interval) IS 'start of the fixed window that holds ts; origin Monday 2000-01-03, for months and years 2000-01-01';
COMMENT ON FUNCTION tumble(date, interval, date) IS 'start of the fixed window that holds ts, counted from origin';

-- in the key index of a result table whose keys are long
CREATE FUNCTION streamx.key_digest(value anyelement) RETURNS uuid
AS 'MODULE_PATHNAME', 'streamx_key_digest' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.key_digest(anyelement) IS '128 bits of hashes of a value, the same for equal values; stands for long keys in the index of a result table';

SELECT pg_catalog.pg_extension_config_dump('streamx.continuous_views', '');
SELECT pg_catalog.pg_extension_config_dump('streamx.object_id', '');
SELECT pg_catalog.pg_extension_config_dump('streamx.view_streams', '');
SELECT pg_catalog.pg_extension_config_dump('streamx.progress', '');
SELECT pg_catalog.pg_extension_config_dump('streamx.view_counters', '');
SELECT pg_catalog.pg_extension_config_dump('streamx.dead_letters', '');
SELECT pg_catalog.pg_extension_config_dump('streamx.late_rows', '');
SELECT pg_catalog.pg_extension_config_dump('streamx.journals', '');
SELECT pg_catalog.pg_extension_config_dump('streamx.generators', '');
