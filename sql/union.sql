--
-- Views over several streams: UNION ALL
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';

CREATE FOREIGN TABLE sa (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE FOREIGN TABLE sb (at timestamptz, n bigint, name varchar(20)) SERVER streamx
  OPTIONS (event_time 'at', watermark '20 s', idle_timeout '0');
CREATE FOREIGN TABLE sc (ts timestamptz, k text, v int) SERVER streamx;
CREATE TABLE ta (ts timestamptz, k text, v int);
CREATE TABLE tb (at timestamptz, n bigint, name varchar(20));
CREATE TABLE tc (ts timestamptz, k text, v int);
CREATE TABLE names (k text, long text);
INSERT INTO names SELECT 'k' || i, 'name ' || i % 3 FROM generate_series(0, 5) i;

-- A view over streams sa, sb, sc, and the same query over tables ta, tb, tc.
CREATE TABLE cases (view name PRIMARY KEY, query text);
INSERT INTO cases VALUES
  ('plain', 'SELECT ts, k, v FROM {a} UNION ALL SELECT at, name, n FROM {b}'),
  ('filters', 'SELECT k, v * 2 AS v2 FROM {a} WHERE v > 3 UNION ALL (SELECT name, n FROM {b} WHERE n % 2 = 0 UNION ALL SELECT k, v FROM {c})'),
  ('joined', 'SELECT k, long, v FROM {a} JOIN names USING (k) UNION ALL SELECT name, long, n FROM {b} LEFT JOIN names ON k = name'),
  ('groups', 'SELECT k, count(*), sum(v), min(v), avg(v) FROM (SELECT k, v FROM {a} UNION ALL SELECT name, n FROM {b}) u GROUP BY k'),
  ('total', 'SELECT count(*), sum(v) FROM (SELECT v FROM {a} UNION ALL SELECT n FROM {b} UNION ALL SELECT v FROM {c} WHERE v <> 7) u'),
  ('twice', 'SELECT k, side, count(*) FROM (SELECT k, ''x'' AS side FROM {a} WHERE v > 2 UNION ALL SELECT k, ''y'' FROM {a} WHERE v < 7) u GROUP BY k, side'),
  ('cte', 'WITH x AS (SELECT k, v FROM {a} WHERE v IS NOT NULL) SELECT k, sum(v) FROM (SELECT * FROM x WHERE v > 5 UNION ALL SELECT k, -v FROM x UNION ALL SELECT name, n FROM {b}) u GROUP BY k HAVING sum(v) > 0'),
  ('nested', 'SELECT long, count(*) FROM (SELECT * FROM (SELECT k FROM {a} UNION ALL SELECT k FROM {c}) i WHERE k > ''k0'' UNION ALL SELECT name FROM {b}) u JOIN names USING (k) GROUP BY long'),
  ('held', 'SELECT k, count(DISTINCT v), array_agg(v ORDER BY v DESC, k) FROM (SELECT k, v FROM {a} UNION ALL SELECT name, n FROM {b}) u GROUP BY k'),
  ('levels', 'SELECT n, count(*) FROM (SELECT k, count(*) AS n FROM (SELECT k FROM {a} UNION ALL SELECT name FROM {b}) u GROUP BY k) q GROUP BY n'),
  ('latest', 'SELECT DISTINCT ON (k) k, ts, v FROM (SELECT ts, k, v FROM {a} UNION ALL SELECT at, name, n FROM {b}) u ORDER BY k, ts DESC NULLS LAST, v'),
  ('windows', 'SELECT tumble(ts, ''1 minute'') AS w, k, count(*), sum(v) FROM (SELECT ts, k, v FROM {a} WHERE ts IS NOT NULL UNION ALL SELECT at, name, n FROM {b} WHERE at IS NOT NULL) u GROUP BY w, k'),
  ('hops', 'SELECT hop(ts, ''30 s'', ''1 minute'') AS w, count(*) FROM (SELECT ts FROM {a} WHERE ts IS NOT NULL UNION ALL SELECT at FROM {b} WHERE at IS NOT NULL) u GROUP BY w'),
  ('days', 'SELECT date_trunc(''day'', ts) AS d, count(*) FROM (SELECT ts::timestamp FROM {a} WHERE ts IS NOT NULL UNION ALL SELECT ts::timestamp FROM {c} WHERE ts IS NOT NULL) u GROUP BY d');

CREATE FUNCTION over(query text, prefix text) RETURNS text LANGUAGE sql AS
$$ SELECT regexp_replace(query, '\{(.)\}', prefix || '\1', 'g') $$;
DO $$ BEGIN PERFORM streamx.create_continuous_view(view, over(query, 's')) FROM cases; END $$;
SELECT v.view, array_agg(s.stream ORDER BY s.stream::text COLLATE "C") AS streams
FROM streamx.continuous_views v JOIN streamx.view_streams s USING (view)
GROUP BY v.view ORDER BY v.view::text COLLATE "C";

-- all caught up; what differs
CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS
$$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;
CREATE FUNCTION differences(view text, query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN
  EXECUTE format('SELECT count(*) FROM ((TABLE %1$I EXCEPT ALL (%2$s)) UNION ALL ((%2$s) EXCEPT ALL TABLE %1$I)) x', view, query) INTO n;
  RETURN n;
END $$;
CREATE VIEW differing AS
  SELECT view FROM cases WHERE differences(view::text, over(query, 't')) > 0 ORDER BY view::text COLLATE "C";

-- rows (first, last] of made-up sequences, each stream in a transaction of its own
CREATE PROCEDURE take(stream text, first int, last int) LANGUAGE plpgsql AS $$
BEGIN
  CASE stream
  WHEN 'a', 'c' THEN
    EXECUTE format($q$
      WITH r AS (SELECT CASE WHEN i %% 50 > 0 THEN '2026-01-01'::timestamptz + (i + i * 7 %% 5) * interval '0.5 s' END, CASE WHEN i %% 11 > 0 THEN 'k' || i %% 7 END, CASE WHEN i %% 13 > 0 THEN i %% 10 END
                 FROM generate_series(%2$s, %3$s) i),
           t AS (INSERT INTO t%1$s SELECT * FROM r)
      INSERT INTO s%1$s SELECT * FROM r $q$, stream, first + 1, last);
  ELSE
    EXECUTE format($q$
      WITH r AS (SELECT CASE WHEN i %% 40 > 0 THEN '2026-01-01'::timestamptz + (i - i %% 9) * interval '1 s' END, i %% 12, CASE WHEN i %% 17 > 0 THEN 'k' || i %% 5 END
                 FROM generate_series(%1$s, %2$s) i),
           t AS (INSERT INTO tb SELECT * FROM r)
      INSERT INTO sb SELECT * FROM r $q$, first + 1, last);
  END CASE;
  COMMIT;
END $$;

-- the row of a view without GROUP BY is there
SELECT * FROM total;
CALL take('a', 0, 1);
SELECT wait_all();
SELECT * FROM differing;
CALL take('b', 0, 1);
CALL take('a', 1, 2);
CALL take('c', 0, 40);
SELECT wait_all();
SELECT * FROM differing;
CALL take('b', 1, 200);
CALL take('a', 2, 400);
CALL take('b', 200, 201);
SELECT wait_all();
SELECT * FROM differing;

-- paused and resumed, rows of one or the other meanwhile
SELECT count(streamx.pause(view)) FROM streamx.views;
CALL take('a', 400, 600);
SELECT count(streamx.resume(view)) FROM streamx.views;
CALL take('b', 201, 350);
CALL take('c', 40, 60);
SELECT wait_all();
SELECT * FROM differing;

-- one view behind the others on both streams, and its way to them
SELECT streamx.pause('groups');
CALL take('a', 600, 3000);
CALL take('b', 350, 2000);
SELECT streamx.wait('plain'), streamx.wait('groups', '0 s');
SELECT streamx.resume('groups');
CALL take('a', 3000, 3010);
SELECT wait_all();
SELECT * FROM differing;
SELECT view, differences(view::text, over(query, 't')), (SELECT rows_in FROM streamx.views v WHERE v.view = c.view::regclass)
FROM cases c ORDER BY view::text COLLATE "C";
SELECT streamx.verify('windows'), streamx.verify('held'), streamx.verify('plain');
SELECT stream, rows_in FROM streamx.streams ORDER BY stream::text COLLATE "C";

-- a difference is found
UPDATE groups SET sum = sum + 1 WHERE k = 'k3';
SELECT * FROM differing;
SELECT difference, result FROM streamx.verify('groups');

-- dead letters say whose row it was
CREATE VIEW fails WITH (streamx.continuous) AS
  SELECT k, sum(100 / v) FROM (SELECT k, v FROM sa UNION ALL SELECT name, n FROM sb) u GROUP BY k;
INSERT INTO sa VALUES (NULL, 'x', 1), (NULL, 'x', 0), (NULL, 'x', 5);
INSERT INTO sb VALUES (NULL, 0, 'x'), (NULL, 2, 'x');
SELECT streamx.wait('fails');
SELECT * FROM fails;
SELECT stream, view, sqlstate, error FROM streamx.dead_letters ORDER BY stream::text COLLATE "C";
SELECT rows_in, dead_letters FROM streamx.views WHERE view = 'fails'::regclass;
SET client_min_messages = warning;
DROP FOREIGN TABLE sa, sb, sc CASCADE;
SELECT count(*) FROM streamx.views;
SELECT count(*) FROM streamx.view_streams;
DROP TABLE ta, tb, tc, cases CASCADE;

-- the watermark: the least of the streams'
CREATE FOREIGN TABLE a (ts timestamptz, k text) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE FOREIGN TABLE b (ts timestamptz, k text) SERVER streamx
  OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '0');
CREATE FOREIGN TABLE silent (ts timestamptz, k text) SERVER streamx
  OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '1 s');
