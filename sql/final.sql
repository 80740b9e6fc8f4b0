--
-- emit = 'final': groups of open windows in memory, filled again by reading
-- again
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
-- what a query that is made up gives
CREATE OR REPLACE FUNCTION value_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE value text; BEGIN EXECUTE query INTO value; RETURN value; END $$;
SET TimeZone = 'UTC';

CREATE FOREIGN TABLE e (ts timestamptz, k text, v int, n numeric, f float8) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE TABLE e_t (ts timestamptz, k text, v int, n numeric, f float8);
CREATE TABLE names (k text, name text);
-- its states are expanded arrays
CREATE AGGREGATE listed(int) (sfunc = array_append, stype = int[], combinefunc = array_cat, initcond = '{}', parallel = safe);
CREATE FUNCTION threshold() RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int + 5 FROM names';
INSERT INTO names VALUES ('a', 'A'), ('b', 'B');

-- each view, its query over either, and how long after w a window ends
CREATE TABLE pairs (view name, query text, size interval);
INSERT INTO pairs (view, query, size) VALUES
 ('plain', 'SELECT tumble(ts, ''1 minute'') AS w, k, count(*) AS c, sum(v) AS s, avg(v) AS a, min(v) AS l, max(k) AS m FROM {e} GROUP BY w, k', '1 minute'),
 ('internal', 'SELECT tumble(ts, ''1 minute'') AS w, k, sum(n) AS s, avg(n) AS a, stddev(n) AS d, sum(v::bigint) AS b FROM {e} GROUP BY w, k', '1 minute'),
 ('byref', 'SELECT k, date_trunc(''minute'', ts) AS w, max(n) AS m, min(k || v) AS t, bool_and(v > 0) AS p, round(regr_slope(f, v)::numeric, 6) AS r FROM {e} GROUP BY 1, 2', '1 minute'),
 ('some', 'SELECT tumble(ts, ''30 s'') AS w, v % 3 AS r, count(k) AS c FROM {e} WHERE v > 2 GROUP BY w, r HAVING count(*) > 1', '30 s'),
 ('hops', 'SELECT hop(ts, ''20 s'', ''1 minute'') AS w, k, count(*) AS c, sum(n) AS s FROM {e} GROUP BY w, k', '1 minute'),
 ('grows', 'SELECT cumulate(ts, ''20 s'', ''1 minute'') AS w, count(*) AS c, max(v) AS m FROM {e} GROUP BY w', '0'),
 ('slides', 'SELECT k, hop(ts, ''10 s'', ''45 s'') AS w, v % 3 AS r, avg(n) AS a, stddev(n) AS d, sum(v::bigint) AS b, min(k || v) AS t, count(*) FILTER (WHERE v > 6) AS f FROM {e} WHERE v <> 2 GROUP BY w, k, r HAVING count(*) <> 2', '45 s'),
 ('steps', 'SELECT cumulate(ts, ''10 s'', ''2 minutes'') AS w, v % 2 AS r, sum(n) AS s, max(n) AS m, avg(v) AS a FROM {e} GROUP BY w, r', '0'),
 ('lists', 'SELECT hop(ts, ''30 s'', ''2 minutes'') AS w, cardinality(listed(v)) AS c, listed(v) @> ''{3, 4}'' AS h FROM {e} GROUP BY w', '2 minutes'),
 ('months', 'SELECT tumble(ts, ''1 month'') AS w, count(*) AS c, sum(v) AS s FROM {e} GROUP BY w', '1 month'),
 -- these look at more than the rows: their open windows are in a table
 ('joined', 'SELECT tumble(ts, ''1 minute'') AS w, name, count(*) AS c FROM {e} JOIN names USING (k) GROUP BY w, name', '1 minute'),
 ('looked', 'SELECT tumble(ts, ''1 minute'') AS w, count(*) AS c FROM {e} WHERE v < threshold() GROUP BY w', '1 minute');
SELECT streamx.create_continuous_view(view::text, replace(query, '{e}', 'e'), emit => 'final') FROM pairs;

CREATE FUNCTION differences() RETURNS TABLE (view name, n bigint) LANGUAGE plpgsql AS $$
DECLARE p pairs;
BEGIN
  FOR p IN SELECT * FROM pairs LOOP
    view := p.view;
    EXECUTE format($q$
      WITH b AS (SELECT * FROM (%1$s) b WHERE w + %2$L::interval <= (SELECT watermark FROM streamx.views WHERE view = %3$L::regclass))
      SELECT count(*) FROM ((TABLE b EXCEPT ALL TABLE %3$I) UNION ALL (TABLE %3$I EXCEPT ALL TABLE b)) d
      $q$, replace(p.query, '{e}', 'e_t'), p.size, p.view) INTO n;
    IF n > 0 THEN RETURN NEXT; END IF;
  END LOOP;
