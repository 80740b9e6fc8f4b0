--
-- Every aggregate that has a combine function, over every type it takes:
-- the view equals the batch.  The list comes from the catalogs, so that none
-- is left out.
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE textrange AS RANGE (subtype = text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);

-- what goes into a column of each type; the numbers of values have few
-- common divisors, so that the columns go their own ways
CREATE TABLE samples (type text, vals text[]);
INSERT INTO samples VALUES
  ('bool', '{t,f,t,NULL,t}'),
  ('int2', '{1,-2,32767,NULL,-32768,0,7}'),
  ('int4', '{5,-2147483648,2147483647,NULL,0,-1,12,12,3,100,2147483647}'),
  ('int8', '{9223372036854775807,9223372036854775807,-1,NULL,0,12,-9223372036854775808}'),
  ('float4', '{1.5,-2.25,0,NULL,1e10,3.14159,-1e-5}'),
  ('float8', '{1.5,-2.25,0,NULL,1e10,3.14159,-1e-5,12345.678,2,0.1,0.2}'),
  ('numeric', '{1.0,1.00,-2.5,NULL,0,0.000,12345678901234567890.123456789,-1e-20,3}'),
  ('money', '{1.25,-3.50,NULL,92233720368.75,0}'),
  ('interval', '{1 day,-2 hours,NULL,1 mon 3 days,0,24:00:00.000001,-1 year}'),
  ('date', '{2024-02-29,infinity,NULL,1999-12-31,-infinity,0044-03-15 BC}'),
  ('time', '{00:00,23:59:59.999999,NULL,24:00,12:30}'),
  ('timetz', '{00:00+00,23:59:59.999999-08,NULL,12:30+05:30,12:30-05}'),
  ('timestamp', '{2024-02-29 12:00,infinity,NULL,1999-12-31 23:59:59.999999,0044-03-15 BC}'),
  ('timestamptz', '{2024-02-29 12:00+02,-infinity,NULL,1999-12-31 23:59:59.999999-08,2024-02-29 10:00+00}'),
  ('text', '{b,a,"",NULL,Zebra,ä,"a ",apple}'),
  ('varchar(10)', '{b,a,"",NULL,Zebra,zz}'),
  ('bpchar', '{b,"a ",a,NULL,Z}'),
  ('char(4)', '{b,"a ",abcd,NULL,""}'),
  ('name', '{b,a,NULL,relname}'),
  ('bytea', '{"\\\\x00ff","\\\\x",NULL,"\\\\xdeadbeef"}'),
  ('inet', '{10.0.0.1/8,10.0.0.1,NULL,::1,2001:db8::/32,0.0.0.0/0}'),
  ('cidr', '{10.0.0.0/8,10.0.0.1,NULL,2001:db8::/32}'),
  ('pg_lsn', '{0/0,16/B374D848,NULL,FFFFFFFF/FFFFFFFF}'),
  ('tid', '{"(0,1)","(4294967295,65535)",NULL,"(0,2)","(7,1)"}'),
  ('oid', '{0,4294967295,NULL,17}'),
  ('xid8', '{0,18446744073709551615,NULL,17}'),
  ('bit(12)', '{101010101010,111111111111,NULL,000000000001}'),
  ('varbit', '{1010,1111,NULL,0001,0111}'),
  ('mood', '{ok,sad,NULL,happy}'),
  ('uuid', '{00000000-0000-0000-0000-000000000001,NULL,ffffffff-ffff-ffff-ffff-ffffffffffff}'),
  ('json', '{1,NULL,[]}'),
  ('jsonb', '{1,NULL,[]}'),
  ('point', '{"(1,2)",NULL,"(0,0)"}'),
  ('pair', '{"(1,b)",NULL,"(,)"}'),
  ('positive', '{1,NULL,7}'),
  ('int4[]', '{"{1,2}","{}",NULL,"{1,NULL}","{{1},{2}}","{-1}"}'),
  ('text[]', '{"{a,b}","{}",NULL,"{NULL}","{Ab}"}'),
  ('numeric[]', '{"{1.0}","{1.00}",NULL,"{-3,2}"}'),
  ('float8[]', '{"{1.5}","{NaN}",NULL,"{-3,2}"}'),
  ('timestamptz[]', '{"{2024-02-29 12:00+02}",NULL,"{infinity}"}'),
  ('mood[]', '{"{ok,sad}",NULL,"{happy}"}'),
  ('pair[]', '{"{\"(1,b)\"}",NULL,"{\"(1,a)\"}"}'),
  ('int4range', '{"[1,10)","[3,20]",NULL,"(,100)",empty,"[5,5]"}'),
  ('int8range', '{"[1,10)","[3,20]",NULL,"(,100)"}'),
  ('numrange', '{"[1.5,10)","[3,20.0]",NULL,"(,100)"}'),
  ('tsrange', '{"[2024-01-01,2024-12-31)","[2024-06-01,infinity]",NULL}'),
  ('tstzrange', '{"[2024-01-01,2024-12-31)","[2024-06-01,infinity]",NULL}'),
  ('daterange', '{"[2024-01-01,2024-12-31)","[2024-06-01,2025-01-01]",NULL}'),
  ('textrange', '{"[a,f)","[b,z]",NULL}'),
  ('int4multirange', '{"{[1,10),[20,30)}","{[3,25]}",NULL,"{}"}'),
  ('int8multirange', '{"{[1,10),[20,30)}","{[3,25]}",NULL}'),
  ('nummultirange', '{"{[1.5,10),[20,30)}","{[3,25]}",NULL}'),
  ('tsmultirange', '{"{[2024-01-01,2024-12-31)}","{[2024-06-01,infinity]}",NULL}'),
  ('tstzmultirange', '{"{[2024-01-01,2024-12-31)}","{[2024-06-01,infinity]}",NULL}'),
  ('datemultirange', '{"{[2024-01-01,2024-12-31)}","{[2024-06-01,2025-01-01]}",NULL}'),
  ('textmultirange', '{"{[a,f),[x,z)}","{[b,z]}",NULL}');

