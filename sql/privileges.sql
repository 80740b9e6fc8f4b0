--
-- Who may do what: PostgreSQL's own privileges.  Roles without rights of their
-- own make servers, streams and views, and try what they must not.
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
CREATE ROLE regress_sx_owner;
CREATE ROLE regress_sx_reader;
CREATE ROLE regress_sx_other;
CREATE ROLE regress_sx_group;
CREATE SCHEMA work;
CREATE SCHEMA others AUTHORIZATION regress_sx_other;
GRANT USAGE, CREATE ON SCHEMA work TO regress_sx_owner;
GRANT USAGE ON SCHEMA work TO regress_sx_reader, regress_sx_other;
SET search_path = work, public;
RESET client_min_messages;

-- ---- what is there for everybody ----

-- whoever adds a function that is not a mere computation, or lets PUBLIC at a table, has to look here
SELECT p.oid::regprocedure AS "callable by all" FROM pg_proc p
WHERE p.pronamespace = 'streamx'::regnamespace AND p.provolatile = 'v'
  AND has_function_privilege('regress_sx_other', p.oid, 'EXECUTE')
ORDER BY p.proname::text COLLATE "C";
SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace::regnamespace::text IN ('streamx', 'streamx_state');
SELECT c.relname, c.relkind, c.relrowsecurity AS rls FROM pg_class c
WHERE c.relnamespace = 'streamx'::regnamespace AND c.relkind IN ('r', 'v', 'S')
  AND has_table_privilege('regress_sx_other', c.oid, 'SELECT')
ORDER BY c.relname::text COLLATE "C";
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'streamx'::regnamespace AND c.relkind IN ('r', 'v')
  AND has_table_privilege('regress_sx_other', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER');
SELECT c.relname FROM pg_class c
WHERE CASE WHEN c.relnamespace = 'streamx'::regnamespace AND c.relkind = 'S'
           THEN has_sequence_privilege('regress_sx_other', c.oid, 'USAGE, SELECT, UPDATE') END;
SELECT n AS schema, has_schema_privilege('regress_sx_other', n, 'USAGE') AS usage, has_schema_privilege('regress_sx_other', n, 'CREATE') AS create
FROM unnest('{streamx,streamx_state}'::name[]) AS n;

-- ---- servers: USAGE on the wrapper, which nobody has but superusers ----

SET ROLE regress_sx_owner;
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '127.0.0.1:1');
RESET ROLE;
GRANT USAGE ON FOREIGN DATA WRAPPER streamx TO regress_sx_owner;
SET ROLE regress_sx_owner;
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '127.0.0.1:1', "security.protocol" 'sasl_ssl', "sasl.mechanism" 'SCRAM-SHA-512');

-- what reads files, loads code, runs or calls something is for superusers, in any spelling
ALTER SERVER broker OPTIONS (ADD "ssl.ca.location" '/etc/passwd');
ALTER SERVER broker OPTIONS (ADD ssl_ca_location '/etc/passwd');
ALTER SERVER broker OPTIONS (ADD "ssl.crl.location" '/etc/passwd');
ALTER SERVER broker OPTIONS (ADD "ssl.certificate.location" '/etc/passwd');
ALTER SERVER broker OPTIONS (ADD "plugin.library.paths" '/tmp/x.so');
ALTER SERVER broker OPTIONS (ADD "ssl.engine.location" '/tmp/x.so');
ALTER SERVER broker OPTIONS (ADD "sasl.kerberos.kinit.cmd" 'touch /tmp/x');
ALTER SERVER broker OPTIONS (ADD "sasl.oauthbearer.token.endpoint.url" 'http://127.0.0.1/');
ALTER SERVER broker OPTIONS (SET "sasl.mechanism" 'GSSAPI');
ALTER SERVER broker OPTIONS (ADD debug 'all');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS ("ssl.key.location" '/etc/passwd');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS ("ssl.keystore.location" '/etc/passwd');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS ("sasl.oauthbearer.config" 'x');

