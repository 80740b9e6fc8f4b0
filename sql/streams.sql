--
-- Streams as foreign tables: options, definitions, what SELECT and INSERT do.
-- No broker is needed: nothing here reads one.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS streamx;
CREATE ROLE regress_streamx_streams;
RESET client_min_messages;
CREATE SCHEMA streams_test;
GRANT ALL ON SCHEMA streams_test TO regress_streamx_streams;
SET search_path = streams_test, public;

-- its own server is there for all
SELECT srvname, srvtype FROM pg_foreign_server s
  JOIN pg_foreign_data_wrapper w ON w.oid = srvfdw WHERE fdwname = 'streamx' AND srvname = 'streamx';
SELECT has_server_privilege('regress_streamx_streams', 'streamx', 'USAGE') AS server,
       has_foreign_data_wrapper_privilege('regress_streamx_streams', 'streamx', 'USAGE') AS wrapper;

-- server options
CREATE SERVER bad TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_server 'localhost:1');
CREATE SERVER bad TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (nothing_like_it 'x');
CREATE SERVER bad TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '');
CREATE SERVER bad TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers 'localhost:1', sasl_password 'secret');
CREATE SERVER bad TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers 'localhost:1', "sasl.password" 'secret');
CREATE SERVER bad TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers 'localhost:1', "compression.codek" 'lz4');
CREATE SERVER bad TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (host 'localhost', port '0');
CREATE SERVER bad TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '80', mode 'both');
CREATE SERVER bad TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '80', max_line 'long');
CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers 'localhost:1', "compression.codec" 'lz4');
CREATE SERVER wire TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (port '59999');
CREATE SERVER gen TYPE 'generator' FOREIGN DATA WRAPPER streamx;

-- the type of a server says what its streams are
CREATE SERVER odd TYPE 'carrier pigeon' FOREIGN DATA WRAPPER streamx;
CREATE SERVER odd FOREIGN DATA WRAPPER streamx;
CREATE SERVER odd TYPE 'kafka' FOREIGN DATA WRAPPER streamx;
CREATE SERVER odd TYPE 'socket' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers 'localhost:1', port '80');

-- user mappings
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS (sasl_user 'u');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS (topic 'u');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS (sasl_username 'u', sasl_password 'p');

-- settings that read files or load code are for superusers
GRANT USAGE ON FOREIGN DATA WRAPPER streamx TO regress_streamx_streams;
SET ROLE regress_streamx_streams;
CREATE SERVER mine TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers 'localhost:1', "ssl.ca.location" '/etc/passwd');
CREATE SERVER mine TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers 'localhost:1', "plugin.library.paths" 'x');
CREATE SERVER mine TYPE 'kafka' FOREIGN DATA WRAPPER streamx
  OPTIONS (bootstrap_servers 'localhost:1', "fetch.wait.max.ms" '50');
DROP SERVER mine;
CREATE FOREIGN TABLE mine (x int) SERVER streamx;
DROP FOREIGN TABLE mine;
RESET ROLE;

-- stream options
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topics 't');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic '');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', format 'xml');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', watermark 'soon');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', watermark '1 month');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', idle_timeout '-1 s');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', on_error 'ignore');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', start 'first');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', isolation 'serializable');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', format 'csv', delimiter '||');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', decode_threads '0');
CREATE FOREIGN TABLE bad (x int) SERVER gen OPTIONS (rows_per_second 'many');
CREATE FOREIGN TABLE bad (x int) SERVER gen OPTIONS (total '-1');