-- 45 rows: two columns of each type, a (a1, b1, ...) and its neighbour's row
DO $$
DECLARE
  s record;
  cols text := 'id int, k int';
  exprs text := 'i, nullif(i % 5, 4)';
BEGIN
  FOR s IN SELECT type, vals, row_number() OVER () AS n, cardinality(vals) AS len FROM samples LOOP
    cols := cols || format(', a%s %s, b%1$s %2$s', s.n, s.type);
    -- group 3 has NULLs only
    exprs := exprs || format(', CASE WHEN i %% 5 <> 3 THEN (%L::text[])[1 + i %% %s]::%s END, (%1$L::text[])[1 + i / 3 %% %2$s]::%3$s',
                             s.vals, s.len, s.type);
  END LOOP;
  EXECUTE format('CREATE TABLE a_in (%s)', cols);
  EXECUTE format('INSERT INTO a_in SELECT %s FROM generate_series(1, 45) AS i', exprs);
END $$;
CALL oracle.source('a');

-- aggregates that 15 does not have, or only with libxml (array_agg and
-- string_agg, which have a combine function since 16, are held as before)
CREATE VIEW later AS SELECT oid FROM pg_proc WHERE prokind = 'a' AND oid::regprocedure::text
  ~ '^(any_value|\w+_agg_(strict|unique|unique_strict)|xmlagg)\(|^(min|max)\((bytea|record)\)';

-- the calls of each aggregate, by the columns that fit its arguments
CREATE TABLE calls AS
WITH cols AS (
  SELECT n, type::regtype AS type, t.typtype, t.typcategory
  FROM (SELECT row_number() OVER () AS n, type FROM samples) s JOIN pg_type t ON t.oid = s.type::regtype
), aggs AS (
  SELECT p.oid, p.proname, p.pronargs, p.proargtypes[0]::regtype::text AS arg,
    a.aggcombinefn <> 0 AND p.proname NOT IN ('array_agg', 'string_agg') AS merges
  FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid
  WHERE a.aggkind = 'n' AND p.pronamespace = 'pg_catalog'::regnamespace
    AND p.oid NOT IN (TABLE later)
)
SELECT g.oid::regprocedure AS agg, g.merges, c.type,
       CASE g.pronargs WHEN 0 THEN 'count(*)'
         WHEN 1 THEN format('%s(a%s)', g.proname, c.n)
         ELSE format('%s(a%s, b%2$s)', g.proname, c.n) END AS call
