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
CREATE INDEX dead_letters_arrived ON streamx.dead_letters (stream, arrived);
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
  row_data       jsonb,
  arrived        timestamptz
);
-- it has no key: what publishes all tables must not keep us from removing rows
ALTER TABLE streamx.late_rows REPLICA IDENTITY FULL;
CREATE INDEX late_rows_arrived ON streamx.late_rows (stream, arrived);
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
  OUT sink_sent bigint, OUT sink_sqlstate text, OUT sink_error text,
  OUT execute interval, OUT merge interval, OUT last_dead_letter timestamptz,
  OUT phase text, OUT behind_since timestamptz, OUT behind_done bigint,
  OUT behind_left bigint, OUT behind_rate float8, OUT lag_rows bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamx_view_figures' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.view_figures() IS 'what workers have told of their views; see streamx.views';

CREATE FUNCTION streamx.stream_figures(
  OUT stream regclass, OUT state text, OUT sqlstate text, OUT error text,
  OUT workers int, OUT rows_in bigint, OUT last_row timestamptz,
  OUT lag_rate float8, OUT lag_since timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamx_stream_figures' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.stream_figures() IS 'what workers have told of their streams; see streamx.streams';

CREATE FUNCTION streamx.stream_crashes(stream regclass) RETURNS text
AS 'MODULE_PATHNAME', 'streamx_stream_crashes' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.stream_crashes(regclass) IS 'why it is not read any more: workers have crashed at it again and again; empty for those who may not read it; see streamx.streams';

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
            WHEN x.error IS NOT NULL THEN 'failed'
            WHEN v.active = 0 THEN 'idle'
            ELSE coalesce(f.state, 'starting') END AS state,
       CASE WHEN x.error IS NOT NULL THEN nullif(x.error, '')
            WHEN v.active > 0 THEN f.error END AS error,
       coalesce(f.workers, 0) AS workers,
       greatest(f.rows_in, v.rows_in, 0) AS rows_in,
       p.lag_rows,
       CASE WHEN p.lag_rows = 0 THEN interval '0'
            WHEN p.lag_rows > 0 THEN greatest(pg_catalog.clock_timestamp() - f.last_row, interval '0') END AS lag,
       p.watermark,
       CASE WHEN x.error IS NOT NULL THEN '57P02' WHEN v.active > 0 THEN f.sqlstate END AS sqlstate,
       CASE WHEN v.active > 0 THEN f.lag_since END AS lag_growing_since,
       CASE WHEN v.active > 0 THEN f.lag_rate END AS lag_growth
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
     LEFT JOIN LATERAL (SELECT streamx.stream_crashes(t.ftrelid) AS error) x ON v.stream IS NOT NULL
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
COMMENT ON COLUMN streamx.streams.lag_growing_since IS 'since when it has been falling behind; NULL: it does not';
COMMENT ON COLUMN streamx.streams.lag_growth IS 'rows per second by which it falls behind';
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
       -- where positions are a view's own, its worker knows
       coalesce(p.lag_rows, CASE WHEN NOT c.paused AND c.sqlstate IS NULL THEN f.lag_rows END) AS lag_rows,
       c.sink,
       CASE WHEN c.outbox IS NOT NULL AND f.sink_sent IS NOT NULL
            THEN greatest(n.outbox - f.sink_sent, 0) END AS sink_lag,
       CASE WHEN NOT c.paused AND c.sqlstate IS NULL THEN f.sink_error END AS sink_error,
       CASE WHEN NOT c.paused AND c.sqlstate IS NULL THEN f.sink_sqlstate END AS sink_sqlstate,
       f.execute,
       f.merge,
       f.last_dead_letter
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
COMMENT ON COLUMN streamx.views.execute IS 'time spent on running its query over batches since the server started';
COMMENT ON COLUMN streamx.views.merge IS 'time spent on writing states and results, and closing windows, since the server started';
COMMENT ON COLUMN streamx.views.last_dead_letter IS 'when a row was last missed; NULL: not since the server started';
COMMENT ON COLUMN streamx.views.rows_per_second IS 'smoothed over some ten seconds';
COMMENT ON COLUMN streamx.views.latency IS 'of the newest batch: from the timestamp of its newest row to the commit';
COMMENT ON COLUMN streamx.views.state_bytes IS 'table of states and cache of groups, not the result table';

/* ---- the recent past ---------------------------------------------------- */

CREATE FUNCTION streamx.batch_history(
  OUT id bigint, OUT stream regclass, OUT worker int, OUT views int, OUT catching_up boolean,
  OUT committed timestamptz, OUT rows bigint, OUT rows_out bigint, OUT rows_late bigint,
  OUT dead_letters bigint, OUT decode interval, OUT execute interval, OUT merge interval,
  OUT commit interval, OUT duration interval, OUT latency interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamx_batch_history' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.batch_history() IS 'the batches that shared memory remembers; see streamx.batches';

CREATE FUNCTION streamx.error_history(
  OUT kind text, OUT stream regclass, OUT view regclass, OUT first timestamptz,
  OUT last timestamptz, OUT times bigint, OUT sqlstate text, OUT error text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'streamx_error_history' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.error_history() IS 'the errors that shared memory remembers; see streamx.errors';

CREATE VIEW streamx.batches AS
SELECT b.id, b.stream, b.committed, b.rows, b.rows_out, b.rows_late, b.dead_letters,
       b.decode, b.execute, b.merge, b.commit, b.duration, b.latency,
       b.views, b.catching_up, b.worker
FROM streamx.batch_history() b
WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = b.stream);
GRANT SELECT ON streamx.batches TO PUBLIC;
COMMENT ON VIEW streamx.batches IS 'the last batches (setting streamx.batch_history), one transaction each, since the server started';
COMMENT ON COLUMN streamx.batches.id IS 'counts the batches of the whole server';
COMMENT ON COLUMN streamx.batches.dead_letters IS 'messages that did not decode, and rows that failed in views';
COMMENT ON COLUMN streamx.batches.decode IS 'reading and decoding; of Kafka streams in a thread beside the batch before';
COMMENT ON COLUMN streamx.batches.execute IS 'the views'' queries over the batch';
COMMENT ON COLUMN streamx.batches.merge IS 'states and results of the views, windows that close';
COMMENT ON COLUMN streamx.batches.commit IS 'dead letters, progress, counters, and the COMMIT';
COMMENT ON COLUMN streamx.batches.duration IS 'of the transaction';
COMMENT ON COLUMN streamx.batches.latency IS 'from the timestamp of the newest row to the commit; NULL: there was no row';
COMMENT ON COLUMN streamx.batches.views IS 'views that took it in';
COMMENT ON COLUMN streamx.batches.catching_up IS 'of views that are behind others of the stream';
COMMENT ON COLUMN streamx.batches.worker IS 'process id';

CREATE VIEW streamx.errors AS
SELECT e.kind, e.stream, e.view, e.first, e.last, e.times, e.sqlstate, e.error
FROM streamx.error_history() e
WHERE (e.stream IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = e.stream))
  AND (e.view IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = e.view));
