--
-- Results that are partitioned by periods: the same rows as without, in
-- partitions that batches make and retention drops
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all
SET TimeZone = 'UTC';

-- ---- the same as the batch query, whatever the cuts ----

CREATE TABLE x_in (id int, ts timestamptz, k text, v int);
INSERT INTO x_in
  SELECT i, '2026-01-01 00:00Z'::timestamptz + (i * 7 + (i * 37) % 50) * interval '1 minute',
         CASE WHEN i % 5 > 0 THEN 'k' || i % 3 END, (i * 13) % 29
  FROM generate_series(1, 400) AS i;
CALL oracle.source('x', $$OPTIONS (event_time 'ts', watermark '10 days')$$);

-- a view that the oracle compares, with further options
CREATE PROCEDURE parted(v name, options text, query text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE VIEW %I WITH (streamx.continuous, streamx.batch_interval = ''1 ms'', %s) AS %s',
                 v, options, replace(query, '{s}', 'x_s'));
  INSERT INTO oracle.views VALUES (v, 'x', replace(query, '{s}', 'x_t'));
END $$;
CALL parted('hours', $$streamx.partition_period = '6 hours'$$,
  $$SELECT tumble(ts, '1 hour') AS w, k, count(*), sum(v), avg(v) FROM {s} GROUP BY w, k$$);
CALL parted('few', $$streamx.partition_period = '1 day'$$,
  $$SELECT tumble(ts, '1 hour') AS w, k, sum(v) FROM {s} GROUP BY w, k HAVING sum(v) % 2 = 0$$);
CALL parted('hops', $$streamx.partition_period = '1 day'$$,
  $$SELECT hop(ts, '30 minutes', '3 hours') AS w, k, count(*), max(v) FROM {s} GROUP BY w, k$$);
CALL parted('ends', $$streamx.partition_period = '12 hours'$$,
  $$SELECT cumulate(ts, '1 hour', '4 hours') AS w, count(*) FROM {s} GROUP BY w$$);
CALL parted('whole', $$streamx.partition_period = '1 day'$$,
  $$SELECT k, tumble(ts, '1 hour') AS w, array_agg(v ORDER BY v), mode() WITHIN GROUP (ORDER BY v) FROM {s} GROUP BY k, w$$);
CALL parted('kinds', $$streamx.partition_period = '7 days'$$,
  $$SELECT date_trunc('day', ts) AS w, count(DISTINCT k) AS ks, count(DISTINCT v) AS vs FROM {s} GROUP BY w$$);
CALL oracle.run('x', '{1,2,3,10,60,61,200,399,400}');

-- what is there
SELECT relname, relkind, relreplident, pg_get_partkeydef(oid) AS key FROM pg_class
WHERE oid IN (SELECT view FROM streamx.views) ORDER BY relname COLLATE "C";
SELECT relid, parentrelid, pg_get_expr(relpartbound, c.oid) AS bound, relreplident, reloptions
FROM pg_partition_tree('hours') JOIN pg_class c ON c.oid = relid WHERE isleaf ORDER BY relid::text COLLATE "C";
SELECT tableoid::regclass, min(w), max(w), count(*) FROM hops GROUP BY tableoid ORDER BY min(w);
SELECT view, v.* FROM unnest('{hours,few,hops,ends,whole,kinds}'::regclass[]) AS view, streamx.verify(view) AS v;
SELECT line FROM regexp_split_to_table(streamx.explain('hours'), E'\n') AS line WHERE line ~ 'partitioned';

-- computed anew, in its partitions; in those of them that are left as well
DROP TABLE hours_20260101_060000;
SELECT streamx.rebuild(view) FROM unnest('{hours,hops,kinds}'::regclass[]) AS view;
SELECT n, differences FROM oracle.views AS v, oracle.differences(v) AS d WHERE v.view IN ('hours', 'hops', 'kinds');

-- keys too long for the index as it is
INSERT INTO x_s VALUES (1000, '2026-01-01 00:30Z', repeat('a long key, ', 400), 1), (1001, '2026-01-09 00:30Z', repeat('A long key, ', 400), 2);
SELECT streamx.wait('hours');
SELECT w, length(k), count, sum FROM hours WHERE length(k) > 100 ORDER BY w;
INSERT INTO x_s VALUES (1002, '2026-01-01 00:30Z', repeat('a long key, ', 400), 5);
SELECT streamx.wait('hours');
SELECT w, length(k), count, sum FROM hours WHERE length(k) > 100 ORDER BY w;