FROM aggs g LEFT JOIN cols c ON
  CASE g.arg
    WHEN '"any"' THEN true
    WHEN 'anyelement' THEN true
    WHEN 'anynonarray' THEN c.typcategory <> 'A'
    WHEN 'anyarray' THEN c.typcategory = 'A'
    WHEN 'anyenum' THEN c.typtype = 'e'
    WHEN 'anyrange' THEN c.typtype = 'r'
    WHEN 'anymultirange' THEN c.typtype = 'm'
    ELSE c.type::text = g.arg
      -- types that have no aggregate of their own use another type's
      OR g.proname IN ('min', 'max') AND
         (c.type::text, g.arg) IN (('character varying', 'text'), ('name', 'text'), ('cidr', 'inet'), ('positive', 'integer'))
      OR g.proname LIKE 'bit\_%' AND (c.type::text, g.arg) = ('bit varying', 'bit')
  END;

-- aggregates that no column fits: count(*) alone
SELECT agg FROM calls WHERE type IS NULL;
-- those that can be merged: all of them
SELECT count(DISTINCT agg) AS aggregates, count(*) AS calls,
       string_agg(DISTINCT split_part(agg::text, '(', 1), ' ') AS names
FROM calls WHERE merges;
SELECT count(*) AS aggregates FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid
WHERE aggkind = 'n' AND aggcombinefn <> 0 AND pronamespace = 'pg_catalog'::regnamespace
  AND proname NOT IN ('array_agg', 'string_agg') AND aggfnoid NOT IN (TABLE later);

-- a view for each type: its aggregates, with and without FILTER; grouped, and
-- one that has a single row
CREATE FUNCTION numbered(calls text[]) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(c || ' AS c' || i, ', ' ORDER BY i) FROM unnest(calls) WITH ORDINALITY AS u (c, i)
$$;
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN SELECT row_number() OVER (ORDER BY type) AS n,
             array_agg(call ORDER BY call) AS calls,
             array_agg(call || ' FILTER (WHERE id % 3 = 0)' ORDER BY call) AS filtered
           FROM calls WHERE merges AND type IS NOT NULL GROUP BY type LOOP
    CALL oracle.view('a', 'a_' || t.n, format('SELECT %s FROM {s} GROUP BY k',
                        numbered(array['k', 'count(*)'] || t.calls || t.filtered)));
    CALL oracle.view('a', 'b_' || t.n, format('SELECT %s FROM {s}', numbered(t.calls)));
  END LOOP;
END $$;
-- one row each before any input
CREATE TABLE before AS SELECT * FROM oracle.check('a');
TABLE before;
CALL oracle.run('a', '{1,2,3,10,17,45}');
-- and the comparison finds what is wrong, in the batch or in the view: a
-- value, a missing row, one too many
SELECT oracle.found('a', 'UPDATE a_t SET k = 0 WHERE id = 6') > 0 AS value,
       oracle.found('a', 'UPDATE a_1 SET c2 = c2 + 1 WHERE c1 = 2') AS one_value,
       oracle.found('a', 'DELETE FROM a_1 WHERE c1 = 2') AS missing,
       oracle.found('a', 'INSERT INTO a_1 (c1) VALUES (17)') AS extra,
       oracle.found('a', 'SELECT') AS none;