CREATE FOREIGN TABLE n (ts timestamptz, k text) SERVER streamx OPTIONS (event_time 'ts');
CREATE VIEW f WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*), string_agg(k, ',' ORDER BY k) AS ks
  FROM (TABLE a UNION ALL TABLE b) u GROUP BY w;
CREATE VIEW u WITH (streamx.continuous, streamx.final_column = 'closed') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) FROM (TABLE a UNION ALL TABLE b) u GROUP BY w;
CREATE VIEW q WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) FROM (TABLE b UNION ALL TABLE silent) u GROUP BY w;
CREATE VIEW counters AS
  SELECT view, rows_in, rows_late, watermark FROM streamx.view_counters ORDER BY view::text COLLATE "C";

INSERT INTO a VALUES ('2026-01-01 00:00:05Z', 'a1'), ('2026-01-01 00:02:10Z', 'a2');
SELECT wait_all();
-- b has had no row yet
SELECT * FROM counters;
SELECT * FROM f;
INSERT INTO b VALUES ('2026-01-01 00:00:59Z', 'b1');
SELECT wait_all();
SELECT * FROM counters;
SELECT * FROM f;
-- neither late for a nor for the view: b is behind
INSERT INTO a VALUES ('2026-01-01 00:00:01Z', 'a0');
SELECT wait_all();
INSERT INTO b VALUES ('2026-01-01 00:01:00Z', 'b2');
SELECT wait_all();
SELECT * FROM f;
SELECT * FROM u ORDER BY w;
SELECT * FROM counters;
-- late now, in either stream
INSERT INTO a VALUES ('2026-01-01 00:00:01Z', 'late');
INSERT INTO b VALUES ('2026-01-01 00:00:02Z', 'late'), ('2026-01-01 00:03:00Z', 'b3');
SELECT wait_all();
SELECT * FROM f ORDER BY w;
SELECT * FROM counters;
-- a stream that is silent altogether goes on by the clock, from where it is
INSERT INTO silent VALUES ('2026-01-01 00:00:59Z', 's1');
CREATE PROCEDURE wait_until(condition text) LANGUAGE plpgsql AS $$
DECLARE ok boolean := false; BEGIN
  FOR i IN 1..300 LOOP
    EXECUTE 'SELECT ' || condition INTO ok;
    EXIT WHEN ok;
    COMMIT;
    PERFORM pg_sleep(0.1);
  END LOOP;
  IF NOT ok THEN RAISE EXCEPTION 'not after 30 s: %', condition; END IF;
