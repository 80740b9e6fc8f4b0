--
-- streamx.reprocess: dead letters are fed in again, each exactly once
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';

CREATE FOREIGN TABLE e (ts timestamptz, k text, v int, tags text[], doc jsonb, n numeric, b bytea) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 hour');
CREATE FUNCTION f(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 100 / v; END $$;
CREATE FUNCTION g(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF v > 50 THEN RAISE 'too much'; END IF; RETURN v; END $$;
CREATE VIEW quotients WITH (streamx.continuous) AS SELECT k, count(*), sum(f(v)), max(n) FROM e GROUP BY k;
CREATE VIEW windows WITH (streamx.continuous, streamx.late = 'keep') AS
  SELECT tumble(ts, '1 minute') AS w, count(*), sum(g(v)) FROM e GROUP BY w;
CREATE VIEW final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*), sum(g(v)) FROM e GROUP BY w;
CREATE VIEW plain WITH (streamx.continuous) AS SELECT k, f(v) AS q, tags, doc FROM e;
CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS $$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;
INSERT INTO e VALUES ('2026-01-01 00:00:01Z', 'a', 1, '{x,NULL}', '{"a": "\u00e9"}', 1.50, '\x0001'),
  ('2026-01-01 00:00:02Z', NULL, 0, '{"y, z"}', '[1, 2]', 'NaN', '\xff'),
  ('2026-01-01 00:00:03Z', 'a', 60, NULL, NULL, -0.0, NULL), ('2026-01-01 00:02:00Z', 'b', 70, NULL, NULL, 7, NULL);
SELECT wait_all();
SELECT view, position, sqlstate, error, convert_from(payload, 'UTF8') AS payload FROM streamx.dead_letters ORDER BY view::text COLLATE "C", position;
SELECT view, rows_in, rows_late, dead_letters FROM streamx.views ORDER BY view::text COLLATE "C";

-- nothing has changed: they stay, with the same errors
SELECT streamx.reprocess();
SELECT view, count(*), min(error) FROM streamx.dead_letters GROUP BY view ORDER BY view::text COLLATE "C";
SELECT view, dead_letters FROM streamx.views ORDER BY view::text COLLATE "C";

-- one view's, of which some succeed
CREATE OR REPLACE FUNCTION g(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF v > 65 THEN RAISE 'far too much'; END IF; RETURN v; END $$;
SELECT streamx.reprocess(view => 'windows');
SELECT view, position, error FROM streamx.dead_letters WHERE view = 'windows'::regclass;
SELECT * FROM windows ORDER BY w;
SELECT view, rows_late, dead_letters FROM streamx.views WHERE view = 'windows'::regclass;

-- those of the stream; where the window has closed meanwhile the row is late
INSERT INTO e (ts, k, v) VALUES ('2026-01-01 00:05:00Z', 'c', 5);
SELECT wait_all();
CREATE OR REPLACE FUNCTION f(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN v; END $$;
CREATE OR REPLACE FUNCTION g(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN v; END $$;
SELECT streamx.reprocess('e');
SELECT count(*) FROM streamx.dead_letters;
SELECT * FROM quotients ORDER BY k;
SELECT * FROM windows ORDER BY w;
SELECT view, row_data FROM streamx.late_rows;
SELECT * FROM final ORDER BY w;
SELECT * FROM plain ORDER BY k, q;
SELECT view, rows_late, dead_letters FROM streamx.views ORDER BY view::text COLLATE "C";
SELECT streamx.reprocess('e'), streamx.reprocess();

-- the views go on
INSERT INTO e (ts, k, v) VALUES ('2026-01-01 00:10:00Z', 'c', 7);
SELECT wait_all();
SELECT * FROM quotients ORDER BY k;
SELECT * FROM final ORDER BY w;

-- a row that does not fit the stream any more stays
CREATE FUNCTION h(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF v < 0 THEN RAISE 'negative'; END IF; RETURN v; END $$;
CREATE FOREIGN TABLE s (t text, v int) SERVER streamx;
CREATE VIEW c WITH (streamx.continuous) AS SELECT sum(h(v)) FROM s;
INSERT INTO s VALUES ('x', -1), ('y', 2);
SELECT streamx.wait('c');
UPDATE streamx.dead_letters SET payload = '{"t": "x", "v": "one"}';
SELECT streamx.reprocess('s');
SELECT view, sqlstate, error FROM streamx.dead_letters;
UPDATE streamx.dead_letters SET payload = '{"t": "x", "v": 40}';
-- rolled back, all is as before
BEGIN;
SELECT streamx.reprocess('s');
SELECT * FROM c;
ROLLBACK;
SELECT count(*) FROM streamx.dead_letters;
SELECT * FROM c;
SELECT streamx.reprocess('s');
SELECT * FROM c;

-- what did not decode goes to the views that have passed it
CREATE SERVER lines TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (host 'localhost', port '1', mode 'connect');
CREATE FOREIGN TABLE l (k text, v int) SERVER lines OPTIONS (format 'json');
CREATE VIEW passed WITH (streamx.continuous) AS SELECT k, sum(v) FROM l GROUP BY k;
CREATE VIEW failing WITH (streamx.continuous) AS SELECT k, sum(100 / v) FROM l GROUP BY k;
CREATE VIEW before WITH (streamx.continuous) AS SELECT k, sum(v) FROM l GROUP BY k;
SELECT streamx.pause(v) FROM unnest(ARRAY['passed', 'failing', 'before']::regclass[]) v;
UPDATE streamx.progress SET next_offset = 100 WHERE view IN ('passed'::regclass, 'failing'::regclass);
INSERT INTO streamx.dead_letters (stream, partition, position, arrived, payload, sqlstate, error) VALUES
  ('l', 0, 3, now(), '{"k": "a", "v": 5}', '22P02', 'an older schema'), ('l', 0, 4, now(), '{"k": "b", "v": 0}', '22P02', 'an older schema'),
  ('l', 0, 5, now(), '{"k": ', '22P02', 'an older schema'), ('l', 0, 6, now(), '{"k": "a", "v": "six"}', '22P02', 'an older schema');
SELECT streamx.reprocess('l');
SELECT view, position, sqlstate, error FROM streamx.dead_letters ORDER BY position;
SELECT * FROM passed ORDER BY k;
SELECT * FROM failing ORDER BY k;
SELECT * FROM before ORDER BY k;

-- who may, and when
CREATE ROLE regress_streamx_other;
GRANT SELECT ON l TO regress_streamx_other;
SET ROLE regress_streamx_other;
SELECT streamx.reprocess();
SELECT streamx.reprocess('l');
SELECT streamx.reprocess(view => 'public.failing');
RESET ROLE;
SELECT streamx.reprocess('passed');
SELECT streamx.reprocess(view => 'l');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT streamx.reprocess();
ROLLBACK;

SET client_min_messages = warning;
DROP FOREIGN TABLE e, s, l CASCADE;
DROP FUNCTION wait_all(), f(int), g(int), h(int);
DROP ROLE regress_streamx_other;
DROP EXTENSION streamx CASCADE;
