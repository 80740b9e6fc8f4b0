--
-- GROUPING SETS, ROLLUP, CUBE and SELECT DISTINCT: the same as the batch
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

-- NULLs in the keys, ties, groups that vanish and come back by HAVING
CREATE TABLE r_in (id int, a int, b text, c numeric(6,2), v int, tags text[]);
INSERT INTO r_in
SELECT i, nullif(i % 4, 0), nullif('b' || i % 3, 'b1'), CASE i % 5 WHEN 0 THEN NULL ELSE (i % 2)::numeric(6,2) END,
  CASE WHEN i % 7 > 0 THEN i * 37 % 50 - 10 END, (ARRAY['x', 'y', 'z', NULL])[1:i % 5]
FROM generate_series(1, 60) AS i;
CREATE TABLE dim (a int, name text);
INSERT INTO dim VALUES (1, 'one'), (1, 'uno'), (2, 'two');
CALL oracle.source('r');
CALL oracle.view('r', 'r_rollup', $$SELECT a, b, GROUPING(a, b) AS g, count(*), sum(v), avg(v), min(b), sum(a) AS suma FROM {s} GROUP BY ROLLUP (a, b)$$);
CALL oracle.view('r', 'r_cube', $$SELECT GROUPING(a) AS ga, GROUPING(b) AS gb, GROUPING(c) AS gc, a, b, c, count(*), count(a) AS counta, max(v) FROM {s} GROUP BY CUBE (a, b, c)$$);
CALL oracle.view('r', 'r_sets', $$SELECT a, b, c, GROUPING(a) AS ga, GROUPING(c) AS gc, sum(v) FROM {s} GROUP BY GROUPING SETS ((a, b), (b, c), (b))$$);
CALL oracle.view('r', 'r_no_empty', $$SELECT a, b, GROUPING(a) AS g, sum(v) FROM {s} GROUP BY GROUPING SETS (a, b)$$);
-- one set is an ordinary grouping, the empty one alone none
CALL oracle.view('r', 'r_one', $$SELECT a, b, count(*), GROUPING(b) AS g FROM {s} GROUP BY GROUPING SETS ((b, a))$$);
CALL oracle.view('r', 'r_none', $$SELECT count(*), sum(v) FROM {s} GROUP BY ()$$);
CALL oracle.view('r', 'r_twice', $$SELECT a, count(*), GROUPING(a) AS g FROM {s} GROUP BY DISTINCT GROUPING SETS (a, a, ())$$);
CALL oracle.view('r', 'r_cross', $$SELECT a, b, c, count(*), GROUPING(a, c) AS g FROM {s} GROUP BY DISTINCT b, ROLLUP (a, b), CUBE (b, c)$$);
-- GROUPING() in expressions and HAVING, keys within them, expressions as keys
CALL oracle.view('r', 'r_label', $$SELECT CASE WHEN GROUPING(a) = 1 THEN 'all' ELSE coalesce('a' || a, 'unknown') END AS label, a, GROUPING(a, b) AS g, b, count(*) FROM {s} GROUP BY CUBE (a, b)$$);
CALL oracle.view('r', 'r_having', $$SELECT a, b, GROUPING(a, b) AS g, sum(v) FROM {s} GROUP BY CUBE (a, b) HAVING (GROUPING(b) = 1 AND sum(v) > 40) OR count(b) = 3 OR a + 1 > 3$$);
CALL oracle.view('r', 'r_expr', $$SELECT a % 2 AS odd, a % 2 + 5 AS more, upper(b) AS u, lower(upper(b)) AS l, GROUPING(upper(b)) AS g, GROUPING(a % 2) AS h, count(*) FILTER (WHERE a % 2 = 1 AND v > 0) FROM {s} GROUP BY GROUPING SETS ((a % 2), (upper(b)), ())$$);
CALL oracle.view('r', 'r_swapped', $$SELECT GROUPING(b, a) AS g, GROUPING(a, b) + 10 AS other, GROUPING(b, a) AS again, b, a FROM {s} GROUP BY ROLLUP (a, b)$$);
-- recomputed: the same
CALL oracle.view('r', 'r_recompute', $$SELECT a, b, GROUPING(a, b) AS g, count(DISTINCT v), array_agg(v ORDER BY id), percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM {s} GROUP BY ROLLUP (a, b)$$);
CALL oracle.view('r', 'r_direct', $$SELECT c, GROUPING(c) AS g, mode() WITHIN GROUP (ORDER BY a), rank(c) WITHIN GROUP (ORDER BY a::numeric) FROM {s} GROUP BY ROLLUP (c)$$);
-- joins, subqueries, sets of rows
CALL oracle.view('r', 'r_join', $$SELECT name, b, GROUPING(name) AS g, GROUPING(b) AS h, count(*) FROM {s} LEFT JOIN dim USING (a) WHERE v > 0 GROUP BY CUBE (name, b)$$);
CALL oracle.view('r', 'r_sub', $$SELECT k, a, GROUPING(k, a) AS g, sum(v) FROM (SELECT a, b || '.' AS k, v FROM {s} WHERE v IS NOT NULL) q GROUP BY ROLLUP (k, a)$$);
CALL oracle.view('r', 'r_unnest', $$SELECT tag, a, GROUPING(tag) AS g, GROUPING(a) AS h, count(*), sum(v) FROM {s}, unnest(tags) AS tag GROUP BY CUBE (tag, a)$$);
CALL oracle.view('r', 'r_unnest_sets', $$SELECT unnest(tags) AS tag, a, GROUPING(a) AS g, count(*), sum(v) FROM {s} GROUP BY GROUPING SETS (1, a)$$);
CALL oracle.view('r', 'r_unnest_all', $$SELECT unnest(tags) AS tag, a, GROUPING(a) AS h, count(*), sum(v) FROM {s} GROUP BY 1, ROLLUP (a)$$);
-- SELECT DISTINCT
CALL oracle.view('r', 'd_one', $$SELECT DISTINCT a FROM {s}$$);
CALL oracle.view('r', 'd_many', $$SELECT DISTINCT b, a % 2 AS odd, c, 'x' AS x FROM {s} WHERE v > 0 ORDER BY c, b$$);
CALL oracle.view('r', 'd_join', $$SELECT DISTINCT d.*, c FROM {s} s LEFT JOIN dim d ON d.a = s.a$$);
CALL oracle.view('r', 'd_unnest', $$SELECT DISTINCT unnest(tags), a FROM {s}$$);
CALL oracle.view('r', 'd_group', $$SELECT a, b FROM {s} GROUP BY b, a HAVING a > 1$$);
-- before any input: the rows of the empty sets
SELECT oracle.check('r');
CALL oracle.run('r', '{1,2,3,4,7,20,21,60}');
SELECT oracle.found('r', $$UPDATE r_rollup SET sum = sum + 1 WHERE g = 3$$) AS found;
SELECT oracle.found('r', $$DELETE FROM d_one WHERE a IS NULL$$) AS found;
SELECT count(*) FROM r_in, LATERAL (SELECT 1) x, streamx.views v, streamx.verify(v.view);
SELECT regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE tablename IN ('r_rollup', 'r_sets', 'd_many') ORDER BY tablename;
-- what is there already is not written again
SELECT rows_out FROM streamx.views WHERE view = 'd_one'::regclass;

