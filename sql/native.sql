--
-- Native streams end to end: what goes in by INSERT and COPY is counted once
-- or not at all; rows that fail; the owner's own hands on the result table.
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_streamx_owner, regress_streamx_reader;
CREATE ROLE regress_streamx_owner;
CREATE ROLE regress_streamx_reader;
GRANT CREATE, USAGE ON SCHEMA public TO regress_streamx_owner;
RESET client_min_messages;
-- everything here is an unprivileged role's
SET SESSION AUTHORIZATION regress_streamx_owner;
\t on

-- ---- ways in ----
CREATE SEQUENCE ids;
CREATE FOREIGN TABLE f (id int DEFAULT nextval('ids'), k int NOT NULL, v numeric CHECK (v < 1000), t text DEFAULT 'none',
  twice int GENERATED ALWAYS AS (k * 2) STORED) SERVER streamx;
CREATE VIEW f_rows WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT id, k, v, t, twice FROM f;
CREATE VIEW f_sums WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT k, count(*), sum(v) FROM f GROUP BY k;
INSERT INTO f (k, v) VALUES (1, 1.5);
INSERT INTO f (v, k, t) VALUES (NULL, 2, NULL), (3, 3, DEFAULT) RETURNING *;
INSERT INTO f (k, v) SELECT i % 3, i FROM generate_series(1, 3) i;
PREPARE ins AS INSERT INTO f (k, t) VALUES ($1, $2);
EXECUTE ins(7, 'prepared');
EXECUTE ins(7, 'again');
COPY f (k, v, t) FROM STDIN;
8	8.25	copied
8	\N	\N
\.
COPY f (k, t) FROM STDIN (FORMAT csv, FREEZE false, HEADER);
k,t
9,"quo""ted"
\.
WITH gone AS (INSERT INTO f (k) VALUES (10), (11) RETURNING k) SELECT sum(k) FROM gone;
DO $$ BEGIN FOR i IN 20..22 LOOP INSERT INTO f (k) VALUES (i); END LOOP; END $$;
SELECT streamx.wait('f_rows');
TABLE f_rows ORDER BY id;
INSERT INTO f (k) SELECT k + 900 FROM f_rows WHERE k = 1;
-- what does not fit is the statement's error, and leaves nothing
INSERT INTO f (k, v) VALUES (30, 1), (NULL, 2);
INSERT INTO f (k, v) VALUES (31, 1), (31, 1001);
INSERT INTO f (k, v) VALUES (32, 'many');
INSERT INTO f (k, twice) VALUES (33, 1);
INSERT INTO f (k) VALUES (34), (1 / 0);
COPY f (k, v) FROM STDIN;
35	1
x	2
\.
INSERT INTO f VALUES (1, 36, 1, 't', DEFAULT, 1);
INSERT INTO f (k) VALUES (37) ON CONFLICT DO NOTHING;
INSERT INTO f (k) VALUES (37) ON CONFLICT (k) DO NOTHING;
-- a stream is append-only, and read by views alone
UPDATE f SET v = 1;
DELETE FROM f;
TRUNCATE f;
SELECT * FROM f;
SELECT count(*) FROM f WHERE k = 1;
COPY f TO STDOUT;
COPY (SELECT 1 FROM f) TO STDOUT;
SELECT * FROM f FOR UPDATE;
-- rolled back, it never was
BEGIN; INSERT INTO f (k) VALUES (40); ROLLBACK;
BEGIN; INSERT INTO f (k) VALUES (41); SAVEPOINT a; INSERT INTO f (k) VALUES (42); ROLLBACK TO a; INSERT INTO f (k) VALUES (43);
SAVEPOINT b; INSERT INTO f (k) VALUES (44); SAVEPOINT c; INSERT INTO f (k) VALUES (45); RELEASE c; ROLLBACK TO b; INSERT INTO f (k) VALUES (46); COMMIT;
DO $$ BEGIN
  INSERT INTO f (k) VALUES (47);
  BEGIN INSERT INTO f (k) VALUES (48); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN INSERT INTO f (k) VALUES (49); END;
