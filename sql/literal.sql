--
-- The literal statements CREATE and DROP CONTINUOUS VIEW: what they mean, where
-- they may stand, and that nothing else is taken for them.
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
CREATE FOREIGN TABLE clicks (page text, amount int) SERVER streamx;
CREATE FUNCTION views() RETURNS TABLE (view text, kind "char", emit text, batch_interval interval)
LANGUAGE sql AS $$
  SELECT c.oid::regclass::text, c.relkind, v.emit, v.batch_interval
  FROM streamx.continuous_views v JOIN pg_class c ON c.oid = v.view ORDER BY 1
$$;

-- ---- what they mean ----
\set QUIET off
CREATE CONTINUOUS VIEW v1 AS SELECT page, count(*) FROM clicks GROUP BY page;
CREATE CONTINUOUS VIEW v2 (what, many) WITH (emit = 'update', streamx.batch_interval = '1 s') AS
  SELECT page, count(*) FROM clicks GROUP BY page;
CREATE CONTINUOUS VIEW IF NOT EXISTS v3 WITH (batch_interval = '2 s') AS SELECT page, sum(amount) FROM clicks GROUP BY page;
CREATE CONTINUOUS VIEW IF NOT EXISTS v3 AS SELECT page FROM clicks;
SELECT * FROM views();
\d v2
INSERT INTO clicks VALUES ('a', 1), ('b', 2), ('a', 3);
SELECT streamx.wait('v1'), streamx.wait('v2'), streamx.wait('v3');
SELECT page, v1.count, v2.many, v3.sum FROM v1 JOIN v2 ON what = page JOIN v3 USING (page) ORDER BY page;
DROP CONTINUOUS VIEW v1;
DROP CONTINUOUS VIEW IF EXISTS v1, v2, nowhere.v2;
CREATE VIEW over_v3 AS SELECT * FROM v3;
DROP CONTINUOUS VIEW v3;
DROP CONTINUOUS VIEW v3 CASCADE;
\set QUIET on
SELECT * FROM views();

-- ---- where they may stand ----
-- any case, comments, line ends
create Continuous VIEW v AS SELECT page FROM clicks;
drop/**/continuous/* a /* nested */ comment */view/* */v;
/* first */ CREATE -- one
  CONTINUOUS -- two VIEW
  VIEW -- three
  v AS SELECT page FROM clicks;
DROP
CONTINUOUS
VIEW v;
CREATE/*CONTINUOUS*/CONTINUOUS/*VIEW*/VIEW/*v*/v AS SELECT page FROM clicks;
DROP CONTINUOUS--
VIEW v;
-- several statements in one string, among others
SELECT 1 AS one \; CREATE CONTINUOUS VIEW v AS SELECT page FROM clicks \; SELECT 2 AS two \;DROP CONTINUOUS VIEW v;
BEGIN;
CREATE CONTINUOUS VIEW v AS SELECT page FROM clicks;
SAVEPOINT s;
DROP CONTINUOUS VIEW v;
ROLLBACK TO s;
SELECT view FROM views();
ROLLBACK;
SELECT view FROM views();
-- quoted and qualified names; names that are words of the statement
CREATE SCHEMA continuous;
CREATE CONTINUOUS VIEW continuous.view AS SELECT page FROM clicks;
CREATE CONTINUOUS VIEW continuous AS SELECT page AS continuous, 'CREATE CONTINUOUS VIEW x' AS view FROM clicks;
CREATE CONTINUOUS VIEW if AS SELECT page FROM clicks;
CREATE CONTINUOUS VIEW "a""b; CREATE CONTINUOUS VIEW c" AS SELECT page FROM clicks;
CREATE CONTINUOUS VIEW view AS SELECT page FROM clicks;
SELECT view FROM views();
DROP CONTINUOUS VIEW continuous.view, continuous, if, "a""b; CREATE CONTINUOUS VIEW c", view;
DROP SCHEMA continuous;
-- plpgsql, static and dynamic, more than once
DO $$ BEGIN
  FOR i IN 1..3 LOOP
    CREATE CONTINUOUS VIEW again AS SELECT page, count(*) FROM clicks GROUP BY page;
    DROP CONTINUOUS VIEW again;
    CREATE CONTINUOUS VIEW IF NOT EXISTS again AS SELECT page, count(*) FROM clicks GROUP BY page;
    EXECUTE format('DROP CONTINUOUS VIEW %I', 'again');
    EXECUTE 'CREATE CONTINUOUS VIEW again WITH (batch_interval = ''1 s'') AS SELECT page FROM clicks';
    DROP VIEW again;
  END LOOP;
END $$;
CREATE FUNCTION make() RETURNS void LANGUAGE sql AS
  $$ CREATE CONTINUOUS VIEW made AS SELECT page FROM clicks; SELECT $$;
