--
-- Continuous views as objects: every way to make and drop them, what they
-- consist of, who may do what, what is refused.
--
-- Nothing is read here: the views are paused or have no input.
--
CREATE EXTENSION streamx;
CREATE ROLE regress_streamx_user;
CREATE ROLE regress_streamx_other;
CREATE SCHEMA app AUTHORIZATION regress_streamx_user;
SET SESSION AUTHORIZATION regress_streamx_user;
SET search_path = app, public;
SET client_min_messages = notice;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';

-- what each continuous view consists of
CREATE FUNCTION app.parts(view regclass) RETURNS TABLE (part text, kind "char", owner name)
LANGUAGE sql AS $$
  SELECT regexp_replace(c.relname, '[0-9]+', 'N'), c.relkind, pg_get_userbyid(c.relowner)
  FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = view AND d.deptype = 'i' AND c.relkind <> 't'
  ORDER BY c.relkind, c.relname
$$;

CREATE FOREIGN TABLE clicks (ts timestamptz, page text, amount numeric, doc json) SERVER streamx;
CREATE TABLE pages (page text PRIMARY KEY, title text);

-- ---- spellings ----
CREATE VIEW v1 WITH (streamx.continuous) AS
  SELECT page, count(*), sum(amount) FROM clicks GROUP BY page;
\d v1
SELECT * FROM parts('v1');
SELECT relreplident, reloptions FROM pg_class WHERE oid = 'v1'::regclass;

CREATE VIEW v2 (site, n) WITH (streamx.continuous, streamx.emit = 'update', streamx.batch_interval = '1 s', fillfactor = 60) AS
  SELECT page, count(*) FROM clicks GROUP BY page;
\d v2
SELECT reloptions FROM pg_class WHERE oid = 'v2'::regclass;

CREATE MATERIALIZED VIEW v3 WITH (streamx.continuous = true, streamx.lateness = '1 minute') AS
  SELECT page, avg(amount) FROM clicks GROUP BY page;
CREATE MATERIALIZED VIEW IF NOT EXISTS v3 WITH (streamx.continuous) AS
  SELECT page FROM clicks;
\d v3

SELECT streamx.create_continuous_view('v4', 'SELECT page, title, max(amount) FROM clicks JOIN pages USING (page) GROUP BY 1, 2');
SELECT streamx.create_continuous_view('app."V 5"', 'SELECT page AS p FROM clicks WHERE amount > 1;',
  start => 'latest', batch_interval => '10 ms', lateness => '5 s');
\d v4
\d "V 5"
SELECT * FROM parts('"V 5"');

-- one row, also before any input
CREATE VIEW total WITH (streamx.continuous) AS SELECT count(*), sum(amount) FROM clicks;
TABLE total;
SELECT * FROM parts('total');

RESET SESSION AUTHORIZATION;
SELECT view, state IS NOT NULL AS has_state, emit, lateness, start, batch_interval, paused, sqlstate
FROM streamx.continuous_views ORDER BY id;
SELECT DISTINCT unnest(settings) FROM streamx.continuous_views ORDER BY 1;
SELECT view, stream, partition, next_offset, snapshot IS NOT NULL AS has_snapshot
FROM streamx.progress ORDER BY view::text COLLATE "C";
SELECT * FROM streamx.view_streams WHERE view = 'v1'::regclass;
SELECT view, rows_in, rows_out, rows_late, dead_letters FROM streamx.view_counters WHERE view = 'v1'::regclass;
SET SESSION AUTHORIZATION regress_streamx_user;

-- with streamx.continuous = false it is what it says
CREATE VIEW plain WITH (streamx.continuous = false, security_barrier) AS SELECT 1 AS one;
\d plain

