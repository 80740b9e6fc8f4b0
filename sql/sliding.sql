--
-- Sliding windows: rows leave the result as time passes, without new input
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

-- ---- rows far from the edge: each view equals its batch ----
CREATE TABLE a_in (id int, ts timestamptz, plain timestamp, k text, v int, d numeric, t text, p point);
INSERT INTO a_in
  SELECT i, base - CASE WHEN i % 3 = 0 THEN interval '3 hours' + i * interval '1 min' ELSE i * interval '1 s' END,
         (base - CASE WHEN i % 4 = 0 THEN interval '5 hours' ELSE i * interval '1 s' END)::timestamp,
         CASE WHEN i % 11 <> 0 THEN 'k' || i % 6 END,
         CASE WHEN i % 13 <> 0 THEN i * 7919 % 1000 END, i / 7.0, md5((i % 50)::text), point(i % 3, 1)
  FROM generate_series(1, 600) i, date_bin('10 min', now(), '2000-01-01') base;
INSERT INTO a_in VALUES (601, NULL, now(), 'k1', 1, 1, 'n', '(1,1)'), (602, 'infinity', 'infinity', 'k1', 2, 2, 'i', '(1,1)'),
  (603, '-infinity', '-infinity', 'k1', 3, 3, 'm', NULL), (604, date_bin('10 min', now(), '2000-01-01') + interval '20 min', now() + interval '20 min', 'future', 4, 4, 'f', NULL);
CALL oracle.source('a', $$OPTIONS (event_time 'ts', watermark '10 s', max_ahead '100 days')$$);
CALL oracle.view('a', 'a_group', $$SELECT k, count(*), sum(v) AS sv, avg(d) AS ad, min(t), max(t), max(v) FILTER (WHERE v % 2 = 0) AS m
  FROM {s} WHERE ts > now() - interval '1 hour' GROUP BY k$$);
CALL oracle.view('a', 'a_total', $$SELECT count(*), sum(v) AS sv, max(ts) FROM {s} WHERE v > 100 AND ts >= current_timestamp - interval '60 min' AND k <> 'k3'$$);
CALL oracle.view('a', 'a_mirror', $$SELECT k, v % 7 AS m, count(*) FROM {s} WHERE now() - 2 * interval '30 min' < ts GROUP BY 1, 2 HAVING sum(v) % 3 <> 0$$);
CALL oracle.view('a', 'a_plus', $$SELECT k, string_agg(t, ',' ORDER BY t), count(DISTINCT v) FROM {s} WHERE ts + interval '1 hour' > now() GROUP BY k$$);
CALL oracle.view('a', 'a_upto', $$SELECT k, count(*) FROM {s} WHERE transaction_timestamp() <= ts + interval '1 hour' GROUP BY k$$);
CALL oracle.view('a', 'a_plain', $$SELECT k, sum(v) FROM {s} WHERE plain > now() - interval '1 hour' GROUP BY k$$);
CALL oracle.view('a', 'a_day', $$SELECT k, count(*) FROM {s} WHERE ts > now() - interval '1 day' GROUP BY k$$);
CALL oracle.view('a', 'a_tumble', $$SELECT tumble(ts, '10 min') AS w, k, count(*) FROM {s} WHERE ts > now() - interval '1 hour' AND isfinite(ts) GROUP BY 1, 2$$);
CALL oracle.view('a', 'a_hop', $$SELECT hop(ts, '10 min', '30 min') AS w, sum(v) FROM {s} WHERE ts > now() - interval '1 hour' AND isfinite(ts) GROUP BY 1$$);
CALL oracle.view('a', 'a_distinct', $$SELECT DISTINCT k, v % 5 AS m FROM {s} WHERE ts > now() - interval '1 hour'$$);
CALL oracle.view('a', 'a_rows', $$SELECT id, ts, k, p FROM {s} WHERE ts > now() - interval '1 hour'$$);
CALL oracle.view('a', 'a_same', $$SELECT k, p, v % 2 AS v FROM {s} WHERE ts > now() - interval '1 hour' AND v > 50$$);
CREATE TABLE names (k text, name text);
INSERT INTO names SELECT 'k' || i, 'name ' || i FROM generate_series(0, 4) i;
CALL oracle.view('a', 'a_join', $$SELECT name, count(*), sum(v) FROM {s} LEFT JOIN names USING (k) WHERE ts > now() - interval '1 hour' GROUP BY name$$);
CALL oracle.run('a', '{1,2,3,50,51,300,590,604}');

