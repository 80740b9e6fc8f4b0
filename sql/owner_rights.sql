--
-- As whom code runs: a view with its owner's rights and no others, whoever
-- makes it run and whatever is in the way of names.
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
CREATE ROLE regress_sx_alice;
CREATE ROLE regress_sx_bob;
CREATE SCHEMA alice AUTHORIZATION regress_sx_alice;
CREATE SCHEMA bob AUTHORIZATION regress_sx_bob;
CREATE SCHEMA work;
GRANT USAGE ON SCHEMA work TO regress_sx_alice, regress_sx_bob;
SET search_path = work, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';

-- waits until so many of the views have stopped
CREATE FUNCTION stopped(n int) RETURNS bool LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  FOR i IN 1 .. 300 LOOP
    IF (SELECT count(*) = n FROM streamx.views WHERE state = 'stopped') THEN
      RETURN true;
    END IF;
    PERFORM pg_sleep(0.1);
  END LOOP;
  RETURN false;
END $$;

-- ---- rights that are lost: each way of keeping a view ----

CREATE FOREIGN TABLE s (ts timestamptz, n int, k text) SERVER streamx OPTIONS (event_time 'ts', watermark '1 second');
CREATE FOREIGN TABLE s2 (ts timestamptz, n int) SERVER streamx OPTIONS (event_time 'ts', watermark '1 second');
CREATE TABLE names (n int, name text, owner name);
INSERT INTO names VALUES (1, 'one', 'regress_sx_alice'), (2, 'two', 'regress_sx_bob');
GRANT SELECT ON s, s2, names TO regress_sx_alice;
SET ROLE regress_sx_alice;
SET search_path = alice, work, public;
CREATE VIEW appended WITH (streamx.continuous) AS SELECT n, name FROM s JOIN names USING (n);
CREATE VIEW merged WITH (streamx.continuous) AS SELECT name, count(*) FROM s JOIN names USING (n) GROUP BY name;
CREATE VIEW recomputed WITH (streamx.continuous) AS SELECT name, count(DISTINCT k) FROM s JOIN names USING (n) GROUP BY name;
CREATE VIEW derived WITH (streamx.continuous) AS SELECT name, c FROM (SELECT n, count(*) AS c FROM s GROUP BY n) x JOIN names USING (n);
CREATE VIEW paired WITH (streamx.continuous) AS
  SELECT s.n, name FROM s JOIN s2 ON s.n = s2.n AND s2.ts BETWEEN s.ts AND s.ts + interval '1 minute' JOIN names ON names.n = s.n;
CREATE VIEW windows WITH (streamx.continuous) AS
  SELECT hop(ts, '10 s', '20 s') AS w, name, count(*) FROM s JOIN names USING (n) GROUP BY w, name;
CREATE VIEW sessions WITH (streamx.continuous) AS
  SELECT session(ts, '5 s') AS w, name, count(*) FROM s JOIN names USING (n) GROUP BY w, name;
CREATE VIEW finals WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '10 s') AS w, name, count(*) FROM s JOIN names USING (n) GROUP BY w, name;
CREATE VIEW counts WITH (streamx.continuous) AS SELECT n, count(*) FROM s GROUP BY n;
CREATE VIEW cascaded WITH (streamx.continuous) AS SELECT sum(count) FROM counts JOIN names USING (n);
RESET ROLE;
SET search_path = work, public;
INSERT INTO s SELECT now(), 1, 'a';
INSERT INTO s2 SELECT now(), 1;
SELECT streamx.wait(view) FROM streamx.views;
REVOKE SELECT ON names FROM regress_sx_alice;
INSERT INTO s SELECT now() + interval '1 minute', 2, 'b';
INSERT INTO s2 SELECT now() + interval '1 minute', 2;
SELECT stopped(9);
SELECT view, sqlstate, error FROM streamx.views ORDER BY view::text;
SET ROLE regress_sx_alice;
SELECT streamx.resume(view) FROM streamx.views;
RESET ROLE;
SELECT stopped(9);
GRANT SELECT ON names TO regress_sx_alice;
SET ROLE regress_sx_alice;
SELECT streamx.resume(view) FROM streamx.views;
SELECT count(*) FROM streamx.views WHERE NOT streamx.wait(view);
SELECT * FROM alice.merged ORDER BY name;
RESET ROLE;

