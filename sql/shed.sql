--
-- Groups whose rows cannot be written when their window closes: they cost
-- themselves only, whatever the view keeps of its open windows.
--
\set ECHO none
\i test/lib/shed.sql
\set ECHO all

CREATE TABLE names (k text, name text);
INSERT INTO names SELECT chr(96 + i), 'name ' || i FROM generate_series(1, 6) i;
-- in memory; in the state table, for a table is joined; rows; panes; sessions, of states and of rows
CREATE VIEW in_memory WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '10 s') AS w, k, 60 / sum(n) AS q FROM s GROUP BY w, k;
CREATE VIEW in_table WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '10 s') AS w, name, 60 / sum(n) AS q FROM s JOIN names USING (k) GROUP BY w, name;
CREATE VIEW of_rows WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '10 s') AS w, k, 60 / sum(n) AS q, string_agg(n::text, ',' ORDER BY n) AS l FROM s GROUP BY w, k;
CREATE VIEW of_panes WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT hop(ts, '5 s', '10 s') AS w, k, 60 / sum(n) AS q FROM s GROUP BY w, k;
CREATE VIEW of_sessions WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT session(ts, '5 s') AS w, k, 60 / sum(n) AS q FROM s GROUP BY w, k;
CREATE VIEW of_held_sessions WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT session(ts, '5 s') AS w, k, 60 / sum(n) AS q, string_agg(n::text, ',' ORDER BY n) AS l FROM s GROUP BY w, k;
-- what only the table does not take
CREATE VIEW checked WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '10 s') AS w, k, sum(n) AS total FROM s GROUP BY w, k;
ALTER TABLE checked ADD CHECK (total <> 0);
CREATE VIEW fired WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '10 s') AS w, k, sum(n) AS total FROM s GROUP BY w, k;
CREATE TRIGGER not_zero BEFORE INSERT ON fired FOR EACH ROW EXECUTE FUNCTION not_zero();
CREATE VIEW fired_after WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '10 s') AS w, k, sum(n) AS total FROM s GROUP BY w, k;
CREATE CONSTRAINT TRIGGER not_zero AFTER INSERT ON fired_after DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION not_zero();
-- in an update view with a final column, at the end too
CREATE VIEW marked WITH (streamx.continuous, streamx.final_column = 'final') AS
  SELECT tumble(ts, '10 s') AS w, k, sum(n) AS total FROM s GROUP BY w, k;
ALTER TABLE marked ADD CHECK (NOT final OR total <> 0);
-- and one that says stop
CREATE FOREIGN TABLE t (ts timestamptz, k text, n int) SERVER streamx OPTIONS (event_time 'ts', watermark '0', on_error 'stop');
CREATE VIEW stopping WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '10 s') AS w, k, 60 / sum(n) AS q FROM t GROUP BY w, k;
CREATE FOREIGN TABLE u (ts timestamptz, k text, n int) SERVER streamx OPTIONS (event_time 'ts', watermark '0', on_error 'skip');
CREATE VIEW skipping WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '10 s') AS w, k, 60 / sum(n) AS q FROM u GROUP BY w, k;

-- b and d end with a sum of zero, c passes through it
INSERT INTO s VALUES ('2020-01-01 00:00:01Z', 'a', 1), ('2020-01-01 00:00:02Z', 'b', 5), ('2020-01-01 00:00:02Z', 'c', 0);
SELECT streamx.wait(view) FROM streamx.views WHERE view IN ('in_memory'::regclass, 'marked'::regclass);
INSERT INTO s VALUES ('2020-01-01 00:00:03Z', 'b', -5), ('2020-01-01 00:00:03Z', 'c', 2), ('2020-01-01 00:00:04Z', 'd', 0), ('2020-01-01 00:00:04Z', 'e', 3);
INSERT INTO s VALUES ('2020-01-01 00:01:00Z', 'f', 6);
INSERT INTO t VALUES ('2020-01-01 00:00:03Z', 'b', 0), ('2020-01-01 00:01:00Z', 'b', 1);
INSERT INTO u VALUES ('2020-01-01 00:00:03Z', 'b', 0), ('2020-01-01 00:00:03Z', 'c', 1), ('2020-01-01 00:01:00Z', 'b', 1);
SELECT view, streamx.wait(view) FROM streamx.views WHERE view <> 'stopping'::regclass ORDER BY view::text;
TABLE in_memory ORDER BY w, k;
TABLE in_table ORDER BY w, name;
TABLE of_rows ORDER BY w, k;
TABLE of_panes ORDER BY w, k;
TABLE of_sessions ORDER BY w, k;
TABLE of_held_sessions ORDER BY w, k;
TABLE checked ORDER BY w, k;
TABLE fired ORDER BY w, k;
TABLE fired_after ORDER BY w, k;
TABLE marked ORDER BY w, k;
TABLE skipping ORDER BY w, k;
SELECT view, partition, convert_from(payload, 'UTF8')::jsonb - 'w' AS "group", sqlstate, error
FROM streamx.dead_letters ORDER BY view::text, payload;
SELECT view, state, dead_letters FROM streamx.views WHERE view <> 'stopping'::regclass ORDER BY view::text;
DO $$
BEGIN
  FOR i IN 1 .. 300 LOOP
    EXIT WHEN (SELECT state = 'stopped' FROM streamx.views WHERE view = 'stopping'::regclass);
    PERFORM pg_sleep(0.1);
  END LOOP;
END $$;
SELECT view, state, error FROM streamx.views WHERE view = 'stopping'::regclass;

-- they go on; what was given up comes when the cause is mended
INSERT INTO s VALUES ('2020-01-01 00:02:00Z', 'a', 1);
SELECT view, streamx.wait(view) FROM streamx.views WHERE view <> 'stopping'::regclass ORDER BY view::text;
SELECT streamx.reprocess(view => 'checked');
SELECT view, dead_letters FROM streamx.views WHERE view = 'checked'::regclass;
SELECT * FROM streamx.verify('checked');
SELECT streamx.rebuild('checked');
SELECT view, dead_letters FROM streamx.views WHERE view = 'checked'::regclass;
ALTER TABLE checked DROP CONSTRAINT checked_total_check;
SELECT streamx.reprocess(view => 'checked');
TABLE checked ORDER BY w, k;
SELECT view, dead_letters FROM streamx.views WHERE view = 'checked'::regclass;
SELECT count(*) FROM streamx.dead_letters WHERE view = 'checked'::regclass;
SELECT * FROM streamx.verify('checked');
SELECT streamx.reprocess(view => 'checked');
-- what is not kept in memory
DROP TRIGGER not_zero ON fired;
SELECT streamx.reprocess('s');
SELECT view, dead_letters FROM streamx.views WHERE view <> 'stopping'::regclass ORDER BY view::text;
SELECT view, count(*) FROM streamx.dead_letters GROUP BY view ORDER BY view::text;
SELECT * FROM streamx.verify('fired');
CREATE OR REPLACE FUNCTION not_zero() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
SELECT streamx.reprocess(view => 'fired_after');
UPDATE names SET name = name || '!';
SELECT streamx.reprocess(view => 'in_table');
INSERT INTO s VALUES ('2020-01-01 00:03:00Z', 'a', 1);
SELECT view, streamx.wait(view) FROM streamx.views WHERE view <> 'stopping'::regclass ORDER BY view::text;
SELECT * FROM streamx.verify('fired_after');

\set ECHO none
\i test/lib/clean.sql
