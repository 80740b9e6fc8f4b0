--
-- The option sink: results that are written to a stream as well.
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
-- what a query that is made up gives
CREATE OR REPLACE FUNCTION value_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE value text; BEGIN EXECUTE query INTO value; RETURN value; END $$;

CREATE FUNCTION waited(view regclass) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF NOT streamx.wait(view) THEN
    RETURN (SELECT state || coalesce(': ' || error, '') FROM streamx.views v WHERE v.view = waited.view);
  END IF;
  RETURN 'waited';
END $$;

CREATE FOREIGN TABLE s (id int, k int, v numeric, t text, ts timestamptz) SERVER streamx
  OPTIONS (event_time 'ts', watermark '0 s', idle_timeout '0');
CREATE SERVER nowhere TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '127.0.0.1:1');
CREATE TABLE plain (id int);
CREATE SERVER gen TYPE 'generator' FOREIGN DATA WRAPPER streamx;
CREATE FOREIGN TABLE g (id int) SERVER gen;

-- what cannot be a sink
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'nothing') AS SELECT id FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'plain') AS SELECT id FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'g') AS SELECT id FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 's') AS SELECT id FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'a.b.c.d') AS SELECT id FROM s;

-- columns go by name
CREATE FOREIGN TABLE ids (id int) SERVER streamx;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'ids') AS SELECT id, k FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'ids') AS SELECT k FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'ids') AS SELECT t AS id FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'ids', streamx.final_column = 'done') AS
  SELECT tumble(ts, '1 minute') AS id, count(*) FROM s GROUP BY 1;
CREATE FOREIGN TABLE strict (id int, must int NOT NULL, twice int GENERATED ALWAYS AS (id * 2) STORED) SERVER streamx;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'strict') AS SELECT id FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'strict') AS SELECT id, k AS must, k AS twice FROM s;

-- Kafka's own
CREATE FOREIGN TABLE k_out (id int, k int, mk text OPTIONS (metadata 'key'), part int OPTIONS (metadata 'partition'),
  off bigint OPTIONS (metadata 'offset')) SERVER nowhere OPTIONS (topic 'out');
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'k_out') AS SELECT id, k AS off FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'k_out', streamx.key = 'k') AS SELECT id, k, t AS mk FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'k_out', streamx.partition_by = 'k') AS SELECT id, k, id AS part FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'k_out', streamx.key = 'v') AS SELECT id, k FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'ids', streamx.key = 'id') AS SELECT id FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.key = 'id') AS SELECT id FROM s;
CREATE VIEW bad WITH (streamx.continuous, streamx.partition_by = 'id') AS SELECT id FROM s;

-- circles
CREATE FOREIGN TABLE back (id int) SERVER streamx;
CREATE VIEW there WITH (streamx.continuous, streamx.sink = 'ids') AS SELECT id FROM back;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'back') AS SELECT id FROM ids;
CREATE FOREIGN TABLE same_topic (id int, k int) SERVER nowhere OPTIONS (topic 'out');
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'k_out') AS SELECT id FROM same_topic;

-- rights
CREATE ROLE regress_sink;
GRANT ALL ON SCHEMA public TO regress_sink;
GRANT SELECT ON s TO regress_sink;
SET ROLE regress_sink;
CREATE VIEW bad WITH (streamx.continuous, streamx.sink = 'ids') AS SELECT id FROM s;
RESET ROLE;

-- nothing is left of all that
SELECT view, sink FROM streamx.views;
SELECT relname FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relname ~ '^o';

--
-- native sinks: rows are inserted in the batch's transaction
--
CREATE FOREIGN TABLE each (id bigint CHECK (id <> 13), k text, source text DEFAULT 'v_each', twice bigint GENERATED ALWAYS AS (id * 2) STORED)
  SERVER streamx;
