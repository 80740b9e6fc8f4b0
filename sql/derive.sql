--
-- More above the grouping than a select list and HAVING: grouping over
-- grouping, window functions, DISTINCT ON, LIMIT, joins of groups, ...  Each
-- view equals the same query over a table with the same rows.
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

-- disorder, ties, duplicates, NULLs everywhere
CREATE TABLE d_in AS
  SELECT i AS id,
         CASE WHEN i % 41 = 0 THEN NULL ELSE 'k' || (i * 7919) % 7 END AS k,
         CASE WHEN i % 13 = 0 THEN NULL ELSE (i * 31) % 17 END AS v,
         '2026-01-01'::timestamp + make_interval(secs => (i * 37) % 600) AS ts,
         (i % 5)::text AS c
  FROM generate_series(1, 400) i
  UNION ALL
  SELECT i, 'k1', 3, '2026-01-01 00:05', '1' FROM generate_series(401, 410) i;
CREATE TABLE names (k text, name text);
INSERT INTO names VALUES ('k1', 'one'), ('k2', 'two'), ('k2', 'zwei'), ('k9', 'nine');
CALL oracle.source('d', 'OPTIONS (retain ''1 hour'')');

CREATE TABLE shapes (n int GENERATED ALWAYS AS IDENTITY, q text);
INSERT INTO shapes (q) VALUES
-- two and three levels of grouping
  ('SELECT w, max(n) AS m, count(*) AS c FROM (SELECT tumble(ts, ''1 minute'') AS w, k, count(*) AS n FROM {s} GROUP BY 1, 2) q GROUP BY w'),
  ('SELECT k, avg(n) AS a, array_agg(n ORDER BY w) AS ns FROM (SELECT date_trunc(''minute'', ts) AS w, k, count(*) AS n FROM {s} GROUP BY 1, 2) q GROUP BY k'),
  ('SELECT max(n), sum(s), count(*) FROM (SELECT k, count(*) AS n, sum(v) AS s FROM {s} GROUP BY k HAVING count(*) > 3) q'),
  ('SELECT n, count(*) AS groups FROM (SELECT k, c, count(*) AS n FROM {s} GROUP BY k, c) q GROUP BY n'),
  ('SELECT m, count(*) AS c FROM (SELECT k, max(n) AS m FROM (SELECT k, c, count(*) AS n FROM {s} GROUP BY k, c) a GROUP BY k) b GROUP BY m'),
  ('SELECT date_trunc(''hour'', w) AS h, sum(n) AS n, max(n) AS m FROM (SELECT date_trunc(''minute'', ts) AS w, count(*) AS n FROM {s} GROUP BY 1) q GROUP BY 1'),
  ('WITH g AS (SELECT k, c, sum(v) AS s FROM {s} GROUP BY k, c) SELECT k, max(s) AS m, min(s) FILTER (WHERE c <> ''2'') AS l FROM g GROUP BY k HAVING count(*) > 2'),
  ('SELECT k, count(DISTINCT d) AS ds FROM (SELECT k, c, count(DISTINCT v) AS d FROM {s} WHERE v < 14 GROUP BY k, c) q GROUP BY k'),
-- top-N by window functions
  ('SELECT w, k, n, rn FROM (SELECT w, k, n, row_number() OVER (PARTITION BY w ORDER BY n DESC, k) AS rn FROM (SELECT tumble(ts, ''1 minute'') AS w, k, count(*) AS n FROM {s} GROUP BY 1, 2) a) b WHERE rn <= 3'),
  ('SELECT * FROM (SELECT tumble(ts, ''2 minutes'') AS w, k, sum(v) AS s, rank() OVER (PARTITION BY tumble(ts, ''2 minutes'') ORDER BY sum(v) DESC NULLS LAST) AS r FROM {s} GROUP BY 1, 2) b WHERE r <= 2'),
-- window functions directly in a grouped query
  ('SELECT date_trunc(''minute'', ts) AS w, k, count(*) AS n, lag(count(*)) OVER (PARTITION BY k ORDER BY date_trunc(''minute'', ts)) AS before FROM {s} GROUP BY 1, 2'),
  ('SELECT tumble(ts, ''1 minute'') AS w, k, count(*)::float / sum(count(*)) OVER (PARTITION BY tumble(ts, ''1 minute'')) AS share FROM {s} GROUP BY 1, 2'),
  ('SELECT k, count(*) AS n, rank() OVER (ORDER BY count(*) DESC) AS r, percent_rank() OVER win AS p FROM {s} GROUP BY k WINDOW win AS (ORDER BY sum(v))'),
  ('SELECT k, c, sum(sum(v)) OVER (PARTITION BY k ORDER BY c ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s, count(*) FILTER (WHERE v > 3) AS f FROM {s} GROUP BY k, c'),