-- ---- errors in the statement ----
CREATE VIEW bad WITH (streamx.continous) AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.emitt = 'update') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.colour = 'red') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.emit = 'update') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'sometimes') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.emit) AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.continuous) AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.batch_interval = 'soon') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.batch_interval = '-1 s') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.batch_interval = '1 month') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.batch_interval = '1 day') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.start = 'yesterdayish') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.start = 'infinity') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, wheel = 1) AS SELECT page FROM clicks;
-- not maintained yet
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT page, count(*) FROM clicks GROUP BY page;
CREATE VIEW bad WITH (streamx.continuous, streamx.late = 'maybe') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.retention = '1 day') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.final_column = 'f') AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'clicks') AS SELECT page FROM clicks;
CREATE OR REPLACE VIEW v1 WITH (streamx.continuous) AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT page FROM clicks WITH CHECK OPTION;
CREATE TEMP VIEW bad WITH (streamx.continuous) AS SELECT page FROM clicks;
CREATE TABLE bad WITH (streamx.continuous) AS SELECT page FROM clicks;
CREATE TABLE bad (a int) WITH (streamx.continuous);
-- names and columns
CREATE VIEW v1 WITH (streamx.continuous) AS SELECT page FROM clicks;
CREATE VIEW nowhere.bad WITH (streamx.continuous) AS SELECT page FROM clicks;
CREATE VIEW bad (a, b) WITH (streamx.continuous) AS SELECT page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT page, page FROM clicks;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT FROM clicks;
-- the query
CREATE VIEW bad WITH (streamx.continuous) AS SELECT pagee FROM clicks;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT page FROM clicks WHERE page = $1;
SELECT streamx.create_continuous_view('bad', 'SELECT page FROM clicks WHERE page = $1');
SELECT streamx.create_continuous_view('bad', 'SELECT pagee FROM clicks');
SELECT streamx.create_continuous_view('bad', 'SELEC page FROM clicks');
SELECT streamx.create_continuous_view('bad', 'SELECT 1; SELECT 2');
SELECT streamx.create_continuous_view('bad', 'DELETE FROM pages');
SELECT streamx.create_continuous_view('bad', 'SELECT page INTO x FROM clicks');
SELECT streamx.create_continuous_view('bad', NULL);
SELECT streamx.create_continuous_view('bad', 'SELECT page FROM clicks', emit => 'sometimes');
CREATE VIEW bad WITH (streamx.continuous) AS
  WITH d AS (DELETE FROM pages RETURNING page) SELECT c.page FROM clicks c JOIN d USING (page);
CREATE TEMP TABLE temp_pages (page text);
CREATE VIEW bad WITH (streamx.continuous) AS SELECT c.page FROM clicks c JOIN temp_pages USING (page);
CREATE VIEW bad WITH (streamx.continuous) AS SELECT title FROM pages;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT doc::text::xid AS x, count(*) FROM clicks GROUP BY 1;
BEGIN READ ONLY;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT page FROM clicks;
ROLLBACK;

-- ---- what is protected ----
ALTER TABLE v1 DROP COLUMN count;
ALTER TABLE v1 ADD COLUMN more int;
ALTER TABLE v1 ALTER COLUMN count TYPE numeric;
ALTER TABLE v1 RENAME COLUMN count TO n;
ALTER TABLE v1 SET UNLOGGED;
CREATE TABLE parent (page text, count bigint, sum numeric);
ALTER TABLE v1 INHERIT parent;
CREATE TABLE parted (page text, count bigint, sum numeric) PARTITION BY LIST (page);
ALTER TABLE parted ATTACH PARTITION v1 DEFAULT;
ALTER TABLE v1 ADD UNIQUE USING INDEX v1_key;
CREATE RULE "_RETURN" AS ON SELECT TO v1 DO INSTEAD SELECT 'x'::text AS page, 1::bigint AS count, 1::numeric AS sum;
DROP INDEX v1_key;
DROP INDEX v1_key CASCADE;
ALTER INDEX v1_key RENAME TO other_key;
ALTER INDEX v1_key SET (fillfactor = 50);
REFRESH MATERIALIZED VIEW v3;
-- its parts cannot even be named
SELECT * FROM streamx_state.v1;
RESET SESSION AUTHORIZATION;
\set VERBOSITY terse
DO $$
DECLARE part text; BEGIN
  SELECT query INTO part FROM streamx.continuous_views WHERE view = 'v1'::regclass;
  BEGIN EXECUTE 'DROP VIEW ' || part;
  EXCEPTION WHEN dependent_objects_still_exist THEN RAISE NOTICE 'drop: %', regexp_replace(SQLERRM, 'v[0-9]+ ', 'vN '); END;
  BEGIN EXECUTE 'ALTER VIEW ' || part || ' RENAME TO x';
  EXCEPTION WHEN feature_not_supported THEN RAISE NOTICE 'rename: %', regexp_replace(SQLERRM, '"v[0-9]+"', 'vN'); END;
  BEGIN EXECUTE 'ALTER VIEW ' || part || ' SET SCHEMA public';
  EXCEPTION WHEN feature_not_supported THEN RAISE NOTICE 'schema: %', regexp_replace(SQLERRM, '"v[0-9]+"', 'vN'); END;
  SELECT state INTO part FROM streamx.continuous_views WHERE view = 'v3'::regclass;
  BEGIN EXECUTE 'ALTER TABLE ' || part || ' DROP COLUMN h';
  EXCEPTION WHEN feature_not_supported THEN RAISE NOTICE 'column: %', regexp_replace(SQLERRM, '"s[0-9]+"', 'sN'); END;
