--
-- Continuous views over the results of other continuous views
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';

CREATE FOREIGN TABLE s (id int, ts timestamptz, k text, g int, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 day');
CREATE TABLE names (g int, name text);
INSERT INTO names VALUES (0, 'zero'), (1, 'one'), (2, 'two'), (NULL, 'none');

-- what they stand over
CREATE VIEW per_k WITH (streamx.continuous) AS
  SELECT k, g, count(*) AS n, sum(v) AS s FROM s GROUP BY k, g HAVING count(*) % 4 <> 0;
CREATE VIEW plain WITH (streamx.continuous) AS SELECT id, ts, k, g, v FROM s WHERE v > 1;
CREATE VIEW final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, k, count(*) AS n FROM s GROUP BY w, k;
CREATE VIEW kept WITH (streamx.continuous, streamx.retention = '2 minutes') AS
  SELECT tumble(ts, '1 minute') AS w, g, count(*) AS n FROM s GROUP BY w, g;

INSERT INTO s SELECT i, '2026-01-01Z'::timestamptz + i * interval '2 s', CASE WHEN i % 11 <> 0 THEN 'k' || i % 5 END, nullif(i % 4, 3), i % 7
  FROM generate_series(1, 20) i;
SELECT streamx.wait('per_k'), streamx.wait('plain'), streamx.wait('final'), streamx.wait('kept');

CREATE TABLE queries (name text PRIMARY KEY, q text);
INSERT INTO queries VALUES
  ('groups', 'SELECT g, count(*) AS ks, sum(n) AS n, max(s) AS m, count(DISTINCT k) AS d FROM per_k GROUP BY g'),
  ('total', 'SELECT count(*) AS ks, sum(n) AS n, avg(s)::numeric(12,3) AS a FROM per_k'),
  ('top', 'SELECT * FROM (SELECT g, k, n, rank() OVER (PARTITION BY g ORDER BY n DESC, k) AS r FROM per_k) q WHERE r <= 2'),
  ('limited', 'SELECT k, g, n FROM per_k ORDER BY n DESC, k, g LIMIT 3'),
  ('joined', 'SELECT p.k, p.n, p.s, a.name FROM per_k p LEFT JOIN names a ON a.g IS NOT DISTINCT FROM p.g'),
  ('filtered', 'WITH c AS (SELECT k || ''!'' AS kk, n * 2 AS nn, s FROM per_k WHERE n > 1) SELECT * FROM c WHERE s IS NOT NULL'),
  ('having', 'SELECT g, sum(n) AS n FROM per_k GROUP BY g HAVING sum(n) % 2 = 0'),
  ('self', 'SELECT a.g, a.k, a.n, (SELECT max(b.n) FROM per_k b WHERE b.g = a.g) AS m FROM per_k a WHERE a.g IS NOT NULL'),
  ('distinct_n', 'SELECT DISTINCT n FROM per_k UNION SELECT n FROM kept'),
  ('over_plain', 'SELECT k, count(*) AS n, array_agg(v ORDER BY id) AS vs, string_agg(g::text, '','' ORDER BY id) AS gs FROM plain GROUP BY k'),
  ('plain_plain', 'SELECT id, upper(k) AS k, v * 2 AS v FROM plain WHERE g = 1'),
  ('over_final', 'SELECT w, count(*) AS ks, sum(n) AS n FROM final GROUP BY w'),
  ('hours', 'SELECT tumble(w, ''5 minutes'') AS w5, k, sum(n) AS n FROM final GROUP BY w5, k'),
  ('over_kept', 'SELECT w, sum(n) AS n FROM kept GROUP BY w'),
  ('two', 'SELECT p.g, sum(p.n) AS pn, (SELECT sum(k.n) FROM kept k) AS kn FROM per_k p JOIN plain q ON q.k = p.k AND q.g = p.g GROUP BY p.g');
DO $$
DECLARE r record;
BEGIN
  FOR r IN SELECT * FROM queries LOOP
    PERFORM streamx.create_continuous_view('c_' || r.name, r.q);
  END LOOP;
END $$;
-- further levels
INSERT INTO queries VALUES
  ('level2', 'SELECT ks, count(*) AS gs, sum(n) AS n FROM c_groups GROUP BY ks'),
  ('level3', 'SELECT sum(gs) AS gs, max(n) AS n FROM c_level2'),
  ('level4', 'SELECT l.gs, t.ks FROM c_level3 l CROSS JOIN c_total t');
CREATE VIEW c_level2 WITH (streamx.continuous) AS SELECT ks, count(*) AS gs, sum(n) AS n FROM c_groups GROUP BY ks;
CREATE VIEW c_level3 WITH (streamx.continuous) AS SELECT sum(gs) AS gs, max(n) AS n FROM c_level2;
CREATE VIEW c_level4 WITH (streamx.continuous) AS SELECT l.gs, t.ks FROM c_level3 l CROSS JOIN c_total t;

-- queries whose view is not what they give now, by two ways
CREATE FUNCTION differing() RETURNS TABLE (name text, rows bigint, differences bigint, verified bigint) LANGUAGE plpgsql AS $$
DECLARE q text;
BEGIN
  PERFORM streamx.wait(view) FROM streamx.views WHERE state <> 'stopped';
  FOR name, q IN SELECT * FROM queries LOOP
    EXECUTE format('SELECT count(*), (SELECT count(*) FROM ((TABLE %1$I EXCEPT ALL (%2$s)) UNION ALL ((%2$s) EXCEPT ALL TABLE %1$I)) x) FROM %1$I',
                   'c_' || name, q) INTO rows, differences;
    SELECT count(*) INTO verified FROM streamx.verify(('c_' || name)::regclass);
    RETURN NEXT;
  END LOOP;
END $$;

-- created after rows were there
SELECT * FROM differing();
SELECT view, sources FROM streamx.continuous_views WHERE sources <> '{}' ORDER BY view::text COLLATE "C";
-- each cut
CREATE PROCEDURE feed(lo int, hi int) LANGUAGE sql AS $$
  INSERT INTO s SELECT i, '2026-01-01Z'::timestamptz + i * interval '2 s' - CASE WHEN i % 9 = 0 THEN interval '5 s' ELSE '0' END,
    CASE WHEN i % 11 <> 0 THEN 'k' || i % 5 END, nullif(i % 4, 3), i % 7
    FROM generate_series(lo, hi) i;
$$;
CALL feed(21, 21);
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(22, 23);
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(24, 80);
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(81, 200);
SELECT * FROM differing();
SELECT min(w) > '2026-01-01Z' AS removed FROM c_over_kept;

-- a view that stands still, and what stands over it; then its source
SELECT streamx.pause('c_groups');
CALL feed(201, 230);
SELECT streamx.wait('per_k'), streamx.wait('c_total');
SELECT streamx.wait('c_level2', '300 ms') AS waits;
SELECT streamx.resume('c_groups');
SELECT * FROM differing() WHERE differences + verified > 0;
SELECT streamx.pause('per_k');
CALL feed(231, 240);
SELECT streamx.wait('c_over_plain');
SELECT streamx.resume('per_k');
SELECT * FROM differing() WHERE differences + verified > 0;

-- an error stops the view alone
CREATE VIEW fails WITH (streamx.continuous) AS SELECT g, 100 / (sum(n) - 1000) AS q FROM per_k GROUP BY g;
SELECT streamx.wait('fails');
INSERT INTO names VALUES (7, 'seven');
INSERT INTO s SELECT 300 + i, '2026-01-01 00:08Z', 'x', 7, 1 FROM generate_series(1, 999) i;
SELECT streamx.wait('per_k');
INSERT INTO s SELECT 2000, '2026-01-01 00:08Z', 'y', 7, 1;
SELECT streamx.wait('fails');
SELECT state, error FROM streamx.views WHERE view = 'fails'::regclass;
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(3001, 3001);
SELECT streamx.wait('per_k');
INSERT INTO s SELECT 2001, '2026-01-01 00:08Z', 'y', 7, 1;
SELECT streamx.wait('per_k');
SELECT streamx.resume('fails');
SELECT streamx.wait('fails');
SELECT count(*) AS differences FROM (SELECT g, 100 / (sum(n) - 1000) AS q FROM per_k GROUP BY g EXCEPT ALL TABLE fails) x;

-- the source computed anew
SELECT streamx.rebuild('c_total'), streamx.rebuild('per_k'), streamx.rebuild('plain');
SELECT * FROM differing() WHERE differences + verified > 0;

-- what an explanation says
SELECT split_part(streamx.explain('c_groups'), E'\n\n', 1) ~ 'Sources: +public.per_k' AS sources;

-- rows that leave a source by the clock
CREATE FOREIGN TABLE r (at timestamptz, k int) SERVER streamx;
CREATE VIEW recent WITH (streamx.continuous) AS SELECT k, count(*) AS n FROM r WHERE at > now() - interval '2 s' GROUP BY k;
CREATE VIEW recent_rows WITH (streamx.continuous) AS SELECT at, k FROM r WHERE at > now() - interval '2 s';
CREATE VIEW c_recent WITH (streamx.continuous) AS SELECT count(*) AS ks, sum(n) AS n FROM recent;
CREATE VIEW c_recent_rows WITH (streamx.continuous) AS SELECT k % 2 AS k2, count(*) AS n FROM recent_rows GROUP BY k2;
INSERT INTO r SELECT now() + interval '3 s', i % 3 FROM generate_series(1, 9) i;
SELECT streamx.wait('c_recent'), streamx.wait('c_recent_rows');
SELECT *, (SELECT sum(n) FROM c_recent_rows) AS rows FROM c_recent;
DO $$ BEGIN
  FOR i IN 1 .. 300 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM recent) AND NOT EXISTS (SELECT FROM recent_rows);
    PERFORM pg_sleep(0.1);
    COMMIT;
  END LOOP;
