--
-- More than one level of grouping over joins of streams: groups of groups,
-- window functions, DISTINCT ON, LIMIT, joins of groups, subqueries.  Each view
-- equals the same query over tables with the same rows, however they are cut.
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
\set ECHO none
\i test/lib/joins.sql
\set ECHO all

INSERT INTO shapes (view, query) VALUES
  ('i_groups', $$SELECT k, avg(m), count(*) FROM (SELECT a.id, a.k, max(b.v) AS m FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.until GROUP BY a.id, a.k) q GROUP BY k$$),
  ('i_best', $$SELECT id, bid, v FROM (SELECT a.id, b.id AS bid, b.v, row_number() OVER (PARTITION BY a.id ORDER BY b.v DESC, b.id) AS rn FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.until) q WHERE rn <= 2$$),
  ('i_rank', $$SELECT a.k, b.v, count(*), rank() OVER (PARTITION BY a.k ORDER BY count(*) DESC, b.v) FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' GROUP BY a.k, b.v$$),
  ('i_distinct_on', $$SELECT DISTINCT ON (a.k) a.k, a.id, b.id AS bid FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' ORDER BY a.k, b.ts DESC, a.id, b.id$$),
  ('i_limit', $$SELECT a.id, b.id AS bid, b.ts FROM {a} a JOIN {b} b ON a.t = b.t AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' ORDER BY b.ts DESC, a.id, b.id LIMIT 5$$),
  ('i_total', $$SELECT count(*), sum(n), max(n) FROM (SELECT a.t, count(*) AS n FROM {a} a JOIN {b} b ON a.t = b.t AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' GROUP BY a.t HAVING count(*) > 2) q$$),
  ('i_of_total', $$SELECT n * 2 AS n2 FROM (SELECT count(*) AS n FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' LIMIT 1) q$$),
  ('i_window', $$SELECT w, k, n, n::numeric / sum(n) OVER (PARTITION BY w) AS share FROM (SELECT tumble(a.ts, '30 s') AS w, a.k, count(*) AS n FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '8 s' AND a.ts + interval '17 s' GROUP BY w, a.k) q$$),
  ('i_recompute', $$SELECT n, count(*), min(k) FROM (SELECT a.k, tumble(b.ts, '20 s') AS w, count(DISTINCT a.v) AS n FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' GROUP BY a.k, w) q GROUP BY n$$),
  ('i_sessions', $$SELECT k, count(*), max(n) FROM (SELECT session(a.ts, '4 s') AS s, a.k, count(*) AS n FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '3 s' GROUP BY s, a.k) q GROUP BY k$$),
  ('i_hop', $$SELECT DISTINCT ON (w) w, k, n FROM (SELECT hop(b.ts, '10 s', '30 s') AS w, b.k, count(*) AS n FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '8 s' AND a.ts + interval '17 s' GROUP BY w, b.k) q ORDER BY w, n DESC, k$$),
  ('i_self', $$SELECT id, n FROM (SELECT a.id, count(*) AS n, rank() OVER (ORDER BY count(*) DESC) AS r FROM {a} a JOIN {a} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '10 s' AND a.ts + interval '20 s' AND a.id <> b.id GROUP BY a.id) q WHERE r <= 3$$),
  ('i_three', $$SELECT k, max(n) FROM (SELECT a.k, b.id, count(*) AS n FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' JOIN {a} c ON c.k = b.k AND c.ts BETWEEN b.ts AND b.ts + interval '9 s' AND c.ts BETWEEN a.ts AND a.ts + interval '9 s' GROUP BY a.k, b.id) q GROUP BY k$$),
  ('i_with_groups', $$SELECT q.k, q.n, r.n AS of FROM (SELECT a.k, count(*) AS n FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' GROUP BY a.k) q JOIN (SELECT k, count(*) AS n FROM {a} GROUP BY k) r ON q.k IS NOT DISTINCT FROM r.k$$),
  ('i_two_joins', $$SELECT q.k, q.n, r.m FROM (SELECT a.k, count(*) AS n FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' GROUP BY a.k) q LEFT JOIN (SELECT a.k, max(b.v) AS m FROM {a} a JOIN {a} b ON a.k = b.k AND b.ts > a.ts AND b.ts < a.ts + interval '6 s' GROUP BY a.k) r ON q.k = r.k$$),
  ('i_same_join', $$WITH j AS (SELECT a.k, b.v FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s') SELECT k, sum(v), count(*) / (SELECT count(*) FROM j)::numeric AS share FROM j GROUP BY k$$),
  ('i_of_join', $$SELECT a.id, a.k, a.ts FROM {a} a WHERE a.k IN (SELECT x.k FROM {a} x JOIN {b} b ON x.k = b.k AND b.ts BETWEEN x.ts AND x.ts + interval '2 s' GROUP BY x.k HAVING count(*) > 3)$$),
  ('i_tables', $$SELECT name, count(*), sum(n) FROM (SELECT a.k, n.name, count(*) AS n FROM {a} a JOIN names n ON n.k = a.k JOIN {b} b ON b.k = n.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' GROUP BY a.k, n.name) q GROUP BY name$$),
  ('i_lag', $$SELECT k, w, n, n - lag(n) OVER (PARTITION BY k ORDER BY w) AS more FROM (SELECT a.k, tumble(a.ts, '30 s') AS w, count(*) AS n FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s' GROUP BY a.k, w) q$$),
  ('i_rows_window', $$SELECT w, id, bid FROM (SELECT tumble(a.ts, '30 s') AS w, a.id, b.id AS bid, row_number() OVER (PARTITION BY tumble(a.ts, '30 s') ORDER BY b.v DESC, a.id, b.id) AS rn FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s') q WHERE rn <= 3$$),
  ('o_left', $$SELECT matched, count(*), max(id) FROM (SELECT a.id, count(b.id) > 0 AS matched FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '3 s' GROUP BY a.id) q GROUP BY matched$$),
  ('o_first', $$SELECT DISTINCT ON (a.id) a.id, b.id AS bid FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '3 s' ORDER BY a.id, b.ts, b.id$$),
  ('o_right', $$SELECT k, n, rank() OVER (ORDER BY n DESC, k) FROM (SELECT a.k, count(*) AS n FROM {a} a RIGHT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '2 s' AND a.ts + interval '3 s' GROUP BY a.k) q$$),
  ('o_full', $$SELECT na > 0 AS a, nb > 0 AS b, count(*), sum(n) FROM (SELECT coalesce(a.k, b.k) AS k, tumble(coalesce(a.ts, b.ts), '10 s') AS w, count(a.id) AS na, count(b.id) AS nb, count(*) AS n FROM {a} a FULL JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '2 s' AND a.ts + interval '3 s' GROUP BY 1, 2) q GROUP BY 1, 2$$),
  ('o_using', $$SELECT k, count(*), count(DISTINCT ts) AS times FROM (SELECT DISTINCT ON (k, ts) k, ts, a.id AS aid, b.id AS bid FROM {a} a FULL JOIN {b} b USING (ts, k) ORDER BY k, ts, a.id, b.id) q GROUP BY k$$),
  ('o_none', $$SELECT k, count(*) FROM {b} WHERE k NOT IN (SELECT a.k FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '1 s' WHERE b.id IS NULL AND a.k <> 1) GROUP BY k$$),
  ('o_two', $$SELECT q.k, q.n, r.n AS of FROM (SELECT a.k, count(*) AS n FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '2 s' WHERE b.id IS NULL GROUP BY a.k) q FULL JOIN (SELECT b.k, count(*) AS n FROM {a} a RIGHT JOIN {b} b ON a.k = b.k AND a.ts BETWEEN b.ts AND b.ts + interval '2 s' WHERE a.id IS NULL GROUP BY b.k) r ON q.k = r.k$$),
  ('o_subquery', $$SELECT w, count(*) FROM (SELECT x.id, y.w, row_number() OVER (PARTITION BY y.w ORDER BY x.id) AS rn FROM {a} x LEFT JOIN (SELECT z.k AS kk, z.at + interval '1 s' AS at2, z.v * 2 AS w FROM (SELECT k, ts AS at, v FROM {b} WHERE v > 0) z) y ON x.k = y.kk AND y.at2 > x.ts AND y.at2 < x.ts + '9 s') q WHERE rn <= 10 GROUP BY w$$),
  ('u_one_way', $$SELECT k, n FROM (SELECT a.k, count(*) AS n, row_number() OVER (ORDER BY count(*) DESC, a.k) AS r FROM {a} a JOIN {b} b ON a.k = b.k AND a.ts >= b.ts GROUP BY a.k) q WHERE r < 3$$);
INSERT INTO shapes VALUES
  ('x_top', 'emit => ''final''', $$SELECT w, k, n FROM (SELECT tumble(a.ts, '30 s') AS w, a.k, count(*) AS n, rank() OVER (PARTITION BY tumble(a.ts, '30 s') ORDER BY count(*) DESC) AS r FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '8 s' AND a.ts + interval '17 s' GROUP BY 1, 2) q WHERE r <= 2$$),
  ('x_left', 'emit => ''final''', $$SELECT w, count(*), sum(nb) FROM (SELECT tumble(a.ts, '30 s') AS w, a.id, count(b.id) AS nb FROM {a} a LEFT JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts - interval '5 s' AND a.ts + interval '13 s' GROUP BY w, a.id) q GROUP BY w$$),
  ('x_rows', 'emit => ''final''', $$SELECT w, id, bid FROM (SELECT tumble(a.ts, '30 s') AS w, a.id, b.id AS bid, row_number() OVER (PARTITION BY tumble(a.ts, '30 s') ORDER BY b.v DESC, a.id, b.id) AS rn FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '9 s') q WHERE rn <= 3$$),
  ('x_with_groups', 'emit => ''final''', $$SELECT q.w, q.n, r.n AS of FROM (SELECT tumble(a.ts, '30 s') AS w, count(*) AS n FROM {a} a JOIN {b} b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '19 s' GROUP BY w) q JOIN (SELECT tumble(ts, '30 s') AS w, count(*) AS n FROM {b} GROUP BY w) r ON q.w = r.w$$);

SET client_min_messages = notice;
CALL run('{{120,0},{120,80}}');
CALL run('{{0,80},{120,80}}');
CALL run('{{1,1},{2,1},{3,5},{20,10},{20,20},{50,21},{60,40},{61,41},{100,65},{120,80}}', true);
SELECT view, state, error, rows_late, dead_letters FROM streamx.views
WHERE state <> 'running' OR error IS NOT NULL OR rows_late > 0 OR dead_letters > 0;
SELECT view, d.* FROM streamx.continuous_views v, LATERAL streamx.verify(v.view) d;

-- what is held goes, and the hidden rows of closed windows
CREATE FUNCTION kept(v regclass, what text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(value_of(format('SELECT count(*) AS n FROM %s', r.oid::regclass)), ' ' ORDER BY r.relname)
  FROM streamx.continuous_views c JOIN pg_class r ON r.relname ~ ('^' || what || c.id || '_.$') AND r.relnamespace = 'streamx_state'::regnamespace
  WHERE c.view = v
$$;
SELECT view, kept(view, 'h') AS held FROM streamx.continuous_views ORDER BY view::text COLLATE "C";
SELECT view, kept(view, 'd') AS hidden, kept(view, 's') AS states FROM streamx.continuous_views
WHERE view::text ~ '^x_|window|best' ORDER BY view::text COLLATE "C";

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
SET client_min_messages = warning;
DROP FOREIGN TABLE a_s, b_s CASCADE;
SELECT relname FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relname ~ '^[vsdh][0-9]';
RESET client_min_messages;

-- ---- when rows come, what is late, what fails ----
CREATE FOREIGN TABLE l (id int, ts timestamptz, k int, d int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 hour');
CREATE FOREIGN TABLE r (id int, ts timestamptz, k int, d int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 hour');
CREATE VIEW matched WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT n, count(*) AS ls, sum(q) AS q FROM (
    SELECT l.id, count(r.id) AS n, sum(l.d / coalesce(r.d, l.d)) AS q
    FROM l LEFT JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '5 s' AND l.ts + interval '20 s' GROUP BY l.id) m
  GROUP BY n;
CREATE VIEW final WITH (streamx.continuous, streamx.emit = 'final', streamx.late = 'keep') AS
  SELECT DISTINCT ON (w) w, k, n FROM (
    SELECT tumble(l.ts, '10 s') AS w, l.k, count(r.id) AS n
    FROM l LEFT JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '5 s' AND l.ts + interval '20 s' GROUP BY w, l.k) m
  ORDER BY w, n DESC, k;
CREATE VIEW marked WITH (streamx.continuous, streamx.final_column = 'closed') AS
  SELECT w, count(*) AS pairs, sum(rank) AS ranks FROM (
    SELECT tumble(l.ts, '10 s') AS w, rank() OVER (PARTITION BY tumble(l.ts, '10 s') ORDER BY r.ts)
    FROM l JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - interval '5 s' AND l.ts + interval '20 s') m
  GROUP BY w;
\pset format unaligned
\pset tuples_only on
SELECT regexp_replace(regexp_replace(substring(streamx.explain('final') FROM '^(.*?)\n\n'), 'about \d+( rows)?, \d+ (bytes|kB)|\d+ (bytes|kB)', 'N', 'g'), '(h|s|d)\d+_', '\1', 'g');
\pset format aligned
\pset tuples_only off
INSERT INTO l VALUES (1, '2026-01-01 00:00:00Z', 1, 1), (2, '2026-01-01 00:00:07Z', 2, 0), (3, '2026-01-01 00:00:08Z', 1, 3);
INSERT INTO r VALUES (11, '2026-01-01 00:00:20Z', 1, 1), (12, '2026-01-01 00:00:37Z', 5, 5);
SELECT wait_all();
SELECT * FROM matched ORDER BY n;
SELECT * FROM final ORDER BY w;
SELECT * FROM marked ORDER BY w;
-- 2 stays without a partner, and fails then
INSERT INTO l VALUES (4, '2026-01-01 00:00:55Z', 2, 5);
INSERT INTO r VALUES (13, '2026-01-01 00:00:55Z', 9, 5);
SELECT wait_all();
SELECT * FROM matched ORDER BY n;
SELECT * FROM final ORDER BY w;
SELECT * FROM marked ORDER BY w;
SELECT stream, view, sqlstate, error FROM streamx.dead_letters ORDER BY id;
-- late, for all of them; a pair that fails; one that is in time
INSERT INTO r VALUES (14, '2026-01-01 00:00:20Z', 1, 1), (15, '2026-01-01 00:00:56Z', 2, 0), (16, '2026-01-01 00:00:56Z', 2, 2);
SELECT wait_all();
SELECT * FROM matched ORDER BY n;
SELECT view, rows_in, rows_late, dead_letters FROM streamx.views ORDER BY view::text COLLATE "C";
SELECT view, stream, row_data ->> 'id' AS id FROM streamx.late_rows ORDER BY view::text COLLATE "C";
SELECT stream, view, sqlstate, error FROM streamx.dead_letters ORDER BY id;
-- columns of streams have other names
ALTER FOREIGN TABLE l RENAME COLUMN k TO key;
ALTER FOREIGN TABLE r RENAME COLUMN d TO divisor;
INSERT INTO r VALUES (17, '2026-01-01 00:00:57Z', 2, 1);
INSERT INTO l VALUES (5, '2026-01-01 00:01:00Z', 1, 2);
SELECT wait_all();
SELECT * FROM matched ORDER BY n;
SELECT * FROM marked ORDER BY w;
-- time passes
INSERT INTO l VALUES (6, '2026-01-01 00:05:00Z', 0, 1);
INSERT INTO r VALUES (18, '2026-01-01 00:05:00Z', 8, 1);
SELECT wait_all();
SELECT * FROM matched ORDER BY n;
SELECT * FROM final ORDER BY w;
SELECT * FROM marked ORDER BY w;
SELECT v.view, kept(v.view, 'h') AS held, kept(v.view, 'd') AS hidden FROM streamx.views v ORDER BY view::text COLLATE "C";

-- windows of the join wait for what is held, sessions beside it do not
CREATE VIEW beside WITH (streamx.continuous) AS
  SELECT a.w, a.key, a.n, b.s, b.m FROM
    (SELECT tumble(l.ts, '10 s') AS w, l.key, count(*) AS n
     FROM l JOIN r ON l.key = r.k AND r.ts BETWEEN l.ts AND l.ts + interval '1 minute' GROUP BY w, l.key) a
    JOIN (SELECT session(ts, '5 s') AS s, key, count(*) AS m FROM l GROUP BY s, key) b ON b.key = a.key;
INSERT INTO l VALUES (21, '2026-01-01 00:10:00Z', 1, 1);
INSERT INTO r VALUES (31, '2026-01-01 00:10:01Z', 1, 1);
SELECT wait_all();
INSERT INTO l VALUES (22, '2026-01-01 00:10:40Z', 2, 1);
INSERT INTO r VALUES (32, '2026-01-01 00:10:40Z', 9, 1);
SELECT wait_all();
INSERT INTO l VALUES (23, '2026-01-01 00:10:04Z', 1, 1);
INSERT INTO r VALUES (33, '2026-01-01 00:10:39Z', 1, 1);
SELECT wait_all();
SELECT * FROM beside;
SELECT rows_in, rows_late FROM streamx.views WHERE view = 'beside'::regclass;
SELECT kept('beside', 'h') AS held, kept('beside', 's') AS states;

-- ---- what is refused ----
CREATE VIEW bad WITH (streamx.continuous) AS SELECT DISTINCT ON (l.key) l.key, r.id FROM l JOIN r ON l.key < r.k ORDER BY l.key, r.id;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT n, count(*) FROM (SELECT l.key, count(r.id) AS n FROM l LEFT JOIN r ON l.key = r.k GROUP BY l.key) q GROUP BY n;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT n, count(*) FROM (SELECT l.key, count(r.id) AS n FROM l JOIN r ON l.key = r.k AND r.ts = l.ts GROUP BY l.key) q GROUP BY n;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT w, max(n) FROM (SELECT tumble(l.ts, '10 s') AS w, l.key, count(*) AS n FROM l JOIN r ON l.key = r.k GROUP BY w, l.key) q GROUP BY w;
SET client_min_messages = warning;
DROP SCHEMA joins CASCADE;
DROP EXTENSION streamx;
