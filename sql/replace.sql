--
-- CREATE OR REPLACE of continuous views: backfill, keep, restart; ALTER of
-- options that the rows were made by
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all
\set VERBOSITY default

-- each query becomes the next one, whatever way each is maintained; after
-- each it equals the batch, and goes on
CREATE TABLE r_in (id int, ts timestamptz, k text, v int);
INSERT INTO r_in SELECT i, '2026-01-01 00:00:00Z'::timestamptz + i * '7 s'::interval, nullif('k' || i % 5, 'k0'), i % 11
FROM generate_series(1, 400) i;
CREATE TABLE dim (k text, name text);
INSERT INTO dim VALUES ('k1', 'one'), ('k2', 'two');
CALL oracle.source('r', $$OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 hour')$$);
CALL oracle.view('r', 'a', $$SELECT k, count(*) AS n FROM {s} GROUP BY k$$);
SELECT 'a'::regclass::oid AS a_oid \gset
CREATE INDEX a_n ON a (n);
GRANT SELECT ON a TO PUBLIC;
CREATE VIEW reader AS SELECT k, n FROM a;
CREATE PROCEDURE become(query text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE OR REPLACE VIEW a WITH (streamx.continuous, streamx.batch_interval = ''1 ms'') AS %s', replace(query, '{s}', 'r_s'));
  UPDATE oracle.views SET query = replace(become.query, '{s}', 'r_t') WHERE view = 'a';
END $$;
SELECT oracle.feed('r', 0, 50);
CALL oracle.wait('r');
SELECT oracle.check('r');
-- another condition, another aggregate, another way, further columns
CALL become($$SELECT k, count(*) AS n FROM {s} WHERE v > 3 GROUP BY k$$);
SELECT oracle.check('r');
SELECT oracle.feed('r', 50, 90);
CALL oracle.wait('r');
SELECT oracle.check('r');
CALL become($$SELECT k, count(DISTINCT v) AS n, sum(v) AS s, array_agg(v ORDER BY id) AS vs FROM {s} GROUP BY k$$);
SELECT oracle.check('r');
SELECT oracle.feed('r', 90, 130);
CALL oracle.wait('r');
SELECT oracle.check('r');
-- another key
CALL become($$SELECT name AS k, count(*) AS n, sum(v) AS s, array_agg(DISTINCT v ORDER BY v) AS vs, k AS kk FROM {s} JOIN dim USING (k) GROUP BY name, kk$$);
SELECT oracle.check('r');
SELECT oracle.feed('r', 130, 170);
CALL oracle.wait('r');
SELECT oracle.check('r');
-- several levels; no grouping at all; one row
CALL become($$SELECT max(k) AS k, count(*) AS n, max(s) AS s, array_agg(c ORDER BY c) AS vs, k2 AS kk FROM (SELECT k, min(k) AS k2, sum(v) AS s, count(*)::int AS c FROM {s} GROUP BY k) q GROUP BY k2$$);
SELECT oracle.check('r');
SELECT oracle.feed('r', 170, 210);
CALL oracle.wait('r');
SELECT oracle.check('r');
CALL become($$SELECT k, id::bigint AS n, v::bigint AS s, ARRAY[v] AS vs, k AS kk FROM {s} WHERE v > 5$$);
SELECT oracle.check('r');
SELECT oracle.feed('r', 210, 250);
CALL oracle.wait('r');
SELECT oracle.check('r');
CALL become($$SELECT min(k) AS k, count(*) AS n, sum(v) AS s, array_agg(DISTINCT v ORDER BY v) AS vs, max(k) AS kk FROM {s}$$);
SELECT oracle.check('r');
CALL become($$SELECT k, count(*) AS n, sum(v) AS s, array_agg(v ORDER BY id) AS vs, 'x' || v AS kk, tumble(ts, '1 minute') AS w FROM {s} GROUP BY k, kk, w$$);
SELECT oracle.check('r');
SELECT oracle.feed('r', 250, 300);
CALL oracle.wait('r');
SELECT oracle.check('r');
SELECT * FROM streamx.verify('a');
-- it is the same table
SELECT 'a'::regclass = :a_oid AS same, (SELECT relacl FROM pg_class WHERE oid = 'a'::regclass) IS NOT NULL AS granted;
SELECT indexrelid::regclass, indisunique FROM pg_index WHERE indrelid = 'a'::regclass ORDER BY 1;
SELECT count(*) > 0 AS read FROM reader;
SELECT id = (regexp_match(query::text, '\d+$'))[1]::int AS named FROM streamx.continuous_views WHERE view = 'a'::regclass;
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND nspname = 'streamx_state'
WHERE relkind IN ('r', 'v') AND relname !~ '^[jc]' AND relname !~ ('^[a-z]' || (SELECT id FROM streamx.continuous_views WHERE view = 'a'::regclass) || '(_|$)');
-- rolled back, nothing happened
BEGIN;
CALL become($$SELECT k, 0::bigint AS n, sum(v) AS s, array_agg(v ORDER BY id) AS vs, 'x' || v AS kk, tumble(ts, '1 minute') AS w FROM {s} GROUP BY k, kk, w$$);
SELECT count(*) FROM a WHERE n <> 0;
ROLLBACK;
SELECT oracle.feed('r', 300, 320);
CALL oracle.wait('r');
SELECT oracle.check('r');

-- constraints of the user's: in place, a row that fails is a dead letter
CREATE VIEW c WITH (streamx.continuous) AS SELECT k, count(*) AS n FROM r_s GROUP BY k;
SELECT streamx.rebuild('c', 'earliest');
ALTER TABLE c ADD CHECK (n < 1000);
CREATE OR REPLACE VIEW c WITH (streamx.continuous) AS SELECT k, CASE WHEN k = 'k1' THEN 1000 ELSE count(*) END AS n, max(v) FROM r_s GROUP BY k;
SELECT count(*), bool_and(max = 10), max(n) < 1000 FROM c;
SELECT dead_letters > 0 AS dead, state FROM streamx.views WHERE view = 'c'::regclass;
-- while a constraint goes, its rows come
ALTER TABLE c DROP CONSTRAINT c_n_check;
SELECT streamx.rebuild('c');
SELECT k, n FROM c WHERE k = 'k1';

-- restart: none of what was, all that comes
CREATE FOREIGN TABLE s (k text, v int) SERVER streamx OPTIONS (retain '1 hour');
CREATE VIEW z WITH (streamx.continuous) AS SELECT k, count(*) AS n FROM s GROUP BY k;
CREATE VIEW over_z WITH (streamx.continuous) AS SELECT sum(n) AS n, count(*) AS ks FROM z;
INSERT INTO s SELECT 'k' || i % 3, i FROM generate_series(1, 30) i;
SELECT streamx.wait('z'), streamx.wait('over_z');
TABLE over_z;
CREATE OR REPLACE VIEW z WITH (streamx.continuous, streamx.on_replace = 'restart') AS SELECT k, sum(v) AS n FROM s GROUP BY k;
TABLE z;
INSERT INTO s VALUES ('k1', 5), ('k2', 6);
SELECT streamx.wait('z'), streamx.wait('over_z');
SELECT * FROM z ORDER BY k;
TABLE over_z;
SELECT * FROM streamx.verify('z');
-- keep: what is there counts on
CREATE OR REPLACE VIEW z WITH (streamx.continuous, streamx.on_replace = 'keep', streamx.notify = 'z') AS SELECT k, sum(v) AS n, -sum(v) AS less FROM s WHERE v < 100 GROUP BY k;
INSERT INTO s VALUES ('k1', 7), ('k3', 1), ('k1', 100);
SELECT streamx.wait('z'), streamx.wait('over_z');
SELECT * FROM z ORDER BY k;
TABLE over_z;
CREATE OR REPLACE VIEW z WITH (streamx.continuous, streamx.on_replace = 'keep') AS SELECT k, count(*) AS n, -sum(v) AS less FROM s GROUP BY k;
CREATE OR REPLACE VIEW z WITH (streamx.continuous, streamx.on_replace = 'keep') AS SELECT k, sum(v) AS n, v::bigint AS less FROM s GROUP BY k, v;
CREATE VIEW lines WITH (streamx.continuous) AS SELECT k FROM s;
INSERT INTO s VALUES ('a', 1);
SELECT streamx.wait('lines');
CREATE OR REPLACE VIEW lines WITH (streamx.continuous, streamx.on_replace = 'keep') AS SELECT upper(k) AS k, v FROM s;
INSERT INTO s VALUES ('b', 2);
SELECT streamx.wait('lines');
TABLE lines;
-- the source's start
CREATE OR REPLACE VIEW z WITH (streamx.continuous, streamx.start = 'earliest') AS SELECT k, sum(v) AS n, count(*) AS less FROM s GROUP BY k;
SELECT streamx.wait('z');
SELECT * FROM z ORDER BY k;
SELECT * FROM streamx.verify('z');

-- one stream more, and one less
CREATE FOREIGN TABLE s2 (k text, v int) SERVER streamx OPTIONS (retain '1 hour');
CREATE OR REPLACE VIEW z WITH (streamx.continuous) AS SELECT k, sum(v) AS n, count(*) AS less FROM (SELECT * FROM s UNION ALL SELECT * FROM s2) u GROUP BY k;
INSERT INTO s2 VALUES ('k1', 10000);
INSERT INTO s VALUES ('k2', 10000);
SELECT streamx.wait('z'), streamx.wait('over_z');
SELECT * FROM z ORDER BY k;
SELECT * FROM streamx.verify('z');
CREATE OR REPLACE VIEW z WITH (streamx.continuous) AS SELECT k, sum(v) AS n, count(*) AS less FROM s2 GROUP BY k;
SELECT stream FROM streamx.progress WHERE view = 'z'::regclass;
INSERT INTO s2 VALUES ('k1', 1);
SELECT streamx.wait('z'), streamx.wait('over_z');
SELECT * FROM z ORDER BY k;
SELECT * FROM streamx.verify('z');
DROP FOREIGN TABLE s CASCADE;
INSERT INTO s2 VALUES ('k1', 1);
SELECT streamx.wait('z'), streamx.wait('over_z');
SELECT * FROM z ORDER BY k;

-- windows and late rows: of what has been read none is late
CREATE FOREIGN TABLE e (ts timestamptz, v int) SERVER streamx OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 hour');
CREATE VIEW w WITH (streamx.continuous, streamx.emit = 'final') AS SELECT tumble(ts, '1 minute') AS w, count(*) AS n FROM e GROUP BY w;
INSERT INTO e VALUES ('2026-01-01 00:00:01Z', 1), ('2026-01-01 00:03:30Z', 2);
SELECT streamx.wait('w');
INSERT INTO e VALUES ('2026-01-01 00:00:02Z', 3), ('2026-01-01 00:03:31Z', 2);
SELECT streamx.wait('w');
SELECT * FROM w ORDER BY w;
CREATE OR REPLACE VIEW w WITH (streamx.continuous, streamx.emit = 'final') AS SELECT tumble(ts, '1 minute') AS w, sum(v) AS n FROM e GROUP BY w;
SELECT * FROM w ORDER BY w;
INSERT INTO e VALUES ('2026-01-01 00:03:32Z', 5), ('2026-01-01 00:05:00Z', 1);
SELECT streamx.wait('w');
SELECT * FROM w ORDER BY w;
-- options that the rows were made by
ALTER VIEW w SET (streamx.emit = 'update');
SELECT * FROM w ORDER BY w;
ALTER VIEW w SET (streamx.final_column = 'done');
SELECT * FROM w ORDER BY w;
ALTER VIEW w SET (streamx.lateness = '2 minutes');
SELECT * FROM w ORDER BY w;
INSERT INTO e VALUES ('2026-01-01 00:03:33Z', 5);
SELECT streamx.wait('w');
SELECT * FROM w ORDER BY w;
ALTER VIEW w RESET (streamx.lateness);
SELECT * FROM w ORDER BY w;
ALTER VIEW w SET (streamx.emit = 'final', streamx.on_replace = 'restart');
ALTER VIEW w RESET (streamx.final_column);
ALTER VIEW w SET (streamx.start = 'earliest');
SELECT emit, lateness, options FROM streamx.continuous_views WHERE view = 'w'::regclass;

-- the sink: what was is not sent again
CREATE FOREIGN TABLE out1 (k text, n bigint) SERVER streamx;
CREATE FOREIGN TABLE out2 (k text, n bigint) SERVER streamx;
CREATE VIEW got1 WITH (streamx.continuous) AS SELECT * FROM out1;
CREATE VIEW got2 WITH (streamx.continuous) AS SELECT * FROM out2;
CREATE VIEW q WITH (streamx.continuous, streamx.sink = 'out1') AS SELECT k, count(*) AS n FROM s2 GROUP BY k;
INSERT INTO s2 VALUES ('a', 1);
SELECT streamx.wait('q'), streamx.wait('got1');
CREATE OR REPLACE VIEW q WITH (streamx.continuous, streamx.sink = 'out1') AS SELECT k, sum(v) AS n FROM s2 GROUP BY k;
INSERT INTO s2 VALUES ('a', 2);
SELECT streamx.wait('q'), streamx.wait('got1');
ALTER VIEW q SET (streamx.sink = 'out2');
INSERT INTO s2 VALUES ('a', 3);
SELECT streamx.wait('q'), streamx.wait('got1'), streamx.wait('got2');
SELECT * FROM got1;
SELECT * FROM got2;
DROP FOREIGN TABLE out1 CASCADE;
DROP FOREIGN TABLE out2;
ALTER VIEW q RESET (streamx.sink);

-- refused
CREATE OR REPLACE VIEW q WITH (streamx.continuous) AS SELECT k FROM s2;
CREATE OR REPLACE VIEW q WITH (streamx.continuous) AS SELECT k, count(*) AS number FROM s2 GROUP BY k;
CREATE OR REPLACE VIEW q WITH (streamx.continuous) AS SELECT k, sum(v)::int AS n FROM s2 GROUP BY k;
CREATE OR REPLACE VIEW dim WITH (streamx.continuous) AS SELECT k FROM s2;
CREATE OR REPLACE VIEW z WITH (streamx.continuous) AS SELECT 'x' AS k, sum(n)::bigint AS n, 1::bigint AS less FROM over_z;
CREATE VIEW y WITH (streamx.continuous, streamx.on_replace = 'keep') AS SELECT k FROM s2;
CREATE OR REPLACE VIEW q WITH (streamx.continuous, streamx.on_replace = 'forget') AS SELECT k, sum(v) AS n FROM s2 GROUP BY k;
CREATE ROLE regress_streamx_other;
GRANT CREATE ON SCHEMA public TO regress_streamx_other;
SET ROLE regress_streamx_other;
CREATE OR REPLACE VIEW q WITH (streamx.continuous) AS SELECT k, sum(v) AS n FROM s2 GROUP BY k;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM regress_streamx_other;
DROP ROLE regress_streamx_other;
-- the source no longer has it
CREATE FOREIGN TABLE gone (v int) SERVER streamx;
CREATE VIEW g WITH (streamx.continuous) AS SELECT sum(v) FROM gone;
INSERT INTO gone SELECT generate_series(1, 10);
SELECT streamx.wait('g');
UPDATE streamx.progress SET first_offset = -1 WHERE view = 'g'::regclass;
CREATE OR REPLACE VIEW g WITH (streamx.continuous) AS SELECT sum(v), count(*) FROM gone;
TABLE g;
CREATE OR REPLACE VIEW g WITH (streamx.continuous, streamx.on_replace = 'restart') AS SELECT sum(v), count(*) FROM gone;
INSERT INTO gone VALUES (7);
SELECT streamx.wait('g');
TABLE g;
-- a view that has stopped goes on; a paused one stays that
ALTER FOREIGN TABLE s2 ADD COLUMN d int;
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE VIEW st WITH (streamx.continuous) AS SELECT sum(f(v)) FROM s2;
ALTER FUNCTION f(int) RENAME TO f2;
SELECT streamx.pause('st');
CREATE OR REPLACE VIEW st WITH (streamx.continuous) AS SELECT sum(v) FROM s2;
SELECT state FROM streamx.views WHERE view = 'st'::regclass;
SELECT streamx.resume('st');
INSERT INTO s2 VALUES ('a', 4);
SELECT streamx.wait('st');
TABLE st;
-- not there yet: CREATE OR REPLACE creates
CREATE OR REPLACE VIEW fresh WITH (streamx.continuous, streamx.on_replace = 'restart') AS SELECT count(*) FROM s2;
INSERT INTO s2 VALUES ('a', 4);
SELECT streamx.wait('fresh');
TABLE fresh;

\set ECHO none
\i test/lib/clean.sql