-- row security of the result is that of all its partitions, those to come as well
CREATE ROLE regress_sx_part_reader;
GRANT SELECT ON hours TO regress_sx_part_reader;
ALTER TABLE hours ENABLE ROW LEVEL SECURITY;
CREATE POLICY k1 ON hours TO regress_sx_part_reader USING (k = 'k1');
INSERT INTO x_s VALUES (1002, '2026-01-10 00:30Z', 'k1', 5), (1002, '2026-01-10 00:30Z', 'k2', 5);
SELECT streamx.wait('hours');
SELECT count(*) AS rows, count(DISTINCT k) AS ks FROM hours WHERE w >= '2026-01-10 00:00Z';
SET ROLE regress_sx_part_reader;
SELECT count(*) AS rows, count(DISTINCT k) AS ks FROM hours WHERE w >= '2026-01-10 00:00Z';
SELECT count(DISTINCT k) AS ks FROM hours;
TABLE hours_20260110_000000;
RESET ROLE;
SELECT view, v.* FROM unnest('{hours}'::regclass[]) AS view, streamx.verify(view) AS v;
DROP POLICY k1 ON hours;
ALTER TABLE hours DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON hours FROM regress_sx_part_reader;
DROP ROLE regress_sx_part_reader;

-- rows of others: changed back, or refused where no partition takes them
DELETE FROM hours WHERE w = '2026-01-01 00:00Z' AND k = 'k1';
UPDATE hours SET count = -1 WHERE w = '2026-01-01 00:00Z' AND k = 'k2';
INSERT INTO hours VALUES ('2026-01-05 00:00Z', 'mine', 1, 1, 1);
INSERT INTO hours VALUES ('2030-01-01 00:00Z', 'mine', 1, 1, 1);
INSERT INTO hours VALUES (NULL, 'mine', 1, 1, 1);
INSERT INTO x_s VALUES (1003, '2026-01-01 00:40Z', 'k1', 0), (1004, '2026-01-01 00:40Z', 'k2', 0),
  (1005, '2026-01-05 00:00Z', 'mine', 7);
SELECT streamx.wait('hours');
SELECT w, k, count, sum FROM hours WHERE w = '2026-01-01 00:00Z' AND k IN ('k1', 'k2') OR k = 'mine' ORDER BY w, k;

SET client_min_messages = warning;
DROP FOREIGN TABLE x_s CASCADE;
RESET client_min_messages;
SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relname ~ '^(hours|few|hops|ends|whole|kinds)';

-- ---- windows close: final rows, late ones, retention ----