-- secrets are for user mappings, all else is for the server
ALTER SERVER broker OPTIONS (ADD sasl_password 'hidden-word');
ALTER SERVER broker OPTIONS (ADD "sasl.password" 'hidden-word');
ALTER SERVER broker OPTIONS (ADD "ssl.key.pem" 'hidden-word');
ALTER SERVER broker OPTIONS (ADD ssl_key_password 'hidden-word');
ALTER SERVER broker OPTIONS (ADD "sasl.username" 'u');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS (bootstrap_servers '10.0.0.1:1');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS ("bootstrap.servers" '10.0.0.1:1');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS ("metadata.broker.list" '10.0.0.1:1');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS ("enable.ssl.certificate.verification" 'false');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS (sasl_username 'u', sasl_password 'hidden-word');

-- streams: USAGE on the server, CREATE in the schema; native ones need the latter only
CREATE FOREIGN TABLE topic (n int) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE s (ts timestamptz, n int, k text) SERVER streamx OPTIONS (event_time 'ts', watermark '1 minute');
CREATE FOREIGN TABLE secret (n int, k text) SERVER streamx;
CREATE TABLE names (n int, name text);
INSERT INTO names VALUES (1, 'one'), (2, 'two');
CREATE VIEW sums WITH (streamx.continuous) AS SELECT k, count(*), sum(n) FROM s GROUP BY k;
CREATE VIEW named WITH (streamx.continuous) AS SELECT s.n, name FROM s JOIN names USING (n);
CREATE VIEW failing WITH (streamx.continuous, streamx.late = 'keep', streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS minute, sum(10 / n) FROM s GROUP BY minute;
GRANT SELECT ON s, sums TO regress_sx_reader;
SET ROLE regress_sx_other;
CREATE FOREIGN TABLE mine (n int) SERVER streamx;
CREATE FOREIGN TABLE others.mine (n int) SERVER broker OPTIONS (topic 't');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS (sasl_username 'u', sasl_password 'p');
SELECT srvname, umoptions FROM pg_user_mappings WHERE srvname = 'broker';
RESET ROLE;
GRANT CREATE ON SCHEMA work TO regress_sx_reader;

-- ---- views: SELECT on all that is read, also inside ----

SET ROLE regress_sx_reader;
CREATE VIEW v WITH (streamx.continuous) AS SELECT n FROM secret;
CREATE VIEW v WITH (streamx.continuous) AS SELECT s.n, name FROM s JOIN names USING (n);
CREATE VIEW v WITH (streamx.continuous) AS SELECT n FROM s WHERE n IN (SELECT n FROM names);
CREATE VIEW v WITH (streamx.continuous) AS WITH x AS (SELECT n, count(*) FROM secret GROUP BY n) SELECT count(*) FROM x;
CREATE VIEW v WITH (streamx.continuous) AS SELECT n FROM s UNION ALL SELECT n FROM secret;
CREATE VIEW v WITH (streamx.continuous) AS SELECT count(*) FROM named;
CREATE VIEW v WITH (streamx.continuous, streamx.sink = 'work.secret') AS SELECT n, k FROM s;
SELECT streamx.create_continuous_view('v', 'SELECT n FROM secret');
CREATE VIEW readers WITH (streamx.continuous) AS SELECT count(*) FROM s;
INSERT INTO s VALUES (now(), 1, 'a');
\copy s FROM /dev/null
RESET ROLE;

-- ---- data: one row without a number, one late, one that fails ----

SET ROLE regress_sx_owner;
INSERT INTO s VALUES ('2020-01-01 00:00Z', 1, 'a'), ('2020-01-01 00:00:30Z', 0, 'a');
INSERT INTO s VALUES ('2020-01-01 02:00Z', 2, 'b');
SELECT streamx.wait('failing'), streamx.wait('named');
INSERT INTO s VALUES ('2020-01-01 00:00:10Z', 3, 'b');
SELECT streamx.wait('failing'), streamx.wait('sums');
TABLE failing;
SELECT view, error FROM streamx.dead_letters;
SELECT view, row_data ->> 'n' AS n FROM streamx.late_rows;

-- ---- others ----

SET ROLE regress_sx_reader;
SELECT * FROM sums ORDER BY k;
SELECT streamx.wait('sums');
SELECT streamx.explain('sums') LIKE 'View%' AS explained;
SELECT count(*) FROM streamx.dead_letters;
SELECT count(*) FROM streamx.late_rows;
TABLE named;
INSERT INTO sums VALUES ('c', 1, 1);
SET ROLE regress_sx_other;
TABLE sums;
TABLE named;
-- nothing is learnt from waiting
SELECT streamx.wait('sums');
SELECT streamx.explain('sums');
SELECT count(*) FROM streamx.dead_letters;
SELECT count(*) FROM streamx.late_rows;
-- the figures are for all
SELECT view, state, rows_in, rows_late, dead_letters FROM streamx.views WHERE view <> 'readers'::regclass ORDER BY view::text;
SELECT stream, kind FROM streamx.streams ORDER BY stream::text;
-- what changes something is for the owner
SELECT streamx.pause('sums');
SELECT streamx.resume('sums');
SELECT streamx.rebuild('sums');
SELECT * FROM streamx.verify('sums');
SELECT streamx.reprocess('s');
SELECT streamx.reprocess(view => 'failing');
SELECT streamx.reprocess();
DROP VIEW sums;
DROP TABLE sums;
DROP MATERIALIZED VIEW sums;
DROP FOREIGN TABLE s;
ALTER TABLE sums RENAME TO other;
ALTER FOREIGN TABLE s OPTIONS (ADD on_error 'skip');
ALTER SERVER broker OPTIONS (SET bootstrap_servers '10.0.0.1:1');
CREATE INDEX ON sums (sum);
DELETE FROM streamx.dead_letters;
UPDATE streamx.progress SET next_offset = 0;
SELECT streamx.require_preload();
SET ROLE regress_sx_reader;
SELECT streamx.pause('sums');
SELECT streamx.resume('sums');
SELECT streamx.rebuild('sums');
SELECT * FROM streamx.verify('sums');
SELECT streamx.reprocess('s');
SELECT streamx.reprocess(view => 'failing');
-- without a name: those that are one's own; others' are not even locked
SELECT streamx.reprocess();
BEGIN;
SELECT streamx.reprocess();
SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND pid = pg_backend_pid();
ROLLBACK;
RESET ROLE;
-- a member may what the group may
GRANT SELECT (k) ON sums TO regress_sx_group;
GRANT regress_sx_group TO regress_sx_other;
SET ROLE regress_sx_other;
SELECT streamx.wait('sums');
SELECT streamx.pause('sums');
RESET ROLE;
GRANT regress_sx_owner TO regress_sx_other;
SET ROLE regress_sx_other;
SELECT streamx.pause('sums');
SELECT streamx.resume('sums');
RESET ROLE;
REVOKE regress_sx_owner, regress_sx_group FROM regress_sx_other;

-- the parts of a view and its journal are nobody's to touch, the owner's either
SET ROLE regress_sx_owner;
SELECT (SELECT query FROM streamx.continuous_views LIMIT 1);
DO $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'streamx_state') AND c.relkind IN ('r', 'v') LOOP
    BEGIN
      EXECUTE format('SELECT FROM %s', r.name);
      RAISE NOTICE 'can read %', r.name;
    EXCEPTION WHEN insufficient_privilege THEN
    END;
  END LOOP;
END $$;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA others;
DROP SCHEMA work CASCADE;
DROP SERVER broker CASCADE;
DROP EXTENSION streamx CASCADE;
DROP ROLE regress_sx_owner, regress_sx_reader, regress_sx_other, regress_sx_group;
