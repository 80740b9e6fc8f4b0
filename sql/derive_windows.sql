--
-- Derived views in event time: partitions that close, late rows,
-- emit = 'final', final_column, retention; and state that does not grow
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';

CREATE FOREIGN TABLE e (id int, ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
-- what of it is not late, for the batch
CREATE TABLE t (id int, ts timestamptz, k text, v int);

CREATE TABLE queries (name text, options text, q text);
INSERT INTO queries VALUES
  ('top', '', 'SELECT w, k, n, rn FROM (SELECT w, k, n, row_number() OVER (PARTITION BY w ORDER BY n DESC, k) AS rn
    FROM (SELECT tumble(ts, ''1 minute'') AS w, k, count(*) AS n FROM {e} GROUP BY 1, 2) a) b WHERE rn <= 2'),
  ('most', '', 'SELECT tumble(ts, ''1 minute'') AS w, k, sum(v) AS s, rank() OVER (PARTITION BY tumble(ts, ''1 minute'') ORDER BY sum(v)) AS r
    FROM {e} GROUP BY 1, 2 HAVING count(*) > 1'),
  ('levels', '', 'SELECT w, max(n) AS m, count(*) AS c, count(DISTINCT d) AS d
    FROM (SELECT tumble(ts, ''1 minute'') AS w, k, count(*) AS n, count(DISTINCT v) AS d FROM {e} GROUP BY 1, 2) a GROUP BY w'),
  ('q5', '', 'SELECT b.w, b.k, b.n FROM (SELECT hop(ts, ''30 s'', ''1 minute'') AS w, k, count(*) AS n FROM {e} GROUP BY 1, 2) b
    JOIN (SELECT w, max(n) AS m FROM (SELECT hop(ts, ''30 s'', ''1 minute'') AS w, k, count(*) AS n FROM {e} GROUP BY 1, 2) x GROUP BY w) y
    ON b.w = y.w AND b.n = y.m'),
  ('once', '', 'SELECT DISTINCT ON (tumble(ts, ''1 minute''), k) tumble(ts, ''1 minute'') AS w, k, v, id FROM {e} ORDER BY tumble(ts, ''1 minute''), k, id'),
  ('last', '', 'SELECT w, k, v FROM (SELECT tumble(ts, ''1 minute'') AS w, k, v,
    row_number() OVER (PARTITION BY tumble(ts, ''1 minute''), k ORDER BY id DESC) AS rn FROM {e} WHERE v <> 7) q WHERE rn = 1'),
  ('high', '', 'SELECT b.w, b.id, b.k, b.v FROM (SELECT *, tumble(ts, ''1 minute'') AS w FROM {e}) b
    JOIN (SELECT tumble(ts, ''1 minute'') AS w, max(v) AS v FROM {e} GROUP BY 1) m ON b.w = m.w AND b.v = m.v'),
  ('calm', '', 'SELECT a.w, a.n, coalesce(b.n, 0) AS high FROM (SELECT tumble(ts, ''1 minute'') AS w, count(*) AS n FROM {e} GROUP BY 1) a
    LEFT JOIN (SELECT tumble(ts, ''1 minute'') AS w, count(*) AS n FROM {e} WHERE v > 20 GROUP BY 1) b ON a.w = b.w');

-- each as it changes, as its windows close, and with both marked
DO $$
DECLARE r record;
BEGIN
  FOR r IN SELECT * FROM queries LOOP
    PERFORM streamx.create_continuous_view('u_' || r.name, replace(r.q, '{e}', 'e'));
    PERFORM streamx.create_continuous_view('f_' || r.name, replace(r.q, '{e}', 'e'), emit => 'final');
    EXECUTE format('CREATE VIEW c_%s WITH (streamx.continuous, streamx.final_column = ''closed'') AS %s', r.name, replace(r.q, '{e}', 'e'));
    EXECUTE format('CREATE VIEW r_%s WITH (streamx.continuous, streamx.retention = ''2 minutes'') AS %s', r.name, replace(r.q, '{e}', 'e'));
    EXECUTE format('CREATE VIEW b_%s AS %s', r.name, replace(r.q, '{e}', 't'));
  END LOOP;
END $$;

-- how many rows differ from the batch, over the same and over closed windows
CREATE FUNCTION differences(a text, b text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN
  EXECUTE format('SELECT count(*) FROM ((%1$s EXCEPT ALL %2$s) UNION ALL (%2$s EXCEPT ALL %1$s)) x', a, b) INTO n;
  RETURN n;
END $$;
CREATE FUNCTION check_all(closed timestamptz, OUT name text, OUT u bigint, OUT f bigint, OUT c bigint, OUT r bigint, OUT final bigint)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
  all_columns text;
BEGIN
  FOR name IN SELECT q.name FROM queries q ORDER BY 1 LOOP
    SELECT string_agg(attname, ', ' ORDER BY attnum) INTO all_columns FROM pg_attribute
    WHERE attrelid = ('b_' || check_all.name)::regclass AND attnum > 0;
    u := differences('TABLE u_' || name, 'TABLE b_' || name);
    f := differences('TABLE f_' || name, format('SELECT * FROM b_%s WHERE w + ''1 minute'' <= %L', name, closed));
    c := differences('TABLE c_' || name, format('SELECT *, w + ''1 minute'' <= %L FROM b_%s', closed, name));
    r := differences('TABLE r_' || name, format('SELECT * FROM b_%s WHERE w + ''1 minute'' > %L', name, closed - '2 minutes'::interval));
    EXECUTE 'SELECT count(*) FROM f_' || name INTO final;
    RETURN NEXT;
  END LOOP;
END $$;
CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS
$$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;
CREATE PROCEDURE take(first int, last int) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO t SELECT i, '2026-01-01'::timestamptz + i * interval '1 s' - (i % 8) * interval '1 s',
      CASE WHEN i % 29 > 0 THEN 'k' || (i * 7919) % 5 END, (i * 31) % 23
    FROM generate_series(first + 1, last) i;
  INSERT INTO e SELECT * FROM t WHERE id > first AND id <= last;
END $$;

CALL take(0, 1);
SELECT wait_all();
CALL take(1, 69);
SELECT wait_all();
-- the watermark is the newest event less 10 s: 00:00:54
SELECT * FROM check_all('2026-01-01 00:00:54');
CALL take(69, 72);
SELECT wait_all();
-- the first windows have closed
SELECT * FROM check_all('2026-01-01 00:01:02');
SELECT w, k, n, rn FROM f_top ORDER BY w, rn;
CALL take(72, 400);
SELECT wait_all();
SELECT * FROM check_all('2026-01-01 00:06:30');

-- late rows change nothing, and are counted once
INSERT INTO e VALUES (1001, '2026-01-01 00:01:00', 'k1', 22), (1002, '2026-01-01 00:06:35', 'k1', 22),
  (1003, '2026-01-01 00:05:59', 'k9', 1);
INSERT INTO t VALUES (1002, '2026-01-01 00:06:35', 'k1', 22);
SELECT wait_all();
SELECT * FROM check_all('2026-01-01 00:06:30');
SELECT view, rows_late FROM streamx.view_counters WHERE view::text LIKE 'u\_%' ORDER BY view::text COLLATE "C";

-- what is held: rows of open windows only
CREATE FUNCTION held(view regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; m bigint := 0; p regclass; BEGIN
  FOR p IN SELECT unnest(parts) FROM streamx.continuous_views v WHERE v.view = held.view LOOP
    CONTINUE WHEN p = 0;
    EXECUTE format('SELECT count(*) FROM %s', p) INTO n;
    m := m + n;
  END LOOP;
  RETURN m;
END $$;
SELECT view, held(view) FROM streamx.continuous_views WHERE view::text ~ '^[uf]_' ORDER BY view::text COLLATE "C";
-- in a view whose partitions do not close they stay, but not their states
CREATE VIEW per_k WITH (streamx.continuous) AS SELECT k, max(n) AS m FROM (SELECT tumble(ts, '1 minute') AS w, k, count(*) AS n FROM e GROUP BY 1, 2) a GROUP BY k;
CREATE VIEW top_k WITH (streamx.continuous) AS SELECT tumble(ts, '1 minute') AS w, count(*) AS n FROM e GROUP BY 1 ORDER BY n DESC, w LIMIT 2;
DELETE FROM t;
CALL take(400, 800);
SELECT wait_all();
SELECT differences('TABLE per_k', 'SELECT k, max(n) AS m FROM (SELECT tumble(ts, ''1 minute'') AS w, k, count(*) AS n FROM t GROUP BY 1, 2) a GROUP BY k'),
  differences('TABLE top_k', '(SELECT tumble(ts, ''1 minute'') AS w, count(*) AS n FROM t GROUP BY 1 ORDER BY n DESC, w LIMIT 2)');
SELECT view, held(view) FROM streamx.continuous_views WHERE view IN ('per_k'::regclass, 'top_k'::regclass) ORDER BY view::text COLLATE "C";

-- rows without event time are in no window
INSERT INTO e VALUES (2001, NULL, 'k1', 1), (2002, 'infinity', 'k1', 1);
SELECT wait_all();
SELECT view, sqlstate, count(*) FROM streamx.dead_letters WHERE view IN ('u_once'::regclass, 'u_top'::regclass, 'per_k'::regclass) GROUP BY 1, 2
ORDER BY view::text COLLATE "C", 2;

-- what cannot close
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT k, max(n) AS m FROM (SELECT tumble(ts, '1 minute') AS w, k, count(*) AS n FROM e GROUP BY 1, 2) a GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous, streamx.retention = '1 hour') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) AS n FROM e GROUP BY 1 ORDER BY n DESC LIMIT 3;
CREATE VIEW bad WITH (streamx.continuous, streamx.final_column = 'f') AS SELECT k, rank() OVER (ORDER BY count(*)) FROM e GROUP BY k;

SET client_min_messages = warning;
DROP FOREIGN TABLE e CASCADE;
DROP TABLE t CASCADE;
DROP TABLE queries;
DROP FUNCTION differences(text, text);
DROP FUNCTION check_all(timestamptz);
DROP FUNCTION wait_all();
DROP FUNCTION held(regclass);
DROP PROCEDURE take(int, int);
SELECT count(*) FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace;
DROP EXTENSION streamx;