END $$;
BEGIN; DECLARE c CURSOR FOR SELECT 1; INSERT INTO f (k) VALUES (50); FETCH c; ABORT;
BEGIN; INSERT INTO f (k) VALUES (51); COMMIT AND CHAIN; INSERT INTO f (k) VALUES (52); ROLLBACK;
-- a trigger on the stream sees each row
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.k = 61 THEN RETURN NULL; END IF; NEW.t := 'triggered ' || NEW.k; RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT ON f FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO f (k) VALUES (60), (61), (62);
COPY f (k) FROM STDIN;
63
61
\.
DROP TRIGGER shout ON f;
-- as a partition, as an automatically updatable view's table
CREATE TABLE parts (id int, k int NOT NULL, v numeric, t text, twice int) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE part_s PARTITION OF parts FOR VALUES FROM (0) TO (1000) SERVER streamx;
CREATE VIEW part_sums WITH (streamx.continuous) AS SELECT k, count(*) FROM part_s GROUP BY k;
INSERT INTO parts (k) VALUES (1), (2), (1);
CREATE VIEW front AS SELECT k, t FROM f;
INSERT INTO front VALUES (70, 'through a view');
SELECT streamx.wait('f_rows'), streamx.wait('part_sums');
SELECT k, t FROM f_rows WHERE k >= 30 AND k < 100 ORDER BY id, k;
TABLE part_sums ORDER BY k;
SELECT (SELECT count(*) FROM f_rows) = (SELECT sum(count) FROM f_sums) AS agree;

-- a column added later, dropped, renamed: rows keep what they had
ALTER FOREIGN TABLE f ADD COLUMN extra text DEFAULT 'x';
INSERT INTO f (k, extra) VALUES (80, 'given');
INSERT INTO f (k) VALUES (81);
CREATE VIEW f_extra WITH (streamx.continuous, streamx.start = 'latest') AS SELECT k, extra FROM f;
INSERT INTO f (k, extra) VALUES (82, 'seen');
SELECT streamx.wait('f_extra'), streamx.wait('f_rows');
TABLE f_extra;
SELECT k, t FROM f_rows WHERE k BETWEEN 80 AND 89 ORDER BY k;
ALTER FOREIGN TABLE f RENAME COLUMN extra TO more;
INSERT INTO f (k, more) VALUES (83, 'renamed');
SELECT streamx.wait('f_extra');
TABLE f_extra ORDER BY k;
DROP VIEW f_extra;
ALTER FOREIGN TABLE f DROP COLUMN more;
INSERT INTO f (k) VALUES (84);
SELECT streamx.wait('f_rows');
SELECT k, t FROM f_rows WHERE k BETWEEN 80 AND 89 ORDER BY k;

-- ---- a view that cannot take a row ----
CREATE FOREIGN TABLE d (id int, k int, v int, t text) SERVER streamx;
CREATE VIEW d_quotients WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT k, count(*), sum(100 / v) FROM d GROUP BY k;
CREATE VIEW d_dates WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT id, t::date AS day FROM d;
CREATE VIEW d_all WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT count(*), sum(v) FROM d;
INSERT INTO d SELECT i, i % 3, i % 7, CASE WHEN i % 50 = 13 THEN 'no date' ELSE '2024-02-' || 1 + i % 28 END FROM generate_series(1, 200) i;
INSERT INTO d VALUES (1001, 1, 0, '2024-02-30');
INSERT INTO d VALUES (1002, 9, 0, NULL), (1003, 9, 5, NULL);
SELECT streamx.wait('d_quotients'), streamx.wait('d_dates'), streamx.wait('d_all');
-- all neighbours are there, and nothing of the rows themselves
SELECT q.k, q.count, q.sum, q.count = b.count AND q.sum = b.sum AS as_batch FROM d_quotients q JOIN
  (SELECT k, count(*), sum(100 / v) FROM (SELECT i % 3 AS k, i % 7 AS v FROM generate_series(1, 200) i UNION ALL VALUES (9, 5)) x WHERE v <> 0 GROUP BY k) b USING (k) ORDER BY k;