-- ---- not a number, infinite, huge ----
CREATE TABLE e_in (id int, k text, f4 float4, f8 float8, y float8, n numeric);
INSERT INTO e_in (k, f4, f8, y, n, id)
SELECT v.*, row_number() OVER () FROM (VALUES
  ('nan', 1.0::float4, 1.0::float8, 2.0::float8, 1::numeric),
  ('inf', 1, 1, 1, 1),
  ('both', 1, 'Infinity', 1, 'Infinity'),
  ('huge', 1e37, 1e150, 1e150, ('1' || repeat('0', 9000))::numeric),
  ('tiny', 1e-37, 1e-150, 1e-150, 1e-1000),
  ('nan', 'NaN', 'NaN', 3, 'NaN'),
  ('inf', 'Infinity', 'Infinity', 3, 'Infinity'),
  ('both', 'Infinity', '-Infinity', 'NaN', '-Infinity'),
  ('huge', 1e37, 1e150, 1e150, ('2' || repeat('7', 9000))::numeric),
  ('tiny', 1e-37, 1e-150, 3e-150, 1e-1001),
  ('nan', 3, 3, 4, 5),
  ('inf', 3, 3, 4, 5),
  ('both', 3, 3, 4, 5),
  ('huge', -1e37, -1e150, 1e149, ('-3' || repeat('1', 9001))::numeric),
  ('tiny', 0, 0, 0, 0),
  ('tiny', NULL, NULL, 1e-150, NULL),
  ('scale', 1, 1, 1, 1.10),
  ('scale', 1, 1, 1, 2.2000),
  ('scale', 1, 1, 1, ('0.' || repeat('3', 5000))::numeric)) AS v (k, f4, f8, y, n);
CALL oracle.source('e');
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN SELECT c.name, array_agg(DISTINCT CASE WHEN agg::text LIKE '%,%' THEN format('%s(%s, y)', split_part(agg::text, '(', 1), c.name)
                                             ELSE format('%s(%s)', split_part(agg::text, '(', 1), c.name) END) AS calls
           FROM calls, (VALUES ('f4', 'real'), ('f8', 'double precision'), ('n', 'numeric')) AS c (name, type)
           WHERE merges AND calls.type = c.type::regtype GROUP BY c.name LOOP
    CALL oracle.view('e', 'e_' || t.name, format('SELECT %s FROM {s} GROUP BY k', numbered('{k}' || t.calls)));
  END LOOP;
END $$;
CALL oracle.view('e', 'e_all', $$SELECT count(*), sum(n), avg(n) FILTER (WHERE k = 'huge') AS huge, max(n), min(n),
  var_pop(n) FILTER (WHERE k = 'scale') AS scale, sum(f8) AS f8, avg(f4) AS f4 FROM {s}$$);
CALL oracle.run('e', '{1,2,3,5,8,12,15,16,17,18,19}');

-- ---- several aggregates that share a state; expressions over them ----
CREATE TABLE x_in (id int, k int, t text, i int, n numeric, d float8, ok boolean, w interval);
INSERT INTO x_in
SELECT i, i % 7, chr(97 + i % 3), nullif(i * 37 % 101, 50), i * 1.25 - 40, sin(i), i % 4 <> 0, i * interval '17 minutes'
FROM generate_series(1, 200) AS i;
CALL oracle.source('x');
CALL oracle.view('x', 'x_shared', $$SELECT k, avg(n) AS a, sum(n) AS s, count(n), stddev(n), var_pop(n), sum(n) * 2 AS twice,
  avg(i) - min(i) AS above, avg(i) AS ai, sum(i), count(i) AS ci, count(*) AS c FROM {s} GROUP BY k$$);
CALL oracle.view('x', 'x_filters', $$SELECT k, sum(n) FILTER (WHERE ok) AS a, sum(n) FILTER (WHERE NOT ok) AS b,
  sum(n) FILTER (WHERE ok AND i > 10) AS c, sum(n) AS d, count(*) FILTER (WHERE false) AS none, max(t) FILTER (WHERE i IS NULL) AS e,
  sum(n) FILTER (WHERE ok) / nullif(sum(n) FILTER (WHERE NOT ok), 0) AS quotient FROM {s} GROUP BY k$$);