-- of the stream, then by a column's right only
REVOKE SELECT ON s FROM regress_sx_alice;
INSERT INTO s SELECT now() + interval '1 minute', 2, 'b';
SELECT stopped(9);
SELECT view, error FROM streamx.views ORDER BY view::text;
GRANT SELECT (ts, n, k) ON s TO regress_sx_alice;
SET ROLE regress_sx_alice;
SELECT streamx.resume(view) FROM streamx.views WHERE state = 'stopped';
SELECT count(*) FROM streamx.views WHERE NOT streamx.wait(view);
SELECT * FROM alice.merged ORDER BY name;
DROP VIEW alice.paired, alice.windows, alice.sessions, alice.finals;
RESET ROLE;

-- ---- row security of what is joined holds, now and when it changes ----

CREATE FUNCTION counted() RETURNS TABLE (view regclass, rows text) LANGUAGE plpgsql AS $$
BEGIN
  FOR view IN SELECT v.view FROM streamx.views v ORDER BY v.view::text LOOP
    EXECUTE format('SELECT string_agg(r::text, '' '' ORDER BY r::text) FROM %s r', view) INTO rows;
    RETURN NEXT;
  END LOOP;
END $$;
ALTER TABLE names ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON names USING (owner = current_user);
INSERT INTO s SELECT now() + interval '1 minute', n, 'c' FROM generate_series(1, 2) n;
SELECT count(*) FROM streamx.views WHERE NOT streamx.wait(view);
SELECT * FROM counted();
-- a policy for a group, then a member of it
CREATE ROLE regress_sx_group;
CREATE POLICY members ON names TO regress_sx_group USING (true);
INSERT INTO s SELECT now() + interval '1 minute', 2, 'd';
SELECT count(*) FROM streamx.views WHERE NOT streamx.wait(view);
SELECT * FROM counted();
GRANT regress_sx_group TO regress_sx_alice;
INSERT INTO s SELECT now() + interval '1 minute', 2, 'e';
SELECT count(*) FROM streamx.views WHERE NOT streamx.wait(view);
SELECT * FROM counted();
REVOKE regress_sx_group FROM regress_sx_alice;
INSERT INTO s SELECT now() + interval '1 minute', 2, 'f';
SELECT count(*) FROM streamx.views WHERE NOT streamx.wait(view);
SELECT * FROM counted();
-- one who is above it, and is not any more
ALTER ROLE regress_sx_alice BYPASSRLS;
INSERT INTO s SELECT now() + interval '1 minute', 2, 'g';
SELECT count(*) FROM streamx.views WHERE NOT streamx.wait(view);
SELECT * FROM counted();
ALTER ROLE regress_sx_alice NOBYPASSRLS;
INSERT INTO s SELECT now() + interval '1 minute', 2, 'h';
SELECT count(*) FROM streamx.views WHERE NOT streamx.wait(view);
SELECT * FROM counted();

-- ---- that of a result holds for its readers, a view of theirs too ----

SET ROLE regress_sx_alice;
ALTER TABLE alice.merged ENABLE ROW LEVEL SECURITY;
CREATE POLICY one ON alice.merged USING (name = 'one');
GRANT USAGE ON SCHEMA alice TO regress_sx_bob;
GRANT SELECT ON alice.merged TO regress_sx_bob;
TABLE alice.merged;
SET ROLE regress_sx_bob;
TABLE alice.merged;
CREATE VIEW bob.over WITH (streamx.continuous) AS SELECT name, count AS c FROM alice.merged;
TABLE bob.over;
SELECT * FROM streamx.verify('bob.over');
RESET ROLE;
INSERT INTO s SELECT now() + interval '1 minute', n, 'i' FROM generate_series(1, 2) n;
SELECT streamx.wait('bob.over');
TABLE bob.over;
ALTER TABLE names DISABLE ROW LEVEL SECURITY;
INSERT INTO s SELECT now() + interval '1 minute', n, 'j' FROM generate_series(1, 2) n;
SELECT streamx.wait('bob.over');
TABLE bob.over;
SET ROLE regress_sx_bob;
SELECT * FROM streamx.verify('bob.over');
DROP VIEW bob.over;
SET ROLE regress_sx_alice;
DROP VIEW alice.appended, alice.merged, alice.recomputed, alice.derived, alice.cascaded, alice.counts;
RESET ROLE;

-- ---- code of users: wherever it is, it runs as its view's owner ----

