--
-- Aggregates of installed extensions: hll and tdigest (packages
-- postgresql-NN-hll, postgresql-NN-tdigest).
--
SELECT count(*) < 2 AS missing FROM pg_available_extensions WHERE name IN ('hll', 'tdigest') \gset
\if :missing
\echo extensions hll and tdigest are not installed, nothing was tested
\quit
\endif
\set ECHO none
\i test/lib/begin.sql
\set ECHO all
SET client_min_messages = warning;
CREATE EXTENSION hll;
CREATE EXTENSION tdigest;
RESET client_min_messages;

CREATE TABLE h_in (id int, k int, i int, t text, f float8, n bigint, h hll, d tdigest);
INSERT INTO h_in
SELECT i, i % 3, i * 7919 % 1000, 'user ' || i % 400, i % 37 + i / 100.0, 1 + i % 4,
       hll_add(hll_empty(), hll_hash_integer(i % 500)), NULL
FROM generate_series(1, 3000) AS i;
UPDATE h_in SET d = s.d FROM (SELECT id % 50 AS m, tdigest(f, 50) AS d FROM h_in GROUP BY 1) s WHERE id % 50 = m;
CALL oracle.source('h');

-- every one of their aggregates is called below
SELECT e.extname, count(*), count(*) FILTER (WHERE aggcombinefn <> 0) AS merge
FROM pg_aggregate a JOIN pg_depend d ON d.objid = a.aggfnoid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid WHERE e.extname IN ('hll', 'tdigest') GROUP BY 1 ORDER BY 1;

-- sketches of distinct values are the same however they are merged
CALL oracle.view('h', 'h_distinct', $$SELECT k,
  hll_add_agg(hll_hash_integer(i)), #hll_add_agg(hll_hash_integer(i)) AS n, hll_cardinality(hll_add_agg(hll_hash_text(t), 12)) AS n12,
  hll_add_agg(hll_hash_text(t), 12, 4) AS a4, hll_add_agg(hll_hash_text(t), 12, 4, 32) AS a32, hll_add_agg(hll_hash_text(t), 12, 4, 32, 0) AS a0,
  hll_union_agg(h), round(#hll_union_agg(h)) || ' of ' || count(*) AS label, hll_add_agg(hll_hash_text(t)) FILTER (WHERE i < 100) AS few
  FROM {s} GROUP BY k$$);
CALL oracle.view('h', 'h_all', $$SELECT #hll_add_agg(hll_hash_integer(i)) AS n, #hll_union_agg(h) AS u FROM {s}$$);
-- digests keep count and sum
CALL oracle.view('h', 'd_sums', $$SELECT k,
  tdigest_count(tdigest(f, 100)) AS c1, tdigest_count(tdigest(f, n, 100)) AS c2, tdigest_count(tdigest(d)) AS c3,
  tdigest_sum(f, 100, 0, 1) AS s1, tdigest_sum(f, n, 100, 0, 1) AS s2, tdigest_sum(d, 0, 1) AS s3,
  tdigest_avg(f, 100, 0, 1) AS a1, tdigest_avg(f, n, 100, 0, 1) AS a2, tdigest_avg(d, 0, 1) AS a3
  FROM {s} GROUP BY k$$);
-- quantiles are near, not equal: compared below
SELECT streamx.create_continuous_view('d_near', $$SELECT k,
  tdigest_percentile(f, 100, 0.9) AS p1, tdigest_percentile(f, 100, array[0.5, 0.99]) AS p2,
  tdigest_percentile(f, n, 100, 0.9) AS p3, tdigest_percentile(f, n, 100, array[0.5, 0.99]) AS p4,
  tdigest_percentile(d, 0.9) AS p5, tdigest_percentile(d, array[0.5, 0.99]) AS p6,
  tdigest_percentile_of(f, 100, 20) AS o1, tdigest_percentile_of(f, 100, array[10.0, 30.0]) AS o2,
  tdigest_percentile_of(f, n, 100, 20) AS o3, tdigest_percentile_of(f, n, 100, array[10.0, 30.0]) AS o4,
  tdigest_percentile_of(d, 20) AS o5, tdigest_percentile_of(d, array[10.0, 30.0]) AS o6
  FROM h_s GROUP BY k$$);
CALL oracle.run('h', '{1,2,40,1000,3000}');
SELECT oracle.found('h', 'DELETE FROM h_t WHERE id = 3000') > 0 AS found;

-- exact quantiles of the same rows, within a twentieth
CREATE FUNCTION near(a float8, b float8) RETURNS boolean LANGUAGE sql AS $$ SELECT abs(a - b) <= 0.05 * abs(b) $$;
WITH w AS (      -- f with weight n
  SELECT k, f, n FROM h_t
), e AS (
  SELECT k, percentile_cont(0.9) WITHIN GROUP (ORDER BY f) AS p90, percentile_cont(0.5) WITHIN GROUP (ORDER BY f) AS p50,
         percentile_cont(0.99) WITHIN GROUP (ORDER BY f) AS p99,
         avg((f <= 20)::int) AS o20, avg((f <= 10)::int) AS o10, avg((f <= 30)::int) AS o30 FROM w GROUP BY k
), e2 AS (
  SELECT k, percentile_cont(0.9) WITHIN GROUP (ORDER BY f) AS p90, percentile_cont(0.5) WITHIN GROUP (ORDER BY f) AS p50,
         percentile_cont(0.99) WITHIN GROUP (ORDER BY f) AS p99,
         avg((f <= 20)::int) AS o20, avg((f <= 10)::int) AS o10, avg((f <= 30)::int) AS o30
  FROM w, generate_series(1, n) GROUP BY k
), e3 AS (
  SELECT k, tdigest_percentile(d, 0.9) AS p90, tdigest_percentile(d, 0.5) AS p50, tdigest_percentile(d, 0.99) AS p99,
         tdigest_percentile_of(d, 20) AS o20, tdigest_percentile_of(d, 10) AS o10, tdigest_percentile_of(d, 30) AS o30
  FROM h_t GROUP BY k
)
SELECT k, near(p1, e.p90) AS p1, near(p2[1], e.p50) AND near(p2[2], e.p99) AS p2,
  near(p3, e2.p90) AS p3, near(p4[1], e2.p50) AND near(p4[2], e2.p99) AS p4,
  near(p5, e3.p90) AS p5, near(p6[1], e3.p50) AND near(p6[2], e3.p99) AS p6,
  near(o1, e.o20) AS o1, near(o2[1], e.o10) AND near(o2[2], e.o30) AS o2,
  near(o3, e2.o20) AS o3, near(o4[1], e2.o10) AND near(o4[2], e2.o30) AS o4,
  near(o5, e3.o20) AS o5, near(o6[1], e3.o10) AND near(o6[2], e3.o30) AS o6
FROM d_near JOIN e USING (k) JOIN e2 USING (k) JOIN e3 USING (k) ORDER BY k;

\set ECHO none
\i test/lib/clean.sql