-- LIMIT
  ('SELECT k, count(*) AS n FROM {s} GROUP BY k ORDER BY count(*) DESC, k LIMIT 3'),
  ('SELECT k, c, sum(v) AS s FROM {s} GROUP BY k, c HAVING count(*) > 2 ORDER BY s DESC NULLS LAST, k, c OFFSET 2 FETCH FIRST 4 ROWS ONLY'),
  ('SELECT k, count(*) AS n FROM {s} GROUP BY k ORDER BY n DESC FETCH FIRST 2 ROWS WITH TIES'),
  ('SELECT id, k, v FROM {s} WHERE v IS NOT NULL ORDER BY v DESC, id LIMIT 7'),
  ('SELECT k, n FROM (SELECT k, count(*) AS n FROM {s} GROUP BY k ORDER BY n DESC, k LIMIT 4) q WHERE n > 2'),
-- the latest row of a key, deduplication
  ('SELECT DISTINCT ON (k) k, id, v FROM {s} ORDER BY k, ts DESC, id DESC'),
  ('SELECT DISTINCT ON (tumble(ts, ''5 minutes''), v) tumble(ts, ''5 minutes'') AS w, v, id FROM {s} ORDER BY tumble(ts, ''5 minutes''), v, id'),
  ('SELECT k, id, v FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY ts, id) AS rn FROM {s}) q WHERE rn = 1'),
  ('SELECT c, k, id, rn FROM (SELECT *, row_number() OVER (PARTITION BY c, k ORDER BY v DESC NULLS LAST, id) AS rn FROM {s} WHERE v <> 5) q WHERE rn <= 2 AND id % 2 = 0'),
  ('SELECT k, c, v, r FROM (SELECT k, c, v, rank() OVER (PARTITION BY k ORDER BY v) AS r FROM {s}) q WHERE r < 4'),
  ('SELECT k, count(*) AS n, sum(v) AS s FROM (SELECT DISTINCT ON (k, c) k, c, v FROM {s} ORDER BY k, c, id DESC) q GROUP BY k'),
  ('SELECT id, k, lag(v) OVER (PARTITION BY k ORDER BY id) AS before, count(*) OVER (PARTITION BY k) AS n FROM {s}'),
-- DISTINCT
  ('SELECT DISTINCT ON (k) k, c, n FROM (SELECT k, c, count(*) AS n FROM {s} GROUP BY k, c) q ORDER BY k, n DESC, c'),
  ('SELECT DISTINCT k, count(*) AS n FROM {s} GROUP BY k, c'),
  ('SELECT DISTINCT n FROM (SELECT k, count(*) AS n FROM {s} GROUP BY k) q'),
  ('SELECT k, count(*) AS n FROM (SELECT DISTINCT k, v FROM {s}) q GROUP BY k'),
  ('SELECT DISTINCT v, k FROM {s} ORDER BY v, k LIMIT 5'),
-- joins of groups, with each other and with tables
  ('SELECT a.k, a.n, b.s FROM (SELECT k, count(*) AS n FROM {s} GROUP BY k) a JOIN (SELECT k, sum(v) AS s FROM {s} WHERE v > 5 GROUP BY k) b ON a.k = b.k'),
  ('SELECT a.k, a.n, b.s FROM (SELECT k, count(*) AS n FROM {s} GROUP BY k) a LEFT JOIN (SELECT k, sum(v) AS s FROM {s} WHERE v > 15 GROUP BY k) b USING (k)'),
  ('SELECT b.k, a.n, b.s FROM (SELECT k, count(*) AS n FROM {s} WHERE c = ''1'' GROUP BY k) a RIGHT JOIN (SELECT k, sum(v) AS s FROM {s} GROUP BY k) b ON a.k = b.k AND a.n > 2'),
  ('SELECT k, a.n, b.s FROM (SELECT k, count(*) AS n FROM {s} WHERE v < 9 GROUP BY k) a FULL JOIN (SELECT k, sum(v) AS s FROM {s} WHERE v > 15 GROUP BY k) b USING (k)'),
  ('SELECT names.name, q.n FROM names JOIN (SELECT k, count(*) AS n FROM {s} GROUP BY k) q USING (k)'),
  ('SELECT names.k, names.name, q.n FROM names LEFT JOIN (SELECT k, count(*) AS n FROM {s} GROUP BY k) q USING (k)'),
  ('SELECT q.k, q.n, names.name FROM (SELECT k, count(*) AS n FROM {s} GROUP BY k) q LEFT JOIN names USING (k) WHERE q.n > 2'),
  ('SELECT s.id, s.k, g.n FROM {s} s JOIN (SELECT k, count(*) AS n FROM {s} GROUP BY k) g ON s.k = g.k WHERE s.v > 12'),
