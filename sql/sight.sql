--
-- What there is to look at: batches, errors, health, metrics.
--
CREATE EXTENSION streamx;
CREATE ROLE regress_streamx_user;
CREATE ROLE regress_streamx_other;
CREATE SCHEMA app AUTHORIZATION regress_streamx_user;
GRANT USAGE ON SCHEMA app TO PUBLIC;
SET SESSION AUTHORIZATION regress_streamx_user;
SET search_path = app, public;
SET TimeZone = 'UTC';

-- ---- nothing there, nothing wrong ----
SELECT count(*) FROM streamx.batches;
SELECT * FROM streamx.errors;
SELECT * FROM streamx.catch_up;
SELECT * FROM streamx.health();

-- ---- batches ----
CREATE FOREIGN TABLE orders (ts timestamptz, item text, n int, price numeric)
  SERVER streamx OPTIONS (event_time 'ts', watermark '10 s');
CREATE VIEW items WITH (streamx.continuous) AS SELECT item, count(*) AS n, sum(price) AS price FROM orders GROUP BY item;
CREATE VIEW minutes WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS minute, count(*) AS n FROM orders GROUP BY minute;
CREATE VIEW each WITH (streamx.continuous) AS SELECT item, price / n AS share FROM orders;
SELECT streamx.wait('items'), streamx.wait('minutes'), streamx.wait('each');
INSERT INTO orders SELECT '2024-05-01 10:00:00Z'::timestamptz + i * interval '100 ms', 'i' || i % 7, 1 + i % 5, i
FROM generate_series(1, 3000) i;
SELECT streamx.wait('items'), streamx.wait('minutes'), streamx.wait('each');
INSERT INTO orders VALUES ('2024-05-01 10:06:00Z', 'late', 1, 1), ('2024-05-01 10:05:00Z', 'bad', 0, 1);
INSERT INTO orders VALUES ('2024-05-01 10:00:01Z', 'late', 1, 1);
SELECT streamx.wait('items'), streamx.wait('minutes'), streamx.wait('each');
-- each view has had all rows, most likely in the batches of the others
SELECT sum(rows * views) AS rows, sum(rows_out) - (SELECT sum(rows_out) FROM streamx.views) AS rows_out,
       sum(rows_late) AS late, sum(dead_letters) AS dead, count(DISTINCT id) = count(*) AS numbered
FROM streamx.batches WHERE stream = 'orders'::regclass;
SELECT * FROM streamx.batches
WHERE stream = 'orders'::regclass AND
  (decode < '0' OR execute < '0' OR merge < '0' OR commit < '0' OR duration <= '0' OR latency < '0' OR
   decode + execute + merge + commit > duration + interval '1 ms' OR committed > clock_timestamp() OR
   worker NOT IN (SELECT pid FROM pg_stat_activity));
SELECT bool_and(decode > '0' AND execute > '0' AND merge > '0' AND commit > '0') FROM streamx.batches
WHERE stream = 'orders'::regclass AND rows = 3000;
-- what views took, in all batches and with what closed without rows
SELECT view, execute > '0' AS execute, merge > '0' AS merge, last_dead_letter IS NOT NULL AS dead FROM streamx.views ORDER BY 1;
SELECT sum(v.execute) >= b.execute AND sum(v.merge) >= b.merge AND sum(v.merge) < b.merge + interval '1 s'
FROM streamx.views v, (SELECT sum(execute) AS execute, sum(merge) AS merge FROM streamx.batches WHERE stream = 'orders'::regclass) b
GROUP BY b.execute, b.merge;

-- ---- what is wrong ----
CREATE FOREIGN TABLE strict (a int) SERVER streamx OPTIONS (on_error 'stop');
CREATE VIEW "odd ""name\" WITH (streamx.continuous) AS SELECT 100 / a AS q, count(*) FROM strict GROUP BY 1;
CREATE VIEW resting WITH (streamx.continuous) AS SELECT a FROM strict;
SELECT streamx.wait('"odd ""name\"'), streamx.wait('resting');
SELECT streamx.pause('resting');
INSERT INTO strict VALUES (0);
SELECT streamx.wait('"odd ""name\"');
SELECT severity, object, regexp_replace(problem, 'one at \S+ \S+:', 'one at ...:') AS problem, cure FROM streamx.health();
SELECT kind, stream, view, first <= last AS first, times, sqlstate, error FROM streamx.errors;
SELECT streamx.resume('resting');
SELECT streamx.wait('resting');
SELECT severity, object FROM streamx.health();
-- others see what has no data in it
SET SESSION AUTHORIZATION regress_streamx_other;
SELECT severity, object, regexp_replace(problem, 'one at \S+ \S+', 'one at ...') AS problem FROM streamx.health();
SELECT kind, view, sqlstate, error FROM streamx.errors;
SELECT count(*) > 0 FROM streamx.batches;
SET SESSION AUTHORIZATION regress_streamx_user;