END $$;
CALL wait_until('EXISTS (SELECT FROM q)');
SELECT * FROM q ORDER BY w;
-- restored from what was saved
SELECT count(streamx.pause(view)) FROM streamx.views;
SELECT count(streamx.resume(view)) FROM streamx.views;
INSERT INTO b VALUES ('2026-01-01 00:00:03Z', 'late');
SELECT wait_all();
SELECT * FROM f ORDER BY w;
SELECT view, rows_in, rows_late FROM counters;

-- a view that stops does so on all its streams
CREATE FUNCTION fail(k text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF k = 'bad' THEN RAISE EXCEPTION 'bad row' USING errcode = 'insufficient_privilege'; END IF;
  RETURN k;
END $$;
CREATE VIEW stops WITH (streamx.continuous) AS
  SELECT fail(k) AS k, count(*) FROM (TABLE a UNION ALL TABLE b) u GROUP BY 1;
INSERT INTO a VALUES (NULL, 'a');
INSERT INTO b VALUES (NULL, 'bad');
CALL wait_until($$ (SELECT state = 'stopped' FROM streamx.views WHERE view = 'stops'::regclass) $$);
INSERT INTO a VALUES (NULL, 'a');
SELECT streamx.wait('stops');
CREATE OR REPLACE FUNCTION fail(k text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT k $$;
SELECT streamx.resume('stops');
SELECT streamx.wait('stops');
SELECT * FROM stops ORDER BY k;

-- what needs a watermark of all streams, and event times of all branches
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) FROM (TABLE a UNION ALL TABLE n) u GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*)
  FROM (SELECT ts FROM a UNION ALL SELECT '2026-01-01'::timestamptz FROM b) u GROUP BY w;