-- comparisons with an aggregate of the same stream, subqueries over groups
  ('SELECT k, count(*) AS n FROM {s} GROUP BY k HAVING count(*) > (SELECT avg(n) FROM (SELECT count(*) AS n FROM {s} GROUP BY k) q)'),
  ('SELECT w, k, n FROM (SELECT tumble(ts, ''1 minute'') AS w, k, count(*) AS n FROM {s} GROUP BY 1, 2) a WHERE n = (SELECT max(n) FROM (SELECT tumble(ts, ''1 minute'') AS w, k, count(*) AS n FROM {s} GROUP BY 1, 2) b WHERE b.w = a.w)'),
  ('SELECT id, v FROM {s} WHERE v > (SELECT avg(v) + 6 FROM {s})'),
  ('SELECT c, count(*) AS n FROM {s} WHERE v >= (SELECT max(v) FROM {s}) GROUP BY c'),
  ('SELECT k, count(*) AS n, (SELECT string_agg(name, '','' ORDER BY name) FROM names WHERE names.k = q.k) AS names FROM {s} q GROUP BY k'),
  ('SELECT k, n FROM (SELECT k, count(*) AS n FROM {s} GROUP BY k) g WHERE NOT EXISTS (SELECT FROM (SELECT DISTINCT k FROM {s} WHERE v > 15) h WHERE h.k = g.k)'),
  ('SELECT k, n FROM (SELECT k, count(*) AS n FROM {s} GROUP BY k) g WHERE k IN (SELECT k FROM {s} WHERE v = 16)'),
-- auctions with the most bids in each hop window (Nexmark q5)
  ('SELECT b.k, b.num, b.w FROM (SELECT k, hop(ts, ''1 minute'', ''2 minutes'') AS w, count(*) AS num FROM {s} GROUP BY 1, 2) b
    JOIN (SELECT max(num) AS maxn, w FROM (SELECT count(*) AS num, k, hop(ts, ''1 minute'', ''2 minutes'') AS w FROM {s} GROUP BY k, w) x GROUP BY w) m
    ON b.w = m.w AND b.num >= m.maxn'),
-- set operations
  ('SELECT ''k'' AS what, k AS value, count(*) AS n FROM {s} GROUP BY k UNION ALL SELECT ''c'', c, count(*) FROM {s} GROUP BY c'),
  ('SELECT k FROM {s} UNION SELECT k FROM names'),
  ('SELECT k FROM names EXCEPT SELECT k FROM {s} WHERE v > 8'),
  ('SELECT k FROM {s} WHERE v = 3 INTERSECT SELECT k FROM names'),
  ('SELECT value, sum(n) AS n FROM (SELECT k AS value, count(*) AS n FROM {s} GROUP BY k UNION ALL SELECT name, 1 FROM names) u GROUP BY value'),
-- WITH queries used more than once
  ('WITH g AS (SELECT k, c, count(*) AS n FROM {s} GROUP BY k, c), t AS (SELECT k, sum(n) AS n FROM g GROUP BY k) SELECT g.k, g.c, g.n, t.n AS total FROM g JOIN t ON g.k = t.k'),
  ('WITH t AS (SELECT k, name FROM names) SELECT max(n) AS m, count(name) AS names FROM (SELECT t.name, count(*) AS n FROM {s} s JOIN t USING (k) GROUP BY t.name) q'),
-- subqueries in LATERAL
  ('SELECT n.k, l.c FROM names n, LATERAL (SELECT count(*) AS c FROM {s} s WHERE s.k = n.k) l');
DO $$
DECLARE
  s record;
BEGIN
  FOR s IN SELECT * FROM shapes ORDER BY n LOOP
    CALL oracle.view('d', ('v' || s.n)::name, s.q);
  END LOOP;
END $$;

-- before any input
SELECT (oracle.check('d')).*;
CALL oracle.run('d', '{1,2,3,60,61,200,399,410}');
-- a difference is found
SELECT oracle.found('d', 'UPDATE v1 SET m = m + 1 WHERE w = ''2026-01-01 00:05''');
-- of rows that can never be in the result again none is held
CREATE FUNCTION held(view regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN
  EXECUTE format('SELECT count(*) FROM %s', (SELECT parts[1] FROM streamx.continuous_views v WHERE v.view = held.view)) INTO n;
  RETURN n;
END $$;
SELECT view, held(view::regclass), left(query, 100) AS query FROM oracle.views
WHERE view IN (SELECT 'v' || n FROM shapes WHERE q ~ 'LIMIT 7|DISTINCT ON \(tumble|DISTINCT ON \(k\) k, id|FROM \{s\}( WHERE v <> 5)?\) q WHERE r|DISTINCT ON \(k, c\)|NOT NULL ORDER') ORDER BY substr(view, 2)::int;
-- verify agrees, and finds one
SELECT count(*) FROM (SELECT (streamx.verify(view::regclass)).* FROM oracle.views) x;
UPDATE v2 SET a = a + 1 WHERE k = 'k1';
DELETE FROM v20 WHERE k = 'k2';
SELECT view, (streamx.verify(view::regclass)).difference FROM oracle.views WHERE view IN ('v2', 'v20');

SET client_min_messages = warning;
DROP FOREIGN TABLE d_s CASCADE;
DROP TABLE d_in, d_t, names, shapes;
DROP FUNCTION held(regclass);
DROP SCHEMA oracle CASCADE;
DROP EXTENSION streamx;