END $$;
CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS
$$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;
CREATE PROCEDURE again() LANGUAGE plpgsql AS $$
BEGIN
  PERFORM streamx.pause(view::regclass) FROM pairs;
  COMMIT;
  PERFORM streamx.resume(view::regclass) FROM pairs;
  COMMIT;
END $$;
CREATE FUNCTION stored() RETURNS TABLE (view regclass, groups int) LANGUAGE sql AS $$
  SELECT v.view, value_of(format('SELECT count(*) AS n FROM %s', v.state))::int
  FROM streamx.continuous_views v ORDER BY v.view::text COLLATE "C"
$$;

-- rows of some minutes in disorder within the watermark, NULLs among them
CREATE FUNCTION rows_of(lo int, hi int) RETURNS SETOF e_t LANGUAGE sql AS $$
  SELECT '2026-01-01 00:00Z'::timestamptz + (i - (i * 7) % 9) * interval '1 second',
         CASE WHEN i % 11 > 0 THEN chr(97 + i % 5) END, nullif(i % 13, 5), (i % 17) / 7.0 + 0.00, sqrt(i % 23)
  FROM generate_series(lo, hi) i
$$;
CREATE PROCEDURE feed(cuts int[]) LANGUAGE plpgsql AS $$
DECLARE lo int := 0; hi int; d record;
BEGIN
  FOREACH hi IN ARRAY cuts LOOP
    INSERT INTO e_t SELECT * FROM rows_of(lo + 1, hi);
    INSERT INTO e SELECT * FROM rows_of(lo + 1, hi);
    COMMIT;
    PERFORM wait_all();
    COMMIT;
    FOR d IN SELECT * FROM differences() LOOP
      RAISE WARNING 'after %: % rows differ in %', hi, d.n, d.view;
    END LOOP;
    lo := hi;
  END LOOP;
END $$;

CALL feed('{1,2,3,50,75,76,77,130}');
SELECT p.view, c.count FROM pairs p, LATERAL (SELECT value_of(format('SELECT count(*) FROM %I', view))::bigint AS count) c
WHERE c.count > 0 ORDER BY p.view::text COLLATE "C";
-- open windows are in no table, where their rows can be read again
SELECT * FROM stored();
SELECT view, next_offset, replay_offset, replay_snapshot IS NOT NULL AS snapshot
FROM streamx.progress ORDER BY view::text COLLATE "C";

-- read again, at once and over several batches and windows
CALL again();
SELECT wait_all();
SELECT * FROM differences();
CREATE OR REPLACE PROCEDURE feed(lo int, cuts int[], reopen boolean) LANGUAGE plpgsql AS $$
DECLARE hi int; d record;
BEGIN
  FOREACH hi IN ARRAY cuts LOOP
    INSERT INTO e_t SELECT * FROM rows_of(lo + 1, hi);
    INSERT INTO e SELECT * FROM rows_of(lo + 1, hi);
    COMMIT;
    IF NOT reopen THEN
      PERFORM wait_all();
      COMMIT;
    ELSE
      CALL again();
      PERFORM wait_all();
      COMMIT;
    END IF;
    FOR d IN SELECT * FROM differences() LOOP
      RAISE WARNING 'after %: % rows differ in %', hi, d.n, d.view;
    END LOOP;
    lo := hi;
  END LOOP;
END $$;
CALL feed(130, '{131,135,180,181,182,183,260,400}', true);
CALL feed(400, '{401,402,403,500}', false);
SELECT view, rows_in, rows_late, dead_letters FROM streamx.views ORDER BY view::text COLLATE "C";

-- late rows stay late when they are read again
INSERT INTO e VALUES ('2026-01-01 00:00:30Z', 'late', 1, 1, 1), ('2026-01-01 00:08:20Z', 'z', 4, 4, 4);
INSERT INTO e_t VALUES ('2026-01-01 00:08:20Z', 'z', 4, 4, 4);
SELECT wait_all();
CALL again();
CALL feed(500, '{560}', true);
SELECT view, rows_in, rows_late, dead_letters FROM streamx.views
WHERE view::text <> 'months' ORDER BY view::text COLLATE "C";

-- a month closes: all of its rows are read again for one view
INSERT INTO e SELECT '2026-02-01 00:00:30Z', 'z', 4, 4, 4;
INSERT INTO e_t SELECT '2026-02-01 00:00:30Z', 'z', 4, 4, 4;
CALL again();
SELECT wait_all();
-- the late row was in time for the month
SELECT * FROM differences();
SELECT w, c, s FROM months;
SELECT count(*), sum(v) FROM e_t;
SELECT * FROM streamx.verify('months');
SELECT difference, result #>> '{batch,k}' AS k FROM streamx.verify('plain');

