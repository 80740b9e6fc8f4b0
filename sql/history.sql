--
-- History, then live: branches of UNION ALL that read tables only; UNION
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';

CREATE FOREIGN TABLE ss (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 day');
CREATE TABLE ts (ts timestamptz, k text, v int);
CREATE TABLE h (day date, name text, total bigint);
CREATE TABLE big (at timestamp, name text, n int);
CREATE TABLE names (k text PRIMARY KEY, long text);
INSERT INTO h VALUES ('2025-12-31', 'k0', 100), ('2025-12-31', 'k1', NULL), ('2025-12-30', 'k1', 7),
  ('2025-12-30', NULL, 9), ('2026-01-01', 'old', 3), ('2026-01-01', 'old', 3);
INSERT INTO big SELECT '2025-12-31'::timestamp + i * interval '1 s', 'k' || i % 9, i % 1000 FROM generate_series(1, 12000) i;
INSERT INTO names SELECT 'k' || i, 'name ' || i % 3 FROM generate_series(0, 9) i;

-- the same query over stream ss and table ts
CREATE TABLE cases (view name PRIMARY KEY, query text);
INSERT INTO cases VALUES
  ('plain', 'SELECT day::timestamptz AS at, name, total FROM h WHERE total > 3 UNION ALL SELECT ts, k, v FROM {s}'),
  ('groups', 'SELECT k, count(*), sum(v), avg(v), min(v) FROM (SELECT name AS k, total AS v FROM h UNION ALL SELECT k, v FROM {s} UNION ALL SELECT name, n FROM big) u GROUP BY k HAVING count(*) > 1'),
  ('total', 'SELECT count(*), sum(v), max(at) FROM (SELECT ts AS at, v FROM {s} UNION ALL SELECT at, n FROM big) u'),
  ('grouped', 'SELECT k, sum(v) FROM (SELECT name AS k, max(total) AS v FROM h GROUP BY name UNION ALL SELECT k, v FROM {s} UNION ALL VALUES (''k3'', 5), (NULL, 1) UNION ALL (SELECT name, n FROM big ORDER BY at DESC LIMIT 3)) u GROUP BY k'),
  ('held', 'SELECT k, count(DISTINCT v), percentile_disc(0.5) WITHIN GROUP (ORDER BY v), string_agg(DISTINCT v::text, '','') FILTER (WHERE v < 9) FROM (SELECT name AS k, n AS v FROM big UNION ALL SELECT k, v FROM {s}) u GROUP BY k'),
  ('held_many', 'SELECT k, v, array_agg(v ORDER BY v), count(*) FROM (SELECT name AS k, n AS v FROM big UNION ALL SELECT k, v FROM {s}) u GROUP BY k, v'),
  ('held_one', 'SELECT count(DISTINCT v), mode() WITHIN GROUP (ORDER BY v) FROM (SELECT n AS v FROM big UNION ALL SELECT v FROM {s}) u'),
  ('joined', 'SELECT long, count(*) FROM (SELECT name AS k FROM h UNION ALL SELECT k FROM {s}) u LEFT JOIN names USING (k) GROUP BY long'),
  ('windows', 'SELECT tumble(at, ''1 hour'') AS w, k, count(*), sum(n) FROM (SELECT ts AS at, k, v AS n FROM {s} UNION ALL SELECT at, name, n FROM big) u GROUP BY w, k'),
  ('hops', 'SELECT hop(at, ''1 hour'', ''3 hours'') AS w, count(*), count(DISTINCT n) AS ns FROM (SELECT at, n FROM big UNION ALL SELECT ts::timestamp, v FROM {s}) u GROUP BY w'),
  ('rolled', 'SELECT k, v % 3 AS m, GROUPING(k, v % 3) AS g, count(*) FROM (SELECT k, v FROM {s} UNION ALL SELECT name, n FROM big) u GROUP BY ROLLUP (k, v % 3)'),
  ('nested', 'SELECT k, count(*) FROM (SELECT k FROM (SELECT k, v FROM {s} UNION ALL SELECT name, total FROM h) i WHERE v > 4 UNION ALL SELECT long FROM names) u GROUP BY k'),
  ('either', 'SELECT k, v FROM {s} UNION SELECT name, total FROM h UNION ALL SELECT ''k1'', 2 UNION SELECT ''k1'', 2'),
  ('sessions', 'SELECT k, session(at, ''3 s'') AS s, count(*), sum(v) FROM (SELECT name AS k, at::timestamptz AS at, n AS v FROM big WHERE n > 900 UNION ALL SELECT k, ts, v FROM {s}) u GROUP BY k, s'),
  ('sessions_held', 'SELECT session(at, ''20 s'') AS s, count(DISTINCT v) FROM (SELECT at::timestamptz AS at, n AS v FROM big WHERE n < 50 UNION ALL SELECT ts, v FROM {s} WHERE v = 3) u GROUP BY s'),
  ('levels', 'SELECT n, count(*) FROM (SELECT k, count(*) AS n FROM (SELECT k FROM {s} UNION ALL SELECT name FROM h UNION ALL SELECT name FROM big) u GROUP BY k) q GROUP BY n'),
  ('ranked', 'SELECT k, s, rank() OVER (ORDER BY s DESC NULLS LAST) AS r FROM (SELECT k, sum(v) AS s FROM (SELECT k, v FROM {s} UNION ALL SELECT name, total FROM h) u GROUP BY k) q'),
  ('top', 'SELECT k, count(*) AS n FROM (SELECT k FROM {s} UNION ALL SELECT name FROM h) u GROUP BY k ORDER BY n DESC, k LIMIT 3'),
  ('either_of', 'SELECT v, count(*) FROM (SELECT k, v FROM {s} UNION SELECT name, total FROM h UNION SELECT long, 3 FROM names) u GROUP BY v'),
  ('either_top', 'SELECT k FROM {s} UNION SELECT name FROM h ORDER BY k DESC NULLS LAST LIMIT 4'),
  ('distincts', 'SELECT DISTINCT k FROM (SELECT k FROM {s} UNION ALL SELECT name FROM h) u');

CREATE FUNCTION over(query text, prefix text) RETURNS text LANGUAGE sql AS
$$ SELECT regexp_replace(query, '\{(.)\}', prefix || '\1', 'g') $$;
CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS
$$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;
CREATE FUNCTION differences(view text, query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN
  EXECUTE format('SELECT count(*) FROM ((TABLE %1$I EXCEPT ALL (%2$s)) UNION ALL ((%2$s) EXCEPT ALL TABLE %1$I)) x', view, query) INTO n;
  RETURN n;
END $$;
CREATE VIEW differing AS
  SELECT view FROM cases WHERE differences(view::text, over(query, 't')) > 0 ORDER BY view::text COLLATE "C";
CREATE PROCEDURE take(first int, last int) LANGUAGE plpgsql AS $$
BEGIN
  WITH r AS (SELECT '2025-12-31 08:00'::timestamptz + i * interval '0.5 s' AS ts, 'k' || i % 7 AS k, i % 10 AS v FROM generate_series(first + 1, last) i),
       t AS (INSERT INTO ts SELECT * FROM r)
  INSERT INTO ss SELECT * FROM r;
  COMMIT;
END $$;

DO $$ BEGIN PERFORM streamx.create_continuous_view(view, over(query, 's')) FROM cases; END $$;
-- the history is there at once
SELECT * FROM differing;
SELECT view, rows_in, rows_out FROM streamx.views ORDER BY view::text COLLATE "C";
SELECT * FROM total;
-- then what comes
CALL take(0, 1);
SELECT wait_all();
SELECT * FROM differing;
CALL take(1, 2000);
CALL take(2000, 2001);
SELECT wait_all();
SELECT * FROM differing;
-- restored from what was saved: no second time
SELECT count(streamx.pause(view)) FROM streamx.views;
CALL take(2001, 2500);
SELECT count(streamx.resume(view)) FROM streamx.views;
CALL take(2500, 4000);
SELECT wait_all();
SELECT * FROM differing;
SELECT v.view, x.* FROM streamx.views v, streamx.verify(v.view) x;

-- what comes to the history later is not the view's, but verify tells
INSERT INTO h VALUES ('2026-01-02', 'new', 5);
CALL take(4000, 4010);
SELECT wait_all();
SELECT * FROM differing;
SELECT * FROM streamx.verify('groups');
SELECT * FROM streamx.verify('distincts');
-- a rebuild takes the history in as it is now
SELECT count(streamx.rebuild(view::regclass)) FROM cases WHERE view IN ('plain', 'grouped', 'nested', 'held', 'windows', 'either');
SELECT * FROM differing;
DELETE FROM h WHERE name = 'new';
SELECT * FROM differing;
SELECT count(streamx.rebuild(view::regclass)) FROM cases WHERE view IN ('plain', 'grouped', 'nested', 'either');
SELECT * FROM differing;

-- all that is kept of the stream, not only what comes; and the history as the
-- creating transaction left it
BEGIN;
INSERT INTO h VALUES ('2026-01-03', 'mine', 5);
CREATE VIEW all_of_it WITH (streamx.continuous, streamx.start = 'earliest') AS
  SELECT k, count(*), sum(v) FROM (SELECT name AS k, total AS v FROM h UNION ALL SELECT k, v FROM ss) u GROUP BY k;
DELETE FROM h WHERE name = 'mine';
COMMIT;
SELECT wait_all();
SELECT * FROM all_of_it EXCEPT SELECT k, count(*), sum(v) FROM (SELECT name AS k, total AS v FROM h UNION ALL SELECT k, v FROM ts) u GROUP BY k;
-- from a time on
SELECT clock_timestamp() AS from_then \gset
CALL take(4010, 4030);
CREATE VIEW from_then WITH (streamx.continuous, streamx.start = :'from_then') AS
  SELECT count(*), sum(v) FROM (SELECT total AS v FROM h UNION ALL SELECT v FROM ss) u;
CALL take(4030, 4040);
SELECT streamx.wait('from_then');
SELECT count, count = 30 + (SELECT count(*) FROM h) AS same FROM from_then;
SELECT * FROM streamx.verify('from_then');
BEGIN;
SAVEPOINT a;
CREATE VIEW gone WITH (streamx.continuous) AS SELECT name FROM h UNION ALL SELECT k FROM ss;
SELECT count(*) FROM gone;
ROLLBACK TO a;
COMMIT;

-- windows: of history they close like others, rows for them are late then; by a
-- stream from which nothing has come before
CREATE FOREIGN TABLE sw (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 day');
CREATE VIEW fin WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(at, '1 day') AS w, count(*), count(DISTINCT k) AS ks
  FROM (SELECT ts AS at, k FROM sw UNION ALL SELECT day, name FROM h) u GROUP BY w;
CREATE VIEW fin2 WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT date_trunc('day', at) AS w, count(*) FROM (SELECT day::timestamptz AS at FROM h UNION ALL SELECT ts FROM sw) u GROUP BY w;
SELECT * FROM fin;
INSERT INTO sw VALUES ('2025-12-30 23:59:59', 'k5', 1), ('2025-12-31 00:00:10', 'k6', 1);
SELECT wait_all();
SELECT * FROM fin ORDER BY w;
SELECT * FROM fin2 ORDER BY w;
INSERT INTO sw VALUES ('2025-12-30 00:00:00', 'late', 1), ('2026-01-05 00:00:00', 'k6', 1);
SELECT wait_all();
SELECT * FROM fin ORDER BY w;
SELECT * FROM fin2 ORDER BY w;
SELECT view, rows_in, rows_out, rows_late FROM streamx.views WHERE view::text LIKE 'fin%' ORDER BY view::text COLLATE "C";

-- a sink gets the history too
CREATE FOREIGN TABLE sunk (k text, n bigint) SERVER streamx;
CREATE VIEW seen WITH (streamx.continuous) AS SELECT k, n FROM sunk;
CREATE VIEW to_sink WITH (streamx.continuous, streamx.sink = 'sunk') AS
  SELECT k, sum(v) AS n FROM (SELECT name AS k, total AS v FROM h UNION ALL SELECT k, v FROM ss) u GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'sunk') AS
  SELECT k, sum(1 / v) AS n FROM (SELECT k, v FROM ss UNION ALL SELECT 'zero', 0) u GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'sunk') AS
  SELECT sum(1 / v) AS n FROM (SELECT v FROM ss UNION ALL SELECT 0) u;
SELECT wait_all();
SELECT * FROM seen ORDER BY k;
INSERT INTO ss VALUES ('2026-01-05 00:00:00', 'old', 1);
SELECT wait_all();
SELECT streamx.wait('seen');
SELECT * FROM seen WHERE k = 'old' ORDER BY n;

-- a history that fails is the statement's error
CREATE VIEW bad WITH (streamx.continuous) AS
  SELECT k, sum(100 / v) FROM (SELECT k, v FROM ss UNION ALL SELECT NULL, 0) u GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous) AS
  SELECT tumble(at, '1 day') AS w, count(*) FROM (SELECT ts AS at FROM ss UNION ALL SELECT NULL FROM h) u GROUP BY w;
-- rights, as for any query of the user's
CREATE ROLE streamx_reader;
GRANT SELECT ON ss TO streamx_reader;
GRANT CREATE ON SCHEMA public TO streamx_reader;
SET ROLE streamx_reader;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT name FROM h UNION ALL SELECT k FROM ss;
RESET ROLE;
DROP OWNED BY streamx_reader;
DROP ROLE streamx_reader;
-- no stream at all
CREATE VIEW bad WITH (streamx.continuous) AS SELECT name FROM h UNION ALL SELECT long FROM names;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT name::json FROM h UNION ALL SELECT k::json FROM ss UNION SELECT NULL;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT name::text::xid FROM h UNION SELECT v::text::xid FROM ss;

SET client_min_messages = warning;
DROP FOREIGN TABLE ss, sw, sunk CASCADE;
DROP TABLE ts, h, big, names, cases CASCADE;
DROP FUNCTION wait_all(), differences(text, text), over(text, text);
DROP PROCEDURE take(int, int);
DROP EXTENSION streamx;
