--
-- Shapes of queries that are maintained: keys of every kind, HAVING, joins,
-- views over streams, subqueries, sublinks, transforms, functions.  Each view
-- equals the same query over a table with the same rows.
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

-- ---- keys of every type that has an order ----
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN code AS text CHECK (VALUE <> '');
CREATE TABLE samples (type text, vals text[]);
INSERT INTO samples VALUES
  ('bool', '{t,f,NULL}'),
  ('"char"', '{a,b,NULL,A}'),
  ('int2', '{1,-2,NULL,32767}'),
  ('int4', '{1,-2147483648,NULL,2147483647}'),
  ('int8', '{1,-9223372036854775808,NULL,9223372036854775807}'),
  ('float4', '{0,-0,NULL,NaN,Infinity,1.5}'),
  ('float8', '{0,-0,NULL,NaN,-Infinity,NaN}'),
  ('numeric', '{1.0,1.00,NULL,1,1e0,NaN,NaN,0,0.000}'),
  ('numeric(6,2)', '{1.0,1.00,NULL,1.005,-1}'),
  ('money', '{1.25,NULL,-3}'),
  ('interval', '{1 day,24:00:00,NULL,1 mon,30 days,-1 day}'),
  ('date', '{2024-02-29,NULL,infinity}'),
  ('time', '{00:00,NULL,24:00}'),
  ('timetz', '{12:00+00,NULL,13:00+01,12:00+00}'),
  ('timestamp', '{2024-02-29 12:00,NULL,-infinity}'),
  ('timestamptz', '{2024-02-29 12:00+02,NULL,2024-02-29 10:00+00,infinity}'),
  ('text', '{a,A,"",NULL,"a "}'),
  ('text COLLATE "C"', '{a,A,"",NULL,Ä,ä,b}'),
  ('varchar(5)', '{a,A,"",NULL,"a "}'),
  ('bpchar', '{a,A,"",NULL,"a "}'),
  ('char(3)', '{a,A,"",NULL,"a "}'),
  ('name', '{a,A,NULL}'),
  ('text COLLATE "POSIX"', '{a,A,"",NULL,b,B}'),
  ('code', '{a,A,NULL,b,B}'),
  ('bytea', '{"\\\\x00","\\\\x",NULL,"\\\\x0000"}'),
  ('inet', '{10.0.0.1/8,10.0.0.1,NULL,::1}'),
  ('cidr', '{10.0.0.0/8,NULL,::1}'),
  ('macaddr', '{08:00:2b:01:02:03,NULL,0800.2b01.0203}'),
  ('macaddr8', '{08:00:2b:01:02:03:04:05,NULL}'),
  ('uuid', '{00000000-0000-0000-0000-000000000001,NULL,ffffffff-ffff-ffff-ffff-ffffffffffff}'),
  ('oid', '{0,4294967295,NULL}'),
  ('regclass', '{pg_class,pg_type,NULL}'),
  ('xid8', '{0,18446744073709551615,NULL}'),
  ('pg_lsn', '{0/0,NULL,FF/FF}'),
  ('tid', '{"(0,1)",NULL,"(4294967295,65535)"}'),
  ('bit(3)', '{101,NULL,000}'),
  ('varbit', '{101,NULL,"",1,10}'),
  ('mood', '{ok,sad,NULL}'),
  ('jsonb', '{1,1.0,NULL,"{\"a\": 1, \"b\": [true]}","{\"b\": [true], \"a\": 1.00}","null"}'),
  ('tsvector', '{"a b","b a",NULL,""}'),
  ('tsquery', '{"a & b",NULL}'),
  ('pair', '{"(1,a)","(1,A)",NULL,"(,)"}'),
  ('int4[]', '{"{1,2}","{}",NULL,"{NULL}","{{1,2}}"}'),
  ('text[]', '{"{a}","{A}",NULL,"{}"}'),
  ('numeric[]', '{"{1.0}","{1.00}",NULL}'),
  ('pair[]', '{"{\"(1,a)\"}",NULL,"{}"}'),
  ('int4range', '{"[1,3]","[1,4)",NULL,empty,"(,)"}'),
  ('numrange', '{"[1.0,3]","[1,3.00]",NULL,empty}'),
  ('tstzrange', '{"[2024-01-01,2024-02-01)",NULL,empty}'),
  ('int4multirange', '{"{[1,3]}","{[1,4)}",NULL,"{}"}');