SET client_min_messages = warning;
DROP FOREIGN TABLE e CASCADE;
RESET client_min_messages;

-- a row that is there already is no obstacle; one that HAVING excludes goes
CREATE FOREIGN TABLE s (ts timestamptz, k int, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '0');
CREATE VIEW r WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, k, count(*) AS c FROM s GROUP BY w, k HAVING count(*) > 1;
INSERT INTO r VALUES ('2026-01-01 00:00Z', 1, 100), ('2026-01-01 00:00Z', 2, 100), ('2026-01-01 00:00Z', 3, 100);
INSERT INTO s VALUES ('2026-01-01 00:00:10Z', 1, 1), ('2026-01-01 00:00:10Z', 1, 1),
                     ('2026-01-01 00:00:10Z', 2, 1),
                     ('2026-01-01 00:00:10Z', NULL, 1), ('2026-01-01 00:00:10Z', NULL, 1);
CREATE VIEW rh WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT k, hop(ts, '30 s', '1 minute') AS w, count(*) AS c FROM s GROUP BY w, k HAVING count(*) > 1;
INSERT INTO rh VALUES (8, '2026-01-01 00:00:30Z', 100), (9, '2026-01-01 00:00:30Z', 100);
INSERT INTO s VALUES ('2026-01-01 00:01:00Z', 7, 1), ('2026-01-01 00:01:00Z', 8, 1);
SELECT streamx.wait('r');
SELECT * FROM r ORDER BY w, k;
-- a window that two panes make, one without
INSERT INTO s VALUES ('2026-01-01 00:00:45Z', 8, 1), ('2026-01-01 00:01:20Z', 9, 1), ('2026-01-01 00:01:21Z', 8, 1);
SELECT streamx.wait('rh');
INSERT INTO s VALUES ('2026-01-01 00:01:31Z', NULL, 1);
SELECT streamx.wait('rh');
SELECT * FROM rh ORDER BY w, k;