SELECT count(*), count(day), min(day), max(day) FROM d_dates;
TABLE d_all;
SELECT view, sqlstate, error, count(*) FROM streamx.dead_letters WHERE stream = 'd'::regclass GROUP BY 1, 2, 3 ORDER BY view::text, error;
SELECT view, state, rows_in, dead_letters FROM streamx.views WHERE view IN ('d_quotients'::regclass, 'd_dates'::regclass, 'd_all'::regclass) ORDER BY view::text;
-- an aggregate that overflows, an error in an expression over aggregates
CREATE FOREIGN TABLE o (k int, v int, d float8) SERVER streamx;
CREATE VIEW o_sums WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT k, sum(d), count(*) FROM o GROUP BY k;
CREATE VIEW o_ratio WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT k, 100 / (sum(v) - 3) AS ratio, count(*) FROM o GROUP BY k;
INSERT INTO o VALUES (1, 1, 1.7e308);
SELECT streamx.wait('o_sums');
INSERT INTO o VALUES (1, 1, 1.7e308), (2, 1, 1), (1, 5, -7);
SELECT streamx.wait('o_sums'), streamx.wait('o_ratio');
TABLE o_sums ORDER BY k;
TABLE o_ratio ORDER BY k;
INSERT INTO o VALUES (2, 2, 0);
SELECT streamx.wait('o_ratio');
INSERT INTO o VALUES (2, 7, 0);
SELECT streamx.wait('o_ratio');
TABLE o_ratio ORDER BY k;
SELECT view, sqlstate, error, count(*) FROM streamx.dead_letters WHERE stream = 'o'::regclass GROUP BY 1, 2, 3 ORDER BY view::text, error;
-- on_error: stop, skip
CREATE FOREIGN TABLE st (k int, v int) SERVER streamx OPTIONS (on_error 'stop');
CREATE VIEW st_v WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT k, sum(100 / v) FROM st GROUP BY k;
CREATE VIEW st_w WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT k, count(*) FROM st GROUP BY k;
INSERT INTO st VALUES (1, 1), (1, 2);
SELECT streamx.wait('st_v');
INSERT INTO st VALUES (1, 0), (1, 4);
SELECT streamx.wait('st_w');
TABLE st_w;
DO $$ BEGIN PERFORM streamx.wait('st_v'); EXCEPTION WHEN OTHERS THEN RAISE NOTICE '% %', SQLSTATE, SQLERRM; END $$;
TABLE st_v;
SELECT view, state, error FROM streamx.views WHERE view IN ('st_v'::regclass, 'st_w'::regclass) ORDER BY view::text;
ALTER FOREIGN TABLE st OPTIONS (SET on_error 'skip');
SELECT streamx.resume('st_v');
SELECT streamx.wait('st_v');
TABLE st_v;
SELECT count(*) FROM streamx.dead_letters WHERE stream = 'st'::regclass;

