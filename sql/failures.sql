--
-- Views whose rows fail, in part or for reasons of their own: what counts
-- counts once, what does not is a dead letter.
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;

-- a row's failure divides the batch; a failure of the view behind it takes
-- back what was done for the rows before
CREATE FOREIGN TABLE s (n int) SERVER streamx;
CREATE TABLE mended (ok bool);
CREATE FUNCTION f(n int) RETURNS int LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF n = 3 THEN
    RETURN 1 / 0;
  ELSIF n = 7 AND NOT EXISTS (SELECT FROM mended) THEN
    RAISE insufficient_privilege;
  END IF;
  RETURN 1;
END $$;
CREATE VIEW sums WITH (streamx.continuous) AS SELECT f(n) AS one, count(*), sum(n) FROM s GROUP BY one;
CREATE VIEW rows WITH (streamx.continuous) AS SELECT n, f(n) FROM s;
CREATE VIEW others WITH (streamx.continuous) AS SELECT count(*), sum(n) FROM s;
INSERT INTO s SELECT generate_series(1, 10);
SELECT streamx.wait('others');
TABLE others;
DO $$
BEGIN
  FOR i IN 1 .. 300 LOOP
    EXIT WHEN (SELECT count(*) = 2 FROM streamx.views WHERE state = 'stopped');
    PERFORM pg_sleep(0.1);
  END LOOP;
END $$;
SELECT view, state, error FROM streamx.views ORDER BY view::text;
TABLE sums;
TABLE rows;
SELECT count(*) FROM streamx.dead_letters;
INSERT INTO mended VALUES (true);
SELECT streamx.resume('sums'), streamx.resume('rows');
SELECT streamx.wait('sums'), streamx.wait('rows');
TABLE sums;
SELECT count(*), sum(n) FROM rows;
SELECT view, position, sqlstate FROM streamx.dead_letters ORDER BY view::text;
SELECT view, rows_in, rows_out, dead_letters FROM streamx.views ORDER BY view::text;

-- each row fails
INSERT INTO s SELECT 3 FROM generate_series(1, 1000);
SELECT streamx.wait('sums');
SELECT view, rows_in, dead_letters FROM streamx.views WHERE view = 'sums'::regclass;
DROP VIEW sums, rows, others;

-- a batch that changes the key index, because of long keys, and is divided;
-- an index of the owner's that looks like it, older than the new one
CREATE FOREIGN TABLE t (n int, k text) SERVER streamx;
CREATE VIEW long WITH (streamx.continuous) AS SELECT k, count(*), sum(10 / n) FROM t GROUP BY k;
CREATE UNIQUE INDEX ON long (lower(k)) NULLS NOT DISTINCT;
INSERT INTO t SELECT i % 3, repeat(chr(96 + i), 5000) FROM generate_series(1, 9) AS i;
SELECT streamx.wait('long');
INSERT INTO t SELECT 1, repeat(chr(96 + i), 5000) FROM generate_series(1, 9) AS i;
SELECT streamx.wait('long');
SELECT left(k, 1) AS k, count, sum FROM long ORDER BY k;
SELECT count(*) FROM streamx.dead_letters WHERE view = 'long'::regclass;

-- digests of any type
SELECT count(DISTINCT streamx.key_digest(x)) FROM (VALUES ('1'::money), ('2')) AS v (x);
SELECT streamx.key_digest('(1,2)'::point) = streamx.key_digest('(1,2)'::point) AS same;
SELECT streamx.key_digest('101'::bit(3)) = streamx.key_digest('100'::bit(3)) AS same;

-- triggers that wait for COMMIT fire for the rows, with the owner's rights
CREATE TABLE fired (n bigint, superuser bool);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.n = 5 THEN
    RAISE 'not this one';
  END IF;
  INSERT INTO fired VALUES (new.n, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user));
  RETURN NULL;
END $$;
CREATE ROLE regress_streamx_owner;
GRANT CREATE ON SCHEMA public TO regress_streamx_owner;
GRANT SELECT ON s TO regress_streamx_owner;
GRANT ALL ON fired TO regress_streamx_owner;
SET ROLE regress_streamx_owner;
CREATE VIEW deferred WITH (streamx.continuous) AS SELECT n FROM s;
CREATE CONSTRAINT TRIGGER fire AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fire();
RESET ROLE;
INSERT INTO s SELECT generate_series(4, 6);
SELECT streamx.wait('deferred');
TABLE deferred;
TABLE fired ORDER BY n;
SELECT view, error FROM streamx.dead_letters WHERE view = 'deferred'::regclass;

-- a publication of all tables
SET client_min_messages = error;
CREATE PUBLICATION everything FOR ALL TABLES;
RESET client_min_messages;
CREATE VIEW published WITH (streamx.continuous) AS SELECT n % 2 AS odd, count(*) FROM s GROUP BY odd;
INSERT INTO s VALUES (1);
SELECT streamx.wait('published');
INSERT INTO s VALUES (1), (2);
SELECT streamx.wait('published');
SELECT * FROM published ORDER BY odd;
DROP PUBLICATION everything;

-- what lies out of line in a joined table may be gone when the group comes again
CREATE TABLE texts (id int, txt text);
ALTER TABLE texts ALTER txt SET STORAGE EXTERNAL;
INSERT INTO texts SELECT 1, repeat('long ', 2000);
CREATE VIEW joined WITH (streamx.continuous) AS SELECT txt, count(*), min(txt) FROM s JOIN texts ON id = n GROUP BY txt;
INSERT INTO s VALUES (1);
SELECT streamx.wait('joined');
BEGIN;
DELETE FROM texts;
INSERT INTO texts SELECT 1, repeat('long ', 2000);
COMMIT;
VACUUM texts;
INSERT INTO s VALUES (1);
SELECT streamx.wait('joined');
SELECT length(txt), count, length(min) FROM joined;

-- figures reach autovacuum
DO $$
BEGIN
  FOR i IN 1 .. 100 LOOP
    PERFORM pg_stat_clear_snapshot();
    EXIT WHEN (SELECT n_tup_ins + n_tup_upd > 0 FROM pg_stat_all_tables WHERE relid = 'published'::regclass);
    PERFORM pg_sleep(0.1);
  END LOOP;
END $$;
SELECT n_tup_ins > 0 AS inserts, n_tup_upd > 0 AS updates FROM pg_stat_all_tables WHERE relid = 'published'::regclass;

-- a stream goes at once with the types of its columns, or with everything
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('sad', 'happy');
CREATE FOREIGN TABLE app.s (m app.mood, i int[]) SERVER streamx;
CREATE VIEW app.v WITH (streamx.continuous) AS SELECT m, count(*) FROM app.s GROUP BY m;
INSERT INTO app.s VALUES ('happy', '{1,2}');
SELECT streamx.wait('app.v');
TABLE app.v;
SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
SELECT count(*) FROM streamx.journals WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = stream);
SELECT typname FROM pg_type WHERE typnamespace = 'streamx_state'::regnamespace AND typtype = 'd';
DROP EXTENSION streamx CASCADE;
CREATE SCHEMA app;
CREATE EXTENSION streamx SCHEMA app;
CREATE FOREIGN TABLE app.s (n int) SERVER streamx;
CREATE VIEW app.v WITH (streamx.continuous) AS SELECT n, count(*) FROM app.s GROUP BY n;
INSERT INTO app.s VALUES (1);
DROP SCHEMA app CASCADE;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'streamx%';
DROP TABLE mended, fired, texts;
DROP FUNCTION f, fire;
REVOKE CREATE ON SCHEMA public FROM regress_streamx_owner;
DROP ROLE regress_streamx_owner;