CREATE FUNCTION unmake() RETURNS void LANGUAGE sql AS $$ DROP CONTINUOUS VIEW made; SELECT $$;
SELECT make();
SELECT view FROM views();
SELECT unmake();
SELECT make();
SELECT unmake();
-- what a static DROP names is looked at each time that it runs
CREATE FUNCTION drop_it() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP CONTINUOUS VIEW it; END $$;
CREATE CONTINUOUS VIEW it AS SELECT page FROM clicks;
SELECT drop_it();
CREATE MATERIALIZED VIEW it AS SELECT 1;
SELECT drop_it();
DROP MATERIALIZED VIEW it;
CREATE VIEW it AS SELECT 1;
SELECT drop_it();
DROP VIEW it;
-- in a schema's own statement
CREATE SCHEMA embedded
  CREATE VIEW plain AS SELECT 'CREATE CONTINUOUS VIEW inner_view AS' AS view
  CREATE CONTINUOUS VIEW inner_view WITH (batch_interval = '3 s') AS SELECT page FROM public.clicks
  CREATE TABLE continuous (view int);
SELECT * FROM views();
DROP SCHEMA embedded CASCADE;
CREATE SCHEMA embedded CREATE VIEW a AS SELECT 1 CREATE UNLOGGED VIEW b AS SELECT '
  CREATE CONTINUOUS VIEW b';

-- ---- errors ----
CREATE CONTINUOUS VIEW v WITH (emitt = 'update') AS SELECT page FROM clicks;
CREATE CONTINUOUS VIEW v WITH (emit = 'update', streamx.emit = 'update') AS SELECT page FROM clicks;
CREATE CONTINUOUS VIEW v WITH (continuous) AS SELECT page FROM clicks;
CREATE CONTINUOUS VIEW v WITH (other.emit = 'update') AS SELECT page FROM clicks;
CREATE CONTINUOUS VIEW v AS SELECT pagee FROM clicks;
CREATE CONTINUOUS VIEW v AS SELECT title FROM pg_class;
CREATE OR REPLACE CONTINUOUS VIEW v AS SELECT page FROM clicks;
CREATE OR REPLACE CONTINUOUS VIEW v WITH (on_replace = 'restart') AS SELECT page, 1 AS one FROM clicks;
DROP CONTINUOUS VIEW v;
CREATE CONTINUOUS VIEW v AS SELECT page FROM clicks WITH CHECK OPTION;
EXPLAIN CREATE CONTINUOUS VIEW IF NOT EXISTS v AS SELECT page FROM clicks;
EXPLAIN ANALYZE CREATE CONTINUOUS VIEW IF NOT EXISTS v AS SELECT page FROM clicks;
-- only continuous views are dropped
CREATE VIEW plain AS SELECT 1;
CREATE MATERIALIZED VIEW mat AS SELECT 1;
CREATE TABLE tab (a int);
CREATE SEQUENCE seq;
CREATE CONTINUOUS VIEW v AS SELECT page FROM clicks;
DROP CONTINUOUS VIEW plain;
DROP CONTINUOUS VIEW v, plain;
DROP CONTINUOUS VIEW v, mat;
DROP CONTINUOUS VIEW IF EXISTS tab;
DROP CONTINUOUS VIEW clicks;
DROP CONTINUOUS VIEW seq;
DROP CONTINUOUS VIEW v, missing;
DROP CONTINUOUS VIEW nowhere.v;
SELECT view FROM views();
DROP VIEW plain;
DROP MATERIALIZED VIEW mat;
DROP TABLE tab;
DROP SEQUENCE seq;
-- of others
CREATE ROLE regress_streamx_literal;
GRANT CREATE ON SCHEMA public TO regress_streamx_literal;
SET ROLE regress_streamx_literal;
DROP CONTINUOUS VIEW v;
CREATE CONTINUOUS VIEW w AS SELECT page FROM clicks;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM regress_streamx_literal;
DROP ROLE regress_streamx_literal;
BEGIN READ ONLY;
CREATE CONTINUOUS VIEW w AS SELECT page FROM clicks;
ROLLBACK;
BEGIN READ ONLY;
DROP CONTINUOUS VIEW v;
ROLLBACK;
DROP CONTINUOUS VIEW v;

