--
-- Joins of streams within an interval of event time: each view equals the
-- same query over tables with the same rows, however the rows of the streams
-- are cut and in what order they arrive; what is held goes as time passes.
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
\set ECHO none
\i test/lib/joins.sql
\set ECHO all

INSERT INTO shapes (view, query) VALUES
  ('i_between', $$SELECT a.id AS aid, b.id AS bid, a.k FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '10 s' AND a.ts + interval '20 s'$$),
  ('i_comma', $$SELECT a.id AS aid, b.id AS bid FROM {a} a, {b} b WHERE a.t = b.t AND a.ts >= b.ts AND a.ts < interval '15 s' + b.ts AND a.v > 3 AND b.v <> 2$$),
  ('i_difference', $$SELECT a.id AS aid, b.id AS bid FROM {a} a JOIN {b} b ON a.k = b.k AND a.ts - b.ts < '12 s' AND b.ts - a.ts <= '7 s'$$),
  ('i_time_only', $$SELECT a.id AS aid, b.id AS bid FROM {a} a JOIN {b} b ON b.ts BETWEEN a.ts AND a.ts + '2 s'$$),
  ('i_same_time', $$SELECT ts, a.id AS aid, b.id AS bid FROM {a} a JOIN {b} b USING (ts)$$),
  ('i_until', $$SELECT a.id AS aid, b.id AS bid, a.until FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts >= a.ts AND b.ts <= a.until$$),
  ('i_months', $$SELECT a.id AS aid, b.id AS bid FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts + '1 month' >= a.ts + '1 month' AND b.ts <= a.ts + interval '20 s' + interval '1 s'$$),
  ('i_window', $$SELECT tumble(a.ts, '30 s') AS w, a.k, count(*), sum(a.v * b.v), avg(b.v) FROM {a} a JOIN {b} b ON a.k = b.k AND tumble(a.ts, '30 s') = tumble(b.ts, '30 s') GROUP BY w, a.k$$),
  ('i_trunc', $$SELECT date_trunc('minute', b.ts) AS w, max(a.id), min(b.id) FROM {a} a JOIN {b} b ON date_trunc('minute', a.ts) = date_trunc('minute', b.ts) AND a.t = b.t GROUP BY w$$),
  ('i_group', $$SELECT a.k, count(*), sum(a.v) FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - '5 s'::interval AND a.ts GROUP BY a.k HAVING count(*) > 3$$),
  ('i_no_group', $$SELECT count(*), sum(a.v), max(b.ts) FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - '5 s'::interval AND a.ts$$),
  ('i_recompute', $$SELECT tumble(b.ts, '1 minute') AS w, count(DISTINCT a.id), string_agg(DISTINCT left(a.t, 3), ',' ORDER BY left(a.t, 3)) FROM {a} a JOIN {b} b ON a.k = b.k AND a.ts BETWEEN b.ts - interval '1 minute' AND b.ts GROUP BY w$$),
  ('i_subquery', $$SELECT x.id2, y.n, x.ts FROM (SELECT id * 2 AS id2, ts, k + 0 AS kk FROM {a} WHERE v > 2) x JOIN (SELECT b.id AS n, b.ts AS at, b.k FROM {b} b WHERE v < 3) y ON x.kk = y.k AND y.at BETWEEN x.ts AND x.ts + interval '9 s' WHERE x.id2 > 10$$),
  ('i_with', $$WITH x AS (SELECT * FROM {a} WHERE k > 0), y AS (SELECT * FROM {b}) SELECT x.id, y.id AS yid FROM x JOIN y USING (k) WHERE y.ts > x.ts AND y.ts < x.ts + interval '30 s'$$),
  ('i_with_twice', $$WITH q AS (SELECT id, ts, k FROM {a} WHERE v < 9), r AS (SELECT * FROM q) SELECT x.id AS xid, y.id AS yid FROM r x JOIN r y USING (k) WHERE y.ts BETWEEN x.ts AND x.ts + interval '4 s'$$),
  ('i_sets', $$SELECT a.k, b.k AS bk, grouping(a.k), grouping(b.k) AS g2, count(*) FROM {a} a JOIN {b} b ON a.t = b.t AND b.ts BETWEEN a.ts AND a.ts + interval '4 s' GROUP BY CUBE (a.k, b.k)$$),
  ('i_distinct', $$SELECT DISTINCT a.k, b.v FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '4 s'$$),
  ('i_tables', $$SELECT a.id AS aid, b.id AS bid, n.name FROM {a} a JOIN names n ON n.k = a.k JOIN {b} b ON b.k = n.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' LEFT JOIN names m ON m.k = b.k + 1 WHERE m.name IS DISTINCT FROM 'one'$$),
  ('i_lateral', $$SELECT a.id AS aid, x.id AS bid, x.d FROM {a} a, LATERAL (SELECT b.id, a.ts - b.ts AS d FROM {b} b WHERE b.k = a.k AND b.ts BETWEEN a.ts - interval '9 s' AND a.ts) x$$),
  ('i_whole', $$SELECT a.id, row_to_json(b) ->> 'ts' AS bts, (b).v FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s'$$),
  ('i_self', $$SELECT a.id AS aid, b.id AS bid FROM {a} a JOIN {a} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '10 s' AND a.ts + interval '20 s' AND a.id <> b.id$$),
  ('i_three', $$SELECT a.id AS aid, b.id AS bid, c.id AS cid FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' JOIN {a} c ON c.k = b.k AND c.ts BETWEEN b.ts AND b.ts + interval '9 s' AND c.ts BETWEEN a.ts AND a.ts + interval '9 s'$$),
  ('l_between', $$SELECT a.id AS aid, b.id AS bid, a.k, b.v FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '3 s'$$),
  ('l_filters', $$SELECT a.id AS aid, b.id AS bid FROM {a} a LEFT JOIN {b} b ON a.t = b.t AND b.ts BETWEEN a.ts AND a.ts + interval '3 s' AND b.v > 1 AND a.v > 2 WHERE a.id % 3 <> 0 AND (b.id IS NULL OR b.id > 10)$$),
  ('l_strict', $$SELECT a.id AS aid, b.id AS bid FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '3 s' WHERE b.v >= 0$$),
  ('l_until', $$SELECT a.id AS aid, b.id AS bid FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts >= a.ts AND b.ts < a.until$$),
  ('l_none', $$SELECT a.id AS aid FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '5 s' WHERE b.id IS NULL$$),
  ('l_subquery', $$SELECT x.id, y.w FROM {a} x LEFT JOIN (SELECT z.k AS kk, z.at + interval '1 s' AS at2, z.v * 2 AS w FROM (SELECT k, ts AS at, v FROM {b} WHERE v > 0) z) y ON x.k = y.kk AND y.at2 > x.ts AND y.at2 < x.ts + '9 s'$$),
  ('l_tables', $$SELECT a.id AS aid, b.id AS bid, n.name FROM {a} a JOIN names n ON n.k = a.k LEFT JOIN {b} b ON b.k = n.k AND b.ts BETWEEN a.ts AND a.ts + interval '4 s' LEFT JOIN names m ON m.k = b.k$$),
  ('l_group', $$SELECT tumble(a.ts, '1 minute') AS w, count(*), count(b.id) AS nb, sum(b.v) FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '3 s' GROUP BY w$$),
  ('l_nullable_key', $$SELECT tumble(b.ts, '1 minute') AS w, count(*), count(b.id) AS nb, array_agg(DISTINCT a.k) FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '3 s' GROUP BY w$$),
  ('l_self', $$SELECT a.id AS aid, b.id AS bid FROM {a} a LEFT JOIN {a} b ON a.k = b.k AND b.ts > a.ts AND b.ts < a.ts + interval '6 s'$$),
  ('r_between', $$SELECT a.id AS aid, b.id AS bid FROM {a} a RIGHT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '2 s' AND a.ts + interval '3 s' WHERE b.v < 3$$),
  ('f_between', $$SELECT a.id AS aid, b.id AS bid, coalesce(a.k, b.k) AS k FROM {a} a FULL JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '2 s' AND a.ts + interval '3 s'$$),
  ('f_using', $$SELECT ts, k, a.id AS aid, b.id AS bid FROM {a} a FULL JOIN {b} b USING (ts, k)$$),
  ('f_window', $$SELECT coalesce(a.k, b.k) AS k, count(a.id) AS na, count(b.id) AS nb, count(*) FROM {a} a FULL JOIN {b} b ON a.k = b.k AND date_trunc('minute', a.ts) = date_trunc('minute', b.ts) AND a.v > 7 GROUP BY 1$$),
  ('f_self', $$SELECT a.id AS aid, b.id AS bid FROM {a} a FULL JOIN {a} b ON a.k = b.k AND b.ts > a.ts AND b.ts < a.ts + interval '6 s' AND a.v > 5 AND b.v < 5$$),
  ('l_past', $$SELECT a.id AS aid, b.id AS bid FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '25 s' AND a.ts - interval '6 s'$$),
  ('f_past', $$SELECT a.id AS aid, b.id AS bid FROM {a} a FULL JOIN {b} b ON a.k = b.k AND b.ts > a.ts - interval '25 s' AND b.ts < a.ts - interval '6 s'$$),
  ('i_session', $$SELECT session(a.ts, '4 s') AS s, a.k, count(*), sum(b.v) FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '3 s' GROUP BY s, a.k$$),
  ('u_equal', $$SELECT a.id AS aid, b.id AS bid FROM {a} a JOIN {b} b ON a.k = b.k AND a.v = b.v$$),
  ('u_one_way', $$SELECT a.k, count(*), max(a.ts - b.ts) FROM {a} a JOIN {b} b ON a.k = b.k AND a.ts >= b.ts GROUP BY a.k$$);
INSERT INTO shapes VALUES
  ('x_session', 'emit => ''final''', $$SELECT session(b.ts, '4 s') AS s, b.k, count(*), array_agg(a.id ORDER BY a.id, b.id) FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '3 s' GROUP BY s, b.k$$),
  ('x_hop', 'emit => ''final''', $$SELECT hop(a.ts, '10 s', '30 s') AS w, b.k, count(*), sum(a.v) FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '8 s' AND a.ts + interval '17 s' GROUP BY w, b.k$$),
  ('i_hop', '', $$SELECT hop(b.ts, '10 s', '30 s') AS w, b.k, count(*), max(a.v) FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '8 s' AND a.ts + interval '17 s' GROUP BY w, b.k$$),
  ('x_window', 'emit => ''final''', $$SELECT tumble(a.ts, '30 s') AS w, a.k, count(*) FROM {a} a JOIN {b} b ON a.k = b.k AND tumble(a.ts, '30 s') = tumble(b.ts, '30 s') GROUP BY w, a.k$$),
  ('x_left', 'emit => ''final''', $$SELECT tumble(a.ts, '30 s') AS w, count(*), count(b.id) AS nb FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '13 s' GROUP BY w$$),
  ('x_recompute', 'emit => ''final''', $$SELECT tumble(b.ts, '1 minute') AS w, array_agg(a.id ORDER BY a.id) AS ids FROM {a} a JOIN {b} b ON a.k = b.k AND a.ts BETWEEN b.ts - interval '1 minute' AND b.ts GROUP BY w$$);

SET client_min_messages = notice;
CALL run('{{120,0},{120,80}}');
CALL run('{{0,80},{120,80}}');
CALL run('{{1,1},{2,1},{3,5},{20,10},{20,20},{50,21},{60,40},{61,41},{100,65},{120,80}}');
SELECT view, state, error, rows_late, dead_letters FROM streamx.views
WHERE state <> 'running' OR error IS NOT NULL OR rows_late > 0 OR dead_letters > 0;

-- what is held goes: the two rows that made time pass are left where time
-- alone bounds them, all rows where nothing does
CREATE FUNCTION held(v regclass) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(value_of(format('SELECT count(*) AS n FROM %s', r.oid::regclass)), ' ' ORDER BY r.relname)
  FROM streamx.continuous_views c JOIN pg_class r ON r.relname ~ ('^h' || c.id || '_.$') AND r.relnamespace = 'streamx_state'::regnamespace
  WHERE c.view = v
$$;
SELECT view, held(view) FROM streamx.continuous_views ORDER BY view::text COLLATE "C";
SELECT view, d.* FROM streamx.continuous_views v, LATERAL streamx.verify(v.view) d;

-- computed anew
DO $$
DECLARE
  s shapes;
  d record;
BEGIN
  FOR s IN SELECT * FROM shapes LOOP
    PERFORM streamx.rebuild(s.view::text::regclass);
    COMMIT;
    d := differences(s);
    IF d.n = 0 OR d.extra + d.missing > 0 THEN RAISE NOTICE 'rebuilt: % has % rows too many, % too few', s.view, d.extra, d.missing; END IF;
  END LOOP;
END $$;
SELECT view, d.* FROM streamx.continuous_views v, LATERAL streamx.verify(v.view) d;
SELECT view, held(view) FROM streamx.continuous_views WHERE view::text ~ '_(between|hop|past)$' ORDER BY view::text COLLATE "C";
SET client_min_messages = warning;
DROP FOREIGN TABLE a_s, b_s CASCADE;
RESET client_min_messages;

-- ---- when rows come ----
CREATE FOREIGN TABLE l (id int, ts timestamptz, k int, d int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE FOREIGN TABLE r (id int, ts timestamptz, k int, d int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE VIEW lj WITH (streamx.continuous) AS
  SELECT l.id AS lid, r.id AS rid, l.d / coalesce(r.d, l.d) AS q
  FROM l LEFT JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '5 s' AND l.ts + interval '20 s';
CREATE VIEW fj WITH (streamx.continuous, streamx.lateness = '5 s') AS
  SELECT l.id AS lid, r.id AS rid
  FROM l FULL JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '5 s' AND l.ts + interval '20 s';
CREATE VIEW ij WITH (streamx.continuous) AS
  SELECT l.id AS lid, r.id AS rid
  FROM l JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '5 s' AND l.ts + interval '20 s';
CREATE VIEW w WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(l.ts, '10 s') AS w, count(*), count(r.id) AS n
  FROM l LEFT JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '5 s' AND l.ts + interval '20 s' GROUP BY w;
CREATE VIEW held_rows AS SELECT view, held(view) FROM streamx.continuous_views ORDER BY view::text COLLATE "C";
CREATE VIEW counters AS
  SELECT view, rows_in, rows_out, rows_late, dead_letters, watermark FROM streamx.view_counters ORDER BY view::text COLLATE "C";

SELECT regexp_replace(streamx.explain('lj'), '(h|s)\d+_|about \d+|\d+ (bytes|kB)', '\1', 'g') AS explain;

-- one side alone does not move the view's watermark
INSERT INTO l VALUES (1, '2026-01-01 00:00:00Z', 1, 1), (2, '2026-01-01 00:00:07Z', 2, 0), (3, '2026-01-01 00:01:00Z', 1, 3);
SELECT wait_all();
SELECT * FROM fj ORDER BY lid, rid;
SELECT * FROM held_rows;
-- 1 has its partner; 2 may still get one
INSERT INTO r VALUES (11, '2026-01-01 00:00:20Z', 1, 1), (12, '2026-01-01 00:00:37Z', 5, 5);
SELECT wait_all();
SELECT * FROM lj ORDER BY lid, rid;
SELECT * FROM fj ORDER BY lid, rid;
SELECT * FROM w ORDER BY w;
SELECT * FROM held_rows;
-- 00:00:27 + 10 s: at that time exactly it still may
INSERT INTO r VALUES (13, '2026-01-01 00:00:37Z', 6, 5);
SELECT wait_all();
SELECT * FROM lj ORDER BY lid, rid;
-- now it cannot; what fails is a dead letter; the lateness of fj is not over
INSERT INTO r VALUES (14, '2026-01-01 00:00:37.000001Z', 7, 5);
SELECT wait_all();
SELECT * FROM lj ORDER BY lid, rid;
SELECT stream, view, sqlstate, error FROM streamx.dead_letters ORDER BY id;
SELECT * FROM fj ORDER BY lid, rid;
SELECT * FROM w ORDER BY w;
SELECT * FROM held_rows;
-- late for three of them: 00:00:27 has been reached, 00:00:22 in fj
INSERT INTO r VALUES (15, '2026-01-01 00:00:26Z', 2, 7), (16, '2026-01-01 00:00:21Z', 2, 7);
INSERT INTO l VALUES (4, '2026-01-01 00:00:26Z', 5, 9), (5, NULL, 5, 9), (6, 'infinity', 5, 9), (7, '2026-01-01 00:00:27.000001Z', 1, 9);
SELECT wait_all();
SELECT * FROM counters;
SELECT * FROM lj ORDER BY lid, rid;
SELECT * FROM fj ORDER BY lid, rid;
SELECT stream, view, sqlstate, error, count(*) FROM streamx.dead_letters GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3;
-- time passes
INSERT INTO l VALUES (8, '2026-01-01 00:05:00Z', 0, 1);
INSERT INTO r VALUES (18, '2026-01-01 00:05:00Z', 8, 1);
SELECT wait_all();
SELECT * FROM fj ORDER BY lid, rid;
SELECT * FROM w ORDER BY w;
SELECT * FROM held_rows;
SET client_min_messages = warning;
DROP FOREIGN TABLE l, r CASCADE;
RESET client_min_messages;

-- without a watermark, or a bound, rows are held for ever
CREATE FOREIGN TABLE l (id int, ts timestamp, k int, day date, note text) SERVER streamx OPTIONS (event_time 'ts', watermark '10 s');
CREATE FOREIGN TABLE n (id int, ts timestamptz, k int, "order" text) SERVER streamx;
CREATE FOREIGN TABLE r (id int, ts timestamp, k int, day date) SERVER streamx OPTIONS (event_time 'day', watermark '1 day');
CREATE VIEW held1 WITH (streamx.continuous) AS SELECT l.id AS lid, r.id FROM l JOIN r ON l.k = r.k;
CREATE VIEW held2 WITH (streamx.continuous) AS SELECT l.id AS lid, r.id FROM l JOIN r ON l.k = r.k AND l.ts < r.day;
CREATE VIEW held3 WITH (streamx.continuous) AS SELECT l.id AS lid, n.id FROM l JOIN n ON l.k = n.k AND l.note = n."order";
CREATE VIEW held4 WITH (streamx.continuous) AS SELECT l.id AS lid, r.id FROM l RIGHT JOIN r ON l.k = r.k AND l.ts < r.day;
CREATE VIEW held5 WITH (streamx.continuous) AS SELECT l.id AS lid, r.id FROM l LEFT JOIN r ON l.k = r.k AND r.day BETWEEN l.ts - interval '1 day' AND l.ts;

-- ---- what is refused ----
CREATE VIEW bad WITH (streamx.continuous) AS SELECT l.id AS lid, r.id FROM l, r;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT l.id AS lid, r.id FROM l JOIN r ON l.k > r.k;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT l.id AS lid, r.id FROM l LEFT JOIN r ON l.k = r.k;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT l.id AS lid, r.id FROM l LEFT JOIN r ON l.k = r.k WHERE r.day BETWEEN l.ts - interval '1 day' AND l.ts;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT l.id AS lid, r.id FROM l FULL JOIN r ON l.k = r.k AND r.day < l.ts;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT l.id AS lid, n.id FROM l LEFT JOIN n ON l.k = n.k AND n.ts BETWEEN l.ts AND l.ts + interval '1 day';
CREATE VIEW bad WITH (streamx.continuous) AS SELECT a.id FROM l a LEFT JOIN l b ON a.k = b.k AND a.ts = b.ts LEFT JOIN l c ON a.k = c.k AND a.ts = c.ts;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT names.name FROM names LEFT JOIN (l JOIN r ON l.k = r.k) ON names.k = l.k;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT l.id FROM l JOIN (SELECT k FROM r UNION ALL SELECT k FROM n) u ON u.k = l.k;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT l.id FROM l JOIN r ON l.k = r.k UNION ALL SELECT id FROM n;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT l.id, r.tableoid FROM l JOIN r ON l.k = r.k;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(l.ts, '1 minute') AS w, count(*) FROM l JOIN r ON l.k = r.k GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(r.day, '1 day') AS w, count(*) FROM l LEFT JOIN r ON l.k = r.k AND r.day BETWEEN l.ts - interval '1 day' AND l.ts GROUP BY w;

-- the parts go with the view
SET client_min_messages = warning;
DROP FOREIGN TABLE l, r, n CASCADE;
SELECT relname FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relname ~ '^h';

-- ---- rates that were valid at the time, result tables of other views ----
CREATE FOREIGN TABLE pay (id int, ts timestamptz, cur text, amount numeric) SERVER streamx OPTIONS (event_time 'ts', watermark '10 s');
CREATE TABLE rates (cur text, valid_from timestamptz, rate numeric, PRIMARY KEY (cur, valid_from));
INSERT INTO rates VALUES ('eur', '2026-01-01', 1.1), ('eur', '2026-01-02', 1.2), ('usd', '2026-01-02', 1);
CREATE VIEW asof_left WITH (streamx.continuous) AS
  SELECT p.id, p.amount * r.rate AS usd FROM pay p LEFT JOIN LATERAL
    (SELECT rate FROM rates r WHERE r.cur = p.cur AND r.valid_from <= p.ts ORDER BY r.valid_from DESC LIMIT 1) r ON true;
CREATE VIEW asof_inner WITH (streamx.continuous) AS
  SELECT p.cur, count(*), sum(p.amount * r.rate) AS usd FROM pay p CROSS JOIN LATERAL
    (SELECT rate FROM rates r WHERE r.cur = p.cur AND r.valid_from <= p.ts ORDER BY r.valid_from DESC LIMIT 1) r GROUP BY p.cur;
INSERT INTO pay VALUES (1, '2026-01-01 12:00Z', 'eur', 10), (2, '2026-01-02 12:00Z', 'eur', 10), (3, '2026-01-01 12:00Z', 'usd', 10), (4, '2026-01-02 12:00Z', 'usd', 10);
SELECT wait_all();
SELECT * FROM asof_left ORDER BY id;
SELECT * FROM asof_inner ORDER BY cur;
CREATE VIEW share WITH (streamx.continuous) AS
  SELECT p.id, t.usd > 20 AS large FROM pay p JOIN asof_inner t ON t.cur = p.cur;
INSERT INTO pay VALUES (5, '2026-01-02 12:00Z', 'eur', 10);
SELECT wait_all();
SELECT * FROM share ORDER BY id;
SET client_min_messages = warning;
DROP SCHEMA joins CASCADE;
DROP EXTENSION streamx;
