--
-- session(ts, gap): rows at most gap apart, per the other grouping columns;
-- in any query, and in continuous views.
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

-- ---- in a query over a table ----
CREATE TABLE t (id int PRIMARY KEY, ts timestamptz, k text, v int, at timestamp, d date);
INSERT INTO t SELECT i, ts, CASE WHEN i % 5 > 0 THEN 'k' || i % 5 END, i % 17, ts::timestamp, ts::date
  FROM (SELECT i, timestamptz '2026-01-01 00:00Z' + (i * 7919 % 4001) * interval '1 s' AS ts FROM generate_series(1, 400) i) x;
-- two rows at the same instant, rows exactly the gap apart, no time, infinities
INSERT INTO t SELECT 1000 + i, ts, 'x', i, ts::timestamp, ts::date FROM unnest(array['2026-01-01 00:00', '2026-01-01 00:00', '2026-01-01 00:01',
  '2026-01-01 00:02:00.000001', 'infinity', '-infinity', 'infinity', NULL, NULL, '4713-01-02 BC', '294276-12-31 23:59']::timestamptz[]) WITH ORDINALITY u (ts, i);

SELECT k, session(ts, '1 minute') AS s, count(*), max(ts) AS last, array_agg(id ORDER BY id) AS ids FROM t WHERE k = 'x' GROUP BY k, s ORDER BY s, k;

-- the same as written by hand: gaps and islands
CREATE FUNCTION by_hand(keys text, ts text, gap interval) RETURNS TABLE (key text, s timestamp, n bigint, sum bigint, last timestamp) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE format($f$
    SELECT key, min(ts), count(*), sum(v), max(ts) FROM (
      SELECT *, count(*) FILTER (WHERE new) OVER (PARTITION BY key ORDER BY ts, id) AS island FROM (
        SELECT id, v, key, ts, CASE WHEN ts IS NULL THEN false WHEN lag(ts) OVER w IS NULL THEN true
                                 WHEN isfinite(ts) AND isfinite(lag(ts) OVER w) THEN lag(ts) OVER w < ts - $1
                                 ELSE lag(ts) OVER w <> ts END AS new
        FROM (SELECT id, v, (%1$s)::text AS key, (%2$s)::timestamp AS ts FROM t) r WINDOW w AS (PARTITION BY key ORDER BY ts, id)) a) b
    GROUP BY key, island, ts IS NULL$f$, keys, ts) USING gap;
END $$;
CREATE FUNCTION differ(batch text, keys text, ts text, gap interval, OUT n bigint, OUT differences bigint) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format($f$
    WITH b AS (%1$s), h AS (SELECT * FROM by_hand(%2$L, %3$L, %4$L))
    SELECT (SELECT count(*) FROM h), count(*) FROM ((TABLE b EXCEPT ALL TABLE h) UNION ALL (TABLE h EXCEPT ALL TABLE b)) x$f$, batch, keys, ts, gap) INTO n, differences;
END $$;
SELECT gap, name, d.* FROM unnest('{1 us,1 s,7 s,10 s,59.5 s,1 min,90 s,1 hour,1 day,36500 days}'::interval[]) gap,
  (VALUES ('k', 'k', 'ts', $$SELECT k, session(ts, @)::timestamp, count(*), sum(v), max(ts)::timestamp FROM t GROUP BY k, session(ts, @)$$),
          ('none', '1', 'ts', $$SELECT '1', session(ts, @)::timestamp, count(*), sum(v), max(ts)::timestamp FROM t GROUP BY session(ts, @)$$),
          ('two', 'ROW(k, v % 2)', 'ts', $$SELECT ROW(k, v % 2)::text, session(ts, @)::timestamp, count(*), sum(v), max(ts)::timestamp FROM t GROUP BY v % 2, session(ts, @), k$$),
          ('timestamp', 'k', 'at', $$SELECT k, session(at, @), count(*), sum(v), max(at) FROM t GROUP BY session(at, @), k$$),
          ('date', 'k', 'd', $$SELECT k, session(d, @), count(*), sum(v), max(d)::timestamp FROM t GROUP BY 1, 2$$)) q (name, keys, ts, batch),
  differ(replace(batch, '@', quote_literal(gap)), keys, ts, gap) d
ORDER BY gap, name COLLATE "C";
SELECT count(*) AS sessions, max(n) AS longest FROM (SELECT count(*) AS n FROM t GROUP BY k, session(ts, '10 s')) x;

