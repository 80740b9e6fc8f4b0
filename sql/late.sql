--
-- Late rows: counted, and kept by late = 'keep', each once with its position
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';

CREATE FOREIGN TABLE e (ts timestamptz, k text, v int, tags text[], gone int, doc jsonb, n numeric) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 hour');
ALTER FOREIGN TABLE e DROP COLUMN gone;
CREATE FOREIGN TABLE e2 (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE TABLE dim (k text, name text);
INSERT INTO dim VALUES ('a', 'x'), ('a', 'y'), ('b', 'z');

CREATE VIEW fixed WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT tumble(ts, '1 minute') AS w, count(*), sum(v) FROM e WHERE v > 0 GROUP BY w;
CREATE VIEW final WITH (streamx.continuous, streamx.late = 'keep', streamx.emit = 'final', streamx.lateness = '30 s') AS
  SELECT date_trunc('minute', ts) AS w, count(*) FROM e GROUP BY w;
CREATE VIEW dropped WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW hopping WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT hop(ts, '30 s', '1 minute') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW hop_below WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT w, count(*) FROM (SELECT hop(ts, '30 s', '1 minute') AS w, v FROM e) q WHERE v > 0 GROUP BY w;
CREATE VIEW growing WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT w, count(*) FROM e, cumulate(ts, '20 s', '1 minute') AS w GROUP BY w;
CREATE VIEW joined WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT tumble(ts, '1 minute') AS w, name, count(*) FROM e JOIN dim USING (k) GROUP BY w, name;
CREATE VIEW recomputed WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT cumulate(ts, '20 s', '1 minute') AS w, cardinality(array_agg(DISTINCT k)) AS ks FROM e GROUP BY w;
CREATE VIEW sets WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT tumble(ts, '1 minute') AS w, GROUPING(tumble(ts, '1 minute')) AS g, count(*) FROM e GROUP BY ROLLUP (w);
CREATE VIEW united WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT tumble(ts, '1 minute') AS w, count(*), sum(v) FROM (SELECT ts, v FROM e UNION ALL SELECT ts, v FROM e2) u GROUP BY w;
-- a row that comes by two ways is late once
CREATE VIEW twice WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) FROM (SELECT ts FROM e WHERE v > 0 UNION ALL SELECT ts FROM e WHERE k = 'a') u GROUP BY w;
-- nothing is ever late without a window
CREATE VIEW unwindowed WITH (streamx.continuous, streamx.late = 'keep') AS SELECT k, count(*) FROM e GROUP BY k;

CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS $$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;
INSERT INTO e2 VALUES ('2026-01-01 00:10:00Z', 'x', 1);
INSERT INTO e VALUES ('2026-01-01 00:00:05Z', 'a', 1), ('2026-01-01 00:01:30Z', 'b', 2);
SELECT wait_all();
SELECT view, stream, position FROM streamx.late_rows;
-- the watermark is 00:01:20: late, excluded, in some windows late, in time
INSERT INTO e VALUES ('2026-01-01 00:00:10Z', 'a', 100, '{x,NULL}', '{"a": [1, null]}', 1.50),
  ('2026-01-01 00:00:11Z', 'a', 0, '{}', NULL, 0), ('2026-01-01 00:00:50Z', 'b', 200, NULL, '"s"', 'NaN'),
  ('2026-01-01 00:01:05Z', 'c', 300, NULL, NULL, NULL), (NULL, 'bad', 400, NULL, NULL, NULL);