END $$;
SELECT *, (SELECT sum(n) FROM c_recent_rows) AS rows FROM c_recent;

-- refused
CREATE VIEW bad WITH (streamx.continuous, streamx.emit = 'final') AS SELECT k, sum(n) FROM per_k GROUP BY k;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT g, count(*) FROM per_k WHERE now() > '2026-01-01' GROUP BY g;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT ctid, g FROM per_k;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT name FROM names;
CREATE VIEW bad WITH (streamx.continuous, streamx.retention = '1 day') AS SELECT w, sum(n) FROM final GROUP BY w;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT g FROM per_k FOR UPDATE;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT g FROM per_k TABLESAMPLE system (10);
-- rights are those of the owner
CREATE ROLE regress_streamx_owner;
GRANT CREATE ON SCHEMA public TO regress_streamx_owner;
SET ROLE regress_streamx_owner;
CREATE VIEW theirs WITH (streamx.continuous) AS SELECT k, sum(n) AS n FROM per_k GROUP BY k;
RESET ROLE;
GRANT SELECT ON per_k TO regress_streamx_owner;
SET ROLE regress_streamx_owner;
CREATE VIEW theirs WITH (streamx.continuous) AS SELECT k, sum(n) AS n FROM per_k GROUP BY k;
RESET ROLE;
SELECT streamx.wait('theirs');
REVOKE SELECT ON per_k FROM regress_streamx_owner;
CALL feed(3002, 3020);
SELECT streamx.wait('per_k');
SELECT streamx.wait('theirs');
GRANT SELECT ON per_k TO regress_streamx_owner;
SELECT streamx.resume('theirs');
SELECT streamx.wait('theirs');
SELECT count(*) AS differences FROM (SELECT k, sum(n) AS n FROM per_k GROUP BY k EXCEPT ALL TABLE theirs) x;
-- beside a stream a result is a table
CREATE VIEW beside WITH (streamx.continuous) AS SELECT s.id, p.n FROM s JOIN per_k p ON p.k = s.k AND p.g = s.g;
SELECT sources FROM streamx.continuous_views WHERE view = 'beside'::regclass;

-- whose source is dropped
DROP VIEW c_groups;
DROP VIEW c_level4, c_level3, c_level2, c_groups;
DELETE FROM queries WHERE name LIKE 'level%' OR name = 'groups';
CALL feed(4001, 4010);
SELECT * FROM differing() WHERE differences + verified > 0;
SET client_min_messages = warning;
DROP FOREIGN TABLE s, r CASCADE;
SELECT count(*) FROM streamx.continuous_views;
DROP OWNED BY regress_streamx_owner;
DROP ROLE regress_streamx_owner;
\i test/lib/clean.sql