CREATE FOREIGN TABLE e (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE FUNCTION add(text, text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO e SELECT $1::timestamptz, $2, 1;
  RETURN true;
END $$;
CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS
$$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;
CREATE VIEW u WITH (streamx.continuous, streamx.partition_period = '1 hour', streamx.retention = '2 hours', streamx.final_column = 'closed') AS
  SELECT tumble(ts, '10 minutes') AS w, k, count(*) FROM e GROUP BY w, k;
CREATE VIEW f WITH (streamx.continuous, streamx.partition_period = '1 hour', streamx.retention = '2 hours', streamx.emit = 'final') AS
  SELECT tumble(ts, '10 minutes') AS w, k, count(*) FROM e GROUP BY w, k HAVING count(*) > 1;
CREATE VIEW a WITH (streamx.continuous, streamx.partition_period = '1 hour', streamx.retention = '2 hours', streamx.emit = 'final') AS
  SELECT hop(ts, '10 minutes', '20 minutes') AS w, array_agg(k ORDER BY k) FROM e GROUP BY w;
SELECT add('2026-01-01 00:00:01Z', 'a'), add('2026-01-01 00:00:02Z', 'a'), add('2026-01-01 00:50:00Z', 'b'),
       add('2026-01-01 00:50:00Z', 'b'), add('2026-01-01 01:10:00Z', 'c'), add('2026-01-01 01:10:00Z', 'c');
SELECT wait_all();
SELECT tableoid::regclass, * FROM u ORDER BY w, k;
SELECT tableoid::regclass, * FROM f ORDER BY w, k;
SELECT tableoid::regclass, * FROM a ORDER BY w;

SELECT view, v.* FROM unnest('{u,f,a}'::regclass[]) AS view, streamx.verify(view) AS v;

-- a late row makes no partition; one without a time is a dead letter
SELECT add('2025-12-31 12:00:00Z', 'late'), add(NULL, 'never');
SELECT wait_all();
SELECT view, rows_late, dead_letters FROM streamx.views ORDER BY view::text COLLATE "C";

-- the first hour is past when its last window ended two hours ago
SELECT add('2026-01-01 03:00:00Z', 'd'), add('2026-01-01 03:00:01Z', 'd');
SELECT wait_all();
SELECT relid FROM unnest('{u,f,a}'::regclass[]) AS v, pg_partition_tree(v) WHERE isleaf ORDER BY relid::text COLLATE "C";
SELECT add('2026-01-01 03:20:10Z', 'e');
SELECT wait_all();
SELECT relid FROM unnest('{u,f,a}'::regclass[]) AS v, pg_partition_tree(v) WHERE isleaf ORDER BY relid::text COLLATE "C";
SELECT tableoid::regclass, * FROM u ORDER BY w, k;
SELECT tableoid::regclass, * FROM f ORDER BY w, k;
SELECT tableoid::regclass, * FROM a ORDER BY w;

-- more than one batch drops; what others depend on stays
CREATE VIEW mine AS SELECT * FROM u_20260101_030000;
SELECT count(add((timestamptz '2026-01-01 04:00Z' + i * interval '1 hour')::text, 'h')) FROM generate_series(1, 40) AS i;
SELECT wait_all();
SELECT count(add((timestamptz '2026-01-02 20:00Z' + i * interval '10 minutes')::text, 'i')), bool_and(wait_all()) FROM generate_series(1, 6) AS i;
SELECT add('2026-01-02 21:10:10Z', 'j');
SELECT wait_all();
SELECT add('2026-01-02 21:20:10Z', 'j');
SELECT wait_all();
SELECT add('2026-01-02 21:30:10Z', 'j');
SELECT wait_all();
SELECT add('2026-01-02 21:40:10Z', 'j');
SELECT wait_all();
SELECT relid FROM unnest('{u,f,a}'::regclass[]) AS v, pg_partition_tree(v) WHERE isleaf ORDER BY relid::text COLLATE "C";
DROP VIEW mine;

-- those that stay, more than one batch tries, do not keep others from being dropped
CREATE FOREIGN TABLE m (ts timestamptz) SERVER streamx OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE VIEW many WITH (streamx.continuous, streamx.partition_period = '1 hour', streamx.retention = '100 hours') AS
  SELECT tumble(ts, '10 minutes') AS w, count(*) FROM m GROUP BY w;
INSERT INTO m SELECT timestamptz '2026-01-02 21:50:10Z' + i * interval '1 hour' FROM generate_series(0, 19) AS i;
SELECT wait_all();
CREATE SCHEMA stay;
DO $$
DECLARE leaf regclass; n int := 0;
BEGIN
  FOR leaf IN SELECT relid FROM pg_partition_tree('many') WHERE isleaf ORDER BY relid::text COLLATE "C" LIMIT 12
  LOOP
    n := n + 1;
    EXECUTE format('CREATE VIEW stay.v%s AS SELECT * FROM %s', n, leaf);
  END LOOP;
END $$;
ALTER VIEW many SET (streamx.retention = '1 hour');
CREATE PROCEDURE close_some() LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 5
  LOOP
    INSERT INTO m VALUES (timestamptz '2026-01-03 16:50:10Z' + i * interval '10 minutes');
    COMMIT;
    PERFORM wait_all();
    COMMIT;
  END LOOP;
END $$;
CALL close_some();
SELECT relid FROM pg_partition_tree('many') WHERE isleaf ORDER BY relid::text COLLATE "C";
SET client_min_messages = warning;
DROP SCHEMA stay CASCADE;
DROP PROCEDURE close_some;
DROP FOREIGN TABLE m CASCADE;
RESET client_min_messages;

-- its options, rights, triggers, name and place
ALTER VIEW u SET (streamx.retention = '1 hour');
ALTER VIEW u RESET (streamx.partition_period);
ALTER VIEW u SET (streamx.lateness = '1 hour');
CREATE OR REPLACE VIEW u WITH (streamx.continuous) AS SELECT tumble(ts, '10 minutes') AS w, k, count(*) FROM e GROUP BY w, k;
CREATE FUNCTION twice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.count := NEW.count * 2; RETURN NEW; END $$;
CREATE TRIGGER each BEFORE INSERT OR UPDATE ON u FOR EACH ROW EXECUTE FUNCTION twice();
CREATE TRIGGER statement AFTER INSERT ON u FOR EACH STATEMENT EXECUTE FUNCTION twice();
CREATE ROLE regress_partitioned;
CREATE ROLE regress_partitioned_reader;
CREATE SCHEMA elsewhere;
GRANT USAGE ON SCHEMA elsewhere TO regress_partitioned, regress_partitioned_reader;
GRANT SELECT ON e TO regress_partitioned;
GRANT SELECT ON u TO regress_partitioned_reader;
ALTER TABLE u OWNER TO regress_partitioned;
ALTER TABLE u SET SCHEMA elsewhere;
ALTER TABLE elsewhere.u RENAME TO renamed;
CREATE INDEX ON elsewhere.renamed (k);
SELECT add('2026-01-03 05:00:00Z', 'k');
SELECT wait_all();
SET ROLE regress_partitioned_reader;
SELECT * FROM elsewhere.renamed WHERE w > '2026-01-03';
SELECT * FROM elsewhere.renamed_20260103_050000;
RESET ROLE;
SELECT relname, relowner::regrole FROM pg_class WHERE relname LIKE 'renamed_2%' AND relkind IN ('r', 'p');
SELECT count(*) FROM pg_index WHERE indrelid = 'elsewhere.renamed_20260103_050000'::regclass;
SELECT view, state, error FROM streamx.views ORDER BY view::text COLLATE "C";

DROP VIEW elsewhere.renamed;
DROP TABLE f;
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relname ~ '^(u|f|renamed)(_2|$)';

-- times without a zone, before the origin and before Christ
CREATE FOREIGN TABLE p (ts timestamp) SERVER streamx OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '0', max_ahead '10000000 days');
CREATE VIEW b WITH (streamx.continuous, streamx.partition_period = '36500 days') AS SELECT tumble(ts, '1 day') AS w, count(*) FROM p GROUP BY w;
INSERT INTO p VALUES ('0044-03-15 12:00 BC'), ('1999-12-31 23:59'), ('2026-01-01 00:00');
SELECT streamx.wait('b');
SELECT tableoid::regclass, * FROM b ORDER BY w;
SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY oid;

-- a partition of somebody else's making, with the columns in another order
CREATE TABLE odd (count bigint, w timestamp);
ALTER TABLE b ATTACH PARTITION odd FOR VALUES FROM ('2500-01-01') TO ('2501-01-01');
INSERT INTO p VALUES ('2500-06-01 12:00');
SELECT streamx.wait('b');
SELECT state, error FROM streamx.views WHERE view = 'b'::regclass;
ALTER TABLE b DETACH PARTITION odd;
SELECT streamx.resume('b');
SELECT streamx.wait('b');
SELECT tableoid::regclass, * FROM b WHERE w > '2100-01-01';
DROP TABLE odd;

-- ---- what it cannot be ----

CREATE VIEW bad WITH (streamx.continuous, streamx.partition_period = '0') AS SELECT tumble(ts, '1 hour') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous, streamx.partition_period = '1 month') AS SELECT tumble(ts, '1 hour') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous, streamx.partition_period = '1 day') AS SELECT * FROM e;
CREATE VIEW bad WITH (streamx.continuous, streamx.partition_period = '1 day') AS SELECT k, count(*) FROM e GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous, streamx.partition_period = '1 day') AS SELECT session(ts, '1 hour') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous, streamx.partition_period = '1 day') AS
  SELECT tumble(ts, '1 hour') AS w, k, count(*) FROM e GROUP BY ROLLUP (w, k);