CREATE TABLE heard (what text);
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_WHEN = 'BEFORE' THEN
    IF NEW.id = 7 THEN
      RETURN NULL;
    END IF;
    NEW.k := NEW.k || '!';
  ELSE
    INSERT INTO heard VALUES (NEW.id || NEW.k);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER before BEFORE INSERT ON each FOR EACH ROW EXECUTE FUNCTION shout();
CREATE TRIGGER after AFTER INSERT ON each FOR EACH ROW EXECUTE FUNCTION shout();
CREATE FOREIGN TABLE sums (k int, n bigint, total numeric) SERVER streamx;
CREATE FOREIGN TABLE finals (start timestamptz, n bigint) SERVER streamx;
CREATE FOREIGN TABLE marks (start timestamptz, n bigint, done boolean) SERVER streamx;

CREATE CONTINUOUS VIEW v_each WITH (sink = each) AS SELECT id, k FROM s WHERE id < 1000;
CREATE CONTINUOUS VIEW v_sums WITH (sink = 'public.sums') AS
  SELECT k, count(*) AS n, sum(100 / v) AS total FROM s WHERE id < 1000 GROUP BY k HAVING count(*) <> 4;
SELECT streamx.create_continuous_view('v_finals', $$SELECT tumble(ts, '1 minute') AS start, count(*) AS n FROM s GROUP BY 1$$,
  emit => 'final', sink => 'finals');
CREATE CONTINUOUS VIEW v_marks WITH (sink = marks, final_column = done) AS
  SELECT tumble(ts, '1 minute') AS start, count(DISTINCT k) AS n FROM s GROUP BY 1;

-- chained: views over what was written
CREATE CONTINUOUS VIEW r_each AS SELECT id, k, source, twice FROM each;
CREATE CONTINUOUS VIEW r_sums AS SELECT k, n, round(total, 2) AS total FROM sums;
CREATE CONTINUOUS VIEW r_finals AS SELECT start, n FROM finals;
CREATE CONTINUOUS VIEW r_marks AS SELECT start, n, done FROM marks;
CREATE CONTINUOUS VIEW rr_sums AS SELECT count(*) AS rows, count(DISTINCT k) AS groups FROM sums;

INSERT INTO s SELECT i, i % 3, i, 't', '2026-01-01 00:00:00Z'::timestamptz + i * interval '1 second' FROM generate_series(1, 9) AS i;
SELECT waited('v_each'), waited('v_sums'), waited('v_finals'), waited('v_marks');
-- all rows of a group are one of the sink, also where the batch is taken in parts
INSERT INTO s SELECT i, i % 2, CASE WHEN i % 10 = 5 THEN 0 ELSE i END, 't', '2026-01-01 00:00:30Z'::timestamptz + i * interval '1 second'
FROM generate_series(10, 40) AS i;
SELECT waited('v_each'), waited('v_sums'), waited('v_finals'), waited('v_marks');
-- windows close; HAVING takes a row away, and another one comes
INSERT INTO s VALUES (101, 2, 50, 't', '2026-01-01 00:01:30Z'), (102, 5, 1, 't', '2026-01-01 00:05:00Z');
SELECT waited('v_each'), waited('v_sums'), waited('v_finals'), waited('v_marks');
SELECT waited('r_each'), waited('r_sums'), waited('r_finals'), waited('r_marks'), waited('rr_sums');

-- the constraint's row is a dead letter, the trigger's is nowhere but in the result
SELECT id FROM v_each EXCEPT SELECT id FROM r_each;
SELECT view, position >= 0 AS at, sqlstate, error FROM streamx.dead_letters WHERE view = 'v_each'::regclass;
SELECT count(*), min(k), max(k), min(source), bool_and(twice = id * 2) FROM r_each;
SELECT count(*), count(*) FILTER (WHERE what LIKE '%!') FROM heard;
SELECT * FROM r_sums ORDER BY k, n;
TABLE rr_sums;
SELECT k, n, round(total, 2) AS total FROM v_sums ORDER BY k;
SELECT count(*), min(error) FROM streamx.dead_letters WHERE view = 'v_sums'::regclass;
(SELECT * FROM v_finals EXCEPT ALL SELECT * FROM r_finals) UNION ALL (SELECT * FROM r_finals EXCEPT ALL SELECT * FROM v_finals);
SELECT start AT TIME ZONE 'UTC' AS start, n FROM r_finals ORDER BY 1;
SELECT start AT TIME ZONE 'UTC' AS start, n, done FROM r_marks ORDER BY 1, 3, 2;
SELECT view, state, sink, sink_lag, sink_error FROM streamx.views ORDER BY view::text;