GRANT SELECT ON streamx.errors TO PUBLIC;
COMMENT ON VIEW streamx.errors IS 'the last errors of views, streams, sinks and workers since the server started; the same one of an object counts up';
COMMENT ON COLUMN streamx.errors.kind IS 'view stopped; view retried; batch retried; source; sink; worker: a process could not be started, or crashed';
COMMENT ON COLUMN streamx.errors.error IS 'for those who may read the view or stream';

CREATE VIEW streamx.catch_up AS
SELECT v.view, f.phase, f.behind_since AS since, f.behind_done AS rows_done, f.behind_left AS rows_left,
       f.behind_done::float8 / greatest(f.behind_done + f.behind_left, 1) AS done,
       f.behind_rate AS rows_per_second,
       CASE WHEN f.behind_left = 0 THEN pg_catalog.clock_timestamp()
            WHEN f.behind_rate > 0 AND f.behind_left / f.behind_rate < 1e9
            THEN pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => f.behind_left / f.behind_rate)
       END AS estimated_end
FROM streamx.views v JOIN streamx.view_figures() f ON f.view = v.view
WHERE f.phase IS NOT NULL AND v.state IN ('running', 'catching up');
GRANT SELECT ON streamx.catch_up TO PUBLIC;
COMMENT ON VIEW streamx.catch_up IS 'views that are behind: how far they have come since, and when they will be there';
COMMENT ON COLUMN streamx.catch_up.phase IS 'catching up; reading open windows again: after a restart, of views with emit = ''final''; rebuilding: beside the view, which goes on';
COMMENT ON COLUMN streamx.catch_up.done IS 'share of the rows, 0 to 1';
COMMENT ON COLUMN streamx.catch_up.rows_per_second IS 'by which the rows left get fewer: those read less those that arrive meanwhile';
COMMENT ON COLUMN streamx.catch_up.estimated_end IS 'at the pace of the last seconds; NULL: never, or not known';