CALL oracle.view('x', 'x_exprs', $$SELECT k * 10 + 1 AS key, t || '!' AS mark, CASE WHEN sum(i) > 300 THEN 'much' ELSE 'little' END AS much,
  coalesce(max(i), -1) + count(*) AS sum_of_two, round(avg(n), 2)::text || ' (' || count(*) || ')' AS label,
  row(min(i), max(i))::text AS pair, array[min(t), max(t)] AS ts, greatest(max(n), max(i)) AS g, sum(w) / count(w) = avg(w) AS same,
  sum(i) > 100 AND bool_or(ok) AS both, k * 10 + 1 + sum(i) AS with_key, upper(t || '!') AS of_key
  FROM {s} GROUP BY k * 10 + 1, t || '!'$$);
CALL oracle.view('x', 'x_args', $$SELECT t, sum(i * 2 + k), max(t || i), avg(CASE WHEN ok THEN n END), count(nullif(i, 3)), sum(n::float8 / 3) AS third, min(w + interval '1 day')
  FROM {s} GROUP BY t$$);
-- HAVING over an aggregate of the select list and over one that is not there
CALL oracle.view('x', 'x_having', $$SELECT k, sum(n) FROM {s} GROUP BY k HAVING sum(n) > 100 AND count(*) % 2 = 1$$);
CALL oracle.view('x', 'x_constants', $$SELECT 'all' AS what, count(*), 17 AS c, sum(1), max('x'::text), NULL::int AS nothing FROM {s}$$);

-- an aggregate of the user's with a combine function: by SQL functions, with
-- an array as state and a final function
CREATE FUNCTION span_step(state int[], x int) RETURNS int[] LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN x IS NULL THEN state ELSE array[least(state[1], x), greatest(state[2], x)] END
$$;
CREATE FUNCTION span_merge(a int[], b int[]) RETURNS int[] LANGUAGE sql IMMUTABLE AS $$
  SELECT array[least(a[1], b[1]), greatest(a[2], b[2])]
$$;
CREATE FUNCTION span_final(state int[]) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN state[2] - state[1]; END $$;
CREATE AGGREGATE span(int) (SFUNC = span_step, STYPE = int[], COMBINEFUNC = span_merge, FINALFUNC = span_final, INITCOND = '{NULL,NULL}');
-- strict functions and no initial state: the first value is it
CREATE AGGREGATE product(numeric) (SFUNC = numeric_mul, STYPE = numeric, COMBINEFUNC = numeric_mul);
-- polymorphic, with a final function that needs to know the type
CREATE FUNCTION some_step(state anycompatiblearray, x anycompatible) RETURNS anycompatiblearray LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN state IS NULL THEN array[x] WHEN x = ANY (state) OR x IS NULL THEN state ELSE state || x END
$$;
CREATE FUNCTION some_merge(a anycompatiblearray, b anycompatiblearray) RETURNS anycompatiblearray LANGUAGE sql IMMUTABLE AS $$
  SELECT array(SELECT unnest(a) UNION SELECT unnest(b))