-- what the sink's stream needs
DROP FOREIGN TABLE each;
ALTER FOREIGN TABLE finals RENAME COLUMN n TO number;
INSERT INTO s VALUES (200, 1, 1, 't', '2026-01-01 00:10:00Z');
SELECT waited('v_finals');
ALTER FOREIGN TABLE finals RENAME COLUMN number TO n;
SELECT streamx.resume('v_finals');
SELECT waited('v_finals');
SELECT waited('r_finals');
SELECT count(*), max(start) AT TIME ZONE 'UTC' AS max FROM r_finals;
DROP VIEW r_each, r_sums, r_finals, r_marks, rr_sums;
SET client_min_messages = warning;
DROP FOREIGN TABLE each, sums, finals, marks CASCADE;
RESET client_min_messages;

-- the owner's rights are asked for with each batch
GRANT INSERT (id) ON ids TO regress_sink;
SET ROLE regress_sink;
CREATE VIEW mine WITH (streamx.continuous, streamx.sink = 'ids') AS SELECT id FROM s;
RESET ROLE;
INSERT INTO s VALUES (300);
SELECT waited('mine');
REVOKE ALL ON ids FROM regress_sink;
INSERT INTO s VALUES (301);
SELECT waited('mine');
GRANT INSERT ON ids TO regress_sink;
SELECT streamx.resume('mine');
SELECT waited('mine');
TABLE mine;
DROP VIEW mine;

--
-- whatever keeps the view: each of its rows has been told
--
CREATE FOREIGN TABLE e (id int, k int, ts timestamptz) SERVER streamx OPTIONS (event_time 'ts', watermark '1 minute', idle_timeout '0');
CREATE TABLE shapes (name text, query text, options text DEFAULT '');
INSERT INTO shapes VALUES
  ('hops', 'SELECT hop(ts, ''10 seconds'', ''1 minute'') AS w, k, count(*) AS n FROM e GROUP BY 1, 2', ''),
  ('cumulated', 'SELECT cumulate(ts, ''10 seconds'', ''1 minute'') AS w, sum(id) AS n FROM e GROUP BY 1', ''),
  ('sessions', 'SELECT session(ts, ''5 seconds'') AS w, k, count(*) AS n FROM e GROUP BY 1, 2', ''),
  ('held', 'SELECT k, count(DISTINCT id % 7) AS n FROM e GROUP BY k HAVING count(*) % 2 = 0', ''),
  ('recent', 'SELECT k, max(id) AS n FROM e WHERE ts > now() - interval ''2000000 hours'' GROUP BY k', ''),
  ('sets', 'SELECT k, id % 2 AS odd, count(*) AS n, grouping(k, id % 2) AS g FROM e GROUP BY CUBE (k, odd)', ''),
  ('single', 'SELECT count(*) AS n, max(ts) AS w FROM e', ''),
  ('ranked', 'SELECT k, count(*) AS n, (rank() OVER (ORDER BY count(*) DESC))::int AS g FROM e GROUP BY k', ''),
  ('best', 'SELECT k, count(*) AS n FROM e GROUP BY k ORDER BY n DESC, k LIMIT 2', ''),
  ('different', 'SELECT DISTINCT k, id % 3 AS n FROM e', ''),
  ('ended', 'SELECT tumble(ts, ''7 seconds'') AS w, k, count(*) AS n FROM e GROUP BY 1, 2', ', emit = final'),
  ('ended_sessions', 'SELECT session(ts, ''3 seconds'') AS w, k, count(*) AS n FROM e GROUP BY 1, 2', ', emit = final'),
  ('marked', 'SELECT tumble(ts, ''7 seconds'') AS w, k, max(id) AS n FROM e GROUP BY 1, 2', ', final_column = done');