-- local times among others are hours away from where the watermark stands
CREATE FOREIGN TABLE local (ts timestamp, k text) SERVER streamx
  OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '0');
CREATE FOREIGN TABLE days (ts date, k text) SERVER streamx
  OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '0');
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) FROM (TABLE a UNION ALL TABLE local) u GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) FROM (TABLE a UNION ALL SELECT ts::timestamptz, k FROM local) u GROUP BY w;
CREATE VIEW good WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 day') AS w, count(*) FROM (TABLE local UNION ALL TABLE days) u GROUP BY w;
INSERT INTO local VALUES ('2026-01-01 23:59:59'), ('2026-01-02 00:00:00');
INSERT INTO days VALUES ('2026-01-01'), ('2026-01-02');
SELECT streamx.wait('good');
SELECT * FROM good;

-- what cannot be maintained
CREATE VIEW bad WITH (streamx.continuous) AS SELECT x.k, long FROM names LEFT JOIN (SELECT k FROM a UNION ALL SELECT k FROM b) x USING (k);

SET client_min_messages = warning;
DROP FOREIGN TABLE a, b, silent, n, local, days CASCADE;
DROP VIEW counters;
DROP TABLE names;
DROP FUNCTION wait_all(), fail(text), differences(text, text), over(text, text);
DROP PROCEDURE take(text, int, int), wait_until(text);
DROP EXTENSION streamx;