END $$;
\set VERBOSITY default
SET SESSION AUTHORIZATION regress_streamx_user;

-- ---- what the owner may do ----
CREATE INDEX v1_count ON v1 (count);
ALTER TABLE v1 ADD CHECK (count >= 0);
ALTER TABLE v1 ALTER COLUMN count SET STATISTICS 10;
ALTER TABLE v1 ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON v1 TO regress_streamx_other;
COMMENT ON TABLE v1 IS 'clicks per page';
REINDEX TABLE v1;
REINDEX INDEX CONCURRENTLY v1_key;
DROP INDEX v1_key;
ALTER TABLE v1 RENAME TO w1;
SELECT * FROM parts('w1');
RESET SESSION AUTHORIZATION;
CREATE SCHEMA elsewhere AUTHORIZATION regress_streamx_user;
SET SESSION AUTHORIZATION regress_streamx_user;
ALTER TABLE w1 SET SCHEMA elsewhere;
SELECT * FROM parts('elsewhere.w1');
RESET SESSION AUTHORIZATION;
GRANT USAGE, CREATE ON SCHEMA elsewhere, app TO regress_streamx_other;
ALTER TABLE elsewhere.w1 OWNER TO regress_streamx_other;
SELECT * FROM parts('elsewhere.w1');
SELECT r.relname IS NOT NULL AS ok, pg_get_userbyid(s.relowner) AS owner
FROM streamx.continuous_views v JOIN pg_class s ON s.oid = v.state JOIN pg_class r ON r.oid = v.view
WHERE v.view = 'elsewhere.w1'::regclass;
REASSIGN OWNED BY regress_streamx_other TO regress_streamx_user;
SELECT * FROM parts('elsewhere.w1');
ALTER TABLE elsewhere.w1 DISABLE ROW LEVEL SECURITY;

-- ---- who may what ----
SET SESSION AUTHORIZATION regress_streamx_other;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT page FROM app.clicks;
SELECT streamx.pause('v2');
SELECT streamx.resume('v2');
DROP VIEW v2;
SELECT count(*) FROM streamx.continuous_views;
SET SESSION AUTHORIZATION regress_streamx_user;
GRANT SELECT ON clicks TO regress_streamx_other;
SET SESSION AUTHORIZATION regress_streamx_other;
CREATE VIEW public.bad WITH (streamx.continuous) AS SELECT page FROM app.clicks;
CREATE VIEW elsewhere.theirs WITH (streamx.continuous) AS SELECT page FROM app.clicks;
SELECT * FROM app.parts('elsewhere.theirs');

-- ---- pause and resume ----
SET SESSION AUTHORIZATION regress_streamx_user;
SELECT streamx.pause('v2');
RESET SESSION AUTHORIZATION;
SELECT view, paused FROM streamx.continuous_views WHERE view = 'v2'::regclass;
UPDATE streamx.continuous_views SET sqlstate = '22012', error = 'division by zero' WHERE view = 'v2'::regclass;
SET SESSION AUTHORIZATION regress_streamx_user;
SELECT streamx.resume('v2');
SELECT streamx.pause('pages');
SELECT streamx.pause('plain');
SELECT streamx.pause(0);
SELECT streamx.pause(NULL);
BEGIN READ ONLY;
SELECT streamx.pause('v2');
ROLLBACK;
RESET SESSION AUTHORIZATION;
SELECT view, paused, sqlstate, error FROM streamx.continuous_views WHERE view = 'v2'::regclass;
SET SESSION AUTHORIZATION regress_streamx_user;

-- ---- dependencies ----
DROP FOREIGN TABLE clicks;
DROP TABLE pages;
ALTER TABLE pages DROP COLUMN title;
ALTER FOREIGN TABLE clicks DROP COLUMN page;
DROP TABLE pages CASCADE;
SELECT to_regclass('v4');
CREATE DOMAIN label AS text;
CREATE VIEW labelled WITH (streamx.continuous) AS SELECT page::label AS label FROM clicks;
DROP DOMAIN label;
DROP DOMAIN label CASCADE;

-- ---- drops ----
-- the tag stays what was typed
\set QUIET off
DROP VIEW v2;
DROP MATERIALIZED VIEW app.v3;
DROP VIEW IF EXISTS v2;
DROP TABLE total;
\set QUIET on
CREATE VIEW v2 WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
CREATE VIEW v3 WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
CREATE VIEW on_v2 AS SELECT * FROM v2;
DROP VIEW v2;
DROP VIEW v2, on_v2, v3;
CREATE VIEW v2 WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
CREATE VIEW on_v2 AS SELECT * FROM v2;
DROP VIEW v2 CASCADE;
CREATE VIEW v2 WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
CREATE TABLE ordinary (a int);
DROP VIEW v2, ordinary;
DROP VIEW IF EXISTS v2, plain, missing;
DROP VIEW ordinary;
-- rolled back, it is all still there
CREATE VIEW v2 WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
BEGIN;
DROP VIEW v2;
ROLLBACK;
SELECT * FROM parts('v2');
BEGIN;
CREATE VIEW v6 WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
SAVEPOINT s;
DROP VIEW v6;
ROLLBACK TO s;
SELECT * FROM parts('v6');
ROLLBACK;
SELECT to_regclass('v6');