-- ---- rights: a view acts for its owner ----
RESET SESSION AUTHORIZATION;
CREATE TABLE names (k int PRIMARY KEY, name text);
INSERT INTO names VALUES (1, 'one'), (2, 'two');
GRANT SELECT ON names TO regress_streamx_owner;
CREATE FUNCTION who() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN current_user; END';
SET SESSION AUTHORIZATION regress_streamx_owner;
CREATE FOREIGN TABLE r (id int, k int) SERVER streamx;
CREATE VIEW r_names WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT name, who() AS who, current_user AS cu, count(*) FROM r JOIN names USING (k) GROUP BY 1, 2, 3;
CREATE VIEW r_count WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT count(*) FROM r;
INSERT INTO r VALUES (1, 1), (2, 2);
SELECT streamx.wait('r_names');
TABLE r_names ORDER BY name;
-- a right that is taken away stops the view where it stands, not its neighbours
RESET SESSION AUTHORIZATION;
REVOKE SELECT ON names FROM regress_streamx_owner;
SET SESSION AUTHORIZATION regress_streamx_owner;
INSERT INTO r VALUES (3, 1), (4, 1);
SELECT streamx.wait('r_count');
TABLE r_count;
DO $$ BEGIN PERFORM streamx.wait('r_names'); EXCEPTION WHEN OTHERS THEN RAISE NOTICE '% %', SQLSTATE, SQLERRM; END $$;
SELECT state, error FROM streamx.views WHERE view = 'r_names'::regclass;
RESET SESSION AUTHORIZATION;
GRANT SELECT ON names TO regress_streamx_owner;
-- and with row security the view sees what its owner sees
ALTER TABLE names ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_one ON names FOR SELECT TO regress_streamx_owner USING (k = 1);
SET SESSION AUTHORIZATION regress_streamx_owner;
SELECT streamx.resume('r_names');
INSERT INTO r VALUES (5, 2);
SELECT streamx.wait('r_names'), streamx.wait('r_count');
TABLE r_names ORDER BY name;
TABLE r_count;
-- who may not read the stream sees none of its dead letters; who may not write, writes not
SELECT count(*) > 0 AS seen FROM streamx.dead_letters;
SET SESSION AUTHORIZATION regress_streamx_reader;
SELECT count(*) > 0 AS seen FROM streamx.dead_letters;
INSERT INTO r VALUES (6, 1);
SELECT * FROM r_count;
SET SESSION AUTHORIZATION regress_streamx_owner;
GRANT INSERT ON r TO regress_streamx_reader;
GRANT SELECT ON r_count TO regress_streamx_reader;
SET SESSION AUTHORIZATION regress_streamx_reader;
INSERT INTO r VALUES (6, 1);
SELECT streamx.wait('r_count');
SELECT * FROM r_count;
SET SESSION AUTHORIZATION regress_streamx_owner;

-- ---- the owner's hands on the result table ----
CREATE FOREIGN TABLE h (id int, k int, v int) SERVER streamx;
CREATE VIEW h_v WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT k, count(*), sum(v) FROM h GROUP BY k HAVING count(*) < 6;
CREATE PROCEDURE feed(VARIADIC ks int[]) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO h SELECT 0, u, 10 FROM unnest(ks) u;
  COMMIT;
  PERFORM streamx.wait('h_v');
