--
-- Derived views beside what else there is: failing rows, long values, several
-- streams, history, sliding windows, sessions, sinks, late rows, rights
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';

CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS
$$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;
CREATE FUNCTION differences(a text, b text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN
  EXECUTE format('SELECT count(*) FROM ((%1$s EXCEPT ALL %2$s) UNION ALL (%2$s EXCEPT ALL %1$s)) x', a, b) INTO n;
  RETURN n;
END $$;

-- ---- an expression above the groups fails: the rows that bring it there ----
CREATE FOREIGN TABLE s (id int, k text, v int) SERVER streamx;
CREATE VIEW quotient WITH (streamx.continuous) AS
  SELECT k, 100 / (10 - sum(n)) AS q FROM (SELECT k, v, count(*) AS n FROM s GROUP BY k, v) g GROUP BY k;
INSERT INTO s SELECT i, 'a', i FROM generate_series(1, 9) i;
SELECT wait_all();
INSERT INTO s VALUES (10, 'b', 1), (11, 'a', 1), (12, 'c', 1);
SELECT wait_all();
SELECT * FROM quotient ORDER BY k;
SELECT view, sqlstate, error FROM streamx.dead_letters;
-- a constraint of the result, too
ALTER TABLE quotient ADD CHECK (k <> 'd');
INSERT INTO s VALUES (13, 'b', 1), (14, 'b', 2), (15, 'd', 2);
SELECT wait_all();
SELECT * FROM quotient ORDER BY k;
SELECT sqlstate, count(*) FROM streamx.dead_letters GROUP BY 1 ORDER BY 1;

-- ---- values that no index tuple holds ----
CREATE FOREIGN TABLE long (id int, k text, v int) SERVER streamx;
CREATE TABLE long_t (id int, k text, v int);
CREATE VIEW long_top WITH (streamx.continuous) AS
  SELECT k, v, n FROM (SELECT k, v, n, rank() OVER (PARTITION BY k ORDER BY n DESC, v) AS r
    FROM (SELECT k, v, count(*) AS n FROM long GROUP BY k, v) g) q WHERE r = 1;
CREATE VIEW long_last WITH (streamx.continuous) AS SELECT DISTINCT ON (k) k, id, v FROM long ORDER BY k, id DESC;
CREATE VIEW long_levels WITH (streamx.continuous) AS SELECT k, max(n) AS m FROM (SELECT k, v, count(*) AS n FROM long GROUP BY k, v) g GROUP BY k;
CREATE FUNCTION long_value(i int) RETURNS text LANGUAGE sql AS
$$ SELECT i || string_agg(md5(i::text || j), '') FROM generate_series(1, 300) j $$;
INSERT INTO long_t SELECT i, 'short' || i % 3, i % 2 FROM generate_series(1, 20) i;
INSERT INTO long SELECT * FROM long_t;
SELECT wait_all();
INSERT INTO long_t SELECT i, CASE WHEN i % 2 = 0 THEN long_value(i % 3) ELSE 'short' || i % 3 END, i % 2 FROM generate_series(21, 40) i;
INSERT INTO long SELECT * FROM long_t WHERE id > 20;
SELECT wait_all();
INSERT INTO long_t SELECT i, CASE WHEN i % 2 = 0 THEN long_value(i % 3) ELSE 'short' || i % 3 END, i % 4 FROM generate_series(41, 60) i;
INSERT INTO long SELECT * FROM long_t WHERE id > 40;
SELECT wait_all();
SELECT differences('TABLE long_top', 'SELECT k, v, n FROM (SELECT k, v, n, rank() OVER (PARTITION BY k ORDER BY n DESC, v) AS r
    FROM (SELECT k, v, count(*) AS n FROM long_t GROUP BY k, v) g) q WHERE r = 1') AS top,
  differences('TABLE long_last', '(SELECT DISTINCT ON (k) k, id, v FROM long_t ORDER BY k, id DESC)') AS last,
  differences('TABLE long_levels', 'SELECT k, max(n) AS m FROM (SELECT k, v, count(*) AS n FROM long_t GROUP BY k, v) g GROUP BY k') AS levels,
  (SELECT count(*) FROM long_last WHERE length(k) > 5000) AS long;
SELECT count(*) FROM streamx.dead_letters WHERE view::text LIKE 'long%';

-- ---- several streams; tables in a UNION ALL are there from the start ----
CREATE FOREIGN TABLE a (k int, v int) SERVER streamx;
CREATE FOREIGN TABLE b (k int, v int) SERVER streamx;
CREATE TABLE a_t (k int, v int);
CREATE TABLE b_t (k int, v int);
CREATE TABLE h (k int, v int);
INSERT INTO h VALUES (1, 100), (7, 5), (NULL, 1);
CREATE TABLE both_queries (name text, q text);
INSERT INTO both_queries VALUES
  ('sets', 'SELECT k FROM {a} INTERSECT SELECT k FROM {b}'),
  ('rest', 'SELECT k, v FROM {a} EXCEPT ALL SELECT k, v FROM {b}'),
  ('sums', 'SELECT x.k, x.s, y.n FROM (SELECT k, sum(v) AS s FROM {a} GROUP BY k) x LEFT JOIN (SELECT k, count(*) AS n FROM {b} GROUP BY k) y ON x.k = y.k'),
  ('more', 'SELECT k, count(*) AS n FROM {a} WHERE v > (SELECT avg(v) FROM {b}) GROUP BY k'),
  ('ranks', 'SELECT k, s, rank() OVER (ORDER BY s DESC) AS r FROM (SELECT k, sum(v) AS s FROM (SELECT * FROM {a} UNION ALL SELECT * FROM {b} UNION ALL SELECT * FROM h) u GROUP BY k) g'),
  ('firsts', '(SELECT * FROM {a} UNION ALL SELECT * FROM {b}) ORDER BY v, k LIMIT 5'),
  ('branches', 'SELECT k, count(*) AS n FROM {a} GROUP BY k UNION ALL SELECT k, v FROM h UNION ALL SELECT max(k), sum(v) FROM {b}');
DO $$
DECLARE r record;
BEGIN
  FOR r IN SELECT * FROM both_queries LOOP
    PERFORM streamx.create_continuous_view('v_' || r.name, replace(replace(r.q, '{a}', 'a'), '{b}', 'b'));
    EXECUTE format('CREATE VIEW q_%s AS %s', r.name, replace(replace(r.q, '{a}', 'a_t'), '{b}', 'b_t'));
  END LOOP;
END $$;
SELECT name, differences('TABLE v_' || name, 'TABLE q_' || name) FROM both_queries ORDER BY 1;
CREATE PROCEDURE take(t text, first int, last int) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('INSERT INTO %I SELECT nullif(i %% 9, 8), (i * 31) %% 17 FROM generate_series($1, $2) i', t || '_t') USING first, last;
  EXECUTE format('INSERT INTO %I SELECT nullif(i %% 9, 8), (i * 31) %% 17 FROM generate_series($1, $2) i', t) USING first, last;
END $$;
CALL take('b', 5, 6);
SELECT wait_all();
CALL take('a', 1, 30);
CALL take('b', 10, 50);
SELECT wait_all();
SELECT name, differences('TABLE v_' || name, 'TABLE q_' || name) FROM both_queries ORDER BY 1;
CALL take('a', 20, 60);
SELECT wait_all();
SELECT name, differences('TABLE v_' || name, 'TABLE q_' || name) FROM both_queries ORDER BY 1;

-- ---- rows that leave as time passes, below a LIMIT ----
CREATE FOREIGN TABLE recent (k text, at timestamptz OPTIONS (metadata 'arrival_time')) SERVER streamx;
CREATE VIEW busiest WITH (streamx.continuous) AS
  SELECT k, count(*) AS n FROM recent WHERE at > now() - interval '6 s' GROUP BY k ORDER BY n DESC, k LIMIT 2;
INSERT INTO recent SELECT 'k' || i % 3 FROM generate_series(1, 7) i;
SELECT streamx.wait('busiest');
SELECT * FROM busiest ORDER BY n DESC, k;
DO $$ BEGIN
  FOR i IN 1..300 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM busiest);
    COMMIT;
    PERFORM pg_sleep(0.1);
  END LOOP;