DO $$
DECLARE
  s shapes;
BEGIN
  FOR s IN TABLE shapes LOOP
    EXECUTE format('CREATE FOREIGN TABLE %I (w timestamptz, k int, odd int, n numeric, g int, done boolean) SERVER streamx', s.name || '_out');
    EXECUTE format('CREATE VIEW %I WITH (streamx.continuous, streamx.sink = %L%s) AS %s', s.name, s.name || '_out',
                   replace(s.options, ', ', ', streamx.'), s.query);
    EXECUTE format('CREATE VIEW %I WITH (streamx.continuous) AS SELECT * FROM %I', s.name || '_told', s.name || '_out');
  END LOOP;
END $$;
CREATE PROCEDURE feed(lo int, hi int) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO e SELECT i, (i * 7 + i / 13) % 5, '2026-01-01 00:00:00Z'::timestamptz + i * interval '1.7 seconds' - (i % 11) * interval '3 seconds'
  FROM generate_series(lo, hi) AS i;
  COMMIT;
  PERFORM waited(name) FROM shapes;
END $$;
CALL feed(1, 40);
CALL feed(41, 41);
CALL feed(42, 110);
CALL feed(111, 300);
SELECT waited(name || '_told'), name FROM shapes;
SELECT name, value_of(format('SELECT count(*) AS rows FROM %I', name))::int > 0 AS rows,
  value_of(format('SELECT count(*) AS untold FROM (SELECT * FROM %I EXCEPT ALL SELECT %s FROM %I) AS x', name,
    (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = name::regclass AND attnum > 0),
    name || '_told')) AS untold
FROM shapes;
SELECT (SELECT count(*) FROM ended) = (SELECT count(*) FROM ended_told) AS ended_once,
  (SELECT count(*) FROM ended_sessions) = (SELECT count(*) FROM ended_sessions_told) AS sessions_once,
  (SELECT count(*) FROM single_told) AS batches;
SET client_min_messages = warning;
DROP FOREIGN TABLE e CASCADE;
DO $$ BEGIN EXECUTE (SELECT 'DROP FOREIGN TABLE ' || string_agg(quote_ident(name || '_out'), ', ') || ' CASCADE' FROM shapes); END $$;
RESET client_min_messages;

--
-- Kafka sinks, of which this has no broker: what waits in the outbox
--
CREATE FOREIGN TABLE j_out (id int, k int, v numeric OPTIONS (path 'deep.v'), t text) SERVER nowhere OPTIONS (topic 'j');
CREATE FOREIGN TABLE c_out (k text OPTIONS (metadata 'key'), part int OPTIONS (metadata 'partition'),
  at timestamptz OPTIONS (metadata 'timestamp'), n bigint, t text) SERVER nowhere OPTIONS (topic 'c', format 'csv');
CREATE CONTINUOUS VIEW to_json WITH (sink = j_out, key = t, partition_by = 'k') AS SELECT id, k, v, nullif(t, '') AS t FROM s;
CREATE CONTINUOUS VIEW to_csv WITH (sink = c_out) AS
  SELECT k, count(*) AS n, max(t) AS t, 3 AS part, '2026-01-01 00:00:00Z'::timestamptz AS at FROM s GROUP BY k HAVING count(*) <> 2;
