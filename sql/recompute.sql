--
-- Aggregates whose states cannot be merged: rows of open windows are held
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
-- what a query that is made up gives
CREATE OR REPLACE FUNCTION value_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE value text; BEGIN EXECUTE query INTO value; RETURN value; END $$;
SET TimeZone = 'UTC';

CREATE FOREIGN TABLE s (ts timestamptz, k text, v int, d numeric) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE TABLE t (ts timestamptz, k text, v int, d numeric);

CREATE VIEW q_a AS SELECT date_trunc('minute', ts) AS w, k, count(DISTINCT v) AS dv, count(*) AS n,
    array_agg(v ORDER BY v DESC) AS vs, string_agg(k || v, ',' ORDER BY v, k) FILTER (WHERE v > 3) AS names,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS median, mode() WITHIN GROUP (ORDER BY v) AS mode,
    sum(d) AS sum, jsonb_agg(v ORDER BY v, d) AS js, rank(5) WITHIN GROUP (ORDER BY v) AS rank5,
    sum(DISTINCT v % 7) + 1 AS sd
  FROM t GROUP BY 1, 2;
CREATE VIEW q_tot AS SELECT count(DISTINCT v) AS dv, percentile_disc(array[0.1, 0.9]) WITHIN GROUP (ORDER BY d) AS p, count(*) AS n FROM t;
CREATE VIEW q_hv AS SELECT k, count(DISTINCT v ORDER BY v) AS dv FROM t WHERE v < 60 GROUP BY k HAVING count(DISTINCT v) % 2 = 1;
CREATE VIEW q_hp AS SELECT hop(ts, '30 s', '1 minute') AS w, array_agg(DISTINCT v) AS vs FROM t GROUP BY 1;

-- the same over the stream
DO $$
DECLARE q text;
BEGIN
  FOREACH q IN ARRAY array['a', 'tot', 'hv', 'hp'] LOOP
    PERFORM streamx.create_continuous_view(q, regexp_replace(pg_get_viewdef(('q_' || q)::regclass), '\mt\M', 's', 'g'));
  END LOOP;
END $$;
CREATE VIEW fin WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS w, k, cardinality(array_agg(DISTINCT v)) AS dv FROM s GROUP BY 1, 2;
CREATE FUNCTION differences(q text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN
  EXECUTE format('SELECT count(*) FROM ((TABLE q_%1$s EXCEPT ALL TABLE %1$s) UNION ALL (TABLE %1$s EXCEPT ALL TABLE q_%1$s)) x', q) INTO n;
  RETURN n;
END $$;
-- rows (from, to] of a made-up sequence, in event time's order
CREATE PROCEDURE take(first int, last int) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO t SELECT '2026-01-01'::timestamptz + i * interval '0.1 s', 'k' || i % 7, (i * 7919) % (13 + i % 97), i / 3.0
    FROM generate_series(first + 1, last) i;
  INSERT INTO s SELECT * FROM t WHERE d > first / 3.0 AND d <= last / 3.0;
END $$;

-- a view without GROUP BY has its row before any input
SELECT * FROM tot;
CALL take(0, 1);
SELECT bool_and(streamx.wait(view)) FROM streamx.views;
SELECT q, differences(q) FROM unnest(array['a', 'tot', 'hv', 'hp']) q;
CALL take(1, 700);
CALL take(700, 701);
CALL take(701, 2999);
SELECT bool_and(streamx.wait(view)) FROM streamx.views;
CALL take(2999, 3000);
SELECT bool_and(streamx.wait(view)) FROM streamx.views;
SELECT q, differences(q) FROM unnest(array['a', 'tot', 'hv', 'hp']) q;
SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) > 0 FROM hv) AS hv, (SELECT count(*) FROM hp) AS hp, (SELECT n FROM tot) AS tot;
-- a difference is found
UPDATE a SET dv = dv + 1 WHERE k = 'k3' AND w = '2026-01-01 00:02';
SELECT differences('a');

-- final rows: of closed windows only, once
SELECT w, count(*), sum(dv) FROM fin GROUP BY w ORDER BY w;
SELECT count(*) FROM (TABLE fin EXCEPT SELECT w, k, dv FROM q_a) x;
-- rows of closed windows are held no longer
SELECT v.view, value_of(format('SELECT min(k1) AS n FROM %s', v.state)) AS first_window
FROM streamx.continuous_views v WHERE view IN ('a'::regclass, 'fin'::regclass) ORDER BY v.view::text COLLATE "C";

-- a row that an aggregate fails for is a dead letter, its neighbours count
CREATE VIEW f WITH (streamx.continuous) AS SELECT k, array_agg(100 / v ORDER BY v) AS r FROM s GROUP BY k;
INSERT INTO s VALUES ('2026-01-01 00:05', 'x', 1, 0), ('2026-01-01 00:05', 'x', 0, 0), ('2026-01-01 00:05', 'x', 5, 0);
SELECT streamx.wait('f');
SELECT * FROM f;
SELECT view, sqlstate, error FROM streamx.dead_letters;

SET client_min_messages = warning;
DROP FOREIGN TABLE s CASCADE;
DROP VIEW q_a, q_tot, q_hv, q_hp;
DROP TABLE t;
DROP FUNCTION differences(text);
DROP PROCEDURE take(int, int);
DROP EXTENSION streamx;