SELECT wait_all();
SELECT view, stream, partition, position, event_time, row_data FROM streamx.late_rows ORDER BY view::text COLLATE "C", position;
SELECT view, rows_in, rows_late, dead_letters FROM streamx.views ORDER BY view::text COLLATE "C";
SELECT * FROM fixed ORDER BY w;
SELECT * FROM hopping ORDER BY w;
SELECT * FROM sets ORDER BY g, w;
SELECT * FROM twice ORDER BY w;
-- what is late and fails is a dead letter or late, once: 1/v fails for v = 0
CREATE VIEW failing WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT tumble(ts, '1 minute') AS w, sum(100 / v) FROM e GROUP BY w;
INSERT INTO e VALUES ('2026-01-01 01:00:00Z', 'b', 1);
SELECT wait_all();
INSERT INTO e VALUES ('2026-01-01 00:00:10Z', 'a', 1), ('2026-01-01 00:00:11Z', 'a', 0), ('2026-01-01 00:00:12Z', 'a', 2), ('2026-01-01 01:00:12Z', 'a', 3);
SELECT wait_all();
SELECT row_data ->> 'v' AS v FROM streamx.late_rows WHERE view = 'failing'::regclass ORDER BY position;
SELECT view, error FROM streamx.dead_letters WHERE view = 'failing'::regclass;
SELECT * FROM failing ORDER BY w;
-- the late rows of the second stream, where the first holds the watermark
INSERT INTO e2 VALUES ('2026-01-01 00:00:01Z', 'late', 7), ('2026-01-01 00:30:01Z', 'late', 8);
INSERT INTO e2 VALUES ('2026-01-01 02:00:00Z', 'b', 1);
SELECT wait_all();
INSERT INTO e2 VALUES ('2026-01-01 00:00:02Z', 'late', 9), ('2026-01-01 00:45:01Z', 'late', 10);
SELECT wait_all();
SELECT view, stream, row_data FROM streamx.late_rows WHERE stream = 'e2'::regclass ORDER BY row_data ->> 'v';
SELECT * FROM united ORDER BY w;

-- a row counts or is kept: what is in the view and what is late is all
SELECT (SELECT sum(count) FROM fixed) + (SELECT count(*) FROM streamx.late_rows WHERE view = 'fixed'::regclass) AS fixed,
       (SELECT sum(count) FROM united) + (SELECT count(*) FROM streamx.late_rows WHERE view = 'united'::regclass) AS united;
-- they are for those who may read the stream
CREATE ROLE regress_streamx_reader;
SET ROLE regress_streamx_reader;
SELECT count(*) FROM streamx.late_rows;
RESET ROLE;
GRANT SELECT ON e2 TO regress_streamx_reader;
SET ROLE regress_streamx_reader;
SELECT count(*) FROM streamx.late_rows;
RESET ROLE;
-- and go with the view
DROP VIEW united;
SELECT count(*) FROM streamx.late_rows WHERE stream = 'e2'::regclass;

-- what is late for a view goes by the rows that it has seen, whatever others of the stream have
CREATE FOREIGN TABLE e3 (ts timestamptz, k int) SERVER streamx OPTIONS (event_time 'ts', watermark '10 seconds', idle_timeout '0');
CREATE VIEW older WITH (streamx.continuous) AS SELECT tumble(ts, '1 minute') AS minute, count(*) FROM e3 GROUP BY 1;
INSERT INTO e3 VALUES ('2026-01-01 12:00Z', 1), ('2026-01-01 12:05Z', 1);
SELECT streamx.wait('older');
CREATE VIEW newer WITH (streamx.continuous) AS SELECT tumble(ts, '1 minute') AS minute, count(*) FROM e3 GROUP BY 1;
SELECT streamx.wait('newer');
SELECT pg_sleep(0.5);
INSERT INTO e3 VALUES ('2026-01-01 11:00Z', 1), ('2026-01-01 11:01Z', 1);
SELECT streamx.wait('older'), streamx.wait('newer');
INSERT INTO e3 VALUES ('2026-01-01 12:10Z', 1);
SELECT streamx.wait('older'), streamx.wait('newer');
SELECT pg_sleep(0.5);
INSERT INTO e3 VALUES ('2026-01-01 12:09Z', 1), ('2026-01-01 12:11Z', 1);
SELECT streamx.wait('older'), streamx.wait('newer');
SELECT 'older' AS view, * FROM older UNION ALL SELECT 'newer', * FROM newer ORDER BY 1, 2;
SELECT view, watermark, rows_late FROM streamx.views WHERE view IN ('older'::regclass, 'newer'::regclass) ORDER BY view::text;
DROP FOREIGN TABLE e3 CASCADE;

SET client_min_messages = warning;
DROP FOREIGN TABLE e, e2 CASCADE;
DROP TABLE dim;
DROP FUNCTION wait_all();
DROP ROLE regress_streamx_reader;
DROP EXTENSION streamx;
