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
  error          text,
  sink           regclass,               -- stream that the results are written to as well
  outbox         regclass,               -- rows that wait to be sent to it; NULL: no Kafka sink
  parts          regclass[] NOT NULL DEFAULT '{}', -- of a derived view: per core its hidden table and its state table;
                                         -- then, where it joins streams, per side the table of its rows
  sources        regclass[] NOT NULL DEFAULT '{}', -- continuous views whose result tables it reads instead of streams
  value_sets     regclass[] NOT NULL DEFAULT '{}'  -- values that its DISTINCT aggregates, or those of its hidden tables, have seen
);
REVOKE ALL ON streamx.continuous_views FROM PUBLIC;
COMMENT ON TABLE streamx.continuous_views IS 'catalog of continuous views: result table, stored query, options';
CREATE SEQUENCE streamx.object_id AS int;
COMMENT ON SEQUENCE streamx.object_id IS 'numbers the objects in schema streamx_state';

-- Which streams a view reads; one over other views reads none itself.
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
  replay_offset  bigint,                 -- the rows of windows that are open begin here; NULL: they need not be read again
  replay_snapshot text,                  -- native streams: likewise
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
  batches        bigint NOT NULL DEFAULT 0,
  watermark      timestamptz,            -- of the view; windows that end before it (and lateness) are closed
  outbox         bigint NOT NULL DEFAULT 0  -- number of the last row written to its outbox
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
  sink text DEFAULT NULL, notify text DEFAULT NULL,
  key text DEFAULT NULL, partition_by text DEFAULT NULL)
RETURNS regclass
AS 'MODULE_PATHNAME', 'streamx_create_continuous_view' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.create_continuous_view(text, text, text, interval, text, interval, text, interval, text, text, text, text, text)
  IS 'makes a continuous view, as CREATE VIEW ... WITH (streamx.continuous) does';

CREATE FUNCTION streamx.pause(view regclass) RETURNS void
AS 'MODULE_PATHNAME', 'streamx_pause' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.pause(regclass) IS 'stops keeping a continuous view up to date; resume goes on where it stopped';

CREATE FUNCTION streamx.resume(view regclass) RETURNS void
AS 'MODULE_PATHNAME', 'streamx_resume' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.resume(regclass) IS 'goes on with a paused or stopped continuous view';

CREATE FUNCTION streamx.wait(view regclass, timeout interval DEFAULT '30 s') RETURNS boolean
AS 'MODULE_PATHNAME', 'streamx_wait' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.wait(regclass, interval) IS 'waits until a continuous view shows all that was committed in its sources at the call; false: it did not within the time';

CREATE FUNCTION streamx.verify(view regclass, OUT difference text, OUT result jsonb) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamx_verify' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.verify(regclass) IS 'runs a continuous view''s query over its source up to the view''s progress; returns what differs from the result table: missing, extra, differs';