CREATE CONTINUOUS VIEW to_none WITH (sink = j_out, key = k) AS SELECT k, t, count(*) AS id FROM s GROUP BY k, t HAVING count(*) <> 2;
-- number of rows, and the rows, that wait for a topic
CREATE FUNCTION waiting(view regclass) RETURNS TABLE (id bigint, part int, at text, route text, key text, payload text)
LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE format($q$
    SELECT id, partition, to_char(sent_as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD'), convert_from(route, 'UTF8'), convert_from(key, 'UTF8'), convert_from(payload, 'UTF8')
    FROM %s ORDER BY id $q$, (SELECT c.outbox FROM streamx.continuous_views c WHERE c.view = waiting.view));
END $$;

INSERT INTO s VALUES (1, 1, 1.50, 'a'), (2, 2, NULL, ''), (3, NULL, 3, 'ä"'), (4, 1, 'NaN', 'x,y');
SELECT waited('to_json'), waited('to_csv'), waited('to_none');
SELECT * FROM waiting('to_json');
SELECT * FROM waiting('to_csv') ORDER BY key;
SELECT * FROM waiting('to_none') ORDER BY payload;
-- a group that goes is told where the key says which it was; so is one that comes back
INSERT INTO s VALUES (5, 2, 1, 'z'), (6, 1, 1, 'a');
SELECT waited('to_json'), waited('to_csv'), waited('to_none');
SELECT * FROM waiting('to_csv') WHERE id > 2 ORDER BY key, id;
SELECT * FROM waiting('to_none') WHERE id > 4;
INSERT INTO s VALUES (7, 2, 1, 'b');
SELECT waited('to_json'), waited('to_csv'), waited('to_none');
SELECT * FROM waiting('to_csv') WHERE id > 4 ORDER BY id;
-- a row that fails takes no number
INSERT INTO s SELECT i, 100 / (i - 50), 1, 'n' FROM generate_series(51, 53) AS i;
ALTER FOREIGN TABLE j_out ADD CONSTRAINT small CHECK (id < 1000);
INSERT INTO s SELECT i, 9, 1, 'n' FROM generate_series(998, 1003) AS i;
SELECT waited('to_json'), waited('to_csv'), waited('to_none');
SELECT count(*), max(id) = count(*) AS gapless, count(*) FILTER (WHERE payload LIKE '%{"id":99%') AS last FROM waiting('to_json');
SELECT error FROM streamx.dead_letters WHERE view = 'to_json'::regclass LIMIT 1;
-- nor does a group of which several rows fail: one row for each batch
SELECT max(id) - max(id) FILTER (WHERE payload NOT LIKE '%"n"%') > 0 AS some, count(*) = max(id) AS gapless FROM waiting('to_none');
SELECT view, state, error, sink, sink_lag > 0 AS lags, sink_error ~ 'could not write to topic|Connect' OR sink_error IS NULL AS told
FROM streamx.views WHERE sink IS NOT NULL AND sink <> 'ids'::regclass ORDER BY view::text;
-- parts of a view
ALTER TABLE to_json OWNER TO regress_sink;
SELECT relname ~ '^o\d+$' AS outbox, relowner::regrole FROM pg_class WHERE oid = (SELECT outbox FROM streamx.continuous_views WHERE view = 'to_json'::regclass);
DO $$
BEGIN
  EXECUTE format('ALTER TABLE %s ADD COLUMN x int', (SELECT outbox FROM streamx.continuous_views WHERE view = 'to_json'::regclass));
EXCEPTION WHEN feature_not_supported THEN
  RAISE NOTICE '%', regexp_replace(SQLERRM, '"o\d+"', '"outbox"');
END $$;
DROP FOREIGN TABLE j_out;
SET client_min_messages = warning;
DROP FOREIGN TABLE j_out, c_out CASCADE;
SELECT count(*) FROM pg_class WHERE relnamespace = 'streamx_state'::regnamespace AND relname ~ '^o\d';

DROP VIEW there;
DROP OWNED BY regress_sink;
DROP ROLE regress_sink;
\set ECHO none
\i test/lib/clean.sql
