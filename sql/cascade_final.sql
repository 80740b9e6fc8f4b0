--
-- Continuous views over the results of other continuous views, with emit = 'final'
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';

CREATE FOREIGN TABLE s (id int, ts timestamptz, at timestamp, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 day');
CREATE FOREIGN TABLE s2 (at timestamp, k text) SERVER streamx
  OPTIONS (event_time 'at', watermark '0', idle_timeout '0', retain '1 day');
CREATE TABLE names (k text, name text);
INSERT INTO names VALUES ('k0', 'zero'), ('k1', 'one'), (NULL, 'none');

-- what they stand over
CREATE VIEW m_update WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n, sum(v) AS s FROM s GROUP BY minute, k;
CREATE VIEW m_final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n, sum(v) AS s FROM s GROUP BY minute, k;
CREATE VIEW m_trunc WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT k, date_trunc('minute', ts) AS minute, count(*) AS n FROM s GROUP BY k, minute;
CREATE VIEW m_hop WITH (streamx.continuous) AS
  SELECT hop(ts, '1 minute', '3 minutes') AS w, k, count(*) AS n FROM s GROUP BY w, k;
CREATE VIEW m_hop_final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT hop(ts, '1 minute', '3 minutes') AS w, k, count(*) AS n FROM s GROUP BY w, k;
CREATE VIEW m_gaps WITH (streamx.continuous) AS
  SELECT hop(ts, '5 minutes', '1 minute') AS w, count(*) AS n FROM s GROUP BY w;
CREATE VIEW m_cumulate WITH (streamx.continuous) AS
  SELECT cumulate(ts, '1 minute', '5 minutes') AS w, k, count(*) AS n FROM s GROUP BY w, k;
CREATE VIEW m_late WITH (streamx.continuous, streamx.emit = 'final', streamx.lateness = '30 s') AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n FROM s GROUP BY minute, k;
CREATE VIEW m_kept WITH (streamx.continuous, streamx.retention = '2 minutes') AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n FROM s GROUP BY minute, k;
CREATE VIEW m_kept_final WITH (streamx.continuous, streamx.emit = 'final', streamx.retention = '0') AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n FROM s GROUP BY minute, k;
CREATE VIEW m_nulls WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS minute, k, grouping(tumble(ts, '1 minute')) AS g, count(*) AS n
    FROM s GROUP BY GROUPING SETS ((tumble(ts, '1 minute'), k), (k));
CREATE VIEW m_rank WITH (streamx.continuous) AS
  SELECT * FROM (SELECT minute, k, n, rank() OVER (PARTITION BY minute ORDER BY n DESC, k) AS r
    FROM (SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n FROM s GROUP BY minute, k) q) q WHERE r <= 2;
CREATE VIEW m_at WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(at, '1 minute') AS minute, k, count(*) AS n FROM s2 GROUP BY minute, k;

CREATE TABLE inserted (LIKE s);
CREATE PROCEDURE feed(lo int, hi int) LANGUAGE sql AS $$
  WITH new AS (SELECT i, '2026-01-01Z'::timestamptz + i * interval '7 s' -
      CASE WHEN i % 50 = 0 THEN interval '10 minutes' WHEN i % 9 = 0 THEN '5 s' ELSE '0' END AS ts,
      CASE WHEN i % 11 <> 0 THEN 'k' || i % 3 END AS k, i % 7 AS v FROM generate_series(lo, hi) i),
    kept AS (INSERT INTO inserted SELECT i, ts, ts, k, v FROM new RETURNING *),
    second AS (INSERT INTO s2 SELECT ts, k FROM new)
  INSERT INTO s SELECT * FROM kept;
$$;
CREATE TABLE changes (view name, op text);
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO changes VALUES (TG_TABLE_NAME, TG_OP);
  RETURN NULL;
END $$;
CREATE PROCEDURE make(view text, q text, options jsonb DEFAULT '{}') LANGUAGE plpgsql AS $$
DECLARE
  opts text;
BEGIN
  SELECT coalesce(string_agg(format(', streamx.%s = %L', key, value), ''), '') INTO opts FROM jsonb_each_text(options);
  EXECUTE format('CREATE VIEW %I WITH (streamx.continuous, streamx.emit = ''final''%s) AS %s', view, opts, q);
  EXECUTE format('CREATE TRIGGER noted AFTER UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION note_change()', view);
END $$;
-- those of the queries that are not there yet
CREATE PROCEDURE make_missing() LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT * FROM queries WHERE to_regclass('f_' || name) IS NULL ORDER BY name LOOP
    CALL make('f_' || r.name, r.q, r.options);
  END LOOP;
END $$;

-- closed: whether the windows w are, at watermark wm.  instead: has the rows of
-- the source, without retention
CREATE TABLE queries (name text PRIMARY KEY, closed text, q text, options jsonb DEFAULT '{}', instead text);
INSERT INTO queries VALUES
  ('lateness', 'w + ''6 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_late GROUP BY w, k', '{"lateness": "1 minute"}', NULL),
  ('kept', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_kept GROUP BY w, k', '{}', 'm_update'),
  ('kept_final', 'w + ''1 hour'' <= wm', 'SELECT tumble(minute, ''1 hour'') AS w, sum(n) AS n FROM m_kept_final GROUP BY w', '{}', 'm_final'),
  ('over_update', 'w + ''10 min'' <= wm', 'SELECT tumble(five, ''10 minutes'') AS w, k, sum(n) AS n FROM u_five GROUP BY w, k', '{}', NULL);
-- through a view that emits updates
CREATE VIEW u_five WITH (streamx.continuous) AS
  SELECT tumble(minute, '5 minutes') AS five, k, sum(n) AS n FROM m_kept GROUP BY five, k;
CALL make_missing();

-- the others when there are rows already
CALL feed(1, 60);
SELECT count(*) FROM (SELECT streamx.wait(view) FROM streamx.views) x;
INSERT INTO queries VALUES
  ('bare', 'w + ''1 min'' <= wm', 'SELECT minute AS w, count(*) AS ks, sum(n) AS n FROM m_update GROUP BY minute'),
  ('bare_final', 'w + ''1 min'' <= wm', 'SELECT minute AS w, count(*) AS ks, sum(n) AS n FROM m_final GROUP BY minute'),
  ('rows', 'w + ''1 min'' <= wm', 'SELECT k || ''!'' AS k, minute AS w, n * 2 AS n FROM m_update WHERE n > 1'),
  ('five', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n, sum(s) AS s FROM m_update GROUP BY w, k'),
  ('five_final', 'w + ''5 min'' <= wm', 'SELECT k, tumble(minute, ''5 minutes'') AS w, sum(n) AS n, sum(s) AS s FROM m_final GROUP BY k, w'),
  ('trunc', 'w + ''1 hour'' <= wm', 'SELECT date_trunc(''hour'', minute) AS w, sum(n) AS n FROM m_trunc GROUP BY w'),
  ('bin', 'w + ''7 min'' <= wm', 'SELECT date_bin(''7 minutes'', minute, ''2026-01-01Z'') AS w, sum(n) AS n FROM m_final GROUP BY w'),
  ('odd', 'w + CASE WHEN extract(second FROM w) = 0 THEN interval ''2 min'' ELSE ''90 s'' END <= wm', 'SELECT tumble(minute, ''90 s'', ''2026-01-01Z'') AS w, sum(n) AS n FROM m_final GROUP BY w'),
  ('nested', 'w + ''10 min'' <= wm', 'SELECT w, max(n) AS n FROM (SELECT date_bin(''10 minutes'', five, ''2026-01-01Z'') AS w, sum(n) AS n FROM (SELECT tumble(minute, ''5 minutes'') AS five, k, n FROM m_update) q GROUP BY w, k) q GROUP BY w'),
  ('hop', 'w + ''7 min'' <= wm', 'SELECT tumble(w, ''5 minutes'') AS w, k, sum(n) AS n FROM m_hop GROUP BY 1, k'),
  ('hop_bare', 'w + ''3 min'' <= wm', 'SELECT w, k, n FROM m_hop_final'),
  ('gaps', 'w + ''56 min'' <= wm', 'SELECT tumble(w, ''1 hour'') AS w, sum(n) AS n FROM m_gaps GROUP BY 1'),
  ('cumulate', 'w <= wm', 'SELECT w, sum(n) AS n FROM m_cumulate GROUP BY w'),
  ('cumulate_five', 'w + ''4 min'' <= wm', 'SELECT tumble(w, ''5 minutes'') AS w, max(n) AS n FROM m_cumulate GROUP BY 1'),
  ('late', 'w + ''5 min 30 s'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_late GROUP BY w, k'),
  ('nulls', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_nulls GROUP BY w, k'),
  ('rank', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, sum(r) AS r, sum(n) AS n FROM m_rank GROUP BY w'),
  ('top', 'w + ''5 min'' <= wm', 'SELECT w, k, n FROM (SELECT w, k, n, rank() OVER (PARTITION BY w ORDER BY n DESC, k) AS r FROM (SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_update GROUP BY w, k) q) q WHERE r <= 2'),
  ('having', 'w + ''1 min'' <= wm', 'SELECT minute AS w, sum(n) AS n FROM m_update GROUP BY minute HAVING sum(n) % 2 = 0'),
  ('table', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, name, sum(n) AS n FROM m_update m LEFT JOIN names USING (k) GROUP BY w, name'),
  ('two', 'w + ''1 min 30 s'' <= wm', 'SELECT a.minute AS w, a.k, a.n, b.n AS bn FROM m_update a JOIN m_late b ON b.minute = a.minute AND b.k = a.k'),
  ('two_windows', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, tumble(minute, ''1 hour'') AS hour, sum(n) AS n FROM m_final GROUP BY w, hour'),
  ('at', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_at GROUP BY w, k');

-- further levels
INSERT INTO queries VALUES
  ('level2', 'w + ''15 min'' <= wm', 'SELECT tumble(w, ''15 minutes'') AS w, k, sum(n) AS n FROM f_five_final GROUP BY 1, k'),
  ('level3', 'w + ''1 hour'' <= wm', 'SELECT date_trunc(''hour'', w) AS w, sum(n) AS n FROM f_level2 GROUP BY 1');
CALL make_missing();
UPDATE queries SET q = 'SELECT tumble(five, ''10 minutes'') AS w, k, sum(n) AS n FROM (SELECT tumble(minute, ''5 minutes'') AS five, k, sum(n) AS n FROM m_update GROUP BY five, k) q GROUP BY w, k'
  WHERE name = 'over_update';

-- views that are not the closed windows of what their query gives now, by two ways
CREATE FUNCTION differing() RETURNS TABLE (name text, rows bigint, open bigint, differences bigint, verified bigint) LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  PERFORM streamx.wait(view) FROM streamx.views WHERE state <> 'stopped';
  FOR r IN SELECT q.*, v.watermark AS wm FROM queries q JOIN streamx.views v ON v.view = ('f_' || q.name)::regclass LOOP
    name := r.name;
    r.q := CASE WHEN r.instead IS NULL THEN r.q ELSE regexp_replace(r.q, 'm_kept(_final)?', r.instead) END;
    EXECUTE format('WITH q AS (%s), c AS (SELECT q.* FROM q, (SELECT %L::timestamptz AS wm) x WHERE %s)
                    SELECT count(*), (SELECT count(*) FROM q) - (SELECT count(*) FROM c),
                      (SELECT count(*) FROM ((TABLE %4$I EXCEPT ALL TABLE c) UNION ALL (TABLE c EXCEPT ALL TABLE %4$I)) x) FROM %4$I',
                   r.q, r.wm, r.closed, 'f_' || name) INTO rows, open, differences;
    SELECT count(*) INTO verified FROM streamx.verify(('f_' || name)::regclass);
    RETURN NEXT;
  END LOOP;
END $$;

-- created after rows were there
SELECT * FROM differing();
-- each cut
CALL feed(61, 61);
SELECT * FROM differing() WHERE differences + verified > 0;
DO $$ BEGIN
  FOR i IN 62 .. 100 LOOP
    CALL feed(i, i);
    COMMIT;
  END LOOP;
END $$;
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(101, 140);
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(141, 500);
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(501, 2000);
SELECT * FROM differing();
-- no row has changed
SELECT * FROM changes;
-- rows behind what has been taken in are gone, the others are there
CALL feed(2001, 2020);
SELECT streamx.wait('m_kept'), streamx.wait('m_kept_final');
SELECT (SELECT min(minute) FROM m_kept) >= watermark - interval '25 min' AS removed,
  (SELECT min(minute) FROM m_kept_final) BETWEEN watermark - interval '61 min' AND watermark - interval '5 min' AS needed
  FROM streamx.views WHERE view = 'm_kept'::regclass;

-- paused ones hold back what they have not had
SELECT streamx.pause('f_kept'), streamx.pause('m_final');
CALL feed(2021, 2300);
SELECT streamx.wait('m_kept');
SELECT count(*) > 30 AS kept FROM (SELECT DISTINCT minute FROM m_kept) m;
SELECT streamx.resume('f_kept'), streamx.resume('m_final');
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(2301, 2310);
SELECT streamx.wait('m_kept');
SELECT count(*) < 25 AS removed FROM (SELECT DISTINCT minute FROM m_kept) m;

-- a sink gets each row once, whatever becomes of lateness
CREATE FOREIGN TABLE rows_out (w timestamptz, k text, n numeric) SERVER streamx;
CREATE VIEW got WITH (streamx.continuous) AS SELECT w, k, n FROM rows_out;
CALL make('f_sink', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_late GROUP BY w, k',
          '{"sink": "rows_out", "retention": "30 minutes", "lateness": "1 minute"}');
CREATE FUNCTION sent() RETURNS TABLE (missing bigint, again bigint, behind boolean) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM streamx.wait('f_sink');
  PERFORM streamx.wait('got');
  PERFORM streamx.wait('f_bare');
  RETURN QUERY SELECT (SELECT count(*) FROM (SELECT w, k, n FROM f_sink EXCEPT SELECT w, k, n FROM got) x),
    (SELECT count(*) FROM (SELECT 1 FROM got GROUP BY w, k HAVING count(*) > 1) x),
    (SELECT max(w) FROM f_sink) < (SELECT max(w) - interval '12 min' FROM f_bare);
END $$;
SELECT * FROM sent();
CALL feed(2311, 2400);
SELECT * FROM sent();
SELECT min(w) >= v.watermark - interval '36 min' AS removed, count(*) > 20 AS kept FROM f_sink, streamx.views v WHERE v.view = 'f_sink'::regclass GROUP BY v.watermark;
ALTER VIEW f_sink SET (streamx.lateness = '20 minutes');
CALL feed(2401, 2440);
SELECT * FROM sent();
CALL feed(2441, 2700);
SELECT * FROM sent();
ALTER VIEW f_sink SET (streamx.lateness = '0');
CALL feed(2701, 2701);
SELECT * FROM sent();
ALTER VIEW m_late SET (streamx.lateness = '40 minutes');
CALL feed(2702, 2750);
SELECT * FROM sent();
ALTER VIEW m_late SET (streamx.lateness = '30 s');
CALL feed(2751, 2900);
SELECT * FROM sent();
SELECT view, op FROM changes GROUP BY view, op;
-- where rows were late before its source was computed anew
SELECT name, differences > 0 AS differs, verified > 0 AS verifies FROM differing() WHERE differences + verified > 0;
SELECT streamx.rebuild('f_' || name) FROM queries WHERE name IN ('late', 'lateness', 'two');
SELECT * FROM differing() WHERE differences + verified > 0;

-- computed anew, and other ones: rows that cannot be had again stay
SELECT streamx.rebuild(('f_' || name)::regclass) FROM queries WHERE name IN ('kept', 'kept_final', 'level2', 'over_update', 'nulls');
SELECT * FROM differing() WHERE differences + verified > 0;
CREATE OR REPLACE VIEW f_five WITH (streamx.continuous, streamx.emit = 'final') AS SELECT tumble(minute, '10 minutes') AS w, k, sum(n) AS n, sum(s) AS s FROM m_update GROUP BY w, k;
UPDATE queries SET q = replace(q, '5 minutes', '10 minutes'), closed = 'w + ''10 min'' <= wm' WHERE name = 'five';
SELECT name, rows > 0 AS rows, differences, verified FROM differing() WHERE name = 'five';
ALTER VIEW f_bin SET (streamx.emit = 'update');
SELECT streamx.wait('f_bin');
SELECT count(*) FROM ((TABLE f_bin EXCEPT ALL SELECT date_bin('7 minutes', minute, '2026-01-01Z') AS w, sum(n) AS n FROM m_final GROUP BY w) UNION ALL (SELECT date_bin('7 minutes', minute, '2026-01-01Z') AS w, sum(n) AS n FROM m_final GROUP BY w EXCEPT ALL TABLE f_bin)) x;
ALTER VIEW f_bin SET (streamx.emit = 'final');
CALL feed(2901, 3000);
SELECT * FROM differing() WHERE differences + verified > 0;
-- emptied
SELECT streamx.rebuild('f_hop_bare', 'latest');
SELECT count(*) FROM f_hop_bare;

-- an error as a window closes stops the view; what is missing comes then
CREATE TABLE divisor (d int);
INSERT INTO divisor VALUES (1);
CALL make('f_fails', 'SELECT minute AS w, sum(n) / (SELECT max(d) FROM divisor) AS n FROM m_update GROUP BY minute');
SELECT streamx.wait('f_fails');
UPDATE divisor SET d = 0;
CALL feed(3001, 3040);
SELECT streamx.wait('f_fails');
SELECT state, error FROM streamx.views WHERE view = 'f_fails'::regclass;
UPDATE divisor SET d = 1;
CALL feed(3041, 3060);
SELECT streamx.resume('f_fails');
SELECT streamx.wait('f_fails');
SELECT count(*) FROM ((TABLE f_fails EXCEPT ALL SELECT w, n FROM f_bare) UNION ALL (SELECT w, n FROM f_bare EXCEPT ALL TABLE f_fails)) x;

-- windows that the clock closes
CREATE FOREIGN TABLE c (ts timestamptz, k int) SERVER streamx OPTIONS (event_time 'ts', watermark '0', idle_timeout '100 ms');
CREATE VIEW c_update WITH (streamx.continuous) AS SELECT tumble(ts, '1 s') AS sec, k, count(*) AS n FROM c GROUP BY sec, k;
CREATE VIEW c_final WITH (streamx.continuous, streamx.emit = 'final') AS SELECT tumble(ts, '1 s') AS sec, k, count(*) AS n FROM c GROUP BY sec, k;
CREATE VIEW c_over_update WITH (streamx.continuous, streamx.emit = 'final') AS SELECT tumble(sec, '3 s') AS w, sum(n) AS n FROM c_update GROUP BY w;
CREATE VIEW c_over_final WITH (streamx.continuous, streamx.emit = 'final') AS SELECT tumble(sec, '3 s') AS w, sum(n) AS n FROM c_final GROUP BY w;
CREATE VIEW c_over_both WITH (streamx.continuous, streamx.emit = 'final') AS SELECT w, n FROM c_over_final UNION ALL SELECT w, -n FROM c_over_update;
INSERT INTO c SELECT '2026-01-01 00:00:00Z'::timestamptz + i * interval '0.1 s', i % 2 FROM generate_series(1, 5) i;
DO $$ BEGIN
  FOR i IN 1 .. 600 LOOP
    EXIT WHEN (SELECT count(*) = 2 FROM c_over_both);
    PERFORM pg_sleep(0.1);
    COMMIT;
  END LOOP;
END $$;
SELECT * FROM c_over_both ORDER BY n;

-- who may read the view that is read need not see what is below it
CREATE ROLE regress_streamx_reader;
GRANT CREATE ON SCHEMA public TO regress_streamx_reader;
GRANT SELECT ON m_final, f_five_final TO regress_streamx_reader;
SET ROLE regress_streamx_reader;
CREATE VIEW theirs WITH (streamx.continuous, streamx.emit = 'final') AS SELECT date_trunc('hour', w) AS hour, sum(n) AS n FROM f_five_final GROUP BY hour;
SELECT streamx.wait('theirs');
SELECT count(*) > 0 AS rows, (SELECT count(*) FROM streamx.verify('theirs')) AS verified FROM theirs;
SELECT streamx.explain('theirs') ~ 'cascade' AS explained;
RESET ROLE;

-- what an explanation says
SELECT substring(streamx.explain('f_lateness') FROM 'Strategy.*?(?=\nState)') AS explanation;

-- refused
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT k, sum(n) FROM m_update GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT tumble(minute + interval '1 s', '1 hour') AS w, sum(n) FROM m_update GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT hop(minute, '1 hour', '2 hours') AS w, sum(n) FROM m_update GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT minute, n FROM m_update ORDER BY minute LIMIT 3;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT minute, n, rank() OVER (ORDER BY n) FROM m_update;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT minute, n FROM names LEFT JOIN m_update USING (k);
CREATE VIEW bad WITH (streamx.continuous, streamx.retention = '1 hour') AS SELECT minute, sum(n) FROM m_update GROUP BY minute;
CREATE VIEW o_rows WITH (streamx.continuous) AS SELECT tumble(ts, '1 minute') AS minute, k FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT minute, count(*) FROM o_rows GROUP BY minute;
CREATE VIEW o_groups WITH (streamx.continuous) AS SELECT k, max(ts) AS minute FROM s GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT minute, count(*) FROM o_groups GROUP BY minute;
CREATE VIEW o_sessions WITH (streamx.continuous) AS SELECT session(ts, '1 minute') AS minute, k, count(*) AS n FROM s GROUP BY minute, k;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT minute, sum(n) FROM o_sessions GROUP BY minute;
CREATE VIEW o_over WITH (streamx.continuous) AS SELECT k, sum(n) AS n, min(minute) AS minute FROM m_update GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT minute, sum(n) FROM o_over GROUP BY minute;

SET client_min_messages = warning;
DROP FOREIGN TABLE s, s2, c, rows_out CASCADE;
SELECT count(*) FROM streamx.continuous_views;
DROP OWNED BY regress_streamx_reader;
DROP ROLE regress_streamx_reader;
\i test/lib/clean.sql