-- in a schema's own statement, in a function, prepared
RESET SESSION AUTHORIZATION;
CREATE SCHEMA embedded AUTHORIZATION regress_streamx_user
  CREATE VIEW inner_view WITH (streamx.continuous) AS SELECT page, count(*) FROM app.clicks GROUP BY page;
SELECT * FROM app.parts('embedded.inner_view');
DROP SCHEMA embedded CASCADE;
SET SESSION AUTHORIZATION regress_streamx_user;
DO $$ BEGIN
  FOR i IN 1..3 LOOP
    CREATE VIEW again WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
    DROP VIEW again;
    CREATE MATERIALIZED VIEW again WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
    DROP MATERIALIZED VIEW again;
  END LOOP;
END $$;

-- event triggers see it
RESET SESSION AUTHORIZATION;
CREATE FUNCTION public.tell() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE r record; BEGIN
  IF tg_event = 'ddl_command_end' THEN
    FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
      RAISE NOTICE '% (%): % %', tg_event, tg_tag, r.command_tag, r.object_identity;
    END LOOP;
  ELSE
    FOR r IN SELECT * FROM pg_event_trigger_dropped_objects() WHERE original LOOP
      RAISE NOTICE '% (%): % %', tg_event, tg_tag, r.object_type, r.object_identity;
    END LOOP;
  END IF;
END $$;
CREATE EVENT TRIGGER tell_end ON ddl_command_end EXECUTE FUNCTION public.tell();
CREATE EVENT TRIGGER tell_drop ON sql_drop EXECUTE FUNCTION public.tell();
SET SESSION AUTHORIZATION regress_streamx_user;
CREATE VIEW seen WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
CREATE VIEW plain AS SELECT 1;
DROP VIEW seen, plain;
CREATE VIEW seen WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
DROP VIEW seen;
RESET SESSION AUTHORIZATION;
DROP EVENT TRIGGER tell_end;
DROP EVENT TRIGGER tell_drop;
DROP FUNCTION public.tell();

-- ---- nothing is left behind ----
SET SESSION AUTHORIZATION regress_streamx_user;
DROP FOREIGN TABLE clicks CASCADE;
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM streamx.continuous_views;
SELECT count(*) FROM streamx.view_streams;
SELECT count(*) FROM streamx.view_counters;
SELECT count(*) FROM streamx.progress;
SELECT count(*) FROM streamx.journals;
SELECT relname FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace;

SET SESSION AUTHORIZATION regress_streamx_user;
CREATE FOREIGN TABLE clicks (page text) SERVER streamx;
CREATE VIEW v1 WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
INSERT INTO clicks VALUES ('a');
RESET SESSION AUTHORIZATION;
BEGIN;
DROP SCHEMA app CASCADE;
SELECT count(*) FROM streamx.continuous_views;
SELECT relname FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace;
ROLLBACK;
BEGIN;
SET client_min_messages = warning;
DROP OWNED BY regress_streamx_user CASCADE;
SELECT count(*) FROM streamx.continuous_views;
SELECT relname FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace;
ROLLBACK;
\set VERBOSITY sqlstate
DROP EXTENSION streamx;
\set VERBOSITY default
SET client_min_messages = warning;
DROP EXTENSION streamx CASCADE;
RESET client_min_messages;
SELECT to_regclass('app.v1'), to_regclass('app.clicks'), to_regnamespace('streamx_state');
CREATE VIEW v1 WITH (streamx.continuous) AS SELECT 1;
-- and again
CREATE EXTENSION streamx SCHEMA public;
SET SESSION AUTHORIZATION regress_streamx_user;
CREATE FOREIGN TABLE clicks (page text) SERVER streamx;
CREATE VIEW v1 WITH (streamx.continuous) AS SELECT page, count(*) FROM clicks GROUP BY page;
SELECT * FROM parts('v1');
DROP TABLE temp_pages;
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP SCHEMA app, elsewhere CASCADE;
DROP EXTENSION streamx;
DROP ROLE regress_streamx_user;
DROP ROLE regress_streamx_other;
