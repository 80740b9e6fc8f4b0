--
-- Aggregates with DISTINCT: the values of each group are a set, the same as
-- the batch
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

-- values that are equal in other bytes, NULLs, long ones, types of all kinds
CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE d_in (id int, k int, t text, n numeric, f float8, j jsonb, u uuid, c colour, p pair, a int[],
                   m money, at timestamptz, s int2, y bytea, long text);
INSERT INTO d_in
SELECT i, nullif(i % 4, 0), CASE i % 9 WHEN 0 THEN NULL ELSE 't' || i * 7 % 11 END,
  CASE i % 6 WHEN 0 THEN NULL WHEN 5 THEN 'NaN' ELSE ((i % 5) || repeat('0', i % 3))::numeric / 10 END,
  (ARRAY[0.0, -0.0, 'NaN', 1.5, NULL, 'Infinity', -2.25])[1 + i % 7]::float8,
  (ARRAY['{"a": 1, "b": 2}', '{"b": 2, "a": 1.0}', '[1.00]', '[1]', 'null', NULL])[1 + i % 6]::jsonb,
  md5((i % 8)::text)::uuid, (ARRAY['red', 'green', 'blue', NULL])[1 + i % 4]::colour,
  CASE WHEN i % 5 > 0 THEN ROW(i % 3, nullif('p' || i % 2, 'p1'))::pair END, ARRAY[i % 3, nullif(i % 2, 0)],
  (i % 6)::text::money, '2026-01-01'::timestamptz + i % 10 * interval '1 h', i % 13, decode(lpad((i % 5)::text, 4, '0'), 'hex'),
  repeat(chr(97 + i % 3), 3000 * (i % 4))
FROM generate_series(1, 90) AS i;
-- groups that only ever had NULL, or nothing that passes a filter
INSERT INTO d_in (id, k) VALUES (91, 90), (92, 91), (93, 91);
CREATE TABLE names (k int, name text);
INSERT INTO names VALUES (1, 'one'), (1, 'uno'), (2, 'two'), (90, 'ninety');
CALL oracle.source('d');