CREATE TABLE ran (what text, who name, super bool);
GRANT INSERT, SELECT ON ran TO PUBLIC;
GRANT SELECT ON s TO regress_sx_bob;
SET ROLE regress_sx_bob;
SET search_path = bob, work;
CREATE FUNCTION bob.note(what text) RETURNS bool LANGUAGE plpgsql SET search_path = work AS $$
BEGIN
  INSERT INTO work.ran SELECT what, current_user, rolsuper FROM pg_roles WHERE rolname = current_user;
  RETURN true;
END $$;
CREATE FUNCTION bob.spy(n bigint, what text) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bob.note(what);
  RETURN n;
END $$;
CREATE FUNCTION bob.fire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bob.note('trigger ' || tg_name);
  RETURN coalesce(new, old);
END $$;
CREATE DOMAIN bob.checked AS int CHECK (bob.note('domain'));
CREATE FOREIGN TABLE bob.t (n bob.checked, k text) SERVER streamx OPTIONS (on_error 'dead_letter');
CREATE VIEW bob.v WITH (streamx.continuous) AS
  SELECT k, count(*), sum(100 / n) FROM bob.t WHERE bob.spy(n, 'where') IS NOT NULL GROUP BY k HAVING bob.spy(sum(n), 'having') IS NOT NULL;
CREATE INDEX ON bob.v (bob.spy(count, 'index'));
CREATE INDEX ON bob.v (k) WHERE bob.spy(count, 'predicate') > 0;
ALTER TABLE bob.v ADD CHECK (bob.spy(count, 'check') > 0);
CREATE TRIGGER before BEFORE INSERT OR UPDATE OR DELETE ON bob.v FOR EACH ROW EXECUTE FUNCTION bob.fire();
CREATE TRIGGER statement AFTER INSERT OR UPDATE OR DELETE ON bob.v FOR EACH STATEMENT EXECUTE FUNCTION bob.fire();
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT OR UPDATE ON bob.v DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION bob.fire();
RESET ROLE;
TRUNCATE ran;
SET ROLE regress_sx_bob;
INSERT INTO bob.t VALUES (1, 'a'), (0, 'b'), (2, repeat('long', 10000));
SELECT streamx.wait('bob.v');
INSERT INTO bob.t VALUES (1, 'a');
SELECT streamx.wait('bob.v');
RESET ROLE;
SELECT DISTINCT what, who, super FROM ran ORDER BY what;

-- a superuser who does something about it lends it no rights either
TRUNCATE ran;
SELECT streamx.verify('bob.v');
SELECT streamx.reprocess('bob.t');
SELECT count(*) > 0 FROM (SELECT streamx.explain('bob.v')) x;
SELECT DISTINCT what, who, super FROM ran ORDER BY what;

-- nor can it take them
SET ROLE regress_sx_bob;
CREATE FUNCTION bob.take(n int) RETURNS text STABLE LANGUAGE plpgsql AS $$
BEGIN
  RETURN set_config(CASE n WHEN 1 THEN 'role' ELSE 'session_authorization' END, 'none', false);
END $$;
CREATE FOREIGN TABLE bob.u (n int) SERVER streamx;
CREATE VIEW bob.taker WITH (streamx.continuous) AS SELECT bob.take(n) AS n, current_user AS who FROM bob.u;
CREATE VIEW bob.taker2 WITH (streamx.continuous) AS SELECT bob.take(n + 1) AS n FROM bob.u;
INSERT INTO bob.u VALUES (1);
RESET ROLE;
SELECT stopped(2);
SELECT view, error FROM streamx.views WHERE state = 'stopped' ORDER BY view::text;
SET ROLE regress_sx_bob;
DROP VIEW bob.taker, bob.taker2;

-- what a view's function sets does not stay
CREATE FUNCTION bob.sets(n int) RETURNS int STABLE LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('search_path', 'bob', false), set_config('TimeZone', 'Asia/Tokyo', false);
  RETURN n;
END $$;
CREATE VIEW bob.setter WITH (streamx.continuous) AS SELECT bob.sets(n) AS n FROM bob.u;
RESET ROLE;
CREATE VIEW zone WITH (streamx.continuous) AS SELECT n, current_setting('TimeZone') AS zone, current_setting('search_path') AS path FROM bob.u;
INSERT INTO bob.u VALUES (5), (6);
SELECT streamx.wait('zone');
SELECT * FROM zone ORDER BY n;

-- ---- names: what stands before pg_catalog in a user's path ----

