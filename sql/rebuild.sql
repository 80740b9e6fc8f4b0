--
-- streamx.rebuild: a view computed anew from its source, in one transaction
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

CREATE TABLE r_in (id int, ts timestamptz, k text, v int);
INSERT INTO r_in SELECT i, '2026-01-01 00:00:00Z'::timestamptz + i * '7 s'::interval, nullif('k' || i % 5, 'k0'), i % 11
FROM generate_series(1, 200) i;
CREATE TABLE dim (k text, name text);
INSERT INTO dim VALUES ('k1', 'one'), ('k2', 'two');
CREATE TABLE past (k text, v int);
INSERT INTO past VALUES ('k1', 1000), ('old', 5);
CALL oracle.source('r', $$OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 hour')$$);
CALL oracle.view('r', 'merged', $$SELECT k, count(*), sum(v), avg(v), max(ts) FROM {s} GROUP BY k$$);
CALL oracle.view('r', 'held', $$SELECT k, count(DISTINCT v), array_agg(v ORDER BY id) FROM {s} GROUP BY k$$);
CALL oracle.view('r', 'windows', $$SELECT tumble(ts, '1 minute') AS w, k, count(*), min(v) FROM {s} GROUP BY w, k$$);
CALL oracle.view('r', 'hops', $$SELECT hop(ts, '1 minute', '3 minutes') AS w, sum(v) FROM {s} GROUP BY w$$);
CALL oracle.view('r', 'visits', $$SELECT session(ts, '20 s') AS w, k, count(*) FROM {s} GROUP BY w, k$$);
CALL oracle.view('r', 'sets', $$SELECT k, GROUPING(k) AS g, count(*) FROM {s} GROUP BY ROLLUP (k)$$);
CALL oracle.view('r', 'total', $$SELECT count(*), sum(v) FROM {s}$$);
CALL oracle.view('r', 'named', $$SELECT name, sum(v) FROM {s} JOIN dim USING (k) GROUP BY name$$);
CALL oracle.view('r', 'plain', $$SELECT id, v * 2 AS v2 FROM {s} WHERE v > 3$$);
CALL oracle.view('r', 'history', $$SELECT k, sum(v) FROM (SELECT k, v FROM {s} UNION ALL SELECT k, v FROM past) u GROUP BY k$$);
-- shows closed windows only
CREATE VIEW final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) FROM r_s GROUP BY w;
CREATE VIEW held_final WITH (streamx.continuous, streamx.emit = 'final', streamx.late = 'keep') AS
  SELECT tumble(ts, '1 minute') AS w, cardinality(array_agg(DISTINCT v) FILTER (WHERE v IS NOT NULL)) AS count FROM r_s GROUP BY w;
CALL oracle.run('r', '{20,100,150}', false);
SELECT streamx.wait('final'), streamx.wait('held_final');
CREATE TABLE final_before AS SELECT * FROM final;

-- whatever became of the result, it is what the query gives
DELETE FROM merged WHERE k = 'k1';
UPDATE held SET count = -1;
TRUNCATE windows;
INSERT INTO total VALUES (1, 2);
UPDATE named SET name = 'x' WHERE name = 'one';
DELETE FROM plain WHERE id < 100;
INSERT INTO plain VALUES (1, 1);
DELETE FROM final WHERE w > '2026-01-01 00:03:00Z';
UPDATE dim SET name = 'deux' WHERE k = 'k2';
SELECT streamx.rebuild(v::regclass) FROM unnest(ARRAY['merged', 'held', 'windows', 'hops', 'visits', 'sets', 'total', 'named', 'plain', 'history', 'final', 'held_final']) v;
SELECT oracle.check('r');
(TABLE final EXCEPT TABLE final_before) UNION ALL (TABLE final_before EXCEPT TABLE final);
SELECT view, d.* FROM streamx.continuous_views v, streamx.verify(v.view) d;
-- it goes on from where it was
SELECT oracle.feed('r', 150, 190);
CALL oracle.wait('r');
SELECT oracle.check('r');
SELECT streamx.wait('final'), streamx.wait('held_final');
SELECT (SELECT count(*) FROM final) = (SELECT count(DISTINCT tumble(ts, '1 minute')) - 1 FROM r_t) AS final;
SELECT f.w, f.count, t.n FROM final f JOIN (SELECT tumble(ts, '1 minute') AS w, count(*) AS n FROM r_t GROUP BY 1) t USING (w) WHERE count <> n;
SELECT f.w, f.count, t.n FROM held_final f JOIN (SELECT tumble(ts, '1 minute') AS w, count(DISTINCT v) AS n FROM r_t GROUP BY 1) t USING (w) WHERE count <> n;