CALL oracle.view('d', 'one', $$SELECT k, count(DISTINCT t) FROM {s} GROUP BY k$$);
CALL oracle.view('d', 'many', $$SELECT k, count(*), count(DISTINCT t) AS c2, sum(n), sum(DISTINCT s) AS s3, avg(DISTINCT s), count(DISTINCT u) AS c4, stddev(DISTINCT s), count(s) AS c5, max(DISTINCT t) FROM {s} GROUP BY k$$);
CALL oracle.view('d', 'total', $$SELECT count(DISTINCT t), sum(DISTINCT s), count(*) AS c2, variance(DISTINCT s) FROM {s}$$);
CALL oracle.view('d', 'filtered', $$SELECT k, count(DISTINCT t) FILTER (WHERE id % 2 = 0) AS even, count(DISTINCT t) FILTER (WHERE s > 100) AS none, count(DISTINCT t), sum(DISTINCT s) FILTER (WHERE t IS NOT NULL) FROM {s} GROUP BY k$$);
-- equal values: any of them may stand for the others
CALL oracle.view('d', 'numerics', $$SELECT k, count(DISTINCT n), sum(DISTINCT n) * 1000 = 0 AS nought, trim_scale(sum(DISTINCT n)) AS sum, round(avg(DISTINCT n), 6) AS avg FROM {s} GROUP BY k$$);
CALL oracle.view('d', 'floats', $$SELECT k, count(DISTINCT f), sum(DISTINCT f), avg(DISTINCT f), count(DISTINCT -f) AS c2, count(DISTINCT f::float4) AS c3 FROM {s} GROUP BY k$$);
CALL oracle.view('d', 'types', $$SELECT k, count(DISTINCT j), count(DISTINCT c) AS c2, count(DISTINCT p) AS c3, count(DISTINCT a) AS c4, count(DISTINCT at) AS ats, count(DISTINCT y) AS ys, count(DISTINCT numrange(s, s + 1)) AS ranges FROM {s} GROUP BY k$$);
CALL oracle.view('d', 'long_values', $$SELECT k, count(DISTINCT long), count(DISTINCT long || s) AS more FROM {s} GROUP BY k$$);
CALL oracle.view('d', 'long_keys', $$SELECT long, count(DISTINCT t), sum(DISTINCT s) FROM {s} GROUP BY long$$);
CALL oracle.view('d', 'constant', $$SELECT k, count(DISTINCT 1), sum(DISTINCT 5) FILTER (WHERE t = 't3') AS five, count(DISTINCT NULL::int) AS nothing, count(DISTINCT k) AS ks FROM {s} GROUP BY k$$);
-- several arguments, rows
CALL oracle.view('d', 'pairs', $$SELECT k, regr_count(DISTINCT s, f), corr(DISTINCT s, id % 5), count(DISTINCT (t, s)), count(DISTINCT ROW(n, c, NULL::text)) AS rows, count(DISTINCT (p).b) AS bs FROM {s} GROUP BY k$$);
-- HAVING, expressions over it, grouping sets, joins, other shapes around it
CALL oracle.view('d', 'having', $$SELECT k, count(DISTINCT s) + 1 AS n FROM {s} GROUP BY k HAVING count(DISTINCT t) % 2 = 1$$);
CALL oracle.view('d', 'sets', $$SELECT k, c, GROUPING(k, c) AS g, count(DISTINCT s), count(DISTINCT t) AS c2, count(*) AS c3 FROM {s} GROUP BY CUBE (k, c)$$);
CALL oracle.view('d', 'joined', $$SELECT name, count(DISTINCT t), sum(DISTINCT s) FROM {s} LEFT JOIN names USING (k) GROUP BY name$$);
CALL oracle.view('d', 'unnested', $$SELECT e, count(DISTINCT s), count(DISTINCT t) AS c2 FROM {s}, unnest(a) AS e GROUP BY e$$);
CALL oracle.view('d', 'united', $$SELECT k, count(DISTINCT v) FROM (SELECT k, s AS v FROM {s} UNION ALL SELECT s, k FROM {s} UNION ALL SELECT k, -k FROM names) q GROUP BY k$$);
CALL oracle.view('d', 'levels', $$SELECT n, count(DISTINCT k) AS ks, sum(DISTINCT s) FROM (SELECT k, count(DISTINCT t) AS n, sum(DISTINCT s) AS s FROM {s} GROUP BY k, c) q GROUP BY n$$);
CALL oracle.view('d', 'ranked', $$SELECT * FROM (SELECT c, k, n, rank() OVER (PARTITION BY c ORDER BY n DESC) AS r FROM (SELECT c, k, count(DISTINCT s) AS n FROM {s} GROUP BY c, k) q) q WHERE r <= 2$$);
-- what is kept by rows: sets do not tell the order, and not all types can be hashed
CALL oracle.view('d', 'held', $$SELECT k, string_agg(DISTINCT t, ','), array_agg(DISTINCT s), count(DISTINCT s ORDER BY s DESC), count(DISTINCT m) AS ms FROM {s} GROUP BY k$$);
-- an aggregate of one's own: a strict one, whose first value is the state
CREATE FUNCTION longer(text, text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS
$$ SELECT CASE WHEN length($2) > length($1) OR length($2) = length($1) AND $2 > $1 THEN $2 ELSE $1 END $$;
CREATE AGGREGATE longest(text) (SFUNC = longer, STYPE = text, COMBINEFUNC = longer);
CREATE FUNCTION add_null(int[], int) RETURNS int[] LANGUAGE sql IMMUTABLE AS
$$ SELECT ARRAY[$1[1] + 1, $1[2] + ($2 IS NULL)::int] $$;
CREATE FUNCTION add_both(int[], int[]) RETURNS int[] LANGUAGE sql IMMUTABLE STRICT AS
$$ SELECT ARRAY[$1[1] + $2[1], $1[2] + $2[2]] $$;
CREATE AGGREGATE nulls(int) (SFUNC = add_null, STYPE = int[], INITCOND = '{0,0}', COMBINEFUNC = add_both);
CALL oracle.view('d', 'own', $$SELECT k, longest(DISTINCT t), nulls(DISTINCT s) FROM {s} GROUP BY k$$);

SELECT v.view::text COLLATE "C", cardinality(value_sets) AS sets,
  substring(streamx.explain(v.view) from 'Strategy: *(\w+)') AS strategy
FROM streamx.continuous_views v ORDER BY 1;
SELECT oracle.check('d');
CALL oracle.run('d', '{1,2,3,20,60,61,90,93}');
SELECT oracle.found('d', $$UPDATE many SET avg = avg + 1 WHERE k = 3$$) AS found;
SELECT view, difference, result FROM streamx.views v, streamx.verify(v.view);
-- a second time: nothing new, so groups that have nothing else stay as they are
CREATE TABLE before AS SELECT view::text, rows_out FROM streamx.views;
SELECT oracle.feed('d', 0, 90);
CALL oracle.wait('d');
SELECT oracle.check('d');
SELECT b.view, v.rows_out - b.rows_out AS written FROM streamx.views v JOIN before b ON b.view = v.view::text
WHERE b.view IN ('one', 'total', 'types', 'having') ORDER BY 1;
-- each value is there once
SELECT value_of(format('SELECT count(*) - count(DISTINCT (k1, c1)) FROM %s', value_sets[1])) AS twice
FROM streamx.continuous_views WHERE view = 'one'::regclass;
-- and so after a rebuild, and with no memory of them
SELECT count(*) FROM (SELECT streamx.rebuild(view) FROM streamx.views) x;
SELECT oracle.check('d');
SELECT regexp_replace(regexp_replace(line, 'about.*', '...'), 'u\d+_', 'u<id>_') AS line FROM regexp_split_to_table(streamx.explain('many'), '\n') line WHERE line ~ 'DISTINCT|Agg';
SELECT regexp_replace(pg_get_indexdef(indexrelid), '.* USING ', '') FROM streamx.continuous_views v JOIN pg_index ON indrelid = v.value_sets[1]
WHERE view = 'one'::regclass;

-- a user's own right to call the aggregate is asked for
CREATE ROLE distinct_user;
GRANT ALL ON SCHEMA public TO distinct_user;
GRANT SELECT ON d_s TO distinct_user;
REVOKE EXECUTE ON FUNCTION longest(text) FROM PUBLIC;
SET ROLE distinct_user;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT k, longest(DISTINCT t) FROM d_s GROUP BY k;
CREATE VIEW mine WITH (streamx.continuous) AS SELECT k, count(DISTINCT t) FROM d_s GROUP BY k;
RESET ROLE;
-- the tables of values go where the view goes
SELECT c.relowner::regrole FROM streamx.continuous_views v JOIN pg_class c ON c.oid = v.value_sets[1] WHERE view = 'mine'::regclass;
ALTER TABLE mine OWNER TO CURRENT_USER;
SELECT c.relowner = current_user::regrole AS followed FROM streamx.continuous_views v JOIN pg_class c ON c.oid = v.value_sets[1] WHERE view = 'mine'::regclass;
DROP VIEW mine;
REVOKE ALL ON SCHEMA public FROM distinct_user;
REVOKE ALL ON d_s FROM distinct_user;
DROP ROLE distinct_user;

-- a row that an aggregate fails for is a dead letter, its neighbours count
CREATE VIEW failing WITH (streamx.continuous) AS SELECT k, sum(DISTINCT 100 / s) AS r FROM d_s GROUP BY k;
CREATE AGGREGATE product(int) (SFUNC = int4mul, STYPE = int, COMBINEFUNC = int4mul, INITCOND = '1');
CREATE VIEW overflowing WITH (streamx.continuous) AS SELECT k, count(DISTINCT s) AS n, product(DISTINCT s) FROM d_s WHERE k > 900 GROUP BY k;
INSERT INTO d_s (id, k, s) VALUES (1, 901, 1), (2, 901, 0), (3, 902, 30000), (4, 902, 30001), (5, 902, 30002), (6, 902, 30000), (7, 902, 2), (8, 902, 2);
SELECT streamx.wait('failing'), streamx.wait('overflowing');
INSERT INTO d_s (id, k, s) VALUES (9, 902, 30002), (10, 902, 30001), (11, 902, 3);
SELECT streamx.wait('failing'), streamx.wait('overflowing');
SELECT * FROM failing ORDER BY k;
SELECT * FROM overflowing ORDER BY k;
SELECT view, sqlstate, error FROM streamx.dead_letters ORDER BY view::text, id;

-- ---- windows ----
CREATE TABLE w_in (id int, ts timestamptz, k text, v int);
INSERT INTO w_in SELECT i, '2026-01-01 00:00Z'::timestamptz + (i * 7 - i * 31 % 19) * interval '1 s', nullif('k' || i % 3, 'k1'), i * 11 % 17
FROM generate_series(1, 60) i;
CALL oracle.source('w', $$OPTIONS (event_time 'ts', watermark '20 s', idle_timeout '0')$$);
CALL oracle.view('w', 'w_tumble', $$SELECT tumble(ts, '1 minute') AS w, k, count(DISTINCT v), count(*) AS c2, sum(DISTINCT v) FILTER (WHERE v > 3) FROM {s} GROUP BY w, k$$);
CALL oracle.view('w', 'w_hop', $$SELECT hop(ts, '30 s', '1 minute') AS w, count(DISTINCT v), count(DISTINCT k) AS ks FROM {s} GROUP BY w$$);
CALL oracle.view('w', 'w_cumulate', $$SELECT cumulate(ts, '20 s', '1 minute') AS w, k, count(DISTINCT v) FROM {s} GROUP BY w, k$$);
CALL oracle.view('w', 'w_sets', $$SELECT w, k, GROUPING(w) AS g, count(DISTINCT v) FROM {s}, tumble(ts, '1 minute') AS w GROUP BY ROLLUP (w), k$$);
CALL oracle.view('w', 'w_session', $$SELECT session(ts, '8 s') AS w, count(DISTINCT v) FROM {s} GROUP BY w$$);
CALL oracle.view('w', 'w_levels', $$SELECT w, max(n) AS m, sum(n) AS s FROM (SELECT tumble(ts, '1 minute') AS w, k, count(DISTINCT v) AS n FROM {s} GROUP BY 1, 2) q GROUP BY w$$);
CREATE VIEW w_final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, k, count(DISTINCT v) AS n, count(*) AS rows FROM w_s GROUP BY w, k;
CREATE VIEW w_final_hop WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT hop(ts, '30 s', '1 minute') AS w, sum(DISTINCT v) AS s FROM w_s GROUP BY w HAVING count(DISTINCT k) > 1;
CREATE VIEW w_kept WITH (streamx.continuous, streamx.retention = '2 minutes', streamx.final_column = 'closed') AS
  SELECT tumble(ts, '1 minute') AS w, count(DISTINCT v) AS n FROM w_s GROUP BY w;
CALL oracle.run('w', '{1,2,9,10,30,31,59,60}');
SELECT bool_and(streamx.wait(view)) FROM streamx.views;
SELECT count(*) FROM w_final;
(TABLE w_final EXCEPT SELECT tumble(ts, '1 minute') AS w, k, count(DISTINCT v), count(*) FROM w_t GROUP BY 1, 2) UNION ALL
(SELECT tumble(ts, '1 minute') AS w, k, count(DISTINCT v), count(*) FROM w_t WHERE ts < '2026-01-01 00:06Z' GROUP BY 1, 2 EXCEPT TABLE w_final);
SELECT count(*) FROM w_final_hop;
TABLE w_final_hop EXCEPT SELECT hop(ts, '30 s', '1 minute') AS w, sum(DISTINCT v) FROM w_t GROUP BY 1;
SELECT * FROM w_kept ORDER BY w;
SELECT view, difference, result FROM streamx.views v, streamx.verify(v.view) WHERE view::text ~ '^w_';
-- late rows count nowhere, and values of closed windows are kept no longer
INSERT INTO w_s VALUES (100, '2026-01-01 00:00:01Z', 'k0', 99), (101, '2026-01-01 00:06:55Z', 'k0', 99);
SELECT bool_and(streamx.wait(view)) FROM streamx.views;
SELECT view, rows_late FROM streamx.views WHERE view::text ~ '^w_' ORDER BY view::text COLLATE "C";
SELECT v.view, value_of(format('SELECT count(*) FROM %s', v.value_sets[1])) AS values,
  value_of(format('SELECT min(k1) FROM %s', v.value_sets[1])) AS first_window
FROM streamx.continuous_views v
WHERE view::text IN ('w_tumble', 'w_final', 'w_kept', 'w_hop') ORDER BY v.view::text COLLATE "C";
INSERT INTO w_s VALUES (102, '2026-01-01 01:00Z', 'k0', 1);
SELECT bool_and(streamx.wait(view)) FROM streamx.views;
SELECT v.view, value_of(format('SELECT count(*) FROM %s', s)) AS values
FROM streamx.continuous_views v, unnest(value_sets) s
WHERE view::text ~ '^w_' AND view::text <> 'w_sets' ORDER BY v.view::text COLLATE "C", 2;

-- little memory: all is found in the tables
ALTER SYSTEM SET streamx.state_memory = '64kB';
SELECT pg_reload_conf();
CREATE FOREIGN TABLE much (k int, v int) SERVER streamx;
CREATE VIEW much_v WITH (streamx.continuous) AS SELECT k, count(DISTINCT v), sum(DISTINCT v), count(*) AS n FROM much GROUP BY k;
INSERT INTO much SELECT i % 7, i FROM generate_series(1, 3000) i;
SELECT streamx.wait('much_v');
INSERT INTO much SELECT i % 7, i FROM generate_series(2000, 5000) i;
SELECT streamx.wait('much_v');
INSERT INTO much SELECT i % 7, i / 2 FROM generate_series(1, 8000) i;
SELECT streamx.wait('much_v');
SELECT count(*), sum(count), sum(sum), sum(n) FROM much_v;
SELECT count(*), sum(c), sum(s), sum(n) FROM (SELECT k, count(DISTINCT v) AS c, sum(DISTINCT v) AS s, count(*) AS n FROM
  (SELECT i % 7 AS k, i AS v FROM generate_series(1, 3000) i UNION ALL SELECT i % 7, i FROM generate_series(2000, 5000) i
   UNION ALL SELECT i % 7, i / 2 FROM generate_series(1, 8000) i) q GROUP BY k) q;
ALTER SYSTEM RESET streamx.state_memory;
SELECT pg_reload_conf();

SET client_min_messages = warning;
DROP FOREIGN TABLE d_s, w_s, much CASCADE;
SELECT count(*) FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relname ~ '^u';
DROP TABLE d_in, d_t, w_in, w_t, names, before;
DROP AGGREGATE longest(text);
DROP AGGREGATE product(int);
DROP AGGREGATE nulls(int);
DROP FUNCTION longer, add_null, add_both;
DROP TYPE colour, pair;

\set ECHO none
\i test/lib/clean.sql