-- what fails as states are combined: the row is a dead letter, its neighbours
-- count, whichever batch they came in
CREATE FUNCTION picky_step(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN coalesce($1, 0) + coalesce($2, 0);
END $$;
CREATE FUNCTION picky_combine(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF coalesce($1, 0) + coalesce($2, 0) = 13 THEN RAISE 'thirteen' USING errcode = '22000'; END IF;
  RETURN coalesce($1, 0) + coalesce($2, 0);
END $$;
CREATE AGGREGATE picky(int) (sfunc = picky_step, stype = int, combinefunc = picky_combine, parallel = safe);
CREATE VIEW p WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) AS c, picky(v) AS s, min(k) AS k FROM s GROUP BY w;
-- a state that cannot be copied beside it: read again, with care
CREATE VIEW q WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, sum(k::numeric) AS n, picky(v) AS s, count(*) AS c FROM s GROUP BY w;
-- of its windows some are made of what is stored and of what is not
CREATE VIEW ph WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT hop(ts, '30 s', '1 minute') AS w, k > 2 AS k, sum(k::numeric) AS n, picky(v) AS s, count(*) AS c FROM s GROUP BY 1, 2;
INSERT INTO s VALUES ('2026-01-01 00:02:10Z', 1, 6);
SELECT wait_all();
INSERT INTO s VALUES ('2026-01-01 00:02:11Z', 2, 7);
SELECT wait_all();
INSERT INTO s VALUES ('2026-01-01 00:02:12Z', 3, 5), ('2026-01-01 00:02:13Z', 4, 2), ('2026-01-01 00:02:13Z', 5, 1);
SELECT wait_all();
SELECT view, sqlstate, error, count(*) FROM streamx.dead_letters GROUP BY 1, 2, 3 ORDER BY view::text COLLATE "C";
-- in the table from then on, until the window has closed
SELECT * FROM stored();
-- rows to be read again: from the start of the batch, which may have begun with others, that brought the first of them
SELECT view, next_offset - replay_offset BETWEEN 5 AND 11 AS replays FROM streamx.progress ORDER BY view::text COLLATE "C";
INSERT INTO s VALUES ('2026-01-01 00:02:40Z', 1, 0), ('2026-01-01 00:02:41Z', 9, 0);
SELECT wait_all();
SELECT * FROM stored();
-- a window goes from there, and another one there, in one batch
INSERT INTO s VALUES ('2026-01-01 00:02:50Z', 5, -1), ('2026-01-01 00:03:00Z', 7, 1);
SELECT wait_all();
TABLE p;
TABLE q;
SELECT * FROM ph ORDER BY w, k;
SELECT * FROM stored();
-- a late row, in one of its windows
INSERT INTO s VALUES ('2026-01-01 00:02:40Z', 8, 2), ('2026-01-01 00:03:20Z', 1, 5), ('2026-01-01 00:03:29Z', 9, 1);
SELECT wait_all();
SELECT * FROM stored();
SELECT count(*), count(streamx.pause(view)) FROM streamx.views;
SELECT count(*), count(streamx.resume(view)) FROM streamx.views;
INSERT INTO s VALUES ('2026-01-01 00:03:30Z', 2, 1);
SELECT wait_all();
SELECT * FROM ph ORDER BY w, k;
INSERT INTO s VALUES ('2026-01-01 00:04:30Z', 2, 1);
SELECT wait_all();
SELECT * FROM ph ORDER BY w, k;
SELECT * FROM p ORDER BY w;
SELECT * FROM q ORDER BY w;
SELECT * FROM stored();
SELECT view, state, dead_letters FROM streamx.views ORDER BY view::text COLLATE "C";

-- a row that the result cannot take as its window closes costs its group; it
-- comes when that is mended
CREATE VIEW z WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, k, 10 / sum(v) AS d FROM s GROUP BY w, k;
CREATE VIEW t WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, k, sum(v) AS d FROM s GROUP BY w, k;
ALTER TABLE t ADD CHECK (d < 100);
INSERT INTO s VALUES ('2026-01-01 00:05:10Z', 1, 99), ('2026-01-01 00:05:20Z', 2, 5);
SELECT streamx.wait('t');
INSERT INTO s VALUES ('2026-01-01 00:05:10Z', 1, 1), ('2026-01-01 00:05:20Z', 2, -5);
SELECT streamx.wait('t');
INSERT INTO s VALUES ('2026-01-01 00:06:00Z', 1, 3);
SELECT streamx.wait('p');
SELECT streamx.wait('t');
SELECT streamx.wait('z');
SELECT view, state, error FROM streamx.views WHERE state = 'stopped' ORDER BY view::text COLLATE "C";
SELECT view, partition, sqlstate, error FROM streamx.dead_letters WHERE view IN ('t'::regclass, 'z'::regclass) ORDER BY view::text COLLATE "C";
ALTER TABLE t DROP CONSTRAINT t_d_check;
SELECT streamx.reprocess(view => 't');
INSERT INTO s VALUES ('2026-01-01 00:06:01Z', 1, 4);
SELECT streamx.wait('t');
INSERT INTO s VALUES ('2026-01-01 00:07:00Z', 1, 1);
SELECT streamx.wait('t');
SELECT * FROM t ORDER BY w, k;
SELECT * FROM streamx.verify('t');

-- a plan that is made anew keeps what is in memory
CREATE INDEX ON t (d);
ANALYZE t;
INSERT INTO s VALUES ('2026-01-01 00:07:01Z', 1, 10);
SELECT streamx.wait('t');
CREATE INDEX ON t (k);
INSERT INTO s VALUES ('2026-01-01 00:07:02Z', 1, 100), ('2026-01-01 00:08:02Z', 1, 1);
SELECT streamx.wait('t');
SELECT * FROM t WHERE w = '2026-01-01 00:07Z';

-- what the owner has put on the table holds for rows of closed windows too
CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO names VALUES (to_char(NEW.w, 'HH24:MI'), TG_WHEN || ' ' || NEW.k || ' ' || NEW.d);
  RETURN NEW;
END $$;
CREATE TRIGGER after AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION told();
INSERT INTO s VALUES ('2026-01-01 00:08:03Z', 2, 5), ('2026-01-01 00:09:00Z', 1, 1);
SELECT streamx.wait('t');
CREATE TRIGGER before BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION told();
INSERT INTO s VALUES ('2026-01-01 00:10:00Z', 1, 1);
SELECT streamx.wait('t');
SELECT * FROM t WHERE w >= '2026-01-01 00:08Z' ORDER BY w, k;
SELECT * FROM names WHERE k LIKE '__:__' ORDER BY k COLLATE "C", name COLLATE "C";

SET client_min_messages = warning;
DROP FOREIGN TABLE s CASCADE;
DROP FUNCTION told();
DROP AGGREGATE picky(int);
DROP AGGREGATE listed(int);
DROP FUNCTION picky_step(int, int), picky_combine(int, int), differences(), wait_all(), threshold(), stored(), rows_of(int, int);
DROP PROCEDURE again(), feed(int[]), feed(int, int[], boolean);
DROP TABLE e_t, names, pairs;
DROP EXTENSION streamx;
