--
-- streamx.verify of views some of whose rows have not come yet
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';

CREATE FOREIGN TABLE e (ts timestamptz, k int) SERVER streamx OPTIONS (event_time 'ts', watermark '5 seconds', idle_timeout '0', retain '1 h');
CREATE VIEW f1 WITH (streamx.continuous, streamx.emit = 'final') AS SELECT session(ts, '10 s') w, k, count(*) FROM e GROUP BY w, k;
CREATE VIEW f2 WITH (streamx.continuous, streamx.emit = 'final') AS WITH x AS (SELECT * FROM e WHERE k < 3) SELECT session(ts, '10 s') w, k, count(DISTINCT ts), avg(k) FROM x GROUP BY w, k HAVING count(*) > 0;
INSERT INTO e SELECT '2026-01-01'::timestamptz + i * interval '1 s', i % 4 FROM generate_series(1,10) i;
SELECT streamx.wait('f1'), streamx.wait('f2');
SELECT * FROM streamx.verify('f1'); SELECT * FROM streamx.verify('f2');
INSERT INTO e SELECT '2026-01-01 00:00:40'::timestamptz + i * interval '1 s', i % 4 FROM generate_series(1,10) i;
SELECT streamx.wait('f1'), streamx.wait('f2');
SELECT * FROM streamx.verify('f1'); SELECT * FROM streamx.verify('f2');
UPDATE f1 SET count = 0 WHERE k = 1;
DELETE FROM f1 WHERE k = 2;
SELECT * FROM streamx.verify('f1');

-- final views with more above the grouping, and those that keep rows for a time
CREATE VIEW d1 WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT w, max(n) AS most FROM (SELECT k, tumble(ts, '5 s') AS w, count(*) AS n FROM e GROUP BY k, w) q GROUP BY w;
CREATE VIEW d2 WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT DISTINCT ON (k, tumble(ts, '5 s')) k, ts, tumble(ts, '5 s') AS w FROM e ORDER BY k, tumble(ts, '5 s'), ts DESC;
CREATE VIEW d3 WITH (streamx.continuous, streamx.retention = '10 s') AS
  SELECT w, max(n) AS most FROM (SELECT k, tumble(ts, '5 s') AS w, count(*) AS n FROM e GROUP BY k, w) q GROUP BY w;
INSERT INTO e SELECT '2026-01-01 00:01:00'::timestamptz + i * interval '1 s', i % 4 FROM generate_series(0,9) i;
SELECT streamx.wait('d1'), streamx.wait('d2'), streamx.wait('d3');
INSERT INTO e SELECT '2026-01-01 00:01:10'::timestamptz + i * interval '1 s', i % 3 FROM generate_series(0,13) i;
SELECT streamx.wait('d1'), streamx.wait('d2'), streamx.wait('d3');
SELECT * FROM d1 ORDER BY w;
SELECT count(*) FROM d2;
SELECT w FROM d3 ORDER BY w;
SELECT * FROM streamx.verify('d1');
SELECT * FROM streamx.verify('d2');
SELECT * FROM streamx.verify('d3');
UPDATE d1 SET most = 0 WHERE w = '2026-01-01 00:01:05';
DELETE FROM d2 WHERE k = 2 AND w = '2026-01-01 00:01:05';
INSERT INTO d1 VALUES ('2026-01-01 00:01:06', 1);
SELECT * FROM streamx.verify('d1');
SELECT * FROM streamx.verify('d2');

-- rows of an outer join, also in WITH queries, and the windows over it
CREATE FOREIGN TABLE orders (ts timestamptz, id int) SERVER streamx OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0', retain '1 h');
CREATE FOREIGN TABLE pays (ts timestamptz, order_id int, paid int) SERVER streamx OPTIONS (event_time 'ts', watermark '5 s', idle_timeout '0', retain '1 h');
CREATE VIEW j WITH (streamx.continuous) AS
  WITH o AS (SELECT * FROM orders), p AS (SELECT * FROM pays)
  SELECT o.id, p.paid FROM o LEFT JOIN p ON p.order_id = o.id AND p.ts BETWEEN o.ts AND o.ts + interval '10 s';
CREATE VIEW jf WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(o.ts, '10 s') AS w, count(*), count(p.paid) AS paid
  FROM orders o LEFT JOIN pays p ON p.order_id = o.id AND p.ts BETWEEN o.ts AND o.ts + interval '10 s' GROUP BY w;
INSERT INTO orders SELECT '2026-01-01'::timestamptz + i * interval '1 s', i FROM generate_series(1, 50) i;
INSERT INTO pays SELECT '2026-01-01 00:00:01'::timestamptz + i * interval '1 s', i, i FROM generate_series(1, 50, 2) i;
SELECT streamx.wait('j'), streamx.wait('jf');
SELECT count(*), count(paid) FROM j;
SELECT * FROM jf ORDER BY w;
SELECT * FROM streamx.verify('j');
SELECT * FROM streamx.verify('jf');
DELETE FROM j WHERE id = 2;
SELECT * FROM streamx.verify('j');

\i test/lib/clean.sql