-- rolled back, nothing happened
BEGIN;
UPDATE merged SET count = 0;
SELECT streamx.rebuild('merged');
SELECT count(*) FROM merged WHERE count = 0;
ROLLBACK;
SELECT oracle.check('r');

-- late rows are in it, and late no longer; dead letters are looked at again
CREATE FOREIGN TABLE e (ts timestamptz, v int) SERVER streamx OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 hour');
CREATE FUNCTION f(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 100 / v; END $$;
CREATE VIEW late WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT tumble(ts, '1 minute') AS w, count(*), sum(f(v)) FROM e GROUP BY w;
INSERT INTO e VALUES ('2026-01-01 00:00:01Z', 1), ('2026-01-01 00:02:00Z', 2), ('2026-01-01 00:02:01Z', 0);
SELECT streamx.wait('late');
INSERT INTO e VALUES ('2026-01-01 00:00:02Z', 4), ('2026-01-01 00:02:02Z', 0);
SELECT streamx.wait('late');
SELECT * FROM late ORDER BY w;
SELECT rows_in, rows_late, dead_letters, (SELECT count(*) FROM streamx.late_rows), (SELECT count(*) FROM streamx.dead_letters) FROM streamx.views WHERE view = 'late'::regclass;
SELECT streamx.rebuild('late');
SELECT * FROM late ORDER BY w;
SELECT rows_in, rows_late, dead_letters, (SELECT count(*) FROM streamx.late_rows), (SELECT count(*) FROM streamx.dead_letters) FROM streamx.views WHERE view = 'late'::regclass;
CREATE OR REPLACE FUNCTION f(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN v; END $$;
SELECT streamx.rebuild('late');
SELECT * FROM late ORDER BY w;
SELECT rows_in, rows_late, dead_letters FROM streamx.views WHERE view = 'late'::regclass;
-- the closed window stays closed
INSERT INTO e VALUES ('2026-01-01 00:00:03Z', 5), ('2026-01-01 00:02:03Z', 3);
SELECT streamx.wait('late');
SELECT * FROM late ORDER BY w;

-- another start
INSERT INTO e SELECT '2026-01-01 00:02:04Z', 1;
CREATE VIEW younger WITH (streamx.continuous) AS SELECT count(*), sum(v) FROM e;
INSERT INTO e SELECT '2026-01-01 00:02:05Z', 100;
SELECT streamx.wait('younger');
SELECT * FROM younger;
SELECT streamx.rebuild('younger', 'earliest');
SELECT * FROM younger;
SELECT * FROM streamx.verify('younger');
SELECT streamx.rebuild('younger', start => '2100-01-01');
SELECT * FROM younger;
SELECT streamx.rebuild('younger', '2020-01-01');
SELECT * FROM younger;
SELECT streamx.rebuild('younger', 'latest');
SELECT * FROM younger;
INSERT INTO e SELECT '2026-01-01 00:02:06Z', 1000;
SELECT streamx.wait('younger');
SELECT * FROM younger;
SELECT * FROM streamx.verify('younger');
SELECT streamx.rebuild('younger', 'last week');

-- paused or stopped, it stays that
SELECT streamx.pause('younger');
SELECT streamx.rebuild('younger', 'earliest');
SELECT * FROM younger;
SELECT state FROM streamx.views WHERE view = 'younger'::regclass;
SELECT streamx.resume('younger');

-- joined streams: what is held of them as well
CREATE FOREIGN TABLE j1 (ts timestamptz, k int) SERVER streamx OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 hour');
CREATE FOREIGN TABLE j2 (ts timestamptz, k int) SERVER streamx OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 hour');
CREATE VIEW pairs WITH (streamx.continuous) AS
  SELECT a.k, a.ts, b.ts AS bts FROM j1 a LEFT JOIN j2 b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '1 minute';
CREATE VIEW paired WITH (streamx.continuous) AS
  SELECT a.k, count(*) FROM j1 a JOIN j2 b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + interval '1 minute' GROUP BY a.k;
INSERT INTO j1 SELECT '2026-01-01 00:00:00Z'::timestamptz + i * interval '3 s', i % 7 FROM generate_series(1, 60) i;
INSERT INTO j2 SELECT '2026-01-01 00:00:00Z'::timestamptz + i * interval '5 s', i % 9 FROM generate_series(1, 36) i;
SELECT streamx.wait('pairs'), streamx.wait('paired');
CREATE TABLE pairs_before AS SELECT * FROM pairs;
CREATE TABLE paired_before AS SELECT * FROM paired;
TRUNCATE pairs, paired;
SELECT streamx.rebuild('pairs'), streamx.rebuild('paired');
SELECT count(*) > 50 AS some FROM pairs;
(TABLE pairs EXCEPT ALL TABLE pairs_before) UNION ALL (TABLE pairs_before EXCEPT ALL TABLE pairs);
(TABLE paired EXCEPT ALL TABLE paired_before) UNION ALL (TABLE paired_before EXCEPT ALL TABLE paired);
INSERT INTO j2 SELECT '2026-01-01 00:03:00Z'::timestamptz + i * interval '5 s', i % 9 FROM generate_series(1, 36) i;
INSERT INTO j1 SELECT '2026-01-01 00:03:00Z'::timestamptz + i * interval '3 s', i % 7 FROM generate_series(1, 60) i;
SELECT streamx.wait('pairs'), streamx.wait('paired');
SELECT * FROM streamx.verify('paired');
SELECT count(*) FROM pairs WHERE bts IS NOT NULL AND NOT EXISTS (SELECT FROM paired WHERE k = pairs.k);

-- several levels of grouping
CREATE VIEW levels WITH (streamx.continuous) AS
  SELECT n, count(*) AS ks, max(k) FROM (SELECT k, count(*) AS n FROM j1 GROUP BY k) q GROUP BY n;
SELECT streamx.rebuild('levels', 'earliest');
SELECT * FROM levels ORDER BY n;
TRUNCATE levels;
SELECT streamx.rebuild('levels');
SELECT * FROM levels ORDER BY n;
INSERT INTO j1 VALUES ('2026-01-01 00:06:30Z', 1);
SELECT streamx.wait('levels');
SELECT * FROM levels ORDER BY n;
SELECT * FROM streamx.verify('levels');

-- generators make their rows again
CREATE SERVER gen TYPE 'generator' FOREIGN DATA WRAPPER streamx;
CREATE FOREIGN TABLE g (n bigint) SERVER gen OPTIONS (rows_per_second '100000', total '1000', seed '7');
CREATE VIEW generated WITH (streamx.continuous) AS SELECT count(*), sum(n % 1000) FROM g;
DO $$
BEGIN
  FOR i IN 1..600 LOOP
    PERFORM streamx.wait('generated');
    EXIT WHEN (SELECT count = 1000 FROM generated);
    COMMIT;
    PERFORM pg_sleep(0.05);
  END LOOP;
END $$;
CREATE TABLE generated_before AS SELECT * FROM generated;
UPDATE generated SET count = 0, sum = 0;
SELECT streamx.rebuild('generated');
SELECT count, (SELECT g FROM generated g) = (SELECT b FROM generated_before b) AS same FROM generated;
SELECT streamx.rebuild('generated', '2026-01-01');

-- what is no longer kept cannot be read again
CREATE FOREIGN TABLE forgotten (v int) SERVER streamx;
CREATE VIEW unkept WITH (streamx.continuous) AS SELECT count(*) FROM forgotten;
INSERT INTO forgotten VALUES (1), (2);
SELECT streamx.wait('unkept');
SELECT format('TRUNCATE %s', segments[1]) FROM streamx.journals WHERE stream = 'forgotten'::regclass \gexec
SELECT streamx.rebuild('unkept');
SELECT * FROM unkept;
-- of what is there, it can
SELECT streamx.rebuild('unkept', 'earliest');
SELECT * FROM unkept;
-- who may, and when
CREATE ROLE regress_streamx_other;
SET ROLE regress_streamx_other;
SELECT streamx.rebuild('public.merged');
RESET ROLE;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT streamx.rebuild('merged');
ROLLBACK;
SELECT streamx.rebuild('r_t');
DROP ROLE regress_streamx_other;

\set ECHO none
\i test/lib/clean.sql
