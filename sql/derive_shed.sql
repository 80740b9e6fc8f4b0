--
-- Derived views whose rows cannot be written when their window closes: a row
-- that the table does not take costs itself, a query that fails the partition.
--
\set ECHO none
\i test/lib/shed.sql
\set ECHO all

CREATE TABLE rows (ts timestamptz, k text, n int);
CREATE FUNCTION put(VARIADIC new rows[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO s SELECT * FROM unnest(new);
  INSERT INTO rows SELECT * FROM unnest(new);
$$;

-- the partition is the window; window and letter; of rows that are kept as they are
CREATE VIEW ranked WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT w, k, 60 / total AS q, rank() OVER (PARTITION BY w ORDER BY k) AS rank
  FROM (SELECT tumble(ts, '10 s') AS w, k, sum(n) AS total FROM s GROUP BY 1, 2) x;
CREATE VIEW levels WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT w, letter, max(60 / total) AS q
  FROM (SELECT tumble(ts, '10 s') AS w, left(k, 1) AS letter, k, sum(n) AS total FROM s GROUP BY 1, 2, 3) x GROUP BY 1, 2;
CREATE VIEW newest WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT DISTINCT ON (tumble(ts, '10 s'), k) tumble(ts, '10 s') AS w, k, 60 / n AS q, ts FROM s ORDER BY tumble(ts, '10 s'), k, ts DESC;
-- what only the table does not take
CREATE VIEW checked WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT w, k, total, rank() OVER (PARTITION BY w ORDER BY k) AS rank
  FROM (SELECT tumble(ts, '10 s') AS w, k, sum(n) AS total FROM s GROUP BY 1, 2) x;
ALTER TABLE checked ADD CHECK (total <> 0);
CREATE VIEW fired WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT w, k, total, rank() OVER (PARTITION BY w ORDER BY k) AS rank
  FROM (SELECT tumble(ts, '10 s') AS w, k, sum(n) AS total FROM s GROUP BY 1, 2) x;
CREATE CONSTRAINT TRIGGER not_zero AFTER INSERT ON fired DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION not_zero();
-- in an update view with a final column, at the end too
CREATE VIEW marked WITH (streamx.continuous, streamx.final_column = 'final') AS
  SELECT w, letter, max(total) AS most, min(total) AS least
  FROM (SELECT tumble(ts, '10 s') AS w, left(k, 1) AS letter, k, sum(n) AS total FROM s GROUP BY 1, 2, 3) x GROUP BY 1, 2;
ALTER TABLE marked ADD CHECK (NOT final OR least <> 0);
-- and one that says stop
CREATE FOREIGN TABLE t (ts timestamptz, k text, n int) SERVER streamx OPTIONS (event_time 'ts', watermark '0', on_error 'stop');
CREATE VIEW stopping WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT w, max(60 / total) AS q FROM (SELECT tumble(ts, '10 s') AS w, k, sum(n) AS total FROM t GROUP BY 1, 2) x GROUP BY 1;

-- b1 ends with a sum of zero, c1 passes through it; the second window is whole, in the third one d1 fails
SELECT put(('2020-01-01 00:00:01Z', 'a1', 1), ('2020-01-01 00:00:02Z', 'b1', 5), ('2020-01-01 00:00:02Z', 'c1', 0), ('2020-01-01 00:00:02Z', 'b2', 3));
SELECT streamx.wait(view) FROM streamx.views WHERE view IN ('ranked'::regclass, 'marked'::regclass);
SELECT put(('2020-01-01 00:00:03Z', 'b1', -5), ('2020-01-01 00:00:04Z', 'c1', 2), ('2020-01-01 00:00:04Z', NULL, 4));
SELECT put(('2020-01-01 00:00:11Z', 'a1', 1), ('2020-01-01 00:00:12Z', 'b1', 2), ('2020-01-01 00:00:21Z', 'a1', 3), ('2020-01-01 00:00:22Z', 'd1', 0), ('2020-01-01 00:01:00Z', 'f1', 6));
INSERT INTO t VALUES ('2020-01-01 00:00:03Z', 'b', 0), ('2020-01-01 00:01:00Z', 'b', 1);
SELECT view, streamx.wait(view) FROM streamx.views WHERE view <> 'stopping'::regclass ORDER BY view::text;
TABLE ranked ORDER BY w, k;
TABLE levels ORDER BY w, letter;
TABLE newest ORDER BY w, k;
TABLE checked ORDER BY w, k;
TABLE fired ORDER BY w, k;
TABLE marked ORDER BY w, letter;
SELECT view, partition, convert_from(payload, 'UTF8')::jsonb AS lost, sqlstate, error
FROM streamx.dead_letters ORDER BY view::text, convert_from(payload, 'UTF8')::jsonb::text;
SELECT view, state, dead_letters FROM streamx.views WHERE view <> 'stopping'::regclass ORDER BY view::text;
DO $$
BEGIN
  FOR i IN 1 .. 300 LOOP
    EXIT WHEN (SELECT state = 'stopped' FROM streamx.views WHERE view = 'stopping'::regclass);
    PERFORM pg_sleep(0.1);
  END LOOP;
END $$;
SELECT view, state, error FROM streamx.views WHERE view = 'stopping'::regclass;

-- they go on; nothing of the windows is left behind
SELECT put(('2020-01-01 00:02:00Z', 'a1', 1));
SELECT view, streamx.wait(view) FROM streamx.views WHERE view <> 'stopping'::regclass ORDER BY view::text;
SELECT view, state, dead_letters FROM streamx.views WHERE view <> 'stopping'::regclass ORDER BY view::text;
CREATE FUNCTION hidden_rows(view regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM %s', (SELECT parts[1]::regclass FROM streamx.continuous_views c WHERE c.view = hidden_rows.view)) INTO n;
  RETURN n;
END $$;
SELECT view, hidden_rows(view) FROM streamx.continuous_views WHERE view IN ('ranked'::regclass, 'levels'::regclass, 'checked'::regclass) ORDER BY view::text;

-- what was given up comes when the cause is mended
SELECT streamx.reprocess(view => 'checked');
SELECT view, dead_letters FROM streamx.views WHERE view = 'checked'::regclass;
SELECT * FROM streamx.verify('checked');
ALTER TABLE checked DROP CONSTRAINT checked_total_check;
SELECT streamx.reprocess(view => 'checked');
TABLE checked ORDER BY w, k;
SELECT view, dead_letters FROM streamx.views WHERE view = 'checked'::regclass;
SELECT count(*) FROM streamx.dead_letters WHERE view = 'checked'::regclass;
SELECT * FROM streamx.verify('checked');
(TABLE checked EXCEPT ALL
  SELECT w, k, total, rank() OVER (PARTITION BY w ORDER BY k) FROM (SELECT tumble(ts, '10 s') AS w, k, sum(n) AS total FROM rows WHERE ts < '2020-01-01 00:02:00Z' GROUP BY 1, 2) x)
UNION ALL
(SELECT w, k, total, rank() OVER (PARTITION BY w ORDER BY k) FROM (SELECT tumble(ts, '10 s') AS w, k, sum(n) AS total FROM rows WHERE ts < '2020-01-01 00:02:00Z' GROUP BY 1, 2) x
  EXCEPT ALL TABLE checked);

\set ECHO none
\i test/lib/clean.sql