CREATE VIEW bad WITH (streamx.continuous, streamx.partition_period = '1 day') AS
  SELECT tumble(ts, '1 hour') AS w, GROUPING(tumble(ts, '1 hour')) AS g, count(*) FROM e GROUP BY ROLLUP (w);
CREATE VIEW bad WITH (streamx.continuous, streamx.partition_period = '1 day') AS
  SELECT w, max(n) FROM (SELECT tumble(ts, '1 hour') AS w, k, count(*) AS n FROM e GROUP BY w, k) AS q GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous, streamx.partition_period = '1 day', fillfactor = 50) AS
  SELECT tumble(ts, '1 hour') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT w, count(*) FROM a GROUP BY w;
CREATE FOREIGN TABLE s (w timestamptz, count bigint) SERVER streamx;
CREATE VIEW bad WITH (streamx.continuous, streamx.partition_period = '1 day', streamx.sink = 's') AS
  SELECT tumble(ts, '1 hour') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW plain WITH (streamx.continuous) AS SELECT tumble(ts, '1 hour') AS w, count(*) FROM e GROUP BY w;
ALTER VIEW plain SET (streamx.partition_period = '1 day');
CREATE OR REPLACE VIEW plain WITH (streamx.continuous, streamx.partition_period = '1 day') AS
  SELECT tumble(ts, '1 hour') AS w, count(*) FROM e GROUP BY w;

SET client_min_messages = warning;
DROP FOREIGN TABLE e, s, p CASCADE;
DROP SCHEMA elsewhere;
DROP FUNCTION add, wait_all, twice;
DROP PROCEDURE parted;
DROP TABLE x_in, x_t;
DROP ROLE regress_partitioned, regress_partitioned_reader;
DROP EXTENSION streamx;
DROP SCHEMA oracle CASCADE;
