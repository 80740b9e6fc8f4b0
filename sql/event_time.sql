--
-- Event time: watermarks, late rows, windows that close, emit = 'final'
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
-- what a query that is made up gives
CREATE OR REPLACE FUNCTION value_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE value text; BEGIN EXECUTE query INTO value; RETURN value; END $$;
SET TimeZone = 'UTC';

-- windows close 10 s behind the newest event, never by the clock
CREATE FOREIGN TABLE e (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');

CREATE VIEW u WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS w, k, count(*), sum(v) FROM e GROUP BY w, k;
CREATE VIEW f WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, k, count(*), avg(v)::numeric(10,2) AS avg
  FROM e GROUP BY w, k HAVING count(*) > 1;
CREATE VIEW l WITH (streamx.continuous, streamx.lateness = '1 minute') AS
  SELECT date_trunc('minute', ts) AS w, count(*) FROM e GROUP BY w;
CREATE VIEW h WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT hop(ts, '30 s', '1 minute') AS w, count(*) FROM e WHERE v > 0 GROUP BY w;
CREATE VIEW c WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT cumulate(ts, '20 s', '1 minute') AS w_end, count(*) FROM e GROUP BY w_end;
CREATE VIEW g WITH (streamx.continuous) AS SELECT k, count(*) FROM e GROUP BY k;
CREATE VIEW fc WITH (streamx.continuous, streamx.final_column = 'closed') AS
  SELECT tumble(ts, '1 minute') AS w, count(*), count(DISTINCT k) AS ks FROM e GROUP BY w;
CREATE VIEW r WITH (streamx.continuous, streamx.retention = '2 minutes', streamx.final_column = 'closed') AS
  SELECT date_bin('1 minute', ts, '2026-01-01') AS w, count(*) FROM e GROUP BY w;

-- what a final view needs
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT k, count(*) FROM e GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous, streamx.retention = '1 day') AS
  SELECT k, count(*) FROM e GROUP BY k;
CREATE FOREIGN TABLE no_watermark (ts timestamptz, k text) SERVER streamx
  OPTIONS (event_time 'ts');
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) FROM no_watermark GROUP BY w;

-- windows that no row could be put into
CREATE VIEW bad WITH (streamx.continuous) AS SELECT tumble(ts, '0') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT tumble(ts, '-1 s') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT tumble(ts, '1 month 1 day') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT hop(ts, '0', '1 min') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT cumulate(ts, '1 min', '90 s') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT date_bin('0', ts, '2020-01-01') AS w, count(*) FROM e GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT date_trunc('moment', ts) AS w, count(*) FROM e GROUP BY w;

-- all caught up with what is committed
CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS
$$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;
CREATE VIEW counters AS
  SELECT view, rows_in, rows_late, watermark FROM streamx.view_counters ORDER BY view::text COLLATE "C";

-- the first window is open: nothing final yet
INSERT INTO e VALUES ('2026-01-01 00:00:05Z', 'a', 1), ('2026-01-01 00:00:15Z', 'a', 2),
                     ('2026-01-01 00:00:59Z', 'b', 3);
SELECT wait_all();
SELECT * FROM u ORDER BY w, k;
SELECT * FROM f ORDER BY w, k;

-- one second before its end, and at its end
INSERT INTO e VALUES ('2026-01-01 00:01:09Z', 'a', 1);
SELECT wait_all();
SELECT * FROM f ORDER BY w, k;
INSERT INTO e VALUES ('2026-01-01 00:01:10Z', 'a', 1);
SELECT wait_all();
SELECT * FROM f ORDER BY w, k;
SELECT * FROM counters;

SELECT * FROM fc ORDER BY w;
SELECT * FROM r ORDER BY w;

-- open windows are missing in no final view
SELECT view, v.* FROM unnest('{f,h,c,u,r}'::regclass[]) AS view, streamx.verify(view) AS v;

-- a late row: not where its windows are closed, else it counts; a row that
-- WHERE excludes is not late
INSERT INTO e VALUES ('2026-01-01 00:00:30Z', 'a', 100), ('2026-01-01 00:00:02Z', 'a', 0);
SELECT wait_all();
SELECT * FROM u ORDER BY w, k;
SELECT * FROM l ORDER BY w;
SELECT * FROM g ORDER BY k;
SELECT * FROM counters;

-- the watermark never goes back, and what a batch closes does not make rows
-- of the same batch late
INSERT INTO e VALUES ('2026-01-01 00:05:00Z', 'a', 5), ('2026-01-01 00:01:20Z', 'c', 7),
                     ('2026-01-01 00:01:21Z', 'c', 8);
SELECT wait_all();
SELECT * FROM f ORDER BY w, k;
SELECT * FROM l ORDER BY w;
SELECT * FROM counters;

-- rows of windows that closed long ago are gone
SELECT * FROM fc ORDER BY w;
SELECT * FROM r ORDER BY w;

-- states of closed windows are gone
SELECT v.view, value_of(format('SELECT count(*) AS n FROM %s', v.state))::int AS groups
FROM streamx.continuous_views v ORDER BY v.view::text COLLATE "C";

-- a row without an event time is in no window
INSERT INTO e VALUES (NULL, 'n', 1), ('-infinity', 'n', 1);
SELECT wait_all();
SELECT view, sqlstate, error, count(*) FROM streamx.dead_letters GROUP BY 1, 2, 3
ORDER BY view::text COLLATE "C", 2;
SELECT * FROM g ORDER BY k;

-- silence: the clock closes the last windows
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
CREATE FOREIGN TABLE quiet (ts timestamptz) SERVER streamx
  OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '1 s');
CREATE VIEW q WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) FROM quiet GROUP BY w;
INSERT INTO quiet VALUES ('2026-01-01 00:00:59Z');
SELECT streamx.wait('q');
SELECT * FROM q;
CALL wait_until('EXISTS (SELECT FROM q)');
SELECT * FROM q;
INSERT INTO e VALUES ('2026-01-01 00:10:10Z', 'z', 1);
SELECT wait_all();
SELECT * FROM h ORDER BY w;
SELECT * FROM c ORDER BY w_end;

SET client_min_messages = warning;
DROP FOREIGN TABLE e, quiet, no_watermark CASCADE;
DROP VIEW counters;
DROP FUNCTION wait_all();
DROP PROCEDURE wait_until(text);
DROP EXTENSION streamx;