-- ---- refused ----
CREATE FUNCTION refused(query text, OUT state text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM streamx.create_continuous_view('bad', query);
  RAISE EXCEPTION 'not refused';
EXCEPTION WHEN feature_not_supported THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
SELECT q, r.* FROM (VALUES
  ('SELECT count(*) FROM a_s WHERE ts < now() - interval ''1 hour'''),
  ('SELECT count(*) FROM a_s WHERE ts > now() - interval ''1 hour'' AND ts <= now()'),
  ('SELECT count(*) FROM a_s WHERE ts BETWEEN now() - interval ''1 hour'' AND now()'),
  ('SELECT count(*) FROM a_s WHERE ts > now() - interval ''1 hour'' OR v = 1'),
  ('SELECT count(*) FROM a_s WHERE NOT ts > now() - interval ''1 hour'''),
  ('SELECT count(*) FROM a_s WHERE ts > now() - interval ''1 hour'' AND plain > now() - interval ''2 hours'''),
  ('SELECT count(*) FROM a_s WHERE ts > now() - interval ''1 month'''),
  ('SELECT count(*) FROM a_s WHERE ts > now() - interval ''1 ms'' * v'),
  ('SELECT count(*) FROM a_s WHERE ts > statement_timestamp() - interval ''1 hour'''),
  ('SELECT count(*) FROM a_s WHERE plain > localtimestamp - interval ''1 hour'''),
  ('SELECT count(*) FROM a_s WHERE ts > now() - interval ''1 hour'' HAVING max(ts) < now()'),
  ('SELECT now() - ts FROM a_s WHERE ts > now() - interval ''1 hour'''),
  ('SELECT count(*) FROM (SELECT * FROM a_s WHERE ts > now() - interval ''1 hour'') q'),
  ('SELECT count(*) FROM names WHERE now() > ''2000-01-01'''),
  ('SELECT k, v, count(*) FROM a_s WHERE ts > now() - interval ''1 hour'' GROUP BY ROLLUP (k, v)')) x (q), refused(q) r;
SET TimeZone = 'Europe/Berlin';
SELECT (refused('SELECT count(*) FROM a_s WHERE ts > now() - interval ''1 day''')).*;
SET TimeZone = 'UTC';
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT id FROM a_s WHERE ts > now() - interval '1 hour';
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 min') AS w, count(*) FROM a_s WHERE ts > now() - interval '1 hour' GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous, streamx.retention = '1 hour') AS
  SELECT tumble(ts, '1 min') AS w, count(*) FROM a_s WHERE ts > now() - interval '1 hour' GROUP BY w;

-- ---- rows leave ----
CREATE PROCEDURE wait_until(condition text) LANGUAGE plpgsql AS $$
DECLARE ok boolean := false; BEGIN
  FOR i IN 1..1200 LOOP
    EXECUTE 'SELECT ' || condition INTO ok;
    EXIT WHEN ok;
    COMMIT;
    PERFORM pg_sleep(0.05);
  END LOOP;
  IF NOT ok THEN RAISE EXCEPTION 'not after 60 s: %', condition; END IF;
END $$;
CREATE FOREIGN TABLE s (ts timestamptz, k text, v int, arrived timestamptz OPTIONS (metadata 'arrival_time')) SERVER streamx
  OPTIONS (event_time 'ts', watermark '1 s', idle_timeout '0');
CREATE VIEW g WITH (streamx.continuous) AS
  SELECT k, count(*) AS n, sum(v) AS v, count(DISTINCT v) AS dv FROM s WHERE ts > now() - interval '2 s' GROUP BY k;
CREATE VIEW n WITH (streamx.continuous) AS SELECT count(*) AS n, sum(v) AS v FROM s WHERE ts > now() - interval '2 s';
CREATE VIEW h WITH (streamx.continuous) AS SELECT k, sum(v) AS v FROM s WHERE ts > now() - interval '2 s' GROUP BY k HAVING sum(v) < 10;
CREATE VIEW r WITH (streamx.continuous) AS SELECT k, v FROM s WHERE ts > now() - interval '2 s';
CREATE VIEW arr WITH (streamx.continuous) AS SELECT k, count(*) AS n FROM s WHERE arrived > now() - interval '6 s' GROUP BY k;
CREATE TABLE log (at timestamptz DEFAULT clock_timestamp(), op text, k text, v int);
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO log (op, k, v) VALUES (TG_OP, OLD.k, OLD.v);
  RETURN NULL;
END $$;
CREATE TRIGGER log_it AFTER DELETE ON r FOR EACH ROW EXECUTE FUNCTION log_it();
\pset format unaligned
SELECT view, regexp_replace(substring(streamx.explain(view) FROM '(Strategy.*?) @'), '\s+', ' ', 'g') AS kept
FROM unnest(array['g', 'n', 'r']::regclass[]) view;
\pset format aligned
SELECT * FROM n;
CREATE TABLE t (ts timestamptz, k text, v int);
-- a slow machine has some seconds to see them come
INSERT INTO t SELECT now() + ahead, k, v FROM (VALUES (interval '2 s', 'leaves', 1), ('2 s', 'leaves', 1), ('2 s', 'both', 2), ('1 hour', 'both', 3),
  ('1 hour', NULL, 4), ('-1 hour', 'too late', 5), ('2 s', NULL, 6), ('2 s', 'many', 20), ('1 hour', 'many', 5)) x (ahead, k, v);
INSERT INTO s SELECT * FROM t;
SELECT bool_and(streamx.wait(view)) FROM streamx.views;
SELECT * FROM arr ORDER BY k;
CALL wait_until('(SELECT n FROM n) = 3');
CALL wait_until('(SELECT count(*) FROM g) = 3');
CALL wait_until('(SELECT count(*) FROM r) = 3');
CALL wait_until('(SELECT count(*) FROM h) = 3');
SELECT * FROM g ORDER BY k;
SELECT * FROM n;
SELECT * FROM h ORDER BY k;
SELECT * FROM r ORDER BY k, v;
CALL wait_until('NOT EXISTS (SELECT FROM arr)');
-- each once, when its time had come and not much later
SELECT op, l.k, l.v, count(*), bool_and(at > ts + interval '2 s') AS not_before, bool_and(at < ts + interval '15 s') AS soon
FROM log l JOIN (SELECT DISTINCT * FROM t WHERE ts < now()) t ON t.k IS NOT DISTINCT FROM l.k AND t.v = l.v GROUP BY 1, 2, 3 ORDER BY 2, 3;
-- nothing is held of what has left
SELECT v.view, value_of(format('SELECT count(*) AS n FROM %s', v.state))::int AS held
FROM streamx.continuous_views v WHERE view IN ('g'::regclass, 'n'::regclass, 'h'::regclass, 'r'::regclass, 'arr'::regclass) ORDER BY v.view::text COLLATE "C";

-- a paused view takes out what is due when it goes on; rows that are not where
-- they were are found, those that somebody changed stay
INSERT INTO s SELECT now() + interval '4 s', 'p', i FROM generate_series(1, 5) i;
SELECT bool_and(streamx.wait(view)) FROM streamx.views;
SELECT streamx.pause('r'), streamx.pause('g');
UPDATE r SET v = 100 WHERE k = 'p' AND v = 1;
DELETE FROM r WHERE k = 'p' AND v = 2;
VACUUM FULL r;
CALL wait_until('(SELECT n FROM n) = 3');
SELECT * FROM g WHERE k = 'p';
SELECT * FROM r WHERE k = 'p' ORDER BY v;
SELECT streamx.resume('r'), streamx.resume('g');
CALL wait_until('NOT EXISTS (SELECT FROM g WHERE k = ''p'')');
CALL wait_until('(SELECT count(*) FROM r) = 4');
SELECT * FROM r ORDER BY k, v;
-- backlog: only what is in the window comes
CREATE FOREIGN TABLE old (ts timestamptz, v int) SERVER streamx OPTIONS (retain '1 day');
INSERT INTO old SELECT now() - i * interval '10 min', i FROM generate_series(1, 100) i;
CREATE VIEW back WITH (streamx.continuous, streamx.start = 'earliest') AS SELECT v FROM old WHERE ts > now() - interval '35 min';
CREATE VIEW backsum WITH (streamx.continuous, streamx.start = 'earliest') AS SELECT sum(v), count(*) FROM old WHERE ts > now() - interval '35 min';
CREATE TABLE history AS SELECT now() - i * interval '10 min' AS ts, -i AS v FROM generate_series(1, 50) i;
CREATE VIEW hist WITH (streamx.continuous, streamx.start = 'earliest') AS
  SELECT count(*), sum(v), max(v) FROM (SELECT * FROM history UNION ALL SELECT * FROM old) q WHERE ts > now() - interval '35 min';
SELECT streamx.wait('back'), streamx.wait('backsum'), streamx.wait('hist');
SELECT * FROM hist;
SELECT * FROM back ORDER BY v;
SELECT * FROM backsum;
SELECT * FROM streamx.verify('back');
SELECT * FROM streamx.verify('backsum');
UPDATE backsum SET sum = 7;
SELECT * FROM streamx.verify('backsum');
-- beside other conditions: rows that are out come into no row, not for a moment
CREATE VIEW backeven WITH (streamx.continuous, streamx.start = 'earliest') AS SELECT v FROM old WHERE ts > now() - interval '35 min' AND v % 2 = 0;
CREATE VIEW backpairs WITH (streamx.continuous, streamx.start = 'earliest') AS
  SELECT count(*), sum(a.v) FROM old a JOIN old b ON a.v = b.v WHERE a.ts > now() - interval '35 min' AND a.v % 2 = 0;
SELECT streamx.wait('backeven'), streamx.wait('backpairs');
SELECT * FROM backeven;
SELECT * FROM backpairs;
SELECT view, rows_out FROM streamx.views WHERE view = 'backeven'::regclass;

SET client_min_messages = warning;
DROP FOREIGN TABLE s, old, a_s CASCADE;
DROP TABLE a_in, a_t, names, t, log, history CASCADE;
DROP FUNCTION refused, log_it;
DROP PROCEDURE wait_until(text);
DROP EXTENSION streamx;
DROP SCHEMA oracle CASCADE;
