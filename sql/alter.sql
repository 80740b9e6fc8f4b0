--
-- Views and streams that are changed while they run: names, schemas, owners,
-- columns, options; and what is removed by retention.
--
CREATE EXTENSION streamx;
CREATE ROLE regress_streamx_user;
CREATE ROLE regress_streamx_other;
GRANT regress_streamx_other TO regress_streamx_user;
CREATE SCHEMA app AUTHORIZATION regress_streamx_user;
CREATE SCHEMA other AUTHORIZATION regress_streamx_user;
GRANT USAGE ON SCHEMA app TO PUBLIC;
GRANT ALL ON SCHEMA app, other TO regress_streamx_other;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_streamx_user', current_database()) \gexec
SET SESSION AUTHORIZATION regress_streamx_user;
SET search_path = app, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';

CREATE FOREIGN TABLE e (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '0', retain '1 day');
CREATE VIEW sums WITH (streamx.continuous) AS SELECT k, count(*) AS n, sum(v) AS v FROM e GROUP BY k;
CREATE VIEW minutes WITH (streamx.continuous) AS
  SELECT k, tumble(ts, '1 minute') AS w, count(*) AS n, max(v) AS v FROM e GROUP BY k, w;
CREATE VIEW closed WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, count(*) AS n FROM e GROUP BY w;
CREATE VIEW ratios WITH (streamx.continuous) AS SELECT k, 100 / v AS r FROM e;
CREATE VIEW over_sums WITH (streamx.continuous) AS SELECT n, count(*) FROM sums GROUP BY n;
CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS $$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;
CREATE FUNCTION differences() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM streamx.views, LATERAL streamx.verify(view) $$;
SELECT wait_all();
INSERT INTO e SELECT '2026-01-01 00:00:00Z'::timestamptz + i * interval '10 s', 'k' || i % 3, i FROM generate_series(1, 60) i;
SELECT wait_all();

-- ---- names, schemas, owners ----
ALTER TABLE sums RENAME TO totals;
INSERT INTO e VALUES ('2026-01-01 00:10:00Z', 'k1', 1);
ALTER TABLE minutes SET SCHEMA other;
INSERT INTO e VALUES ('2026-01-01 00:10:10Z', 'k1', 1);
-- who owns the view now has to be allowed to read the stream
GRANT SELECT ON e TO regress_streamx_other;
ALTER TABLE closed OWNER TO regress_streamx_other;
INSERT INTO e VALUES ('2026-01-01 00:10:20Z', 'k2', 1);
ALTER FOREIGN TABLE e RENAME TO events;
INSERT INTO events VALUES ('2026-01-01 00:10:30Z', 'k2', 1);
ALTER FOREIGN TABLE events SET SCHEMA other;
INSERT INTO other.events VALUES ('2026-01-01 00:11:10Z', 'k2', 1);
ALTER SCHEMA other RENAME TO another;
INSERT INTO another.events VALUES ('2026-01-01 00:11:20Z', 'k0', 1);
SELECT view, state, error FROM streamx.views WHERE state = 'stopped';
SELECT wait_all();
TABLE totals ORDER BY k;
SELECT count(*), max(w) FROM another.minutes;
SELECT * FROM closed ORDER BY w DESC LIMIT 2;
TABLE over_sums ORDER BY n;
SELECT differences();
SELECT view::text, pg_get_userbyid(relowner) FROM streamx.views JOIN pg_class c ON c.oid = view ORDER BY 1;
SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
WHERE d.classid = 'pg_class'::regclass AND d.refobjid = 'closed'::regclass AND c.relnamespace = 'streamx_state'::regnamespace;

-- ---- columns of the stream ----
ALTER FOREIGN TABLE another.events ADD COLUMN extra text DEFAULT 'none', ADD COLUMN n2 numeric;
INSERT INTO another.events VALUES ('2026-01-01 00:12:00Z', 'k0', 5, 'x', 1.5);
CREATE VIEW extras WITH (streamx.continuous, streamx.start = 'earliest') AS SELECT extra, count(*) AS n, sum(n2) AS n2 FROM another.events GROUP BY extra;
INSERT INTO another.events (ts, k, v) VALUES ('2026-01-01 00:12:10Z', 'k1', 5);
SELECT wait_all();
TABLE extras ORDER BY extra;
SELECT differences();
-- one that views use is kept, with the views that use it
ALTER FOREIGN TABLE another.events DROP COLUMN v;
ALTER FOREIGN TABLE another.events ALTER COLUMN v TYPE bigint;
DROP VIEW extras;
ALTER FOREIGN TABLE another.events DROP COLUMN extra;
INSERT INTO another.events VALUES ('2026-01-01 00:12:20Z', 'k0', 5, 2.5);
ALTER FOREIGN TABLE another.events RENAME COLUMN k TO key;
INSERT INTO another.events (ts, key, v) VALUES ('2026-01-01 00:12:30Z', 'k0', 6);
SELECT wait_all();
SELECT differences();
SELECT * FROM totals WHERE k = 'k0';
ALTER FOREIGN TABLE another.events OPTIONS (SET watermark '5 s');
INSERT INTO another.events (ts, key, v) VALUES ('2026-01-01 00:13:04Z', 'k0', 6);
SELECT wait_all();
SELECT watermark FROM streamx.views WHERE view = 'totals'::regclass;