/* ---- for monitoring ------------------------------------------------------ */

CREATE FUNCTION streamx.server_state(
  OUT library text, OUT preloaded boolean, OUT enabled boolean, OUT scheduler boolean,
  OUT workers int, OUT refused timestamptz, OUT full_up boolean)
AS 'MODULE_PATHNAME', 'streamx_server_state' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION streamx.server_state() IS 'whether the server runs what this database needs; see streamx.health()';

CREATE FUNCTION streamx.metric_label(name text, value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN name || '="' || pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(value, '\', '\\'), '"', '\"'), E'\n', '\n') || '"';
COMMENT ON FUNCTION streamx.metric_label(text, text) IS 'a label in the Prometheus text format';

CREATE FUNCTION streamx.health_checks(preloaded boolean,
  OUT severity text, OUT object text, OUT problem text, OUT cure text)
RETURNS SETOF record
LANGUAGE sql VOLATILE STRICT PARALLEL SAFE SET search_path = pg_catalog SET datestyle = ISO
BEGIN ATOMIC
-- the server
SELECT 'warning', 'streamx', 'streamx.enabled is off: no view is kept up to date',
       'ALTER SYSTEM SET streamx.enabled = on, then SELECT pg_reload_conf().'
FROM streamx.server_state() s WHERE NOT s.enabled
UNION ALL
SELECT 'error', 'streamx',
       format('no process could be started for this database at %s: all of max_worker_processes = %s are taken',
              s.refused::timestamptz(0), current_setting('max_worker_processes')),
       'Raise max_worker_processes and restart the server, or use fewer streamx.workers.'
FROM streamx.server_state() s WHERE s.enabled AND s.refused IS NOT NULL
UNION ALL
SELECT 'warning', 'streamx', 'shared memory has room for no more streams, partitions or views: of further ones nothing is known here, and further streams are not read',
       'Raise streamx.max_streams or streamx.max_views and restart the server.'
FROM streamx.server_state() s WHERE s.full_up
UNION ALL
SELECT CASE WHEN s.newer THEN 'warning' ELSE 'error' END, 'streamx',
       CASE WHEN s.newer THEN format('the library (%s) is newer than the extension''s SQL in this database (%s)', s.library, s.extversion)
            ELSE format('the extension''s SQL in this database (%s) is newer than the library that the server has loaded (%s)', s.extversion, s.library) END,
       CASE WHEN s.newer THEN 'ALTER EXTENSION streamx UPDATE.'
            ELSE format('Install version %s and restart the server.', s.extversion) END
FROM (SELECT l.library, e.extversion,
             string_to_array(l.library, '.')::int[] > string_to_array(e.extversion, '.')::int[] AS newer
      FROM streamx.server_state() l, pg_extension e
      WHERE e.extname = 'streamx' AND e.extversion <> l.library) s
UNION ALL
SELECT 'warning', 'streamx', format('version %s is installed, the server runs the library of %s', a.default_version, s.library),
       'Restart the server.'
FROM streamx.server_state() s, pg_available_extensions() a
WHERE a.name = 'streamx' AND a.default_version <> s.library
-- views
UNION ALL
SELECT 'error', v.view::text, format('the view has stopped: %s', coalesce(v.error, 'SQLSTATE ' || v.sqlstate)),
       format('Mend the cause, then SELECT streamx.resume(%L).', v.view)
FROM streamx.views v WHERE v.state = 'stopped'
UNION ALL
SELECT 'notice', v.view::text, 'the view is paused', format('SELECT streamx.resume(%L).', v.view)
FROM streamx.views v WHERE v.state = 'paused'
UNION ALL
SELECT 'warning', coalesce(e.view, e.stream)::text,
       format('%s is tried again and again (%s times since %s): %s',
              CASE WHEN e.view IS NULL THEN 'a batch' ELSE 'the view' END, e.times, e.first::timestamptz(0),
              coalesce(e.error, 'SQLSTATE ' || e.sqlstate)),
       'It goes on by itself once the cause is gone.'
FROM streamx.errors e LEFT JOIN streamx.views v ON v.view = e.view
WHERE e.kind IN ('view retried', 'batch retried') AND e.times > 1
  AND e.last > clock_timestamp() - interval '30 s' AND v.state IS DISTINCT FROM 'stopped'
UNION ALL
SELECT 'warning', v.view::text,
       format('rows are missing in the view: %s dead letters, the last one at %s%s', v.dead_letters, v.last_dead_letter::timestamptz(0),
              (SELECT ': ' || d.error FROM streamx.dead_letters d
               WHERE d.id = (SELECT max(m.id) FROM streamx.dead_letters m
                             WHERE m.view = v.view
                                OR m.view IS NULL AND m.stream IN (SELECT g.stream FROM streamx.progress g WHERE g.view = v.view)))),
       format('Look at them in streamx.dead_letters and mend the cause; then SELECT streamx.reprocess(view => %L), or without arguments for messages that did not decode.', v.view)
FROM streamx.views v WHERE v.last_dead_letter > clock_timestamp() - interval '10 min'
UNION ALL
SELECT 'warning', v.view::text,
       format('the view waits for the watermark of stream %s (%s); another one of its streams is at %s', s.stream, coalesce(s.watermark::text, 'none yet'), o.watermark),
       format('Let rows come to %s, or set its option idle_timeout.', s.stream)
FROM streamx.views v
     JOIN (SELECT DISTINCT g.view, g.stream FROM streamx.progress g) p ON p.view = v.view
     JOIN streamx.streams s ON s.stream = p.stream,
     LATERAL (SELECT max(o.watermark) AS watermark FROM streamx.streams o JOIN streamx.progress g ON g.stream = o.stream
              WHERE g.view = v.view AND o.stream <> s.stream) o
WHERE v.state IN ('running', 'catching up') AND s.lag_rows = 0
  AND (s.watermark IS NULL AND o.watermark IS NOT NULL OR s.watermark < o.watermark - interval '1 min')
-- streams
UNION ALL
SELECT 'error', s.stream::text, format('the stream cannot be read: %s', coalesce(s.error, s.state)),
       CASE WHEN s.state = 'down' THEN format('See that its source is up and can be reached with the options of the stream and its server %s; reading goes on by itself.', f.srvname)
            WHEN s.sqlstate = '57P02' THEN 'Mend the cause, then resume the views of the stream.'
            ELSE format('Mend the options of the stream or of its server %s; reading goes on by itself.', f.srvname) END
FROM streamx.streams s JOIN pg_foreign_table t ON t.ftrelid = s.stream JOIN pg_foreign_server f ON f.oid = t.ftserver
WHERE s.state IN ('down', 'failed')
UNION ALL
SELECT 'warning', s.stream::text,
       format('the stream falls behind: %s rows to read, %s more each second since %s', s.lag_rows, round(s.lag_growth), s.lag_growing_since::timestamptz(0)),
       format('Most of the time of its last batches goes to %s, see streamx.batches; %s.', b.part,
              CASE b.part WHEN 'decode' THEN 'fewer columns in the stream cost less'
                          WHEN 'execute' THEN 'streamx.explain() shows the plan of each view'
                          WHEN 'merge' THEN 'a longer batch_interval or larger streamx.state_memory means fewer and cheaper writes'
                          ELSE 'a longer batch_interval means fewer commits' END)
FROM streamx.streams s,
     LATERAL (SELECT u.part FROM streamx.batches h,
                LATERAL (VALUES ('decode', h.decode), ('execute', h.execute), ('merge', h.merge), ('commit', h.commit)) u (part, spent)
              WHERE h.stream = s.stream AND h.committed > clock_timestamp() - interval '1 min'
              GROUP BY u.part ORDER BY sum(u.spent) DESC LIMIT 1) b
WHERE s.lag_growing_since < clock_timestamp() - interval '10 s'
UNION ALL
SELECT 'warning', p.stream::text,
       format('partition %s holds the watermark back: it is at %s, another partition at %s', p.partition, coalesce(p.watermark::text, 'none yet'), o.watermark),
       'Let rows come to it, or set the stream''s option idle_timeout to a time after which silent partitions do not count.'
FROM streamx.partitions p,
     LATERAL (SELECT max(o.watermark) AS watermark FROM streamx.partitions o WHERE o.stream = p.stream) o
WHERE NOT p.idle AND p.lag_rows = 0
  AND (p.watermark IS NULL AND o.watermark IS NOT NULL OR p.watermark < o.watermark - interval '1 min')
-- sinks
UNION ALL
SELECT CASE WHEN v.sink_error IS NULL THEN 'warning' ELSE 'error' END, v.view::text,
       format('%s rows wait to be sent to sink %s%s', coalesce(v.sink_lag::text, 'an unknown number of'), v.sink, ': ' || v.sink_error),
       'See that the topic''s broker is up, reachable, and takes what the view''s owner sends; sending goes on by itself.'
FROM streamx.views v
WHERE v.state IN ('running', 'catching up') AND (v.sink_sqlstate IS NOT NULL OR v.sink_lag > greatest(10000, 10 * v.rows_per_second));
END;
COMMENT ON FUNCTION streamx.health_checks(boolean) IS 'what streamx.health() says where the library is preloaded';

CREATE FUNCTION streamx.health(
  OUT severity text, OUT object text, OUT problem text, OUT cure text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL SAFE SET search_path = pg_catalog
BEGIN ATOMIC
SELECT 'error', 'streamx', 'streamx is not in shared_preload_libraries: no view is kept up to date',
       'Add streamx to shared_preload_libraries and restart the server.'
FROM streamx.server_state() s WHERE NOT s.preloaded
UNION ALL
(SELECT h.severity, h.object, h.problem, h.cure
 FROM streamx.server_state() s, LATERAL streamx.health_checks(s.preloaded) h
 WHERE s.preloaded
 ORDER BY pg_catalog.array_position(ARRAY['error', 'warning', 'notice'], h.severity), h.object COLLATE "C", h.problem COLLATE "C");
END;
COMMENT ON FUNCTION streamx.health() IS 'what is wrong, in words, and how to cure it: error, warning, notice; no rows: nothing';

CREATE FUNCTION streamx.metrics() RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE SET search_path = pg_catalog
BEGIN ATOMIC
SELECT string_agg(block, '' ORDER BY n)
FROM (
  SELECT m.n,
         '# HELP ' || m.name || ' ' || m.help || E'\n# TYPE ' || m.name || ' ' || m.type || E'\n' ||
         string_agg(m.name || '{' || m.labels || '} ' || m.value || E'\n', '' ORDER BY m.labels COLLATE "C") AS block
  FROM (
    SELECT s.*, streamx.metric_label('database', current_database()::text) || ',' || streamx.metric_label('view', v.view::text) || coalesce(',' || s.label, '') AS labels
    FROM streamx.views v LEFT JOIN streamx.catch_up c ON c.view = v.view,
      LATERAL (VALUES
        (100, 'streamx_view_state', 'gauge', 'One for the state that the view is in, else zero.', 'state="running"', (v.state = 'running')::int::text),
        (100, 'streamx_view_state', 'gauge', 'One for the state that the view is in, else zero.', 'state="catching up"', (v.state = 'catching up')::int::text),
        (100, 'streamx_view_state', 'gauge', 'One for the state that the view is in, else zero.', 'state="paused"', (v.state = 'paused')::int::text),
        (100, 'streamx_view_state', 'gauge', 'One for the state that the view is in, else zero.', 'state="stopped"', (v.state = 'stopped')::int::text),
        (101, 'streamx_view_rows_in_total', 'counter', 'Rows taken in.', NULL, v.rows_in::text),
        (102, 'streamx_view_rows_out_total', 'counter', 'Rows written to the result.', NULL, v.rows_out::text),
        (103, 'streamx_view_late_rows_total', 'counter', 'Rows that came after their windows had closed.', NULL, v.rows_late::text),
        (104, 'streamx_view_dead_letters_total', 'counter', 'Rows missing in the view: not decoded, or failed in its expressions.', NULL, v.dead_letters::text),
        (105, 'streamx_view_batches_total', 'counter', 'Batches with rows.', NULL, v.batches::text),
        (106, 'streamx_view_execute_seconds_total', 'counter', 'Time spent on running the query over batches.', NULL, extract(epoch FROM v.execute)::text),
        (107, 'streamx_view_merge_seconds_total', 'counter', 'Time spent on writing states and results.', NULL, extract(epoch FROM v.merge)::text),
        (108, 'streamx_view_rows_per_second', 'gauge', 'Rows taken in per second, smoothed over some ten seconds.', NULL, v.rows_per_second::text),
        (109, 'streamx_view_latency_seconds', 'gauge', 'From the timestamp of the newest row to its commit.', NULL, extract(epoch FROM v.latency)::text),
        (110, 'streamx_view_watermark_timestamp_seconds', 'gauge', 'Event time that no older row is expected behind.', NULL, extract(epoch FROM v.watermark)::text),
        (111, 'streamx_view_state_bytes', 'gauge', 'Table of states and cache of groups.', NULL, v.state_bytes::text),
        (112, 'streamx_view_lag_rows', 'gauge', 'Rows that the streams still have for the view.', NULL, v.lag_rows::text),
        (113, 'streamx_view_sink_lag_rows', 'gauge', 'Rows not yet sent to the sink.', NULL, v.sink_lag::text),
        (114, 'streamx_view_catch_up_ratio', 'gauge', 'Share of the rows read since the view is behind; one: it is not.', NULL, coalesce(c.done, 1)::text),
        (115, 'streamx_view_catch_up_seconds', 'gauge', 'Time that catching up still takes at the pace of the last seconds.', NULL,
         CASE WHEN c.view IS NULL THEN '0'
              WHEN c.estimated_end IS NOT NULL THEN greatest(extract(epoch FROM c.estimated_end - clock_timestamp()), 0)::text END)
      ) s (n, name, type, help, label, value)
    UNION ALL
    SELECT s.*, streamx.metric_label('database', current_database()::text) || ',' || streamx.metric_label('stream', v.stream::text) || ',' || streamx.metric_label('kind', v.kind) || coalesce(',' || s.label, '')
    FROM streamx.streams v,
      LATERAL (VALUES
        (200, 'streamx_stream_up', 'gauge', 'One while the stream is read, zero while views want it and it is not.', NULL,
         CASE WHEN v.state NOT IN ('unread', 'idle') THEN (v.state = 'running')::int::text END),
        (201, 'streamx_stream_rows_in_total', 'counter', 'Rows taken in by the view that has taken most.', NULL, v.rows_in::text),
        (202, 'streamx_stream_lag_rows', 'gauge', 'Rows still to be read.', NULL, v.lag_rows::text),
        (203, 'streamx_stream_lag_seconds', 'gauge', 'Age of the newest row read while there are others to read.', NULL, extract(epoch FROM v.lag)::text),
        (204, 'streamx_stream_watermark_timestamp_seconds', 'gauge', 'Event time that no older row is expected behind.', NULL, extract(epoch FROM v.watermark)::text)
      ) s (n, name, type, help, label, value)
    UNION ALL
    SELECT s.*, streamx.metric_label('database', current_database()::text) || ',' || streamx.metric_label('stream', v.stream::text) || ',partition="' || v.partition || '"'
    FROM streamx.partitions v,
      LATERAL (VALUES
        (300, 'streamx_partition_next_offset', 'gauge', 'Offset that is read next.', NULL, v.next_offset::text),
        (301, 'streamx_partition_end_offset', 'gauge', 'First offset that is not there yet.', NULL, v.end_offset::text),
        (302, 'streamx_partition_lag_rows', 'gauge', 'Rows still to be read.', NULL, v.lag_rows::text),
        (303, 'streamx_partition_watermark_timestamp_seconds', 'gauge', 'Event time that no older row is expected behind.', NULL, extract(epoch FROM v.watermark)::text),
        (304, 'streamx_partition_idle', 'gauge', 'One while the partition is silent and does not count.', NULL, v.idle::int::text)
      ) s (n, name, type, help, label, value)
    UNION ALL
    SELECT s.*, streamx.metric_label('database', current_database()::text) || coalesce(',' || s.label, '')
    FROM streamx.server_state() v,
      LATERAL (VALUES
        (1, 'streamx_server_info', 'gauge', 'Version of the library.', streamx.metric_label('version', v.library), '1'),
        (2, 'streamx_server_scheduler_up', 'gauge', 'One while the database has its scheduler.', NULL, v.scheduler::int::text),
        (3, 'streamx_server_workers', 'gauge', 'Worker processes of the database.', NULL, v.workers::text)
      ) s (n, name, type, help, label, value)
    UNION ALL
    SELECT 4, 'streamx_health_problems', 'gauge', 'Problems that streamx.health() names.', NULL, count(h.severity)::text,
           streamx.metric_label('database', current_database()::text) || ',' || streamx.metric_label('severity', l.severity)
    FROM (VALUES ('error'), ('warning'), ('notice')) l (severity)
         LEFT JOIN streamx.health() h ON h.severity = l.severity
    GROUP BY l.severity
  ) m (n, name, type, help, label, value, labels)
  WHERE m.value IS NOT NULL
  GROUP BY m.n, m.name, m.type, m.help) b;
END;
COMMENT ON FUNCTION streamx.metrics() IS 'the status views in the Prometheus text format';

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
CREATE FUNCTION hop(ts date, slide interval, size interval) RETURNS SETOF timestamp
AS 'MODULE_PATHNAME', 'streamx_hop_date' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
CREATE FUNCTION hop(ts date, slide interval, size interval, origin date) RETURNS SETOF timestamp
AS 'MODULE_PATHNAME', 'streamx_hop_date' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
CREATE FUNCTION cumulate(ts timestamptz, step interval, size interval) RETURNS SETOF timestamptz
AS 'MODULE_PATHNAME', 'streamx_cumulate_timestamptz' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 10;
CREATE FUNCTION cumulate(ts timestamp, step interval, size interval) RETURNS SETOF timestamp
AS 'MODULE_PATHNAME', 'streamx_cumulate_timestamp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
CREATE FUNCTION cumulate(ts date, step interval, size interval) RETURNS SETOF timestamp
AS 'MODULE_PATHNAME', 'streamx_cumulate_date' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION hop(timestamptz, interval, interval) IS 'start of each window of the given size that holds ts, one every slide; origin as in tumble';
COMMENT ON FUNCTION hop(timestamptz, interval, interval, timestamptz) IS 'start of each window of the given size that holds ts, one every slide, counted from origin';
COMMENT ON FUNCTION hop(timestamp, interval, interval) IS 'start of each window of the given size that holds ts, one every slide; origin as in tumble';
COMMENT ON FUNCTION hop(timestamp, interval, interval, timestamp) IS 'start of each window of the given size that holds ts, one every slide, counted from origin';
COMMENT ON FUNCTION cumulate(timestamptz, interval, interval) IS 'end of each window that begins with the fixed window of the given size, grows by step, and holds ts';
COMMENT ON FUNCTION cumulate(timestamp, interval, interval) IS 'end of each window that begins with the fixed window of the given size, grows by step, and holds ts';
COMMENT ON FUNCTION cumulate(date, interval, interval) IS 'end of each window that begins with the fixed window of the given size, grows by step, and holds ts';
COMMENT ON FUNCTION hop(date, interval, interval) IS 'start of each window of the given size that holds ts, one every slide; origin as in tumble';
COMMENT ON FUNCTION hop(date, interval, interval, date) IS 'start of each window of the given size that holds ts, one every slide, counted from origin';

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
  SFUNC = streamx.distinct_values_add, STYPE = internal, SSPACE = 256,
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