-- wherever a query can stand, as SQL allows it to be written
CREATE TABLE want AS SELECT key AS k, s::timestamptz AS w, n, sum, last::timestamptz AS last FROM by_hand('k', 'ts', '1 minute');
CREATE FUNCTION same(q text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE n bigint; m bigint; BEGIN
  EXECUTE format('WITH q AS (%s) SELECT count(*), (SELECT count(*) FROM q) FROM ((TABLE q EXCEPT ALL TABLE want) UNION ALL (TABLE want EXCEPT ALL TABLE q)) x', q) INTO n, m;
  RETURN CASE WHEN n = 0 AND m > 50 THEN 'same' ELSE format('%s of %s differ', n, m) END;
END $$;
CREATE VIEW sessions AS SELECT k, session(ts, '1 minute') AS w, count(*), sum(v), max(ts) FROM t GROUP BY k, w;
CREATE TABLE names (k text PRIMARY KEY, label text);
INSERT INTO names SELECT DISTINCT k, upper(k) FROM t WHERE k IS NOT NULL;
SELECT n, same(q) FROM (VALUES
  (1, $$SELECT k, session(ts, '1 minute') AS w, count(*), sum(v), max(ts) FROM t GROUP BY k, w$$),
  (2, $$SELECT k, session(ts, '1 minute'), count(*), sum(v), max(ts) FROM t GROUP BY 2, 1$$),
  (3, $$SELECT * FROM sessions$$),
  (4, $$WITH x AS MATERIALIZED (SELECT * FROM t), y AS (SELECT k, session(ts, '1 minute') AS w, count(*), sum(v), max(ts) FROM x GROUP BY k, w) SELECT * FROM y$$),
  (5, $$WITH x AS MATERIALIZED (SELECT * FROM t) SELECT k, session(ts, '1 minute') AS w, count(*), sum(v), (SELECT max(ts) FROM x WHERE false) + (max(o.ts) - max(o.ts)) FROM x o GROUP BY k, w HAVING false
        UNION ALL SELECT k, session(ts, '1 minute') AS w, count(*), sum(v), max(ts) FROM x GROUP BY k, w$$),
  (6, $$SELECT u.k, s.* FROM (SELECT DISTINCT k FROM t) u, LATERAL (SELECT session(ts, '1 minute') AS w, count(*), sum(v), max(ts) FROM t WHERE t.k IS NOT DISTINCT FROM u.k GROUP BY w) s$$),
  (7, $$SELECT t.k, session(ts, '1 minute') AS w, count(*), sum(v), max(ts) FROM t LEFT JOIN names USING (k) GROUP BY t.k, label, w$$),
  (8, $$SELECT (SELECT n.k FROM names n WHERE n.k = t.k), session(ts + interval '0', interval '1 s' * 60) AS w, count(*), sum(v), max(ts) FROM t GROUP BY 1, 2$$),
  (9, $$SELECT k, session(ts, '1 minute') AS w, count(*) FILTER (WHERE v < 5) + count(*) FILTER (WHERE NOT v < 5), sum(v), max(ts) FROM t GROUP BY k, w HAVING count(*) > 0 ORDER BY max(v), session(ts, '1 minute') DESC LIMIT 10000$$),
  (10, $$SELECT (x).k, w, n, s, m FROM (SELECT min(t.id) AS i, session(ts, '1 minute') AS w, count(*) AS n, sum(v) AS s, max(ts) AS m FROM t GROUP BY k, w) y JOIN LATERAL (SELECT t AS x FROM t WHERE t.id = y.i) z ON true$$),
  (11, $$SELECT DISTINCT k, session(ts, '1 minute') AS w, count(*), sum(v), max(max(ts)) OVER (PARTITION BY k, session(ts, '1 minute')) FROM t GROUP BY k, session(ts, '1 minute')$$),
  (12, $$SELECT k, max(session(ts, '1 minute')), (SELECT count(*) FROM unnest(array_agg(t.id))), sum(v), max((t).ts) FROM t GROUP BY k, session(ts, '1 minute')$$),
  (13, $$SELECT k, session(ts, '1 minute') AS w, count(*) / 2, sum(v) / 2, max(ts) FROM t, generate_series(1, 2) g GROUP BY k, w$$),
  (14, $$SELECT k, w, count, sum, max FROM (SELECT k, generate_series(1, 2) AS g, session(ts, '1 minute') AS w, count(*), sum(v), max(ts) FROM t GROUP BY 1, 2, 3) x WHERE g = 1$$),
  (16, $$WITH s AS (SELECT DISTINCT k, session(ts, '1 minute') AS w FROM t ORDER BY w) SELECT want.* FROM s JOIN want ON s.k IS NOT DISTINCT FROM want.k AND s.w IS NOT DISTINCT FROM want.w$$),
  (15, $$SELECT k, w, n, s, m FROM (SELECT k, 'x'::text AS y, k || 'y' AS z, session(ts, '1 minute') AS w, count(*) AS n, sum(v) AS s, max(ts) AS m FROM t GROUP BY 1, 2, 3, 4) x$$)
) q (n, q) ORDER BY n;
-- a column that the key of its table stands for
SELECT names.k, label, session(ts, '20 minutes') AS w, count(*) FROM t JOIN names USING (k) WHERE k > 'k3' AND isfinite(ts) GROUP BY names.k, w ORDER BY 1, 3;
-- filters on what is grouped
SELECT k, session(ts, '1 minute') AS w, count(*) FROM t GROUP BY k, w HAVING k = 'k1' AND session(ts, '1 minute') < '2026-01-01 00:05Z' ORDER BY w;
SELECT * FROM sessions WHERE k = 'k1' AND w < '2026-01-01 00:05Z' ORDER BY w;
-- names and types
CREATE TABLE made AS SELECT k AS key, session(ts, '1 minute'), session(d, '1 day') + interval '1 s' AS never FROM t WHERE false GROUP BY 1, 2, session(d, '1 day');
CREATE TABLE made AS SELECT k AS key, session(ts, '1 minute'), count(*), session(ts, '1 minute') + interval '1 s' AS later FROM t GROUP BY 1, 2;
\d made
CREATE MATERIALIZED VIEW mv AS SELECT * FROM sessions;
REFRESH MATERIALIZED VIEW mv;
SELECT same('TABLE mv');
TRUNCATE made;
INSERT INTO made SELECT k, session(ts, '1 minute') AS w, count(*) FROM t GROUP BY k, w;
WITH x AS (DELETE FROM made RETURNING *) SELECT session(session, '1 hour') AS hours, sum(count) FROM x GROUP BY 1 ORDER BY 1;
-- planned again and again, and with the gap as a parameter
PREPARE p (interval, text) AS SELECT count(*), max(n) FROM (SELECT count(*) AS n FROM t WHERE k = $2 GROUP BY session(ts, $1)) x;
EXECUTE p ('1 minute', 'k1'); EXECUTE p ('10 minutes', 'k1'); EXECUTE p ('1 day', 'k2');
SET plan_cache_mode = force_generic_plan;
EXECUTE p ('1 minute', 'k1'); EXECUTE p ('10 minutes', 'k1'); EXECUTE p ('1 day', 'k2');
RESET plan_cache_mode;
DO $$ DECLARE r record; n int := 0; BEGIN
  FOR r IN SELECT session(ts, '1 minute') AS w, count(*) AS c FROM t WHERE k = 'k1' GROUP BY w ORDER BY w LOOP n := n + r.c; END LOOP;
  RAISE NOTICE '% rows', n;
END $$;
CREATE FUNCTION in_sql(gap interval) RETURNS SETOF bigint LANGUAGE sql AS $$ SELECT count(*) FROM t GROUP BY k, session(ts, gap) $$;
SELECT count(*), sum(n) FROM in_sql('1 minute') n;
ALTER FUNCTION in_sql STABLE;
SELECT count(*), sum(n) FROM in_sql('1 minute') n;
-- row security and views of others
CREATE ROLE session_reader;
GRANT SELECT ON t, sessions TO session_reader;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON t FOR SELECT TO session_reader USING (id % 2 = 1 AND k IN (SELECT 'k' || n FROM generate_series(1, 2) n));
SET ROLE session_reader;
SELECT k, count(*) AS sessions, sum(n) AS rows FROM (SELECT k, session(ts, '1 minute') AS w, count(*) AS n FROM t GROUP BY k, w) x GROUP BY k ORDER BY k;
SELECT sum(count) FROM sessions;
SELECT session(last, '1 minute') FROM want GROUP BY 1;
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
-- where it cannot stand, and what it cannot take
SELECT session(ts, '1 minute') FROM t;
SELECT count(*) FROM t WHERE session(ts, '1 minute') > '2026-01-01';
SELECT date_trunc('day', session(ts, '1 minute')), count(*) FROM t GROUP BY 1;
SELECT w, count(*) FROM (SELECT session(ts, '1 minute') AS w FROM t) x GROUP BY w;
SELECT k, session(ts, '1 minute') AS w, count(*) FROM t GROUP BY ROLLUP (k, w);
SELECT session(ts, '1 minute') AS a, session(at, '2 minutes') AS b, count(*) FROM t GROUP BY 1, 2;
SELECT session(ts, '0'), count(*) FROM t GROUP BY 1;
SELECT session(ts, '-1 s'), count(*) FROM t GROUP BY 1;
SELECT session(ts, '1 month'), count(*) FROM t GROUP BY 1;
SELECT streamx.session_start(ts, '1 minute') OVER (ORDER BY id) FROM t;
SELECT session(ts, NULL), count(*) FROM t GROUP BY 1;

-- ---- in a continuous view: equal to the batch, however it is cut ----
CREATE TABLE x_in (id int, ts timestamptz, k text, k2 numeric, v int, f float8, at timestamp, d date);
-- clusters of rows, out of order; ties; rows exactly the gap apart
INSERT INTO x_in SELECT i, ts, CASE WHEN i % 7 > 0 THEN 'k' || i % 3 END, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN 1.0 WHEN 2 THEN 1.00 ELSE 2 END,
    i % 23, i / 7.0, ts::timestamp, date '2026-01-01' + i * 31 % 97
  FROM (SELECT i, timestamptz '2026-01-01 00:00Z' + (i * 37 % 1009 * 10) * interval '1 s' AS ts FROM generate_series(1, 500) i) x;
CALL oracle.source('x', $$OPTIONS (event_time 'ts', watermark '100 days', idle_timeout '0')$$);
CREATE TABLE dim (k text, label text, w int);
INSERT INTO dim VALUES ('k0', 'zero', 1), ('k1', 'one', 2), ('k1', 'uno', 3);
CALL oracle.view('x', 'x_k', $$SELECT k, session(ts, '30 s') AS w, count(*), sum(v), avg(f) AS f, min(id) AS first, max(ts) AS last, stddev(v) AS sd FROM {s} GROUP BY k, w$$);
CALL oracle.view('x', 'x_none', $$SELECT session(ts, '20 s') AS w, count(*), max(v) - min(v) AS spread FROM {s} GROUP BY session(ts, '20 s')$$);
CALL oracle.view('x', 'x_two', $$SELECT count(*), session(ts, '60 s'), k2, k, session(ts, '60 s') + interval '1 s' AS later FROM {s} GROUP BY 3, 2, 4$$);
CALL oracle.view('x', 'x_expr', $$SELECT v % 2 AS odd, session(ts, interval '1 minute' * 2) AS w, sum(v) FILTER (WHERE v > 10) AS big FROM {s} WHERE v <> 3 GROUP BY 1, 2 HAVING count(*) % 3 = 1$$);
CALL oracle.view('x', 'x_bare', $$SELECT k, session(ts, '30 s') AS w FROM {s} GROUP BY k, w$$);
CALL oracle.view('x', 'x_ts', $$SELECT session(ts::timestamp, '50 s') AS w, count(*) FROM {s} GROUP BY w$$);
CALL oracle.view('x', 'x_d', $$SELECT session(ts::date, '1 day') AS w, count(*) FROM {s} GROUP BY w$$);
CALL oracle.view('x', 'x_join', $$SELECT label, session(ts, '40 s') AS w, sum(v * w) FROM {s} JOIN dim USING (k) GROUP BY 1, 2$$);
CALL oracle.view('x', 'x_left', $$SELECT label, session(e, '40 s') AS w, count(*) FROM (SELECT ts AS e, k, v FROM {s}) q LEFT JOIN dim ON q.k = dim.k AND dim.w < 3 GROUP BY 1, 2$$);
CALL oracle.view('x', 'x_win', $$SELECT tumble(ts, '10 minutes') AS m, session(ts, '30 s') AS w, count(*) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('x', 'x_hop', $$SELECT hop(ts, '10 minutes', '20 minutes') AS m, session(ts, '30 s') AS w, count(*) FROM {s} GROUP BY 1, 2$$);
-- over columns that are not the event time
CALL oracle.view('x', 'x_other', $$SELECT k, session(at, '30 s') AS w, count(*) FROM {s} GROUP BY k, w$$);
CALL oracle.view('x', 'x_date', $$SELECT k, session(d, '2 days') AS w, count(*), max(d) AS last FROM {s} GROUP BY k, w$$);
CALL oracle.view('x', 'x_distinct', $$SELECT DISTINCT session(ts, '30 s') AS w, k FROM {s}$$);
-- aggregates that cannot be merged
CALL oracle.view('x', 'x_dist', $$SELECT k, session(ts, '30 s') AS w, count(DISTINCT v), sum(v), max(ts) AS last, array_agg(id ORDER BY v, id) AS ids FROM {s} GROUP BY k, w$$);
CALL oracle.view('x', 'x_dnone', $$SELECT session(ts, '20 s') AS w, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS med, array_agg(ts ORDER BY ts, id) AS tss FROM {s} GROUP BY session(ts, '20 s')$$);
CALL oracle.view('x', 'x_dtwo', $$SELECT k2, session(ts, '60 s'), k, string_agg(v::text, ',' ORDER BY v) FILTER (WHERE v < 20) AS vs FROM {s} GROUP BY 3, 2, 1 HAVING count(DISTINCT v) % 2 = 1$$);
CALL oracle.view('x', 'x_ddate', $$SELECT k, session(d, '2 days') AS w, count(DISTINCT d) AS days, min(d) AS first FROM {s} GROUP BY k, w$$);
CALL oracle.view('x', 'x_djoin', $$SELECT label, session(ts, '40 s') AS w, count(DISTINCT v * w) FROM {s} JOIN dim USING (k) GROUP BY 1, 2$$);
CALL oracle.view('x', 'x_dhop', $$SELECT hop(ts, '10 minutes', '20 minutes') AS m, session(ts, '30 s') AS w, count(DISTINCT v) FROM {s} GROUP BY 1, 2$$);
-- more above sessions, and sessions above more
CALL oracle.view('x', 'x_a1', $$SELECT k, count(*) AS sessions, max(n) AS longest, avg(n) AS a FROM (SELECT k, session(ts, '30 s') AS w, count(*) AS n FROM {s} GROUP BY k, w) x GROUP BY k$$);
CALL oracle.view('x', 'x_a2', $$SELECT k, w, n, row_number() OVER (PARTITION BY k ORDER BY n DESC, w) AS rn FROM (SELECT k, session(ts, '30 s') AS w, count(*) AS n FROM {s} GROUP BY k, w) x$$);
CALL oracle.view('x', 'x_a3', $$SELECT k, session(ts, '30 s') AS w, count(*) AS n, rank() OVER (PARTITION BY k ORDER BY count(*) DESC) AS r FROM {s} GROUP BY k, session(ts, '30 s')$$);
CALL oracle.view('x', 'x_a4', $$SELECT DISTINCT ON (k) k, w, n FROM (SELECT k, session(ts, '30 s') AS w, count(DISTINCT v) AS n FROM {s} GROUP BY k, w) x ORDER BY k, n DESC, w$$);
CALL oracle.view('x', 'x_a5', $$SELECT k, session(ts, '30 s') AS w, count(*) AS n FROM {s} GROUP BY k, w ORDER BY n DESC, k, w LIMIT 5$$);
CALL oracle.view('x', 'x_a6', $$SELECT k, session(m, '2 minutes') AS w, sum(n) AS n FROM (SELECT k, tumble(ts, '1 minute') AS m, count(*) AS n FROM {s} GROUP BY k, m) x GROUP BY k, w$$);
CALL oracle.view('x', 'x_a7', $$SELECT session(w, '10 minutes') AS ww, count(*) AS n, sum(n) AS s FROM (SELECT k, session(ts, '30 s') AS w, count(*) AS n FROM {s} GROUP BY k, w) x GROUP BY ww$$);
CALL oracle.run('x', '{1,2,3,10,11,60,200,201,350,499,500}');
SELECT v.view, count(d.*) AS differences FROM oracle.views v LEFT JOIN LATERAL (SELECT * FROM streamx.verify(v.view::regclass)) d ON true GROUP BY 1 HAVING count(d.*) > 0;

-- no times and infinite ones: a session of their own, or a dead letter if it is the event time's
CREATE TABLE n_in (id int, ts timestamptz, at timestamp, k text);
INSERT INTO n_in SELECT i, timestamptz '2026-01-01Z' + i * interval '1 s', a, 'k' || i % 2 FROM unnest(array[NULL, 'infinity', '2026-01-01', '-infinity', NULL, NULL, '2026-01-01 00:00:10', '-infinity', 'infinity', 'infinity', '4713-01-02 BC',
  '294276-12-31 23:59:59', '2026-01-01 00:00:05', NULL]::timestamp[]) WITH ORDINALITY u (a, i);
CALL oracle.source('n', $$OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '0')$$);
CALL oracle.view('n', 'n_none', $$SELECT session(at, '5 s') AS w, count(*), max(at) AS last FROM {s} GROUP BY w$$);
CALL oracle.view('n', 'n_k', $$SELECT k, session(at, '10 s') AS w, count(*), max(at) AS last FROM {s} GROUP BY k, w$$);
CALL oracle.view('n', 'n_dist', $$SELECT k, session(at, '10 s') AS w, count(DISTINCT id), max(at) AS last FROM {s} GROUP BY k, w$$);
CALL oracle.view('n', 'n_long', $$SELECT session(at, '200000 years'::interval - '200000 years'::interval + '100000000 days'::interval) AS w, count(*), count(DISTINCT at) AS n FROM {s} GROUP BY w$$);
CALL oracle.run('n', '{1,2,3,4,8,9,14}');

-- ---- sessions that close ----
-- rows that come in the order of time, but for less than the watermark's delay
CREATE TABLE c_in (id int, ts timestamptz, k text, v int);
INSERT INTO c_in SELECT i, timestamptz '2026-01-01 00:00Z' + (i * 4 + i * 7 % 13 + i / 40 * 60) * interval '1 s', 'k' || i % 3, i % 23 FROM generate_series(1, 600) i;
CALL oracle.source('c', $$OPTIONS (event_time 'ts', watermark '13 s', idle_timeout '0')$$);
CALL oracle.view('c', 'c_k', $$SELECT k, session(ts, '12 s') AS w, count(*), sum(v), max(ts) AS last FROM {s} GROUP BY k, w$$);
CALL oracle.view('c', 'c_none', $$SELECT session(ts, '20 s') AS w, count(*), sum(v) FROM {s} GROUP BY w$$);
CALL oracle.view('c', 'c_dist', $$SELECT k, session(ts, '15 s') AS w, count(DISTINCT v), sum(v), max(ts) AS last FROM {s} GROUP BY k, w$$);
CALL oracle.view('c', 'c_dnone', $$SELECT session(ts, '7 s') AS w, array_agg(id ORDER BY id) AS ids FROM {s} GROUP BY w$$);
CALL oracle.view('c', 'c_v', $$SELECT v, session(ts, '10 minutes') AS w, count(*), count(DISTINCT k) AS ks FROM {s} GROUP BY v, w$$);
CALL oracle.run('c', '{1,5,6,50,80,81,82,83,84,200,400,401,599,600}');
SELECT view, rows_in, rows_late FROM streamx.view_counters WHERE view::text LIKE 'c\_%' ORDER BY view::text COLLATE "C";
-- what is held is in proportion to what is open
SELECT view, value_of(format('SELECT count(*) < 20 OR %L = ''c_v'' AS n FROM %s', view, state)) AS few
FROM streamx.continuous_views WHERE view::text LIKE 'c\_%' ORDER BY view::text COLLATE "C";

-- closing to the second: 10 s behind the newest row
CREATE FOREIGN TABLE e (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE VIEW u WITH (streamx.continuous, streamx.final_column = 'closed') AS
  SELECT k, session(ts, '20 s') AS w, count(*), sum(v), max(ts) AS last FROM e GROUP BY k, w;
CREATE VIEW f WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT k, session(ts, '20 s') AS w, count(*), sum(v) FROM e GROUP BY k, w HAVING count(*) > 1;
CREATE VIEW fd WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT k, session(ts, '20 s') AS w, count(*), string_agg(v::text, ' ' ORDER BY v) AS vs FROM e GROUP BY k, w;
CREATE VIEW ud WITH (streamx.continuous, streamx.final_column = 'closed') AS
  SELECT k, session(ts, '20 s') AS w, count(DISTINCT v), sum(v) FROM e GROUP BY k, w;
CREATE VIEW l WITH (streamx.continuous, streamx.lateness = '30 s', streamx.final_column = 'closed') AS
  SELECT k, session(ts, '20 s') AS w, count(*) FROM e WHERE v <> 0 GROUP BY k, w;
CREATE VIEW r WITH (streamx.continuous, streamx.retention = '1 minute', streamx.final_column = 'closed') AS
  SELECT k, session(ts, '20 s') AS w, count(*) FROM e GROUP BY k, w;
CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS
$$ SELECT bool_and(streamx.wait(view)) FROM streamx.views WHERE view = ANY ('{u,f,fd,ud,l,r}'::regclass[]) $$;
CREATE VIEW late AS
  SELECT view, rows_late FROM streamx.view_counters WHERE view = ANY ('{u,f,fd,ud,l,r}'::regclass[]) ORDER BY view::text COLLATE "C";
INSERT INTO e VALUES ('2026-01-01 00:00:00Z', 'a', 1), ('2026-01-01 00:00:20Z', 'a', 2), ('2026-01-01 00:00:10Z', 'b', 3), ('2026-01-01 00:00:01Z', NULL, 4);
SELECT wait_all();
SELECT * FROM u ORDER BY k, w; SELECT * FROM ud ORDER BY k, w;
-- one second before b's ends, and at its end
INSERT INTO e VALUES ('2026-01-01 00:00:39Z', 'c', 1);
SELECT wait_all();
SELECT * FROM fd ORDER BY k, w;
INSERT INTO e VALUES ('2026-01-01 00:00:40Z', 'c', 1);
SELECT wait_all();
SELECT * FROM fd ORDER BY k, w; SELECT * FROM f ORDER BY k, w;
SELECT * FROM u ORDER BY k, w; SELECT * FROM ud ORDER BY k, w; SELECT * FROM l ORDER BY k, w;
-- late is what had ended and touches nothing that is open: b's rows and d's,
-- not a's, which makes a's session start earlier
INSERT INTO e VALUES ('2026-01-01 00:00:09Z', 'b', 100), ('2026-01-01 00:00:10Z', 'd', 100), ('2025-12-31 23:59:45Z', 'a', 0);
SELECT wait_all();
SELECT * FROM u ORDER BY k, w; SELECT * FROM ud ORDER BY k, w; SELECT * FROM l ORDER BY k, w;
SELECT * FROM late;
-- three sessions become one in a batch, and one that is closed stays apart
INSERT INTO e VALUES ('2026-01-01 00:01:30Z', 'x', 1), ('2026-01-01 00:02:00Z', 'x', 2), ('2026-01-01 00:02:30Z', 'x', 3), ('2026-01-01 00:02:30Z', 'y', 3);
SELECT wait_all();
SELECT * FROM u WHERE k = 'x' ORDER BY w; SELECT * FROM ud WHERE k = 'x' ORDER BY w;
INSERT INTO e VALUES ('2026-01-01 00:02:14Z', 'x', 5), ('2026-01-01 00:01:45Z', 'x', 4);
SELECT wait_all();
SELECT * FROM u WHERE k = 'x' ORDER BY w; SELECT * FROM ud WHERE k = 'x' ORDER BY w; SELECT * FROM l WHERE k = 'x' ORDER BY w;
SELECT * FROM f ORDER BY k, w; SELECT * FROM fd ORDER BY k, w;
-- paused and resumed, a view goes on from its tables
SELECT streamx.pause(view), streamx.resume(view) FROM (SELECT unnest('{u,f,fd,ud,l,r}'::regclass[]) AS view) v;
INSERT INTO e VALUES ('2026-01-01 00:02:50Z', 'x', 6), ('2026-01-01 00:02:31Z', 'y', 1);
INSERT INTO e VALUES ('2026-01-01 00:10:00Z', 'z', 0);
SELECT wait_all();
SELECT * FROM f ORDER BY k, w; SELECT * FROM fd ORDER BY k, w; SELECT * FROM u ORDER BY k, w; SELECT * FROM ud ORDER BY k, w;
SELECT * FROM l ORDER BY k, w;
SELECT * FROM r ORDER BY k, w;
SELECT * FROM late;
-- a long session is not removed while it is open
INSERT INTO e SELECT timestamptz '2026-01-01 00:10:00Z' + i * interval '15 s', 'z', i FROM generate_series(1, 12) i;
SELECT wait_all();
INSERT INTO e VALUES ('2026-01-01 00:13:05Z', 'q', 0);
SELECT wait_all();
SELECT * FROM r ORDER BY k, w;
INSERT INTO e VALUES ('2026-01-01 00:20:00Z', 'q', 0);
SELECT wait_all();
SELECT * FROM r ORDER BY k, w;
-- rows without an event time
INSERT INTO e VALUES (NULL, 'n', 1), ('infinity', 'n', 1), ('2026-01-01 00:20:01Z', 'n', 1), ('-infinity', 'n', 2);
SELECT wait_all();
SELECT view, sqlstate, error, count(*) FROM streamx.dead_letters WHERE view = 'u'::regclass GROUP BY 1, 2, 3 ORDER BY 2, 3;
SELECT * FROM u WHERE k = 'n';
-- rows that somebody changed or took away come right when their session changes
UPDATE u SET count = 77 WHERE k = 'n';
DELETE FROM ud WHERE k = 'n';
INSERT INTO e VALUES ('2026-01-01 00:20:05Z', 'n', 9);
SELECT wait_all();
SELECT * FROM u WHERE k = 'n'; SELECT * FROM ud WHERE k = 'n';

-- late rows that are kept: each once, however many it is joined with; not
-- when it counted by another way
CREATE FOREIGN TABLE g (ts timestamptz, k text, v int) SERVER streamx OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE VIEW kept WITH (streamx.continuous, streamx.late = 'keep') AS SELECT k, session(ts, '20 s') AS w, count(*) FROM g WHERE v > 0 GROUP BY k, w;
CREATE VIEW kept_held WITH (streamx.continuous, streamx.late = 'keep') AS SELECT label, session(e, '20 s') AS w, count(DISTINCT v) FROM (SELECT ts AS e, k, v FROM g) q JOIN dim USING (k) GROUP BY 1, 2;
CREATE VIEW kept_joined WITH (streamx.continuous, streamx.late = 'keep') AS SELECT v + n AS n, session(ts, '20 s') AS w, count(*) FROM g, generate_series(0, 1) n GROUP BY 1, 2;
INSERT INTO g VALUES ('2026-01-01 00:00:00Z', 'k0', 1), ('2026-01-01 00:00:55Z', 'k1', 5), ('2026-01-01 00:00:40Z', 'k1', 4), ('2026-01-01 00:01:00Z', 'k0', 2);
SELECT streamx.wait('kept'), streamx.wait('kept_held'), streamx.wait('kept_joined');
-- closed at 00:50
INSERT INTO g VALUES ('2026-01-01 00:00:02Z', 'k0', 1), ('2026-01-01 00:00:03Z', 'k1', 7), ('2026-01-01 00:00:30Z', 'k1', 8), ('2026-01-01 00:00:21Z', 'k1', 4),
  ('2026-01-01 00:00:04Z', 'k1', -1), ('2026-01-01 00:00:25Z', 'k9', 1);
SELECT streamx.wait('kept'), streamx.wait('kept_held'), streamx.wait('kept_joined');
SELECT * FROM kept ORDER BY k, w; SELECT * FROM kept_held ORDER BY label, w; SELECT * FROM kept_joined ORDER BY n, w;
SELECT l.view, l.event_time, l.row_data, c.rows_late FROM streamx.late_rows l JOIN streamx.view_counters c USING (view) ORDER BY l.view::text COLLATE "C", l.event_time;

-- event times without zone, and dates; whatever the time zone
SET TimeZone = 'America/New_York';
CREATE FOREIGN TABLE ets (at timestamp, v int) SERVER streamx OPTIONS (event_time 'at', watermark '10 s', idle_timeout '0');
CREATE VIEW ets_f WITH (streamx.continuous, streamx.emit = 'final') AS SELECT session(at, '20 s') AS w, count(*) FROM ets GROUP BY w;
-- a date of it is another time, and closes nothing
CREATE VIEW ets_d WITH (streamx.continuous, streamx.emit = 'final') AS SELECT session(at::date, '1 day') AS w, count(DISTINCT v) FROM ets GROUP BY w;
CREATE VIEW ets_d WITH (streamx.continuous) AS SELECT session(at::date, '1 day') AS w, count(DISTINCT v) FROM ets GROUP BY w;
CREATE FOREIGN TABLE ed (d date, v int) SERVER streamx OPTIONS (event_time 'd', watermark '1 day', idle_timeout '0');
CREATE VIEW ed_f WITH (streamx.continuous, streamx.emit = 'final') AS SELECT session(d, '2 days') AS w, count(*), max(d) AS last FROM ed GROUP BY w;
INSERT INTO ets VALUES ('2026-01-01 23:59:50', 1), ('2026-01-02 00:00:10', 2), ('2026-01-02 00:00:39', 3);
INSERT INTO ed VALUES ('2026-01-01', 1), ('2026-01-03', 2), ('2026-01-06', 3), ('2026-01-09', 3);
SELECT streamx.wait('ets_f'), streamx.wait('ets_d'), streamx.wait('ed_f');
SELECT * FROM ets_f; SELECT * FROM ets_d; SELECT * FROM ed_f ORDER BY w;
INSERT INTO ets VALUES ('2026-01-02 00:00:40', 4);
INSERT INTO ed VALUES ('2026-01-08', 4);
SELECT streamx.wait('ets_f'), streamx.wait('ed_f');
SELECT * FROM ets_f;
INSERT INTO ets VALUES ('2026-01-04 00:00:10', 5);
INSERT INTO ed VALUES ('2026-01-20', 4);
SELECT streamx.wait('ets_d'), streamx.wait('ed_f');
SELECT * FROM ets_f ORDER BY w; SELECT * FROM ets_d; SELECT * FROM ed_f ORDER BY w;

-- in local time a row is hours before or after the watermark: it is not late
CREATE VIEW local WITH (streamx.continuous) AS SELECT session(ts::timestamp, '20 s') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW local_t WITH (streamx.continuous) AS SELECT tumble(ts::timestamp, '1 minute') AS w, count(*) FROM e GROUP BY w;
INSERT INTO e VALUES ('2026-01-01 00:20:21Z', 'o', 1);
SELECT streamx.wait('local'), streamx.wait('local_t');
INSERT INTO e VALUES ('2026-01-01 00:20:22Z', 'o', 1);
SELECT streamx.wait('local'), streamx.wait('local_t');
SELECT * FROM local; SELECT * FROM local_t;
SET TimeZone = 'UTC';

-- streams united: the one that is behind holds sessions open
CREATE FOREIGN TABLE e2 (ts timestamptz, k text, v int) SERVER streamx OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE FOREIGN TABLE e3 (ts timestamptz, k text, v int) SERVER streamx OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE VIEW from_both WITH (streamx.continuous, streamx.final_column = 'closed') AS
  SELECT k, session(ts, '20 s') AS w, count(*), sum(v) FROM (SELECT ts, k, v FROM e2 UNION ALL SELECT ts, k, -v FROM e3) u GROUP BY k, w;
INSERT INTO e2 VALUES ('2026-01-01 00:00:00Z', 'a', 1), ('2026-01-01 00:00:30Z', 'a', 2), ('2026-01-01 00:01:00Z', 'a', 3), ('2026-01-01 00:10:00Z', 'b', 4);
SELECT streamx.wait('from_both');
SELECT * FROM from_both ORDER BY k, w;
INSERT INTO e3 VALUES ('2026-01-01 00:00:10Z', 'a', 10), ('2026-01-01 00:00:45Z', 'a', 20), ('2026-01-01 00:01:30Z', 'c', 30);
SELECT streamx.wait('from_both');
SELECT * FROM from_both ORDER BY k, w;

-- streams joined: sessions of the pairs
CREATE FUNCTION pairs(a text, b text, aggregate text) RETURNS text LANGUAGE sql AS $$
  SELECT format('SELECT a.k, session(a.ts, ''10 s'') AS w, %s AS n, max(b.v) AS m FROM %s a JOIN %s b ON a.k = b.k AND b.ts BETWEEN a.ts - interval ''5 s'' AND a.ts + interval ''5 s'' GROUP BY 1, 2', aggregate, a, b) $$;
CREATE TABLE a_in AS SELECT i AS v, timestamptz '2026-01-02Z' + (i * 3 + i * 7 % 11) * interval '1 s' AS ts, 'k' || i % 4 AS k FROM generate_series(1, 200) i;
CREATE TABLE b_in AS SELECT i AS v, timestamptz '2026-01-02Z' + (i * 3 + i * 5 % 11) * interval '1 s' AS ts, 'k' || i % 5 AS k FROM generate_series(1, 200) i;
CREATE FOREIGN TABLE a (v int, ts timestamptz, k text) SERVER streamx OPTIONS (event_time 'ts', watermark '13 s', idle_timeout '0');
CREATE FOREIGN TABLE b (v int, ts timestamptz, k text) SERVER streamx OPTIONS (event_time 'ts', watermark '13 s', idle_timeout '0');
SELECT streamx.create_continuous_view('ab', pairs('a', 'b', 'count(*)')), streamx.create_continuous_view('ab_final', pairs('a', 'b', 'count(*)'), emit => 'final'),
  streamx.create_continuous_view('ab_held', pairs('a', 'b', 'count(DISTINCT b.v)'));
CREATE PROCEDURE take(step int) LANGUAGE plpgsql AS $$ BEGIN
  FOR i IN 0 .. 200 / step - 1 LOOP
    INSERT INTO a SELECT * FROM a_in WHERE v > i * step AND v <= (i + 1) * step;
    COMMIT;
    PERFORM streamx.wait('ab');
    COMMIT;
    INSERT INTO b SELECT * FROM b_in WHERE v > i * step AND v <= (i + 1) * step;
    COMMIT;
  END LOOP;
END $$;
CALL take(20);
SELECT streamx.wait('ab'), streamx.wait('ab_final'), streamx.wait('ab_held');
SELECT pairs('a_in', 'b_in', 'count(*)') AS q, pairs('a_in', 'b_in', 'count(DISTINCT b.v)') AS qh \gset
SELECT (SELECT count(*) > 50 FROM ab) AS sessions, (SELECT count(*) FROM ((TABLE ab EXCEPT ALL (:q)) UNION ALL (:q EXCEPT ALL TABLE ab)) x) AS differences,
  (SELECT count(*) > 50 FROM ab_final) AS closed, (SELECT count(*) FROM (TABLE ab_final EXCEPT ALL (:q)) x) AS final_differences,
  (SELECT count(*) FROM ((TABLE ab_held EXCEPT ALL (:qh)) UNION ALL (:qh EXCEPT ALL TABLE ab_held)) x) AS held_differences;

-- beside sessions of a table
CREATE TABLE past (k text, ts timestamptz);
INSERT INTO past VALUES ('n', '2025-01-01'), ('n', '2025-01-01 00:00:05'), ('n', '2025-01-02'), ('q', '2025-01-01');
CREATE VIEW beside WITH (streamx.continuous) AS
  SELECT e.k, session(e.ts, '20 s') AS w, count(*), max(before) AS before FROM e
  LEFT JOIN (SELECT k, count(*) AS before FROM (SELECT k, session(ts, '1 hour') AS w FROM past GROUP BY k, w) x GROUP BY k) p ON p.k = e.k GROUP BY 1, 2;
INSERT INTO e VALUES ('2026-01-01 00:21:00Z', 'n', 1), ('2026-01-01 00:21:00Z', 'q', 1), ('2026-01-01 00:21:10Z', 'q', 1);
SELECT streamx.wait('beside');
SELECT * FROM beside ORDER BY k, w;

-- many sessions of one key, keys too long for an index
CREATE FOREIGN TABLE m (ts timestamptz, k text, id int) SERVER streamx OPTIONS (event_time 'ts', retain '1 day');
CREATE VIEW many WITH (streamx.continuous) AS SELECT session(ts, '5 s') AS w, count(*), sum(id) FROM m GROUP BY w;
CREATE VIEW held WITH (streamx.continuous) AS SELECT session(ts, '5 s') AS w, count(DISTINCT id) FROM m GROUP BY w;
CREATE VIEW long WITH (streamx.continuous) AS SELECT session(ts, '15 s') AS w, repeat(k, 2000) AS k, count(*) FROM m GROUP BY 2, 1;
INSERT INTO m SELECT timestamptz '2026-01-01Z' + i * 10 * interval '1 s', 'k' || i % 3, i FROM generate_series(1, 2000) i;
SELECT streamx.wait('many');
INSERT INTO m SELECT timestamptz '2026-01-01Z' + i * 10 * interval '1 s' + interval '5 s', 'k' || i % 3, i FROM generate_series(1, 2000, 2) i;
SELECT streamx.wait('many'), streamx.wait('held'), streamx.wait('long');
SELECT count(*), sum(count) FROM many; SELECT count(*), sum(count) FROM held; SELECT count(*), sum(count) FROM long;
SELECT count(*) FROM streamx.verify('many'); SELECT count(*) FROM streamx.verify('held'); SELECT count(*) FROM streamx.verify('long');

-- what is refused
CREATE TABLE refused (n int GENERATED ALWAYS AS IDENTITY, q text);
INSERT INTO refused (q) VALUES
  ('SELECT session(ts, interval ''1 s'' * v) AS w, count(*) FROM e GROUP BY w'),
  ('SELECT session(ts, NULL) AS w, count(*) FROM e GROUP BY w'),
  ('SELECT session(ts, ''1 month'') AS w, count(*) FROM e GROUP BY w'),
  ('SELECT session(ts, ''0'') AS w, count(*) FROM e GROUP BY w'),
  ('SELECT session(ts, ''1 s'') AS w, session(ts, ''2 s'') AS w2, count(*) FROM e GROUP BY 1, 2'),
  ('SELECT k, session(ts, ''1 s'') AS w, count(*) FROM e GROUP BY ROLLUP (k, w)'),
  ('SELECT session(ts, ''1 s'') FROM e'),
  ('SELECT k FROM e WHERE session(ts, ''1 s'') > ''2026-01-01'''),
  ('SELECT date_trunc(''hour'', session(ts, ''1 s'')) AS w, count(*) FROM e GROUP BY 1'),
  ('SELECT w, count(*) FROM (SELECT session(ts, ''1 s'') AS w FROM e) x GROUP BY w'),
  ('SELECT k, session(ts, ''1 s'') AS w, min(session(ts, ''1 s'')) FROM e GROUP BY k, w'),
  ('SELECT k, count(session(ts, ''1 s'')) FROM e GROUP BY k');
DO $$ DECLARE r record; detail text; hint text; BEGIN
  FOR r IN SELECT * FROM refused ORDER BY n LOOP
    BEGIN
      PERFORM streamx.create_continuous_view('bad', r.q);
      RAISE NOTICE '%: not refused', r.q;
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
      RAISE NOTICE E'%\n  % %\n  %\n  %', r.q, SQLSTATE, SQLERRM, detail, hint;
    END;
  END LOOP;
END $$;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT k, session(ts, '1 s') AS w, count(*) FROM m GROUP BY k, w;

\set ECHO none
SET client_min_messages = warning;
DROP OWNED BY session_reader;
DROP ROLE session_reader;
\i test/lib/clean.sql
