--
-- What cannot be maintained is refused at CREATE, with SQLSTATE 0A000, the
-- reason and the way out; what is wrong in itself with an error of its own.
-- And what happens to a view that is maintained when a row of it fails.
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

CREATE FOREIGN TABLE s (id int, k int, v numeric, t text, at timestamptz, a int[], j json, x xml, p point) SERVER streamx;
CREATE FOREIGN TABLE s2 (id int, k int) SERVER streamx;
CREATE TABLE tab (k int PRIMARY KEY, name text);
CREATE TABLE shapes (n int GENERATED ALWAYS AS IDENTITY, q text);
INSERT INTO shapes (q) VALUES
-- above the grouping
  ('SELECT k FROM s FOR UPDATE'),
  ('SELECT k FROM s JOIN tab USING (k) FOR SHARE OF tab'),
  ('SELECT k FROM (SELECT k, v FROM s LIMIT 3 FOR UPDATE) q'),
  ('SELECT k, GROUPING(k), rank() OVER (ORDER BY count(*)) FROM s GROUP BY ROLLUP (k)'),
  ('SELECT unnest(a), rank() OVER (ORDER BY k) FROM s'),
  ('SELECT s, n FROM s JOIN (SELECT k, count(*) AS n FROM s GROUP BY k) g USING (k)'),
  ('SELECT DISTINCT ON (k) k, ROW(v, t) FROM s'),
  ('SELECT max(n), random() FROM (SELECT k, count(*) AS n FROM s GROUP BY k) q'),
  ('SELECT n, now() FROM (SELECT k, count(*) AS n FROM s GROUP BY k) q LIMIT 3'),
-- grouping
  ('SELECT k, t, count(*) FROM s GROUP BY ROLLUP (k, t)'),
  ('SELECT k, t, count(*) FROM s GROUP BY CUBE (k, t)'),
  ('SELECT count(*) FROM s GROUP BY k'),
  ('SELECT k + 1 AS k1, count(*) FROM s GROUP BY k'),
  ('SELECT tab.k, name, count(*) FROM s JOIN tab USING (k) GROUP BY tab.k'),
  ('SELECT name, count(*) FROM s JOIN tab ON tab.k = s.k GROUP BY tab.k'),
  ('SELECT k, generate_series(1, 3), count(*) FROM s GROUP BY k'),
  ('SELECT 1 FROM s HAVING true'),
-- several streams, or one twice
  ('SELECT s.k, count(*) FROM s LEFT JOIN s2 USING (k) GROUP BY s.k'),
  ('SELECT s.k, count(*) FROM s, s2 WHERE s.k > s2.k GROUP BY s.k'),
-- the stream where it can be NULL-extended, or anywhere but in FROM
  ('SELECT tab.k, count(s.k) FROM tab LEFT JOIN s ON s.k = tab.k GROUP BY tab.k'),
  ('SELECT tab.k, count(s.k) FROM s RIGHT JOIN tab ON s.k = tab.k GROUP BY tab.k'),
  ('SELECT tab.k, count(s.k) FROM s FULL JOIN tab ON s.k = tab.k GROUP BY tab.k'),
  ('SELECT tab.k, count(q.k) FROM tab LEFT JOIN (SELECT k FROM s) q ON q.k = tab.k GROUP BY tab.k'),
  ('WITH q AS (SELECT k FROM s) SELECT tab.k, count(q.k) FROM tab LEFT JOIN q ON q.k = tab.k GROUP BY tab.k'),
  ('SELECT tab.k, count(*) FROM tab LEFT JOIN (tab t2 JOIN s USING (k)) ON tab.k = t2.k GROUP BY tab.k'),
  ('SELECT k FROM tab WHERE EXISTS (SELECT FROM s WHERE s.k = tab.k)'),
  ('SELECT k FROM tab WHERE k IN (SELECT k FROM s)'),
  ('SELECT (SELECT count(*) FROM s) AS n FROM tab'),
  ('SELECT k FROM s TABLESAMPLE BERNOULLI (10)'),
-- below the top
  ('WITH q AS (SELECT k FROM s) SELECT k FROM tab WHERE k IN (SELECT k FROM q)'),
  ('WITH q AS (SELECT k FROM s) SELECT k FROM tab'),
  ('WITH RECURSIVE r AS (SELECT k FROM s UNION ALL SELECT k + 1 FROM r WHERE k < 3) SELECT k FROM r'),
  ('WITH RECURSIVE r AS (SELECT k FROM tab UNION ALL SELECT s.k FROM r JOIN s ON s.k > r.k) SELECT k FROM r'),
-- not the same twice
  ('SELECT k, random() FROM s'),
  ('SELECT k, count(*) FROM s WHERE random() < 0.5 GROUP BY k'),
  ('SELECT k, sum(v * random()) FROM s GROUP BY k'),
  ('SELECT k, gen_random_uuid() FROM s'),
  ('SELECT k, nextval(''sq'') FROM s'),
  ('SELECT k, clock_timestamp() - at FROM s'),
  ('SELECT k, now() - at FROM s'),
  ('SELECT k, count(*) FROM s WHERE at < now() - interval ''1 hour'' GROUP BY k'),
  ('SELECT k, count(*) FROM s WHERE at < CURRENT_TIMESTAMP GROUP BY k'),
  ('SELECT k, CURRENT_DATE AS d, count(*) FROM s GROUP BY k, d'),
  ('SELECT k, LOCALTIME FROM s'),
  ('SELECT k, age(at) FROM s'),
  ('SELECT k, statement_timestamp() FROM s'),
  ('SELECT k, count(*) FROM s JOIN (SELECT random() AS r) q ON r < v GROUP BY k'),
  ('SELECT k, vol(k) FROM s'),
-- keys that no index can hold
  ('SELECT j, count(*) FROM s GROUP BY j'),
  ('SELECT p, count(*) FROM s GROUP BY p'),
  ('SELECT k, x::text::xid AS x, count(*) FROM s GROUP BY 1, 2'),
-- no stream
  ('SELECT k, count(*) FROM tab GROUP BY k'),
  ('SELECT 1 AS one'),
  ('VALUES (1)'),
  ('TABLE tab'),
-- views that stand for such a query
-- another continuous view
  ('SELECT ctid, k FROM cv');
CREATE SEQUENCE sq;
CREATE FUNCTION vol(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE VIEW counted AS SELECT k, count(*) AS n FROM s GROUP BY k;
CREATE VIEW limited AS SELECT k FROM s LIMIT 10;
CREATE VIEW cv WITH (streamx.continuous) AS SELECT k, count(*) FROM s GROUP BY k;

CREATE FUNCTION refused(query text, OUT state text, OUT message text) LANGUAGE plpgsql AS $$
DECLARE
  detail text;
  hint text;
BEGIN
  PERFORM streamx.create_continuous_view('v', query);
  RAISE EXCEPTION 'ACCEPTED';      -- which takes it back
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  state := SQLSTATE;
  message := replace(SQLERRM, 'cannot maintain continuous view "v"', '-') ||
    E'\n  ' || coalesce(nullif(detail, ''), 'NO DETAIL') || E'\n  ' || coalesce(nullif(hint, ''), 'NO HINT');
END $$;
-- each with its reason and its hint
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' '
SELECT q || E'\n ', r.state, r.message FROM shapes, refused(q) r ORDER BY n;
\pset format aligned
\pset tuples_only off
-- none was made, nothing is left
SELECT view FROM streamx.continuous_views;

\set ECHO none
\i test/lib/clean.sql