CREATE FUNCTION streamx.rebuild(view regclass, start text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'streamx_rebuild' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.rebuild(regclass, text) IS 'computes a continuous view anew from its source, from where it began or from start (earliest, latest, a timestamp); others see the old content until the commit';

CREATE FUNCTION streamx.reprocess(stream regclass DEFAULT NULL, view regclass DEFAULT NULL) RETURNS bigint
AS 'MODULE_PATHNAME', 'streamx_reprocess' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.reprocess(regclass, regclass) IS 'feeds dead letters in again, each exactly once; those that succeed leave streamx.dead_letters and are counted, the others stay with their new error';

CREATE FUNCTION streamx.explain(view regclass) RETURNS text
AS 'MODULE_PATHNAME', 'streamx_explain' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION streamx.explain(regclass) IS 'how a continuous view is maintained: strategy, key, windows, state, plan of a batch';

/* ---- status ----------------------------------------------------------- */

CREATE FUNCTION streamx.view_figures(
  OUT view regclass, OUT catching_up boolean, OUT rows_per_second float8,
  OUT latency interval, OUT state_bytes bigint, OUT last_batch timestamptz,
  OUT sink_sent bigint, OUT sink_sqlstate text, OUT sink_error text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamx_view_figures' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.view_figures() IS 'what workers have told of their views; see streamx.views';

CREATE FUNCTION streamx.stream_figures(
  OUT stream regclass, OUT state text, OUT sqlstate text, OUT error text,
  OUT workers int, OUT rows_in bigint, OUT last_row timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamx_stream_figures' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.stream_figures() IS 'what workers have told of their streams; see streamx.streams';

CREATE FUNCTION streamx.partition_figures(
  OUT stream regclass, OUT partition int, OUT next_offset bigint,
  OUT end_offset bigint, OUT watermark timestamptz, OUT idle boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamx_partition_figures' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.partition_figures() IS 'what workers have told of partitions; see streamx.partitions';

/*
 * Figures are what the workers say, from shared memory; the rest is what the
 * tables say, which is there after a restart as well.  Error texts may quote
 * data: they are for those who may read the object.
 */
CREATE VIEW streamx.partitions AS
SELECT p.stream, p.partition, p.next_offset,
       greatest(p.end_offset, p.next_offset) AS end_offset,
       greatest(p.end_offset, p.next_offset) - p.next_offset AS lag_rows,
       p.watermark, p.idle
FROM (SELECT stream, partition,
             -- native streams: what is counted depends on the view that counts
             CASE WHEN s.snapshots THEN coalesce(f.next_offset, s.next_offset)
                  ELSE greatest(f.next_offset, s.next_offset) END AS next_offset,
             f.end_offset,
             greatest(f.watermark, s.watermark) AS watermark,
             coalesce(f.idle, false) AS idle
      FROM (SELECT stream, partition, max(next_offset) AS next_offset,
                   max(watermark) AS watermark, bool_or(snapshot IS NOT NULL) AS snapshots
            FROM streamx.progress GROUP BY stream, partition) s
           FULL JOIN streamx.partition_figures() f USING (stream, partition)) p
WHERE EXISTS (SELECT FROM streamx.view_streams v WHERE v.stream = p.stream);
GRANT SELECT ON streamx.partitions TO PUBLIC;
COMMENT ON VIEW streamx.partitions IS 'partitions of streams that views read: how far the furthest view is, where the source ends, watermark';
COMMENT ON COLUMN streamx.partitions.end_offset IS 'first offset that was not there yet when the source was last asked; NULL: not known';
COMMENT ON COLUMN streamx.partitions.idle IS 'silent for longer than the stream''s idle_timeout: does not hold the watermark back';

CREATE VIEW streamx.streams AS
SELECT t.ftrelid::pg_catalog.regclass AS stream,
       coalesce(nullif(s.srvtype, ''), 'native') AS kind,
       CASE WHEN v.stream IS NULL THEN 'unread'
            WHEN v.active = 0 THEN 'idle'
            ELSE coalesce(f.state, 'starting') END AS state,
       CASE WHEN v.active > 0 THEN f.error END AS error,
       coalesce(f.workers, 0) AS workers,
       greatest(f.rows_in, v.rows_in, 0) AS rows_in,
       p.lag_rows,
       CASE WHEN p.lag_rows = 0 THEN interval '0'
            WHEN p.lag_rows > 0 THEN greatest(pg_catalog.clock_timestamp() - f.last_row, interval '0') END AS lag,
       p.watermark,
       CASE WHEN v.active > 0 THEN f.sqlstate END AS sqlstate
FROM pg_catalog.pg_foreign_table t
     JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver
     JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwname = 'streamx'
     LEFT JOIN streamx.stream_figures() f ON f.stream = t.ftrelid
     LEFT JOIN (
       SELECT r.stream,
              count(*) FILTER (WHERE NOT c.paused AND c.sqlstate IS NULL) AS active,
              -- a view of several streams counts the rows of all: positions instead
              max(CASE WHEN EXISTS (SELECT FROM streamx.view_streams o WHERE o.view = r.view AND o.stream <> r.stream)
                       THEN (SELECT sum(g.next_offset - g.first_offset) FROM streamx.progress g
                             WHERE g.view = r.view AND g.stream = r.stream)
                       ELSE n.rows_in END)::bigint AS rows_in
       FROM streamx.view_streams r
            JOIN streamx.continuous_views c ON c.view = r.view
            LEFT JOIN streamx.view_counters n ON n.view = r.view
       GROUP BY r.stream) v ON v.stream = t.ftrelid
     LEFT JOIN (
       SELECT q.stream, sum(q.lag_rows)::bigint AS lag_rows,
              -- one that has seen no event time yet holds it back
              CASE WHEN bool_or(q.watermark IS NULL AND NOT q.idle) THEN NULL
                   ELSE coalesce(min(q.watermark) FILTER (WHERE NOT q.idle), max(q.watermark)) END AS watermark
       FROM streamx.partitions q
       GROUP BY q.stream) p ON p.stream = t.ftrelid;
GRANT SELECT ON streamx.streams TO PUBLIC;
COMMENT ON VIEW streamx.streams IS 'every stream: whether and how it is read, how far behind its end';
COMMENT ON COLUMN streamx.streams.state IS 'unread: no view reads it; idle: its views are paused or have stopped; starting: no worker has it yet; connecting; running; down: out of reach, tried again; failed: goes on only after a change';
COMMENT ON COLUMN streamx.streams.error IS 'what is wrong with its source, for those who may read the stream';
COMMENT ON COLUMN streamx.streams.rows_in IS 'rows taken in by the view that has taken most, or, if that reads other streams too, positions that it is past';
COMMENT ON COLUMN streamx.streams.lag IS 'age of the newest row taken in, while there are others to read';

CREATE VIEW streamx.views AS
SELECT c.view,
       CASE WHEN c.sqlstate IS NOT NULL THEN 'stopped'
            WHEN c.paused THEN 'paused'
            WHEN f.catching_up AND coalesce(p.lag_rows, 1) > 0
              OR p.lag_rows > greatest(10000, 10 * f.rows_per_second) THEN 'catching up'
            ELSE 'running' END AS state,
       CASE WHEN pg_catalog.pg_has_role(r.relowner, 'USAGE') OR pg_catalog.has_table_privilege(c.view, 'SELECT')
            THEN c.error END AS error,
       coalesce(n.rows_in, 0) AS rows_in,
       coalesce(n.rows_out, 0) AS rows_out,
       coalesce(n.rows_late, 0) AS rows_late,
       coalesce(n.dead_letters, 0) AS dead_letters,
       coalesce(n.batches, 0) AS batches,
       CASE WHEN c.paused OR c.sqlstate IS NOT NULL THEN 0
            ELSE coalesce(f.rows_per_second, 0) END AS rows_per_second,
       f.latency,
       n.watermark,
       coalesce(f.state_bytes, 0) + coalesce(pg_catalog.pg_total_relation_size(c.state), 0) +
         coalesce((SELECT sum(pg_catalog.pg_total_relation_size(p))::bigint FROM pg_catalog.unnest(c.parts || c.value_sets) p), 0) AS state_bytes,
       c.sqlstate,
       f.last_batch,
       p.lag_rows,
       c.sink,
       CASE WHEN c.outbox IS NOT NULL AND f.sink_sent IS NOT NULL
            THEN greatest(n.outbox - f.sink_sent, 0) END AS sink_lag,
       CASE WHEN NOT c.paused AND c.sqlstate IS NULL THEN f.sink_error END AS sink_error,
       CASE WHEN NOT c.paused AND c.sqlstate IS NULL THEN f.sink_sqlstate END AS sink_sqlstate
FROM streamx.continuous_views c
     JOIN pg_catalog.pg_class r ON r.oid = c.view
     LEFT JOIN streamx.view_counters n ON n.view = c.view
     LEFT JOIN streamx.view_figures() f ON f.view = c.view
     LEFT JOIN (
       -- what native views count is their own
       SELECT g.view, (sum(q.end_offset - g.next_offset) FILTER (WHERE g.snapshot IS NULL))::bigint AS lag_rows
       FROM streamx.progress g
            LEFT JOIN streamx.partitions q
              ON q.stream = g.stream AND q.partition = g.partition
       GROUP BY g.view) p ON p.view = c.view;
GRANT SELECT ON streamx.views TO PUBLIC;
COMMENT ON VIEW streamx.views IS 'every continuous view: state, counters, figures';
COMMENT ON COLUMN streamx.views.error IS 'why it has stopped, for those who may read the view';
COMMENT ON COLUMN streamx.views.dead_letters IS 'rows missing in the view: those that did not decode and those that failed in its expressions';
COMMENT ON COLUMN streamx.views.state IS 'running; catching up: behind other views of its stream, or by more than ten seconds; paused; stopped: by an error, until resume';
COMMENT ON COLUMN streamx.views.lag_rows IS 'rows that its streams still have for it; NULL: not known';
COMMENT ON COLUMN streamx.views.sink_lag IS 'rows written and not yet sent to the Kafka topic of its sink; NULL: not known, or no such sink';
COMMENT ON COLUMN streamx.views.sink_error IS 'why rows are not being sent to the sink now, for those who may read the view; the view goes on meanwhile';
COMMENT ON COLUMN streamx.views.rows_per_second IS 'smoothed over some ten seconds';
COMMENT ON COLUMN streamx.views.latency IS 'of the newest batch: from the timestamp of its newest row to the commit';
COMMENT ON COLUMN streamx.views.state_bytes IS 'table of states and cache of groups, not the result table';

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

CREATE FUNCTION hop(ts timestamptz, slide interval, size interval) RETURNS SETOF timestamptz
AS 'MODULE_PATHNAME', 'streamx_hop_timestamptz' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10;
CREATE FUNCTION hop(ts timestamptz, slide interval, size interval, origin timestamptz) RETURNS SETOF timestamptz
AS 'MODULE_PATHNAME', 'streamx_hop_timestamptz' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10;
CREATE FUNCTION hop(ts timestamp, slide interval, size interval) RETURNS SETOF timestamp
AS 'MODULE_PATHNAME', 'streamx_hop_timestamp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
CREATE FUNCTION hop(ts timestamp, slide interval, size interval, origin timestamp) RETURNS SETOF timestamp
AS 'MODULE_PATHNAME', 'streamx_hop_timestamp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
CREATE FUNCTION cumulate(ts timestamptz, step interval, size interval) RETURNS SETOF timestamptz
AS 'MODULE_PATHNAME', 'streamx_cumulate_timestamptz' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10;
CREATE FUNCTION cumulate(ts timestamp, step interval, size interval) RETURNS SETOF timestamp
AS 'MODULE_PATHNAME', 'streamx_cumulate_timestamp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION hop(timestamptz, interval, interval) IS 'start of each window of the given size that holds ts, one every slide; origin as in tumble';
COMMENT ON FUNCTION hop(timestamptz, interval, interval, timestamptz) IS 'start of each window of the given size that holds ts, one every slide, counted from origin';
COMMENT ON FUNCTION hop(timestamp, interval, interval) IS 'start of each window of the given size that holds ts, one every slide; origin as in tumble';
COMMENT ON FUNCTION hop(timestamp, interval, interval, timestamp) IS 'start of each window of the given size that holds ts, one every slide, counted from origin';
COMMENT ON FUNCTION cumulate(timestamptz, interval, interval) IS 'end of each window that begins with the fixed window of the given size, grows by step, and holds ts';
COMMENT ON FUNCTION cumulate(timestamp, interval, interval) IS 'end of each window that begins with the fixed window of the given size, grows by step, and holds ts';

CREATE FUNCTION session(ts timestamptz, gap interval) RETURNS timestamptz
AS 'MODULE_PATHNAME', 'streamx_session' LANGUAGE C STABLE PARALLEL SAFE;
CREATE FUNCTION session(ts timestamp, gap interval) RETURNS timestamp
AS 'MODULE_PATHNAME', 'streamx_session' LANGUAGE C STABLE PARALLEL SAFE;
CREATE FUNCTION session(ts date, gap interval) RETURNS timestamp
AS 'MODULE_PATHNAME', 'streamx_session' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION session(timestamptz, interval) IS 'as a grouping column: start of the session that holds ts, per the other grouping columns; rows at most gap apart are one session';
COMMENT ON FUNCTION session(timestamp, interval) IS 'as a grouping column: start of the session that holds ts, per the other grouping columns; rows at most gap apart are one session';
COMMENT ON FUNCTION session(date, interval) IS 'as a grouping column: start of the session that holds ts, per the other grouping columns; rows at most gap apart are one session';

CREATE FUNCTION streamx.session_start(ts timestamptz, gap interval) RETURNS timestamptz
AS 'MODULE_PATHNAME', 'streamx_session_start' LANGUAGE C WINDOW IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION streamx.session_start(ts timestamp, gap interval) RETURNS timestamp
AS 'MODULE_PATHNAME', 'streamx_session_start' LANGUAGE C WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION streamx.session_start(timestamptz, interval) IS 'OVER (PARTITION BY ... ORDER BY ts): start of the session that holds ts; what session() stands for in GROUP BY';
COMMENT ON FUNCTION streamx.session_start(timestamp, interval) IS 'OVER (PARTITION BY ... ORDER BY ts): start of the session that holds ts; what session() stands for in GROUP BY';

CREATE FUNCTION streamx.event_time(value anyelement) RETURNS anyelement
AS 'MODULE_PATHNAME', 'streamx_event_time' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION streamx.event_time(anyelement) IS 'a timestamp or date as it is; an error if it is NULL or infinite: such a row is in no window';

CREATE FUNCTION streamx.on_time(value anyelement) RETURNS boolean
AS 'MODULE_PATHNAME', 'streamx_on_time' LANGUAGE C STABLE PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION streamx.on_time(anyelement) IS 'used while a batch of a join of streams runs: is the event time of a row not behind the watermark';

CREATE FUNCTION streamx.is_late(window_start anyelement) RETURNS boolean
AS 'MODULE_PATHNAME', 'streamx_is_late' LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION streamx.is_late(anyelement) IS 'used while a batch runs: had the last window of a row closed before';

CREATE FUNCTION streamx.is_closed(window_key anyelement) RETURNS boolean
AS 'MODULE_PATHNAME', 'streamx_is_closed' LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION streamx.is_closed(anyelement) IS 'used while a batch runs: was this window closed before';

-- Of DISTINCT aggregates: the values in a batch, those of equal bytes once.
CREATE FUNCTION streamx.distinct_values_add(internal, VARIADIC "any") RETURNS internal
AS 'MODULE_PATHNAME', 'streamx_distinct_values_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION streamx.distinct_values_combine(internal, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'streamx_distinct_values_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION streamx.distinct_values_serialize(internal) RETURNS bytea
AS 'MODULE_PATHNAME', 'streamx_distinct_values_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION streamx.distinct_values_deserialize(bytea, internal) RETURNS internal
AS 'MODULE_PATHNAME', 'streamx_distinct_values_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION streamx.distinct_values_final(internal) RETURNS bytea
AS 'MODULE_PATHNAME', 'streamx_distinct_values_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE AGGREGATE streamx.distinct_values(VARIADIC "any") (
  SFUNC = streamx.distinct_values_add, STYPE = internal, SSPACE = 512,
  FINALFUNC = streamx.distinct_values_final, COMBINEFUNC = streamx.distinct_values_combine,
  SERIALFUNC = streamx.distinct_values_serialize, DESERIALFUNC = streamx.distinct_values_deserialize,
  PARALLEL = SAFE);
COMMENT ON AGGREGATE streamx.distinct_values(VARIADIC "any") IS 'used while a batch runs: the values that a DISTINCT aggregate takes';

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