-- ---- options of a view ----
ALTER VIEW closed SET (streamx.late = 'keep', streamx.batch_interval = '50 ms');
SET ROLE regress_streamx_other;
ALTER TABLE app.totals SET (streamx.notify = 'news');
RESET ROLE;
ALTER TABLE totals SET (streamx.notify = 'news', fillfactor = 70);
ALTER TABLE totals SET (streamx.notify = 'news');
ALTER TABLE totals SET (fillfactor = 70);
ALTER TABLE totals SET (streamx.retention = '1 hour');
ALTER TABLE totals SET (streamx.lateness = '1 hour');
ALTER TABLE totals SET (streamx.nothing = 'x');
ALTER TABLE totals SET (streamx.notify = '');
ALTER TABLE IF EXISTS nowhere SET (streamx.notify = 'x');
ALTER FOREIGN TABLE another.events SET (streamx.notify = 'x');
INSERT INTO another.events (ts, key, v) VALUES ('2026-01-01 00:10:04Z', 'late', 6);
SELECT wait_all();
SELECT view, position, event_time, arrived <= now() AS arrived FROM streamx.late_rows;
ALTER TABLE totals RESET (streamx.notify);
RESET SESSION AUTHORIZATION;
SELECT view, late, batch_interval, options ->> 'notify' AS notify, retention FROM streamx.continuous_views ORDER BY view::text COLLATE "C";
SET SESSION AUTHORIZATION regress_streamx_user;

-- ---- retention of results ----
SELECT count(*) FROM another.minutes;
ALTER VIEW another.minutes SET (streamx.retention = '2 minutes');
INSERT INTO another.events (ts, key, v) VALUES ('2026-01-01 00:14:05Z', 'k0', 7);
SELECT wait_all();
-- windows that ended by 00:12 are gone, whatever leads the key
SELECT min(w), count(*) FROM another.minutes;
INSERT INTO another.events (ts, key, v) VALUES ('2026-01-01 00:16:05Z', 'k0', 7), ('2026-01-01 00:16:06Z', 'k1', 7);
SELECT wait_all();
SELECT min(w), count(*) FROM another.minutes;
-- but for the late row
SELECT view, difference, result FROM streamx.views, LATERAL streamx.verify(view);
ALTER VIEW another.minutes RESET (streamx.retention);
INSERT INTO another.events (ts, key, v) VALUES ('2026-01-01 00:20:05Z', 'k0', 7);
SELECT wait_all();
SELECT min(w), count(*) FROM another.minutes;

-- ---- retention of dead letters and late rows ----
INSERT INTO another.events (ts, key, v) SELECT '2026-01-01 00:20:06Z', 'zero', 0 FROM generate_series(1, 5);
SELECT wait_all();
SELECT view, count(*) FROM streamx.dead_letters GROUP BY 1;
ALTER FOREIGN TABLE another.events OPTIONS (ADD dead_letter_retention '-1 s');
ALTER FOREIGN TABLE another.events OPTIONS (ADD dead_letter_retention '1 day', ADD late_row_retention '1 day');
RESET SESSION AUTHORIZATION;
UPDATE streamx.dead_letters SET arrived = now() - interval '1 day 1 s' WHERE id IN (SELECT id FROM streamx.dead_letters ORDER BY id LIMIT 3);
UPDATE streamx.late_rows SET arrived = now() - interval '1 day 1 s';
CREATE FUNCTION gone() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 600 LOOP
    IF (SELECT count(*) FROM streamx.dead_letters) = 2 AND (SELECT count(*) FROM streamx.late_rows) = 0 THEN
      RETURN true;
    END IF;
    PERFORM pg_sleep(0.1);
  END LOOP;
  RETURN false;
END $$;
SELECT gone();
SELECT severity, object FROM streamx.health();

SET client_min_messages = warning;
DROP SCHEMA app, another CASCADE;
DROP EXTENSION streamx CASCADE;
DROP OWNED BY regress_streamx_user;
DROP ROLE regress_streamx_user;
DROP ROLE regress_streamx_other;