-- ---- a view that waits for one of its streams ----
CREATE FOREIGN TABLE l (ts timestamptz, a int) SERVER streamx OPTIONS (event_time 'ts', watermark '0', idle_timeout '0');
CREATE FOREIGN TABLE r (ts timestamptz, a int) SERVER streamx OPTIONS (event_time 'ts', watermark '0', idle_timeout '0');
CREATE VIEW both_sides WITH (streamx.continuous) AS
  SELECT l.a, l.ts FROM l JOIN r ON l.a = r.a AND r.ts BETWEEN l.ts AND l.ts + interval '1 hour';
SELECT streamx.wait('both_sides');
INSERT INTO l VALUES ('2024-05-01 10:00:00Z', 1);
SELECT streamx.wait('both_sides');
SELECT severity, object, problem, cure FROM streamx.health() WHERE object = 'app.both_sides';
INSERT INTO r VALUES ('2024-05-01 09:00:00Z', 1);
SELECT streamx.wait('both_sides');
SELECT severity, object, problem FROM streamx.health() WHERE object = 'app.both_sides';
INSERT INTO r VALUES ('2024-05-01 10:00:00Z', 1);
SELECT streamx.wait('both_sides');
SELECT severity, object, problem FROM streamx.health() WHERE object = 'app.both_sides';

-- ---- metrics ----
SELECT streamx.metric_label('view', E'back\\slash, "quoted",\nnext line');
CREATE VIEW metric AS SELECT line, n FROM regexp_split_to_table(rtrim(streamx.metrics(), E'\n'), E'\n') WITH ORDINALITY l (line, n);
SELECT line FROM metric WHERE line ~ 'items.*|^streamx_view_rows_in' AND line !~ 'seconds|per_second|bytes|batches|rows_out|lag_rows|catch_up' ORDER BY n;
SELECT line FROM metric
WHERE line !~ '^# HELP streamx_[a-z_]+ \S.*\.$' AND line !~ '^# TYPE streamx_[a-z_]+ (gauge|counter)$' AND
  line !~ '^streamx_[a-z_]+\{([a-z]+="([^"\\]|\\["\\n])*",?)+\} -?[0-9.]+(e[-+][0-9]+)?$';
-- each name once, its samples behind it
SELECT name, count(*) FROM (SELECT substring(line FROM '^# TYPE (\S+)') AS name FROM metric) t WHERE name IS NOT NULL GROUP BY name HAVING count(*) > 1;
SELECT line FROM (SELECT line, lag(line) OVER (ORDER BY n) AS before FROM metric) t
WHERE substring(line FROM '^streamx_[a-z_]+') NOT IN (substring(before FROM '^streamx_[a-z_]+'), substring(before FROM '^# TYPE (\S+)'));
SELECT line FROM metric WHERE line ~ '^# TYPE' AND (line ~ '_total ') <> (line ~ ' counter$');
SELECT count(*) FROM (SELECT regexp_replace(line, ' \S+$', '') AS sample FROM metric WHERE line !~ '^#') t GROUP BY sample HAVING count(*) > 1;

-- ---- the workers say what they do ----
RESET SESSION AUTHORIZATION;
SELECT backend_type FROM pg_stat_activity
WHERE backend_type = 'streamx launcher' AND query NOT IN ('looking for databases', 'waiting for new databases') OR
  backend_type = 'streamx scheduler' AND query NOT IN ('sharing out streams', 'emptying journals', 'waiting for changes of streams and views');
SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'streamx worker' AND query ~ '^waiting for rows of ([0-9]+ streams|app\.\w+)$|^app\.\w+: ';

SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
SELECT count(*) FROM streamx.batches;
SELECT * FROM streamx.errors;
SELECT * FROM streamx.health();
DROP EXTENSION streamx CASCADE;
DROP ROLE regress_streamx_user;
DROP ROLE regress_streamx_other;
