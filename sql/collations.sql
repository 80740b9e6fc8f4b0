--
-- Keys whose equality is not that of their bytes: a collation that ignores
-- case (needs a server with ICU), types of the extensions citext and hstore.
--
SELECT count(*) < 2 OR (SELECT count(*) FROM pg_collation WHERE collprovider = 'i') < 2 AS missing
FROM pg_available_extensions WHERE name IN ('citext', 'hstore') \gset
\if :missing
\echo ICU, citext or hstore is not there, nothing was tested
\quit
\endif
\set ECHO none
\i test/lib/begin.sql
\set ECHO all
SET client_min_messages = warning;
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
RESET client_min_messages;

CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN code AS citext CHECK (VALUE <> '');
CREATE TABLE k_in (id int, v int, n text COLLATE nocase, t citext, c code, h hstore, a text[] COLLATE nocase);
INSERT INTO k_in
SELECT i, i * i, ('{a,A,"",NULL,Ä,ä,b}'::text[])[1 + i % 7], ('{a,A,"",NULL,b,B}'::text[])[1 + i % 6], ('{a,A,NULL,b,B}'::text[])[1 + i % 5],
  ('{"a=>1,b=>2","b=>2,a=>1",NULL}'::text[])[1 + i % 3]::hstore, CASE WHEN i % 4 > 0 THEN array[('{x,X,y}'::text[])[1 + i % 3]] END
FROM generate_series(1, 40) AS i;
CALL oracle.source('k');
CALL oracle.view('k', 'k_n', $$SELECT n AS key, count(*), sum(v), min(id) FROM {s} GROUP BY n$$);
CALL oracle.view('k', 'k_x', $$SELECT t AS key, count(*), sum(v), min(id) FROM {s} GROUP BY t$$);
CALL oracle.view('k', 'k_c', $$SELECT c AS key, count(*), sum(v), min(id) FROM {s} GROUP BY c$$);
CALL oracle.view('k', 'k_h', $$SELECT h AS key, count(*), sum(v), min(id) FROM {s} GROUP BY h$$);
CALL oracle.view('k', 'k_a', $$SELECT a AS key, count(*), sum(v), min(id) FROM {s} GROUP BY a$$);
CALL oracle.view('k', 'k_several', $$SELECT t, h, n, count(*) FROM {s} GROUP BY n, t, h$$);
CALL oracle.view('k', 'k_none', $$SELECT n, c FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('k', 'k_expr', $$SELECT n COLLATE "C" AS exact, upper(t) AS t, count(*) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('k', 'k_max', $$SELECT v % 3 AS v, max(lower(n)) AS n, min(lower(t::text)) AS t FROM {s} GROUP BY 1$$);
CALL oracle.view('k', 'k_held', $$SELECT n, array_agg(id ORDER BY id) AS ids, count(DISTINCT t) AS ts FROM {s} GROUP BY n$$);
CALL oracle.view('k', 'k_distinct', $$SELECT v % 3 AS v, count(DISTINCT n) AS ns, count(DISTINCT t) AS ts, count(DISTINCT n COLLATE "C") AS exact, count(DISTINCT (n, c)) AS pairs FROM {s} GROUP BY 1$$);
CALL oracle.view('k', 'k_sum', $$SELECT n, sum(DISTINCT v % 5) FROM {s} GROUP BY n$$);
CALL oracle.view('k', 'k_where', $$SELECT id, t FROM {s} WHERE n = 'A' OR t = 'B'$$);
CALL oracle.run('k', '{1,2,3,5,6,20,40}');
SELECT oracle.found('k', $$UPDATE k_t SET n = 'b' WHERE id = 3$$) > 0 AS found;
SELECT DISTINCT regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE tablename IN ('k_n', 'k_several') ORDER BY 1;

-- ---- long keys: the index goes over to digests ----
CREATE TABLE l_in (id int, t text, c text COLLATE nocase, x citext);
INSERT INTO l_in
SELECT i, CASE WHEN i > 4 THEN repeat('x', 10000) || i % 3 ELSE 'short' || i % 3 END,
  repeat(CASE i % 2 WHEN 0 THEN 'ab' ELSE 'AB' END, 5000) || i % 3, repeat(CASE i % 2 WHEN 0 THEN 'ab' ELSE 'AB' END, 2000) || i % 3
FROM generate_series(1, 30) AS i;
CALL oracle.source('l');
CALL oracle.view('l', 'l_nocase', $$SELECT c, count(*) FROM {s} GROUP BY c$$);
CALL oracle.view('l', 'l_citext', $$SELECT x, count(*) FROM {s} GROUP BY x$$);
CALL oracle.view('l', 'l_mixed', $$SELECT id % 2 AS odd, t, c, count(*), min(t) FROM {s} GROUP BY 1, 2, 3$$);
CALL oracle.run('l', '{1,2,5,6,15,30}');
SELECT regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE tablename = 'l_mixed';

\set ECHO none
\i test/lib/clean.sql