-- ---- windows ----
CREATE FOREIGN TABLE e (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE TABLE t (ts timestamptz, k text, v int);
CREATE VIEW w_rollup WITH (streamx.continuous, streamx.final_column = 'closed') AS
  SELECT tumble(ts, '1 minute') AS w, k, GROUPING(tumble(ts, '1 minute'), k) AS g, count(*), sum(v)
  FROM e GROUP BY ROLLUP (w, k);
CREATE VIEW w_each WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, k, GROUPING(k) AS g, count(*), sum(v)
  FROM e GROUP BY w, ROLLUP (k);
CREATE VIEW w_hop WITH (streamx.continuous, streamx.final_column = 'closed') AS
  SELECT hop(ts, '30 s', '1 minute') AS w, k, GROUPING(k) AS g, count(*)
  FROM e WHERE v > 0 GROUP BY GROUPING SETS (1, k);
CREATE VIEW w_cumulate WITH (streamx.continuous) AS
  SELECT w, k, GROUPING(w) AS g, count(*), count(DISTINCT v) AS vs
  FROM e, cumulate(ts, '30 s', '1 minute') AS w GROUP BY k, ROLLUP (w);
CREATE VIEW w_distinct WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT DISTINCT tumble(ts, '1 minute') AS w, k FROM e;
CREATE VIEW w_final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, GROUPING(tumble(ts, '1 minute')) AS g, count(*) FROM e GROUP BY ROLLUP (w);
CREATE VIEW w_old WITH (streamx.continuous, streamx.retention = '2 minutes') AS
  SELECT tumble(ts, '1 minute') AS w, GROUPING(tumble(ts, '1 minute')) AS g, count(*) FROM e GROUP BY ROLLUP (w);
CREATE PROCEDURE feed(q text, late text DEFAULT 'false') LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'INSERT INTO e ' || q;
  EXECUTE format('INSERT INTO t SELECT * FROM (%s) q (ts, k, v) WHERE NOT (%s)', q, late);
  COMMIT;
  PERFORM streamx.wait(view) FROM streamx.views WHERE view::text LIKE 'w\_%';
END $$;
CREATE VIEW differences AS
  SELECT 'rollup' AS view, d.* FROM (
    (SELECT w, k, g, count, sum FROM w_rollup EXCEPT ALL
     SELECT tumble(ts, '1 minute'), k, GROUPING(tumble(ts, '1 minute'), k), count(*), sum(v) FROM t GROUP BY ROLLUP (1, k))
    UNION ALL
    (SELECT tumble(ts, '1 minute'), k, GROUPING(tumble(ts, '1 minute'), k), count(*), sum(v) FROM t GROUP BY ROLLUP (1, k)
     EXCEPT ALL SELECT w, k, g, count, sum FROM w_rollup)) d
  UNION ALL
  SELECT 'cumulate', w, k, g, count, vs FROM (
    (SELECT w, k, g, count, vs FROM w_cumulate EXCEPT ALL
     SELECT w, k, GROUPING(w), count(*), count(DISTINCT v) FROM t, cumulate(ts, '30 s', '1 minute') AS w GROUP BY k, ROLLUP (w))
    UNION ALL
    (SELECT w, k, GROUPING(w), count(*), count(DISTINCT v) FROM t, cumulate(ts, '30 s', '1 minute') AS w GROUP BY k, ROLLUP (w)
     EXCEPT ALL SELECT w, k, g, count, vs FROM w_cumulate)) d;
CALL feed($$VALUES (timestamptz '2026-01-01 00:00:05Z', 'a', 1), ('2026-01-01 00:00:15Z', NULL, 2), ('2026-01-01 00:00:59Z', 'b', 3)$$);
SELECT * FROM differences;
SELECT * FROM w_rollup ORDER BY g, w, k;
SELECT * FROM w_each ORDER BY g, w, k;
CALL feed($$VALUES (timestamptz '2026-01-01 00:01:10Z', 'a', 1), ('2026-01-01 00:01:11Z', 'a', 4)$$);
SELECT * FROM differences;
SELECT * FROM w_rollup ORDER BY g, w, k;
SELECT * FROM w_each ORDER BY g, w, k;
SELECT * FROM w_hop ORDER BY g, w, k;
SELECT * FROM w_distinct ORDER BY w, k;
-- the first window is closed: its rows are late in all sets; the hop's window
-- from half past is open
CALL feed($$VALUES (timestamptz '2026-01-01 00:00:50Z', 'late', 100), ('2026-01-01 00:00:02Z', 'a', 0), ('2026-01-01 00:01:12Z', 'c', 5)$$, $$ts < '2026-01-01 00:01:00Z'$$);
SELECT * FROM differences;
SELECT * FROM w_rollup ORDER BY g, w, k;
SELECT * FROM w_hop ORDER BY g, w, k;
SELECT view, rows_in, rows_late FROM streamx.views WHERE view::text LIKE 'w\_%' ORDER BY view::text;
-- no event time, no window: a dead letter of the view
INSERT INTO e VALUES (NULL, 'n', 1);
SELECT streamx.wait('w_rollup'), streamx.wait('w_hop');
SELECT view, error, count(*) FROM streamx.dead_letters GROUP BY 1, 2 ORDER BY view::text;
SELECT * FROM differences;
CALL feed($$VALUES (timestamptz '2026-01-01 00:05:10Z', 'z', 7)$$);
SELECT * FROM differences;
SELECT * FROM w_each ORDER BY g, w, k;
SELECT * FROM w_rollup ORDER BY g, w, k;
-- the row of all goes on after the windows are gone
SELECT * FROM w_old ORDER BY g, w;

-- ---- refused ----
CREATE FUNCTION refused(query text, OUT state text, OUT message text) LANGUAGE plpgsql AS $$
DECLARE
  detail text;
  hint text;
BEGIN
  PERFORM streamx.create_continuous_view('v', query);
  RAISE EXCEPTION 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  state := SQLSTATE;
  message := SQLERRM || E'\n  ' || coalesce(nullif(detail, ''), 'NO DETAIL') || E'\n  ' || coalesce(nullif(hint, ''), 'NO HINT');
END $$;
\pset format unaligned
\pset tuples_only on
SELECT q || E'\n  ' || r.state || ' ' || r.message FROM (VALUES
  (1, 'SELECT a, b, count(*) FROM r_s GROUP BY ROLLUP (a, b)'),
  (2, 'SELECT a, b, c, count(*), GROUPING(a) FROM r_s GROUP BY CUBE (a, b), c'),
  (3, 'SELECT a, GROUPING(a), count(*) FROM r_s GROUP BY GROUPING SETS (a, a, ())'),
  (4, 'SELECT a, GROUPING(a, b), count(*) FROM r_s GROUP BY ROLLUP (a, b)'),
  (5, 'SELECT a, 7 AS seven, GROUPING(7, a), count(*) FROM r_s GROUP BY ROLLUP (2, 1)'),
  (6, 'SELECT upper(unnest(tags)) AS tag, a, GROUPING(a), count(*) FROM r_s GROUP BY GROUPING SETS (1, a)'),
  (7, 'SELECT unnest(tags) AS tag, generate_series(1, a) AS n, a, GROUPING(a), count(*) FROM r_s GROUP BY GROUPING SETS ((1, 2), a)'),
  (8, 'SELECT 1 FROM r_s GROUP BY ()'),
  (10, 'SELECT DISTINCT tags, array[]::json[] FROM r_s')) q (n, q), refused(q) r ORDER BY n;
\pset format aligned
\pset tuples_only off

\set ECHO none
\i test/lib/clean.sql