$$;
CREATE FUNCTION some_final(state anycompatiblearray, x anycompatible) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT count(DISTINCT u) FROM unnest(state) u
$$;
CREATE AGGREGATE different(anycompatible) (SFUNC = some_step, STYPE = anycompatiblearray, COMBINEFUNC = some_merge, FINALFUNC = some_final, FINALFUNC_EXTRA);
-- several arguments, of which one is variadic
CREATE FUNCTION most_step(state int, VARIADIC xs int[]) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT greatest(state, max(x)) FROM unnest(xs) x $$;
CREATE AGGREGATE most(VARIADIC int[]) (SFUNC = most_step, STYPE = int, COMBINEFUNC = int4larger);
-- two aggregates with one transition, different starts
CREATE AGGREGATE from_ten(int) (SFUNC = int4pl, STYPE = int, COMBINEFUNC = int4pl, INITCOND = '0');
CREATE FUNCTION double_it(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE AGGREGATE twice(int) (SFUNC = int4pl, STYPE = int, COMBINEFUNC = int4pl, INITCOND = '0', FINALFUNC = double_it);
CALL oracle.view('x', 'x_user', $$SELECT k, span(i), different(t), different(i) AS di, different(n) AS dn, most(i, k), most(k) AS mk,
  from_ten(i), twice(i), span(i) FILTER (WHERE ok) AS so FROM {s} GROUP BY k$$);
CALL oracle.view('x', 'x_product', $$SELECT t, product(1 + n / 1000), product(NULL) AS nothing FROM {s} GROUP BY t$$);
CALL oracle.view('x', 'x_user_all', $$SELECT span(i), different(t), most(i, k), from_ten(i), product(1 + n / 1000) FROM {s}$$);
CALL oracle.run('x', '{1,2,3,4,5,50,51,150,200}');

-- ---- of those that cannot be merged the rows are held, of each of them (see recompute) ----
CREATE FUNCTION held(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state regclass;
  result text;
BEGIN
  PERFORM streamx.create_continuous_view('held_view', query);
  SELECT v.state INTO state FROM streamx.continuous_views v WHERE view = 'held_view'::regclass;
  SELECT string_agg(attname, ' ' ORDER BY attnum) INTO result FROM pg_attribute WHERE attrelid = state AND attnum > 0;
  DROP TABLE held_view;
  RETURN result;
END $$;
SELECT agg, held(format('SELECT k, %s FROM a_s GROUP BY k', max(call)))
FROM calls WHERE NOT merges GROUP BY agg ORDER BY agg::text COLLATE "C";

-- ---- aggregates of later majors and XML, as far as they are there ----
CREATE TABLE n_in (id int, k int, i int, t text, b bytea, p pair);
INSERT INTO n_in
SELECT i, i % 3, nullif(i % 5, 0), chr(97 + i % 7), decode(lpad(to_hex(i * 37 % 101), 4, '0'), 'hex'), row(i * 37 % 101, 'x')::pair
FROM generate_series(1, 60) AS i;
CALL oracle.source('n');
CREATE FUNCTION those(calls text[][]) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(format(', %s AS l%s', calls[n][2], n), '' ORDER BY n) FROM generate_subscripts(calls, 1) AS n
  WHERE to_regprocedure(calls[n][1]) IS NOT NULL
$$;
CREATE FUNCTION has_xml() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  RETURN '<a/>'::xml IS NOT NULL;
EXCEPTION WHEN feature_not_supported THEN
  RETURN false;
END $$;
CALL oracle.view('n', 'n_merged', 'SELECT k, count(*)' || coalesce(those('{
  {any_value(anyelement), any_value(t)}, {min(bytea), min(b)}, {max(bytea), max(b) FILTER (WHERE id > 10)},
  {min(record), min(p)::text}, {max(record), max(p)::text}}'), '') || ' FROM {s} GROUP BY k');
CALL oracle.view('n', 'n_held', 'SELECT k, array_agg(i), string_agg(t, '','')' || coalesce(those('{
  {json_agg_strict(anyelement), json_agg_strict(i)}, {jsonb_agg_strict(anyelement), jsonb_agg_strict(i)},
  {"json_object_agg_strict(\"any\", \"any\")", "json_object_agg_strict(id, i)"},
  {"json_object_agg_unique(\"any\", \"any\")", "json_object_agg_unique(id, i)"},
  {"jsonb_object_agg_unique_strict(\"any\", \"any\")", "jsonb_object_agg_unique_strict(id, i)"},
  {any_value(anyelement), "JSON_ARRAYAGG(t ORDER BY id DESC)"}, {any_value(anyelement), "JSON_OBJECTAGG(id: t RETURNING jsonb)"}}'), '') ||
  CASE WHEN has_xml() THEN ', xmlagg(xmlelement(name a, t))' ELSE '' END || ' FROM {s} GROUP BY k');
CALL oracle.run('n', '{1,2,3,10,30,60}');

\set ECHO none
\i test/lib/clean.sql