-- what takes the table and its server together
CREATE FOREIGN TABLE bad (x int) SERVER broker;
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', retain '1 day');
CREATE FOREIGN TABLE bad (x int) SERVER streamx OPTIONS (decode_threads '2');
CREATE FOREIGN TABLE bad (x int) SERVER streamx OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x int) SERVER streamx OPTIONS (format 'csv');
CREATE FOREIGN TABLE bad (x int) SERVER gen OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x int) SERVER wire OPTIONS (format 'raw');
CREATE FOREIGN TABLE bad (x text, y text) SERVER wire;
CREATE FOREIGN TABLE bad (x text) SERVER broker OPTIONS (topic 't', format 'raw');
CREATE FOREIGN TABLE bad (x text) SERVER broker OPTIONS (topic 't', quote '''');
CREATE FOREIGN TABLE bad (x text) SERVER broker OPTIONS (topic 't', format 'csv', quote ',');
CREATE FOREIGN TABLE bad (x text) SERVER broker OPTIONS (topic 't', "null" 'NULL');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', event_time 'ts');
CREATE FOREIGN TABLE bad (x int) SERVER broker OPTIONS (topic 't', event_time 'x');
CREATE FOREIGN TABLE bad (x int, y int GENERATED ALWAYS AS (x + 1) STORED) SERVER broker OPTIONS (topic 't');

-- column options
CREATE FOREIGN TABLE bad (x int OPTIONS (paths 'a')) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x int OPTIONS (path 'a..b')) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x int OPTIONS (epoch 'ns')) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x int OPTIONS (metadata 'leader')) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x int OPTIONS (epoch 'ms')) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x text OPTIONS (metadata 'partition')) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x int OPTIONS (metadata 'offset')) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x date OPTIONS (metadata 'timestamp')) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x int OPTIONS (metadata 'key')) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x text OPTIONS (metadata 'key')) SERVER gen;
CREATE FOREIGN TABLE bad (x text OPTIONS (metadata 'key', path 'a')) SERVER broker OPTIONS (topic 't');
CREATE FOREIGN TABLE bad (x text OPTIONS (path 'a')) SERVER broker OPTIONS (topic 't', format 'csv');
CREATE FOREIGN TABLE bad (x text OPTIONS (path 'a')) SERVER streamx;
CREATE FOREIGN TABLE bad (x int OPTIONS (expression '1')) SERVER broker OPTIONS (topic 't');

CREATE FOREIGN TABLE bad (x int OPTIONS (expression 'no such thing')) SERVER gen;

-- ALTER is checked as well
CREATE FOREIGN TABLE clicks (
  ts timestamptz, user_id bigint, page text, doc jsonb OPTIONS (path ''), city text OPTIONS (path 'geo.city'),
  part int OPTIONS (metadata 'partition'), pos bigint OPTIONS (metadata 'offset'),
  at timestamptz OPTIONS (metadata 'timestamp'), key text OPTIONS (metadata 'key')
) SERVER broker OPTIONS (topic 'clicks', format 'json', event_time 'ts', watermark '10 seconds');
ALTER FOREIGN TABLE clicks OPTIONS (DROP topic);
ALTER FOREIGN TABLE clicks OPTIONS (SET event_time 'user_id');
ALTER FOREIGN TABLE clicks ALTER COLUMN ts TYPE text;
ALTER FOREIGN TABLE clicks DROP COLUMN ts;
ALTER FOREIGN TABLE clicks OPTIONS (SET watermark '1 minute');

-- a bounded SELECT reads only where its conditions let it
EXPLAIN (COSTS OFF) SELECT page FROM clicks WHERE page = 'home';
EXPLAIN (COSTS OFF) SELECT page FROM clicks WHERE part = 1 AND pos >= 100 AND 200 > pos AND page = 'home';
EXPLAIN (COSTS OFF) SELECT page FROM clicks WHERE part IN (1, 2) AND pos BETWEEN 1 AND 9;
EXPLAIN (COSTS OFF) SELECT page FROM clicks WHERE at >= '2024-01-01 00:00+00' AND at < '2024-01-02 00:00+00';
EXPLAIN (COSTS OFF) SELECT page FROM clicks WHERE part = user_id OR pos = 3;

-- conditions that nothing fulfils need no broker
SELECT page FROM clicks WHERE part < 0;
SELECT page FROM clicks WHERE pos >= 10 AND pos < 10;
SELECT page FROM clicks WHERE part IN (1, 2) AND part > 2;
SELECT page FROM clicks WHERE pos = (SELECT NULL::bigint);

-- streams are append-only
UPDATE clicks SET page = 'x';
DELETE FROM clicks;
TRUNCATE clicks;

-- and only Kafka ones can be read as a table
CREATE FOREIGN TABLE n (x int, y text) SERVER streamx;
CREATE FOREIGN TABLE w (line text) SERVER wire;
CREATE FOREIGN TABLE g (x int) SERVER gen OPTIONS (rows_per_second '10');
SELECT * FROM n;
SELECT count(*) FROM w;
SELECT * FROM g;
INSERT INTO w VALUES ('x');
INSERT INTO g VALUES (1);
UPDATE n SET x = 1;
DELETE FROM n;

-- a value that does not fit is the statement's error
CREATE FOREIGN TABLE c (x int CHECK (x > 0), y text NOT NULL, z int GENERATED ALWAYS AS (x * 2) STORED) SERVER streamx;
INSERT INTO c (x, y) VALUES (1, 'a'), (2, 'b') RETURNING *;
INSERT INTO c (x, y) VALUES (0, 'a');
INSERT INTO c (x, y) VALUES (1, NULL);
INSERT INTO c (x, y) VALUES ('one', 'a');

SET client_min_messages = warning;
DROP SCHEMA streams_test CASCADE;
DROP USER MAPPING FOR CURRENT_USER SERVER broker;
DROP SERVER broker;
DROP SERVER wire;
DROP SERVER gen;
DROP OWNED BY regress_streamx_streams;
DROP ROLE regress_streamx_streams;
DROP EXTENSION streamx;
