--
-- Running continuous views: wait, pause and resume, verify, the status views.
--
-- All streams are native: what is inserted is there when wait returns.
--
CREATE EXTENSION streamx;
CREATE ROLE regress_streamx_user;
CREATE ROLE regress_streamx_other;
CREATE SCHEMA app AUTHORIZATION regress_streamx_user;
GRANT USAGE ON SCHEMA app TO PUBLIC;
SET SESSION AUTHORIZATION regress_streamx_user;
SET search_path = app, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';

CREATE FOREIGN TABLE clicks (ts timestamptz, page text, amount numeric, ms float8)
  SERVER streamx OPTIONS (event_time 'ts', watermark '10 s', retain '1 day');
CREATE FOREIGN TABLE unread (a int) SERVER streamx;
CREATE VIEW pages WITH (streamx.continuous) AS
  SELECT page, count(*) AS n, sum(amount) AS amount, avg(ms) AS ms FROM clicks GROUP BY page;
CREATE VIEW hours WITH (streamx.continuous) AS
  SELECT date_trunc('hour', ts) AS hour, page, max(amount) AS most
  FROM clicks GROUP BY 1, 2 HAVING count(*) > 1;
CREATE VIEW total WITH (streamx.continuous) AS SELECT count(*) AS n, stddev(ms) AS ms FROM clicks;
CREATE VIEW large WITH (streamx.continuous) AS SELECT page, amount, ms FROM clicks WHERE amount >= 90;

-- ---- nothing yet ----
SELECT streamx.wait('pages'), streamx.wait('hours'), streamx.wait('total'), streamx.wait('large');
SELECT view, state, error, rows_in, rows_out, rows_late, dead_letters, batches, rows_per_second, latency, watermark
FROM streamx.views ORDER BY view::text COLLATE "C";
SELECT stream, kind, state, error, workers, rows_in, lag_rows, lag, watermark
FROM streamx.streams ORDER BY stream::text COLLATE "C";
SELECT * FROM streamx.verify('pages');
SELECT * FROM streamx.verify('total');
SELECT * FROM streamx.verify('large');

-- ---- rows, visible after wait ----
INSERT INTO clicks
  SELECT timestamptz '2024-05-01 10:00:00Z' + i * interval '10 s', nullif('p' || i % 4, 'p3'), i % 100 + 0.25, i / 7.0
  FROM generate_series(1, 1000) i;
SELECT streamx.wait('pages'), streamx.wait('hours'), streamx.wait('total'), streamx.wait('large');
SELECT page, n, amount FROM pages ORDER BY page;
SELECT count(*) FROM hours;
SELECT n FROM total;
SELECT count(*) FROM large;
SELECT view, state, error, rows_in, rows_out, rows_late, dead_letters, batches, rows_per_second > 0 AS rate,
       latency BETWEEN '0' AND '1 minute' AS latency, watermark, state_bytes > 0 AS state
FROM streamx.views ORDER BY view::text COLLATE "C";
SELECT stream, kind, state, error, workers, rows_in, lag_rows, lag, watermark
FROM streamx.streams ORDER BY stream::text COLLATE "C";
SELECT * FROM streamx.partitions;
SELECT view, stream, partition, next_offset, watermark, first_offset FROM streamx.progress ORDER BY view::text COLLATE "C";
SELECT * FROM streamx.verify('pages');
SELECT * FROM streamx.verify('hours');
SELECT * FROM streamx.verify('total');
SELECT * FROM streamx.verify('large');

-- a view that came later has what came after it
CREATE VIEW late WITH (streamx.continuous) AS SELECT page, count(*) AS n FROM clicks GROUP BY page;
CREATE VIEW early WITH (streamx.continuous, streamx.start = 'earliest') AS SELECT page, count(*) AS n FROM clicks GROUP BY page;
INSERT INTO clicks VALUES ('2024-05-01 13:00:00Z', 'p0', 1, 1);
COPY clicks FROM STDIN;
2024-05-01 13:00:01Z	p0	2	2
2024-05-01 13:00:02Z	p9	91	3
\.
SELECT streamx.wait('late'), streamx.wait('early'), streamx.wait('pages');
SELECT * FROM late ORDER BY page;
SELECT * FROM early ORDER BY page;
SELECT * FROM streamx.verify('late');
SELECT * FROM streamx.verify('early');
SELECT * FROM streamx.verify('pages');

-- ---- in transactions ----
BEGIN;
INSERT INTO clicks VALUES ('2024-05-01 13:00:03Z', 'p0', 1, 1);
SELECT streamx.wait('total');
SELECT n FROM total;
ROLLBACK;
SELECT streamx.wait('total');
SELECT n FROM total;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT n FROM total;
SELECT streamx.wait('total');
SELECT count(*) FROM streamx.verify('total');
COMMIT;
SELECT streamx.wait(NULL), streamx.wait('total', NULL);

-- ---- pause and resume ----
SELECT streamx.pause('total');
INSERT INTO clicks VALUES ('2024-05-01 13:00:04Z', 'p0', 1, 1);
SELECT streamx.wait('total', '300 ms');
SELECT streamx.wait('pages');
SELECT n FROM total;
SELECT n FROM pages WHERE page = 'p0';
SELECT view, state FROM streamx.views WHERE view = 'total'::regclass;
SELECT * FROM streamx.verify('total');
SELECT streamx.resume('total');
SELECT streamx.wait('total');
SELECT n FROM total;
SELECT * FROM streamx.verify('total');
SELECT view, state FROM streamx.views WHERE view = 'total'::regclass;