END $$;
CALL feed(1, 2, 2, 3, 4, 4);
-- changed, deleted, moved to another key, put in by hand: each stands ...
UPDATE h_v SET count = 1000 WHERE k = 1;
DELETE FROM h_v WHERE k = 2;
UPDATE h_v SET k = 33 WHERE k = 3;
INSERT INTO h_v VALUES (5, 555, 555);
CALL feed(9);
TABLE h_v ORDER BY k;
-- ... until its group changes
CALL feed(1, 2, 3, 4, 5);
TABLE h_v ORDER BY k;
-- TRUNCATE likewise
TRUNCATE h_v;
CALL feed(1, 2);
TABLE h_v ORDER BY k;
CALL feed(3, 33, 4, 5);
TABLE h_v ORDER BY k;
-- a group that no longer qualifies takes what it finds along; one that is back comes right
CALL feed(4, 4);
INSERT INTO h_v VALUES (4, 1, 1);
CALL feed(4);
TABLE h_v ORDER BY k;
-- an index more, and the table written anew in between
CREATE INDEX ON h_v (count);
VACUUM FULL h_v;
CALL feed(1);
CLUSTER h_v USING h_v_key;
CALL feed(1);
REINDEX TABLE h_v;
CALL feed(2);
TABLE h_v ORDER BY k;
-- what a CHECK refuses is a dead letter
ALTER TABLE h_v ADD CONSTRAINT few CHECK (k <> 3 OR sum < 45);
CALL feed(3, 3, 2, 33);
TABLE h_v ORDER BY k;
SELECT view, sqlstate, error, count(*) FROM streamx.dead_letters WHERE stream = 'h'::regclass GROUP BY 1, 2, 3;
ALTER TABLE h_v DROP CONSTRAINT few;
CALL feed(3);
TABLE h_v ORDER BY k;
-- triggers fire, as the owner; one that returns NULL keeps its row away
CREATE TABLE log (n int GENERATED ALWAYS AS IDENTITY, line text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO log (line) VALUES (concat_ws(' ', TG_WHEN, TG_LEVEL, TG_OP, current_user, OLD, '->', NEW));
  RETURN NEW;
END $$;
CREATE TRIGGER rows_after AFTER INSERT OR UPDATE OR DELETE ON h_v FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER rows_before BEFORE INSERT OR UPDATE ON h_v FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER of_sum AFTER UPDATE OF sum ON h_v FOR EACH ROW WHEN (NEW.sum > 30) EXECUTE FUNCTION note();
CALL feed(50);
CALL feed(50);
CALL feed(50, 50, 50);
CALL feed(50);
SELECT line FROM log ORDER BY n;
CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN NEW.k = 51 THEN NULL ELSE NEW END; END $$;
CREATE TRIGGER veto BEFORE INSERT OR UPDATE ON h_v FOR EACH ROW EXECUTE FUNCTION veto();
CALL feed(51, 52, 51);
SELECT k, count FROM h_v WHERE k > 50 ORDER BY k;
DROP TRIGGER veto ON h_v;
CALL feed(51);
SELECT k, count FROM h_v WHERE k > 50 ORDER BY k;
-- a trigger that fails
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not group %', NEW.k; END $$;
CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON h_v FOR EACH ROW WHEN (NEW.k = 53) EXECUTE FUNCTION fail();
CALL feed(53, 54, 52);
SELECT k, count FROM h_v WHERE k > 50 ORDER BY k;
-- and one that fails only at COMMIT: no matter of the others
CREATE VIEW h_other WITH (streamx.continuous, streamx.batch_interval = '1 ms') AS SELECT count(*) FROM h;
CREATE CONSTRAINT TRIGGER fail_late AFTER INSERT OR UPDATE ON h_v DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.k = 56) EXECUTE FUNCTION fail();
CALL feed(55, 56, 57);
SELECT k, count FROM h_v WHERE k > 54 ORDER BY k;
SELECT streamx.wait('h_other');
TABLE h_other;
SELECT sqlstate, error, count(*) FROM streamx.dead_letters WHERE stream = 'h'::regclass AND error LIKE 'not %' GROUP BY 1, 2 ORDER BY 2;
SELECT state, rows_in, dead_letters, error FROM streamx.views WHERE view = 'h_v'::regclass;

-- ---- ON COMMIT work of many streams and views in one transaction ----
CREATE FOREIGN TABLE m1 (k int) SERVER streamx;
CREATE FOREIGN TABLE m2 (k int) SERVER streamx;
BEGIN;
CREATE VIEW m1_v WITH (streamx.continuous) AS SELECT count(*) FROM m1;
INSERT INTO m1 VALUES (1);
CREATE VIEW m2_v WITH (streamx.continuous) AS SELECT count(*) FROM m2;
INSERT INTO m2 VALUES (1), (2);
INSERT INTO m1 VALUES (3);
CREATE VIEW m1_late WITH (streamx.continuous) AS SELECT count(*) FROM m1;
INSERT INTO m1 VALUES (4);
COMMIT;
SELECT streamx.wait('m1_v'), streamx.wait('m2_v'), streamx.wait('m1_late');
SELECT (TABLE m1_v), (TABLE m2_v), (TABLE m1_late);

\t off
RESET SESSION AUTHORIZATION;
\set ECHO none
\i test/lib/clean.sql
DROP OWNED BY regress_streamx_owner, regress_streamx_reader;
DROP ROLE regress_streamx_owner, regress_streamx_reader;