-- ---- everything else is what it was ----
CREATE UNLOGGED VIEW v AS SELECT 1;
CREATE "continuous" VIEW v AS SELECT 1;
CREATE CONTINUOUS "view" v AS SELECT 1;
CREATE CONTINUOUS TABLE v (a int);
CREATE CONTINUOUS MATERIALIZED VIEW v AS SELECT 1;
CREATE CONTINUOUS RECURSIVE VIEW v (a) AS SELECT 1;
CREATE TEMP CONTINUOUS VIEW v AS SELECT 1;
CREATE UNLOGGED CONTINUOUS VIEW v AS SELECT 1;
CREATE RECURSIVE CONTINUOUS VIEW v (a) AS SELECT 1;
CREATE CONTINUOUS CONTINUOUS VIEW v AS SELECT 1;
CREATE OR CONTINUOUS VIEW v AS SELECT 1;
CREATE OR REPLACE CONTINUOUS VIEW IF NOT EXISTS v AS SELECT 1;
CREATE CONTINUOUS.VIEW v AS SELECT 1;
CREATE CONTINUOUS+VIEW v AS SELECT 1;
CREATE, CONTINUOUS VIEW v AS SELECT 1;
CREATE CONTINUOUS VIEWS v AS SELECT 1;
ALTER CONTINUOUS VIEW v RENAME TO w;
CREATE STREAM s (a int);
DROP CONTINUOUS v;
DROP "continuous" VIEW v;
DROP OR CONTINUOUS VIEW v;
DROP IF EXISTS CONTINUOUS VIEW v;
REFRESH CONTINUOUS VIEW v;
CREATE CONTINUOUS VIEW;
CREATE CONTINUOUS
VIEW v AS SELEC 1;
CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC CREATE CONTINUOUS VIEW v AS SELECT 1; END;
-- names
CREATE TYPE t AS ("create" int, drop int, continuous int, view int);
CREATE TABLE continuous OF t;
INSERT INTO continuous VALUES (1, 2, 3, 4);
SELECT c.create continuous, c.drop view, c.continuous, view FROM continuous AS c;
SELECT c.create /* */ continuous, c.drop continuous FROM continuous c;
SELECT 'CREATE CONTINUOUS VIEW v' AS "create continuous view", $$DROP CONTINUOUS VIEW v$$ AS drop,
  E'CREATE\nCONTINUOUS VIEW v' AS create, $create$CONTINUOUS VIEW$create$ AS continuous -- CREATE CONTINUOUS VIEW v
;
SELECT quote_ident('create') AS create, quote_ident('continuous') AS continuous, quote_ident('view') AS view,
  quote_ident('unlogged') AS unlogged, quote_ident('materialized') AS materialized;
SELECT count(*), bool_or(word = 'continuous') AS continuous, bool_or(word = 'unlogged') AS unlogged,
  bool_or(word = 'materialized') AS materialized FROM pg_get_keywords()
WHERE word IN ('continuous', 'unlogged', 'materialized');
CREATE VIEW continuous_view AS SELECT continuous AS view FROM continuous AS continuous;
-- 16 leaves the table's name out
SELECT replace(pg_get_viewdef('continuous_view'), 'continuous.continuous', 'continuous') AS pg_get_viewdef;
PREPARE continuous AS SELECT continuous AS view FROM continuous;
EXECUTE continuous;
DEALLOCATE continuous;
DROP VIEW continuous_view;
DROP TABLE continuous;
DROP TYPE t;
CREATE UNLOGGED TABLE continuous (view int);
SELECT relpersistence FROM pg_class WHERE oid = 'continuous'::regclass;
DROP TABLE continuous;
CREATE MATERIALIZED VIEW IF NOT EXISTS continuous AS SELECT 1 AS view;
DROP MATERIALIZED VIEW continuous;
-- a comment of more than a page is more than is looked at
DO $$
DECLARE
  what text;
BEGIN
  FOREACH what IN ARRAY ARRAY[repeat('x', 4000), repeat('x', 5000)] LOOP
    BEGIN
      EXECUTE format('CREATE /* %s */ CONTINUOUS VIEW v AS SELECT page FROM clicks', what);
      EXECUTE format('DROP CONTINUOUS /* %s */ VIEW v', what);
      RAISE NOTICE 'comments of %: taken', length(what);
    EXCEPTION WHEN syntax_error THEN RAISE NOTICE 'comments of %: %', length(what), SQLERRM;
    END;
  END LOOP;
END $$;

-- ---- event triggers see the canonical statements ----
CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE NOTICE '% %', tg_event, tg_tag;
END $$;
CREATE EVENT TRIGGER tell_start ON ddl_command_start EXECUTE FUNCTION tell();
CREATE EVENT TRIGGER tell_end ON ddl_command_end EXECUTE FUNCTION tell();
CREATE CONTINUOUS VIEW v AS SELECT page FROM clicks;
DROP CONTINUOUS VIEW v;
DROP CONTINUOUS VIEW IF EXISTS v;
DROP EVENT TRIGGER tell_start;
DROP EVENT TRIGGER tell_end;

-- ---- switched off, without the extension ----
SET streamx_syntax.enabled = off;
CREATE CONTINUOUS VIEW v AS SELECT page FROM clicks;
DROP CONTINUOUS VIEW v;
CREATE VIEW v WITH (streamx.continuous) AS SELECT page FROM clicks;
DROP VIEW v;
SET streamx_syntax.enabled = on;
-- what was parsed before stays what it was
SET streamx_syntax.enabled = off \; CREATE CONTINUOUS VIEW v AS SELECT page FROM clicks \; SET streamx_syntax.enabled = on;
DROP CONTINUOUS VIEW v;
SET streamx_syntax.other = on;
SET client_min_messages = warning;
DROP EXTENSION streamx CASCADE;
RESET client_min_messages;
CREATE CONTINUOUS VIEW v AS SELECT 1;
CREATE CONTINUOUS VIEW IF NOT EXISTS v AS SELECT 1;
DROP CONTINUOUS VIEW v;
DROP CONTINUOUS VIEW IF EXISTS v;
CREATE EXTENSION streamx;

\set ECHO none
\i test/lib/clean.sql