-- ---- verify finds what was changed ----
UPDATE pages SET n = n + 1 WHERE page = 'p1';
UPDATE pages SET ms = ms * (1 + 1e-12) WHERE page = 'p0';
UPDATE pages SET amount = NULL WHERE page IS NULL;
DELETE FROM pages WHERE page = 'p2';
INSERT INTO pages VALUES ('p8', 1, 1, 1);
SELECT difference, result - 'ms' #- '{batch,ms}' #- '{table,ms}' AS result FROM streamx.verify('pages');
UPDATE total SET ms = ms * 1.001;
SELECT difference, result #- '{batch,ms}' #- '{table,ms}' AS result FROM streamx.verify('total');
DELETE FROM total;
SELECT difference, result #- '{batch,ms}' AS result FROM streamx.verify('total');
DELETE FROM hours WHERE hour = '2024-05-01 11:00:00Z' AND page = 'p0';
SELECT * FROM streamx.verify('hours');
-- rows of a transform count as often as they are there
DELETE FROM large WHERE amount = 90.25 AND page = 'p2';
INSERT INTO large SELECT * FROM large WHERE amount = 91.25 AND page IS NULL;
UPDATE large SET page = 'p9' WHERE amount = 92.25 AND ms = 92 / 7.0::float8;
SELECT difference, count(*), min(result -> 'batch' ->> 'page') AS batch, min(result -> 'table' ->> 'page') AS "table"
FROM streamx.verify('large') GROUP BY 1 ORDER BY 1;

-- ---- a view that stops ----
CREATE FOREIGN TABLE strict (a int, b int) SERVER streamx OPTIONS (on_error 'stop');
CREATE VIEW ratio WITH (streamx.continuous) AS SELECT a / b AS r, count(*) FROM strict GROUP BY 1;
CREATE VIEW sums WITH (streamx.continuous) AS SELECT a, sum(b) FROM strict GROUP BY a;
INSERT INTO strict VALUES (6, 2);
SELECT streamx.wait('ratio'), streamx.wait('sums');
INSERT INTO strict VALUES (6, 0);
SELECT streamx.wait('ratio');
SELECT streamx.wait('sums');
SELECT * FROM ratio;
SELECT * FROM sums;
SELECT view, state, error, sqlstate, rows_in FROM streamx.views WHERE view IN ('ratio'::regclass, 'sums'::regclass)
ORDER BY view::text COLLATE "C";
SELECT streamx.wait('ratio', '0');
SELECT stream, state FROM streamx.streams WHERE stream = 'strict'::regclass;
SELECT streamx.pause('sums');
SELECT stream, state FROM streamx.streams WHERE stream = 'strict'::regclass;

-- ---- dead letters ----
CREATE FOREIGN TABLE loose (a int, b int) SERVER streamx OPTIONS (retain '1 day');
CREATE VIEW quotients WITH (streamx.continuous) AS SELECT a / b AS q FROM loose;
INSERT INTO loose VALUES (6, 3), (6, 0), (8, 2), (8, 0);
SELECT streamx.wait('quotients');
SELECT * FROM quotients ORDER BY q;
SELECT rows_in, rows_out, dead_letters FROM streamx.views WHERE view = 'quotients'::regclass;
SELECT * FROM streamx.verify('quotients');

-- ---- rows that are no longer kept ----
RESET SESSION AUTHORIZATION;
SELECT format('TRUNCATE %s', segments[1]) FROM streamx.journals WHERE stream = 'clicks'::regclass \gexec
SET SESSION AUTHORIZATION regress_streamx_user;
SELECT * FROM streamx.verify('pages');
CREATE VIEW fresh WITH (streamx.continuous, streamx.start = 'earliest') AS SELECT page, count(*) FROM clicks GROUP BY page;
INSERT INTO clicks VALUES ('2024-05-01 13:00:05Z', 'p5', 1, 1);
SELECT streamx.wait('fresh');
SELECT * FROM fresh;
SELECT * FROM streamx.verify('fresh');

-- ---- what is no continuous view; rights ----
SELECT streamx.wait('clicks');
SELECT * FROM streamx.verify('clicks');
SELECT streamx.wait(1);
SET SESSION AUTHORIZATION regress_streamx_other;
SELECT streamx.wait('app.pages');
SELECT streamx.wait('app.ratio');
SELECT * FROM streamx.verify('app.pages');
SELECT view, state, error, sqlstate FROM streamx.views WHERE view = 'app.ratio'::regclass;
SELECT stream, state FROM streamx.streams WHERE stream = 'app.unread'::regclass;
SET SESSION AUTHORIZATION regress_streamx_user;
GRANT SELECT ON ratio TO regress_streamx_other;
SET SESSION AUTHORIZATION regress_streamx_other;
SELECT view, state, error, sqlstate FROM streamx.views WHERE view = 'app.ratio'::regclass;
SELECT streamx.wait('app.ratio');

-- ---- gone with the stream ----
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
SELECT (SELECT count(*) FROM streamx.views) AS views, (SELECT count(*) FROM streamx.streams) AS streams,
       (SELECT count(*) FROM streamx.partitions) AS partitions;
DROP EXTENSION streamx CASCADE;
DROP ROLE regress_streamx_user;
DROP ROLE regress_streamx_other;
