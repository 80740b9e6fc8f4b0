--
-- streamx.explain: how a view is maintained, in words
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres';
SET DateStyle = 'ISO';
SET search_path = public, streamx;

CREATE FOREIGN TABLE e (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE FOREIGN TABLE plain (k text, v int) SERVER streamx;
CREATE TABLE dim (k text, name text);
INSERT INTO dim VALUES ('a', 'x'), ('b', 'y');
ANALYZE dim;
CREATE VIEW stats WITH (streamx.continuous, streamx.lateness = '90 s', streamx.final_column = 'closed', streamx.retention = '1 day') AS
  SELECT tumble(ts, '1 minute') AS minute, name, count(*), avg(v) FROM e JOIN dim USING (k) WHERE v > 0
  GROUP BY minute, name HAVING count(*) > 1;
CREATE VIEW final WITH (streamx.continuous, streamx.emit = 'final', streamx.late = 'keep') AS
  SELECT cumulate(ts, '20 s', '1 minute') AS w_end, count(*) FROM e GROUP BY w_end;
CREATE VIEW held WITH (streamx.continuous, streamx.batch_interval = '5 s', streamx.notify = 'told') AS
  SELECT k, count(*), count(DISTINCT v) AS vs, array_agg(v ORDER BY ts) AS all_vs, mode() WITHIN GROUP (ORDER BY v) FROM e GROUP BY k;
CREATE VIEW rows WITH (streamx.continuous) AS SELECT k, v * 2 AS v2 FROM plain WHERE v > 0;
CREATE VIEW total WITH (streamx.continuous) AS SELECT count(*) FROM plain;
CREATE VIEW cubes WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS w, k, GROUPING(tumble(ts, '1 minute'), k) AS g, sum(v) FROM e GROUP BY CUBE (1, k);
CREATE VIEW which WITH (streamx.continuous) AS SELECT DISTINCT k FROM plain;
CREATE VIEW visits WITH (streamx.continuous) AS SELECT session(ts, '30 min') AS s, k, count(*) FROM e GROUP BY s, k;
CREATE VIEW hops WITH (streamx.continuous) AS SELECT hop(ts, '1 min', '5 min') AS w, sum(v) FROM e GROUP BY w;
CREATE VIEW top WITH (streamx.continuous) AS
  SELECT w, k, n FROM (SELECT w, k, n, rank() OVER (PARTITION BY w ORDER BY n DESC) AS r
    FROM (SELECT tumble(ts, '1 minute') AS w, k, count(*) AS n FROM e GROUP BY 1, 2) a) b WHERE r <= 3;
CREATE VIEW above WITH (streamx.continuous) AS SELECT k, v FROM plain WHERE v > (SELECT avg(v) FROM plain);

-- sizes and numbers of rows vary
\pset format unaligned
\pset tuples_only on
SELECT regexp_replace(streamx.explain(v), 'about [0-9]+ rows, [0-9]+ [a-zA-Z]+', 'about N rows, N bytes', 'g') || E'\n'
FROM unnest(ARRAY['stats', 'rows', 'total']::regclass[]) v;
-- 18 gives windows names
SELECT regexp_replace(regexp_replace(regexp_replace(streamx.explain(v), '(about [0-9]+ rows, )?[0-9]+ (bytes|kB)', 'N bytes', 'g'),
  '\n *Window: w1 AS [^\n]*', ''), 'OVER w1', 'OVER (?)') || E'\n'
FROM unnest(ARRAY['top']::regclass[]) v;
SELECT regexp_replace(substring(streamx.explain(v) FROM '^(.*?)\n\n'), '(about [0-9]+ rows, )?[0-9]+ (bytes|kB)', 'N bytes', 'g') || E'\n'
FROM unnest(ARRAY['final', 'held', 'cubes', 'which', 'visits', 'hops', 'above']::regclass[]) v;
\pset format aligned
\pset tuples_only off

-- the watermark of a view, when it has one
INSERT INTO e VALUES ('2026-01-01 00:00:10Z', 'a', 1);
SELECT streamx.wait('hops');
SELECT substring(streamx.explain('hops') FROM 'Watermark:[^\n]*');

-- for those who may read the view
SELECT streamx.explain('dim');
SELECT streamx.explain(0);
CREATE ROLE regress_streamx_reader;
SET ROLE regress_streamx_reader;
SELECT streamx.explain('public.total');
RESET ROLE;
GRANT SELECT ON total TO regress_streamx_reader;
SET ROLE regress_streamx_reader;
SELECT streamx.explain('public.total') LIKE '%Plan of a batch:%Aggregate%' AS explained;
RESET ROLE;

SET client_min_messages = warning;
DROP FOREIGN TABLE e, plain CASCADE;
DROP TABLE dim;
DROP ROLE regress_streamx_reader;
DROP EXTENSION streamx;