TRUNCATE ran;
SET ROLE regress_sx_bob;
CREATE FUNCTION bob.equal(regclass, oid) RETURNS bool LANGUAGE sql AS $$ SELECT bob.note('operator =(regclass, oid)') $$;
CREATE OPERATOR bob.= (LEFTARG = regclass, RIGHTARG = oid, FUNCTION = bob.equal);
CREATE FUNCTION bob.equal(oid, oid) RETURNS bool LANGUAGE sql AS $$ SELECT bob.note('operator =(oid, oid)') $$;
CREATE OPERATOR bob.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = bob.equal);
CREATE FUNCTION bob.equal(bigint, bigint) RETURNS bool LANGUAGE sql AS $$ SELECT bob.note('operator =(bigint, bigint)') $$;
CREATE OPERATOR bob.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = bob.equal);
CREATE FUNCTION bob.equal(name, text) RETURNS bool LANGUAGE sql AS $$ SELECT bob.note('operator =(name, text)') $$;
CREATE OPERATOR bob.= (LEFTARG = name, RIGHTARG = text, FUNCTION = bob.equal);
CREATE FUNCTION bob.equal(varchar, varchar) RETURNS bool LANGUAGE sql AS $$ SELECT bob.note('operator =(varchar, varchar)') $$;
CREATE OPERATOR bob.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = bob.equal);
CREATE FUNCTION bob.string_agg(text, text) RETURNS text LANGUAGE sql AS $$ SELECT bob.note('string_agg')::text $$;
CREATE FUNCTION bob.pg_has_role(oid, oid, text) RETURNS bool LANGUAGE sql AS $$ SELECT bob.note('pg_has_role') $$;
CREATE VIEW bob.pg_class AS SELECT oid, relowner FROM pg_catalog.pg_class WHERE bob.note('pg_class');
CREATE TABLE bob.dead_letters (id bigint);
SET search_path = bob, pg_catalog, work;
SELECT streamx.rebuild('bob.setter');
SELECT streamx.reprocess('bob.t');
SELECT streamx.reprocess(view => 'bob.v');
INSERT INTO bob.t VALUES (0, 'c');
SELECT streamx.wait('bob.v');
SELECT streamx.reprocess();
SELECT streamx.pause('bob.v');
SELECT streamx.resume('bob.v');
CREATE FOREIGN TABLE bob.w (n int) SERVER streamx;
INSERT INTO bob.w VALUES (1);
ALTER FOREIGN TABLE bob.w ADD COLUMN m int;
INSERT INTO bob.w VALUES (1);
CREATE VIEW bob.x WITH (streamx.continuous) AS SELECT n, count(*) FROM bob.w GROUP BY n;
DROP FOREIGN TABLE bob.w CASCADE;
DROP VIEW bob.setter;
RESET ROLE;
SET search_path = work, public;
SELECT DISTINCT what, who, super FROM ran WHERE super;
SELECT DISTINCT what FROM ran WHERE what LIKE 'operator%' OR what IN ('string_agg', 'pg_has_role') ORDER BY what;

-- somebody else's operator in a schema of the view's path
TRUNCATE ran;
GRANT CREATE ON SCHEMA work TO regress_sx_bob;
CREATE FOREIGN TABLE e (ts timestamptz, k varchar) SERVER streamx OPTIONS (event_time 'ts', watermark '0');
CREATE VIEW kept WITH (streamx.continuous, streamx.retention = '1 minute') AS
  SELECT session(ts, '5 s') AS w, k, count(*) FROM e GROUP BY w, k;
CREATE VIEW kept2 WITH (streamx.continuous, streamx.retention = '1 minute') AS
  SELECT session(ts, '5 s') AS w, k, count(DISTINCT k) FROM e GROUP BY w, k;
SET ROLE regress_sx_bob;
CREATE OPERATOR work.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = bob.equal);
RESET ROLE;
INSERT INTO e VALUES ('2020-01-01 00:00Z', 'a'), ('2020-01-01 00:00Z', NULL);
SELECT streamx.wait('kept'), streamx.wait('kept2');
INSERT INTO e SELECT ts, 'long' FROM generate_series('2020-01-01 00:00Z'::timestamptz, '2020-01-01 01:00Z', '4 s') AS ts;
INSERT INTO e VALUES ('2020-01-01 01:00Z', 'b');
SELECT streamx.wait('kept'), streamx.wait('kept2');
SELECT * FROM kept ORDER BY k;
SELECT * FROM kept2 ORDER BY k;
SELECT * FROM ran;

SET client_min_messages = warning;
DROP SCHEMA alice, bob, work CASCADE;
DROP EXTENSION streamx CASCADE;
DROP ROLE regress_sx_alice, regress_sx_bob, regress_sx_group;