DO $$
DECLARE
  s record;
  cols text := 'id int, v int';
  exprs text := 'i, i * i';
BEGIN
  FOR s IN SELECT type, vals, row_number() OVER () AS n, cardinality(vals) AS len FROM samples LOOP
    cols := cols || format(', k%s %s', s.n, s.type);
    exprs := exprs || format(', (%L::text[])[1 + i %% %s]::%s', s.vals, s.len, s.type);
  END LOOP;
  EXECUTE format('CREATE TABLE k_in (%s)', cols);
  EXECUTE format('INSERT INTO k_in SELECT %s FROM generate_series(1, 40) AS i', exprs);
  CALL oracle.source('k');
  FOR s IN SELECT type, row_number() OVER () AS n FROM samples LOOP
    CALL oracle.view('k', 'k_' || s.n, format('SELECT k%s AS key, count(*), sum(v), min(id) FROM {s} GROUP BY k%1$s', s.n));
  END LOOP;
END $$;
-- several keys, no aggregate, a key twice, constants, a key that is an expression
CALL oracle.view('k', 'k_several', $$SELECT k1, count(*), k8, k17, k18, k39 FROM {s} GROUP BY k39, k1, k18, k17, k8$$);
CALL oracle.view('k', 'k_none', $$SELECT k18, k8 FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('k', 'k_twice', $$SELECT k4 AS a, k4 AS b, count(*) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('k', 'k_by_name', $$SELECT lower(k17) AS low, count(*) FROM {s} GROUP BY low$$);
CALL oracle.view('k', 'k_expr', $$SELECT id % 3 IS NULL AS n, k18 COLLATE "POSIX" AS exact, coalesce(k4, 0) AS k4, (k39 ->> 'a') AS j, count(*) FROM {s} GROUP BY 1, 2, 3, 4$$);
CALL oracle.run('k', '{1,2,3,5,6,20,40}');
SELECT oracle.found('k', $$UPDATE k_t SET k18 = 'a' WHERE id = 3$$) > 0 AS found;
SELECT DISTINCT regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE tablename IN ('k_2', 'k_several') ORDER BY 1;

-- ---- long keys: the index goes over to digests ----
CREATE TABLE l_in (id int, t text, b bytea, n numeric, a text[], v varbit, c text COLLATE "C", j jsonb);
INSERT INTO l_in
SELECT i, CASE WHEN i > 4 THEN repeat('x', 10000) || i % 3 ELSE 'short' || i % 3 END,
  decode(repeat(md5((i % 2)::text), i % 4 * 300), 'hex'), ('1' || repeat('0', i % 3 * 8000))::numeric, array_fill(md5((i % 3)::text), array[1 + i % 2 * 500]),
  repeat('10', i % 3 * 10000)::varbit, repeat(CASE i % 2 WHEN 0 THEN 'ab' ELSE 'AB' END, 5000) || i % 3,
  jsonb_build_object('a', repeat(md5((i % 3)::text), 400), 'b', i % 2)
FROM generate_series(1, 30) AS i;
-- compressed poorly, so that it is stored out of line
INSERT INTO l_in
SELECT 30 + i, (SELECT string_agg(md5((i % 2 * 1000 + g)::text), '') FROM generate_series(1, 500) g), NULL, NULL, NULL, NULL, NULL, NULL
FROM generate_series(1, 6) AS i;
CALL oracle.source('l');
CALL oracle.view('l', 'l_text', $$SELECT t, count(*), sum(id), max(t) FROM {s} GROUP BY t$$);
CALL oracle.view('l', 'l_bytea', $$SELECT b, count(*), max(t) FROM {s} GROUP BY b$$);
CALL oracle.view('l', 'l_numeric', $$SELECT n, count(*) FROM {s} GROUP BY n$$);
CALL oracle.view('l', 'l_array', $$SELECT a, count(*), max(a) FROM {s} GROUP BY a$$);
CALL oracle.view('l', 'l_bits', $$SELECT v, count(*) FROM {s} GROUP BY v$$);
CALL oracle.view('l', 'l_c', $$SELECT c, count(*) FROM {s} GROUP BY c$$);
CALL oracle.view('l', 'l_json', $$SELECT j, count(*) FROM {s} GROUP BY j$$);
CALL oracle.view('l', 'l_mixed', $$SELECT id % 2 AS odd, t, c, count(*), min(t) FROM {s} GROUP BY 1, 2, 3$$);
CALL oracle.run('l', '{1,2,5,6,15,30,33,36}');
SELECT oracle.found('l', $$UPDATE l_t SET t = t || '.' WHERE id = 36$$) > 0 AS found;
SELECT regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE tablename = 'l_mixed';

-- ---- HAVING: groups that qualify, cease to, and qualify again ----
CREATE TABLE g_in (id int, k int, v int);
INSERT INTO g_in SELECT i, i % 4, CASE WHEN i % 3 = 0 THEN -7 ELSE 3 END FROM generate_series(1, 60) AS i;
CALL oracle.source('g');
CALL oracle.view('g', 'g_sum', $$SELECT k, sum(v), count(*) FROM {s} GROUP BY k HAVING sum(v) > 0$$);
CALL oracle.view('g', 'g_odd', $$SELECT k, count(*) FROM {s} GROUP BY k HAVING count(*) % 2 = 1$$);
CALL oracle.view('g', 'g_all', $$SELECT sum(v), count(*) FROM {s} HAVING count(*) % 2 = 1$$);
CALL oracle.view('g', 'g_never', $$SELECT k, count(*) FROM {s} GROUP BY k HAVING false$$);
CALL oracle.view('g', 'g_null', $$SELECT k, count(*) FROM {s} GROUP BY k HAVING nullif(sum(v), 3) <> 0$$);
CALL oracle.view('g', 'g_key', $$SELECT k, count(*) FROM {s} GROUP BY k HAVING k > 1 OR bool_or(v > 100)$$);
CALL oracle.view('g', 'g_least', $$SELECT min(k), max(k) FROM {s} WHERE k = 1$$);
CALL oracle.view('g', 'g_greatest', $$SELECT max(v) FROM {s} WHERE v = 3$$);
CALL oracle.view('g', 'g_other', $$SELECT k FROM {s} GROUP BY k HAVING max(v) - min(v) = 10$$);
CALL oracle.view('g', 'g_grouping', $$SELECT k, grouping(k) AS none, count(*) FROM {s} GROUP BY k HAVING grouping(k) = 0$$);
CALL oracle.run('g', '{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,33,60}');
SELECT oracle.found('g', $$UPDATE g_t SET v = 1000 WHERE id = 60$$) > 0 AS found;

-- ---- joins with tables, views, functions ----
CREATE TABLE c_in (id int, page text, uid int, amount numeric, at timestamp);
INSERT INTO c_in
SELECT i, 'p' || i % 6, nullif(i % 5, 4), i * 1.5, timestamp '2024-01-01' + i * interval '1 hour' FROM generate_series(1, 80) AS i;
CREATE TABLE pages (page text PRIMARY KEY, title text, cat int);
INSERT INTO pages VALUES ('p0', 'Home', 1), ('p1', 'News', 1), ('p2', 'Shop', 2), ('p4', NULL, NULL), ('p9', 'Nobody', 1);
CREATE TABLE cats (cat int, label text);
INSERT INTO cats VALUES (1, 'one'), (1, 'uno'), (2, 'two'), (3, 'three');
CREATE TABLE prices (page text, valid tsrange, price numeric);
INSERT INTO prices VALUES ('p1', '[2024-01-01,2024-01-02)', 1), ('p1', '[2024-01-02,)', 2), ('p2', '(,)', 3);
CREATE VIEW titles AS SELECT page AS pg, upper(title) AS title FROM pages WHERE cat IS NOT NULL;
CALL oracle.source('c');
CALL oracle.view('c', 'c_inner', $$SELECT title, count(*), sum(amount) FROM {s} JOIN pages USING (page) GROUP BY title$$);
CALL oracle.view('c', 'c_left', $$SELECT p.title, count(*), count(p.page) AS known FROM {s} s LEFT JOIN pages p ON p.page = s.page AND p.cat = 1 GROUP BY p.title$$);
CALL oracle.view('c', 'c_right', $$SELECT p.title, count(*) FROM pages p RIGHT JOIN {s} s ON s.page = p.page GROUP BY 1$$);
CALL oracle.view('c', 'c_natural', $$SELECT cat, count(*), max(amount) FROM {s} NATURAL JOIN pages GROUP BY cat$$);
CALL oracle.view('c', 'c_several', $$SELECT label, p.cat, count(*) FROM {s} JOIN pages p USING (page) LEFT JOIN cats c ON c.cat = p.cat GROUP BY 1, 2$$);
CALL oracle.view('c', 'c_comma', $$SELECT label, count(*) FROM {s} s, pages p, cats c WHERE s.page = p.page AND c.cat = p.cat GROUP BY label$$);
CALL oracle.view('c', 'c_cross', $$SELECT label, sum(amount) FROM {s} CROSS JOIN cats GROUP BY label$$);
CALL oracle.view('c', 'c_range', $$SELECT s.page, sum(price * amount) FROM {s} s JOIN prices p ON p.page = s.page AND p.valid @> s.at GROUP BY 1$$);
CALL oracle.view('c', 'c_nested', $$SELECT label, count(*), count(l.cat) AS n FROM {s} s LEFT JOIN (pages p JOIN cats USING (cat)) l ON l.page = s.page GROUP BY 1$$);
CALL oracle.view('c', 'c_lateral', $$SELECT l.title, count(*) FROM {s} s, LATERAL (SELECT title FROM pages p WHERE p.page <= s.page ORDER BY page DESC LIMIT 1) l GROUP BY 1$$);
CALL oracle.view('c', 'c_lateral_left', $$SELECT l.n, count(*) FROM {s} s LEFT JOIN LATERAL (SELECT count(*) AS n FROM pages p WHERE p.page < s.page) l ON l.n > 1 GROUP BY 1$$);
CALL oracle.view('c', 'c_function', $$SELECT g, count(*) FROM {s}, generate_series(1, uid) AS g GROUP BY g$$);
CALL oracle.view('c', 'c_values', $$SELECT v.name, count(*) FROM {s} JOIN (VALUES (0, 'zero'), (1, 'one'), (1, 'uno')) AS v (n, name) ON v.n = uid GROUP BY 1$$);
CALL oracle.view('c', 'c_view', $$SELECT title, count(*) FROM {s} JOIN titles ON pg = page GROUP BY title$$);
CALL oracle.view('c', 'c_grouped_table', $$SELECT n, count(*) FROM {s} JOIN (SELECT page, count(*) AS n FROM pages LEFT JOIN cats USING (cat) GROUP BY page) x USING (page) GROUP BY n$$);
CALL oracle.view('c', 'c_union_tables', $$SELECT t, count(*) FROM {s} JOIN (SELECT page, title AS t FROM pages UNION SELECT 'p3', 'three' UNION ALL SELECT 'p3', 'three') x USING (page) GROUP BY t$$);
CALL oracle.view('c', 'c_rec', $$WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n, count(*) FROM {s} JOIN r ON r.n = uid GROUP BY n$$);
-- subqueries in expressions
CALL oracle.view('c', 'c_exists', $$SELECT page, count(*) FROM {s} s WHERE EXISTS (SELECT FROM pages p WHERE p.page = s.page AND cat = 1) GROUP BY 1$$);
CALL oracle.view('c', 'c_not_exists', $$SELECT page, count(*) FROM {s} s WHERE NOT EXISTS (SELECT FROM pages p WHERE p.page = s.page) GROUP BY 1$$);
CALL oracle.view('c', 'c_in_list', $$SELECT page, count(*) FROM {s} WHERE page IN (SELECT page FROM pages WHERE cat = 1) GROUP BY 1$$);
CALL oracle.view('c', 'c_not_in', $$SELECT page, count(*) FROM {s} WHERE uid NOT IN (SELECT cat FROM pages WHERE cat IS NOT NULL) GROUP BY 1$$);
CALL oracle.view('c', 'c_any', $$SELECT page, count(*) FROM {s} WHERE amount > ALL (SELECT cat * 10 FROM cats) AND uid = ANY ('{1,2}') GROUP BY 1$$);
CALL oracle.view('c', 'c_scalar', $$SELECT page, count(*), sum(amount * (SELECT max(cat) FROM cats)) FROM {s} WHERE amount > (SELECT avg(cat) FROM cats) GROUP BY 1$$);
CALL oracle.view('c', 'c_key_sub', $$SELECT (SELECT title FROM pages p WHERE p.page = s.page) AS title, count(*) FROM {s} s GROUP BY 1$$);
CALL oracle.view('c', 'c_agg_sub', $$SELECT uid, sum((SELECT cat FROM pages p WHERE p.page = s.page)), count(*) FILTER (WHERE EXISTS (SELECT FROM cats WHERE cat = uid)) AS c FROM {s} s GROUP BY 1$$);
-- subqueries and WITH queries that are plain selections, some deep
CALL oracle.view('c', 'c_sub', $$SELECT q.double, count(*) FROM (SELECT amount * 2 AS double, page FROM {s} WHERE uid > 0) q WHERE page <> 'p1' GROUP BY 1$$);
CALL oracle.view('c', 'c_with', $$WITH big AS (SELECT * FROM {s} WHERE amount > 20), named AS (SELECT b.*, title FROM big b LEFT JOIN pages USING (page)) SELECT title, uid, avg(amount) FROM named GROUP BY title, uid$$);
CALL oracle.view('c', 'c_materialized', $$WITH big AS MATERIALIZED (SELECT page, amount FROM {s} WHERE amount > 20) SELECT page, avg(amount) FROM big GROUP BY page$$);
CALL oracle.view('c', 'c_with_table', $$WITH t AS (SELECT * FROM pages) SELECT a.title, b.title AS other, count(*) FROM {s} s JOIN t a USING (page) JOIN t b ON b.cat = a.cat GROUP BY 1, 2$$);
CALL oracle.view('c', 'c_srf_below', $$SELECT letter, count(*) FROM (SELECT regexp_split_to_table(page || 'xy', '') AS letter FROM {s}) q GROUP BY letter$$);
CALL oracle.view('c', 'c_words', $$SELECT word, count(*) FROM {s}, unnest(string_to_array(page || ' ' || coalesce(uid::text, 'nobody'), ' ')) AS word GROUP BY word$$);
CALL oracle.view('c', 'c_srf_key', $$SELECT regexp_split_to_table(page, '') AS letter, uid, count(*), sum(amount) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('c', 'c_ordered', $$SELECT page, count(*) FROM {s} GROUP BY page ORDER BY count(*) DESC, 1$$);
-- no aggregate, no grouping: rows are appended
CALL oracle.view('c', 't_star', $$SELECT * FROM {s}$$);
CALL oracle.view('c', 't_where', $$SELECT id, page || '!' AS p, amount::int AS a, CASE WHEN uid IS NULL THEN 'nobody' ELSE 'user ' || uid END AS who FROM {s} WHERE id % 2 = 0$$);
CALL oracle.view('c', 't_constant', $$SELECT 1 AS one, 'x' AS x, NULL AS nothing FROM {s}$$);
CALL oracle.view('c', 't_join', $$SELECT s.id, p.*, l.label FROM {s} s LEFT JOIN pages p USING (page) LEFT JOIN cats l USING (cat)$$);
CALL oracle.view('c', 't_srf', $$SELECT id, generate_series(1, uid) AS g, unnest(array['a', page]) AS u FROM {s}$$);
CALL oracle.view('c', 't_srf_from', $$SELECT id, x.key, x.value, n FROM {s} s, jsonb_each_text(to_jsonb(s)) WITH ORDINALITY AS x (key, value, n)$$);
CALL oracle.view('c', 't_row', $$SELECT s AS whole, row_to_json(s) AS j, (SELECT title FROM pages p WHERE p.page = s.page) AS title FROM {s} s$$);
CALL oracle.view('c', 't_sub', $$SELECT q.* FROM (SELECT id, md5(page) AS m FROM {s} ORDER BY 1) q WHERE id IN (SELECT cat FROM cats UNION SELECT 7) ORDER BY m$$);
-- functions of the user's
CREATE FUNCTION fee(a numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT round(a * 0.1, 2)';
CREATE FUNCTION title_of(p text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT title FROM pages WHERE page = p); END $$;
CREATE FUNCTION parts_of(p text) RETURNS TABLE (part text, n int) LANGUAGE sql STABLE AS $$ SELECT substr(p, g, 1), g FROM generate_series(1, length(p)) g $$;
CREATE FUNCTION level(a numeric) RETURNS mood LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN CASE WHEN a > 50 THEN 'happy' WHEN a > 20 THEN 'ok' ELSE 'sad' END; END $$;
CALL oracle.view('c', 'c_functions', $$SELECT title_of(page) AS title, level(amount) AS level, sum(fee(amount)), max(level(amount)) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('c', 'c_table_function', $$SELECT part, n, count(*) FROM {s}, parts_of(page) GROUP BY 1, 2$$);
-- (the whole row has the name of its table's type: compared without it)
UPDATE oracle.views SET query = replace(query, 's AS whole', 's::text AS whole') WHERE view = 't_row';
CALL oracle.run('c', '{1,2,3,7,30,31,80}');
SELECT oracle.found('c', $$UPDATE c_t SET amount = 0.01 WHERE id = 80$$) > 0 AS in_tables,
       oracle.found('c', $$DELETE FROM t_srf WHERE id = 3 AND g = 2$$) AS in_view;

-- a join takes the table as it is when a batch is taken in
INSERT INTO c_in VALUES (81, 'p7', 1, 1, '2024-01-01'), (82, 'p7', 1, 1, '2024-01-01');
SELECT oracle.feed('c', 80, 81);
CALL oracle.wait('c');
INSERT INTO pages VALUES ('p7', 'Late', 1);
SELECT oracle.feed('c', 81, 82);
CALL oracle.wait('c');
SELECT * FROM c_inner WHERE title = 'Late';

-- ---- views over a stream, with rights, and views over views ----
CREATE VIEW c_plain_s AS SELECT id, page, amount FROM c_s WHERE uid IS NOT NULL;
CREATE VIEW c_plain_t AS SELECT id, page, amount FROM c_t WHERE uid IS NOT NULL;
CREATE VIEW c_over_s AS SELECT p.title, c.amount FROM c_plain_s c LEFT JOIN pages p USING (page);
CREATE VIEW c_over_t AS SELECT p.title, c.amount FROM c_plain_t c LEFT JOIN pages p USING (page);
TRUNCATE c_t, oracle.views;
CREATE PROCEDURE view_over(name text, query text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM streamx.create_continuous_view(name, replace(query, '{}', '_s'));
  INSERT INTO oracle.views VALUES (name, 'c', replace(query, '{}', '_t'));
END $$;
CALL view_over('v_plain', 'SELECT page, sum(amount) FROM c_plain{} GROUP BY page');
CALL view_over('v_over', 'SELECT title, count(*) FROM c_over{} GROUP BY title');
CALL view_over('v_rows', 'SELECT * FROM c_over{}');
CALL oracle.run('c', '{5,6,80}');
SELECT oracle.found('c', $$UPDATE c_t SET amount = 0.01 WHERE id = 80$$) > 0 AS found;

\set ECHO none
\i test/lib/clean.sql