END $$;
SELECT * FROM busiest;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT DISTINCT ON (k) k, at FROM recent WHERE at > now() - interval '3 s';

-- ---- sessions, late rows, a sink ----
CREATE FOREIGN TABLE e (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE VIEW lengths WITH (streamx.continuous) AS
  SELECT k, count(*) AS sessions, max(n) AS longest FROM (SELECT k, session(ts, '30 s') AS s, count(*) AS n FROM e GROUP BY 1, 2) q GROUP BY k;
CREATE VIEW kept WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT w, max(n) AS m FROM (SELECT tumble(ts, '1 minute') AS w, k, count(*) AS n FROM e GROUP BY 1, 2) q GROUP BY w;
CREATE FOREIGN TABLE tops (w timestamptz, k text, n bigint) SERVER streamx;
CREATE TABLE tops_t (w timestamptz, k text, n bigint);
CREATE VIEW got WITH (streamx.continuous) AS SELECT w, k, n FROM tops;
CREATE VIEW top WITH (streamx.continuous, streamx.emit = 'final', streamx.sink = 'tops') AS
  SELECT w, k, n FROM (SELECT w, k, n, row_number() OVER (PARTITION BY w ORDER BY n DESC, k) AS r
    FROM (SELECT tumble(ts, '1 minute') AS w, k, count(*) AS n FROM e GROUP BY 1, 2) a) b WHERE r = 1;
INSERT INTO e SELECT '2026-01-01'::timestamptz + i * interval '5 s' + CASE WHEN i > 20 THEN interval '1 minute' ELSE '0' END, 'k' || i % 2, i FROM generate_series(1, 40) i;
SELECT wait_all();
INSERT INTO e VALUES ('2026-01-01 00:00:01', 'k1', 1), ('2026-01-01 00:05:00', 'k1', 1);
SELECT wait_all();
SELECT * FROM lengths ORDER BY k;
SELECT * FROM kept ORDER BY w;
SELECT view, event_time, row_data->>'k' AS k FROM streamx.late_rows;
SELECT * FROM top ORDER BY w;
SELECT streamx.wait('got');
SELECT differences('TABLE top', 'TABLE got');
CREATE VIEW bad WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT k, max(n) FROM (SELECT k, session(ts, '30 s') AS s, count(*) AS n FROM e GROUP BY 1, 2) q GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT s, max(n) FROM (SELECT k, session(ts, '30 s') AS s, count(*) AS n FROM e GROUP BY 1, 2) q GROUP BY s;

-- ---- hidden tables are the view's ----
CREATE ROLE regress_streamx_owner;
GRANT SELECT ON e TO regress_streamx_owner;
ALTER TABLE kept OWNER TO regress_streamx_owner;
SELECT p::text ~ '^streamx_state\.[ds]\d+_1$' AS name, r.relowner::regrole FROM streamx.continuous_views v, unnest(parts) p JOIN pg_class r ON r.oid = p WHERE view = 'kept'::regclass;
INSERT INTO e VALUES ('2026-01-01 00:05:01', 'k1', 1);
SELECT wait_all();
SELECT w, m FROM kept WHERE w = '2026-01-01 00:05';
DO $$ BEGIN
  EXECUTE format('ALTER TABLE %s ADD COLUMN x int', (SELECT parts[1] FROM streamx.continuous_views WHERE view = 'kept'::regclass));
EXCEPTION WHEN feature_not_supported THEN RAISE NOTICE '%', regexp_replace(SQLERRM, '\d+', 'N'); END $$;
SELECT state_bytes > 0 AS state FROM streamx.views WHERE view = 'kept'::regclass;

SET client_min_messages = warning;
DROP FOREIGN TABLE s, long, a, b, recent, e, tops CASCADE;
DROP TABLE long_t, a_t, b_t, h, both_queries, tops_t CASCADE;
DROP FUNCTION wait_all(), differences(text, text), long_value(int);
DROP PROCEDURE take(text, int, int);
DROP ROLE regress_streamx_owner;
SELECT relname FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace;
DROP EXTENSION streamx;
