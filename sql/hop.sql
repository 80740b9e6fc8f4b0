--
-- Windows that overlap: kept by panes, merged when they are written
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

-- ---- nothing closes: each view equals its batch, however it is cut ----
CREATE TABLE a_in (id int, ts timestamptz, k text, g int, v int, d numeric, x float8, t text);
INSERT INTO a_in
  SELECT i, '2026-01-01 00:00:00Z'::timestamptz + (i * 0.7 - (i * 7919 % 61) * (i % 5 = 0)::int) * interval '1 s',
         CASE WHEN i % 11 <> 0 THEN 'k' || i % 6 END, i * 31 % 4,
         CASE WHEN i % 13 <> 0 THEN i * 7919 % 1000 END, i / 7.0, i / 3.0,
         CASE WHEN i % 17 <> 0 THEN md5(i::text) END
  FROM generate_series(1, 900) i;
-- ties, a gap of hours, long before
INSERT INTO a_in SELECT 900 + i, '2026-01-01 05:00:10Z', 'k1', 1, i, i, i, 'x' FROM generate_series(1, 20) i;
INSERT INTO a_in SELECT 920 + i, '1999-12-31 23:59:59.999999Z'::timestamptz + i * interval '0.5 us', 'k2', 2, i, i, i, 'y' FROM generate_series(1, 20) i;
CALL oracle.source('a', $$OPTIONS (event_time 'ts', watermark '20000 days')$$);
CALL oracle.view('a', 'a_hop', $$SELECT hop(ts, '10 s', '1 minute') AS w, k, count(*) AS n, count(v), sum(v) AS sum, avg(v) AS av, min(t), max(t),
  sum(d) AS sd, avg(d) AS ad, stddev(v), var_pop(d), sum(x) AS sx, avg(x) AS ax, corr(x, v), bool_and(v > 10), bit_or(v), regr_slope(v, x),
  count(*) FILTER (WHERE v % 2 = 0) AS even, max(d) FILTER (WHERE g = 1) AS m, max(ts) AS last, min(interval '1 s' * v) AS least
  FROM {s} GROUP BY w, k$$);
CALL oracle.view('a', 'a_only', $$SELECT hop(ts, '1 s', '1 minute') AS w, count(*), sum(v), max(t) FROM {s} GROUP BY w$$);
CALL oracle.view('a', 'a_gcd', $$SELECT k, g, hop(ts, '7 s', '1 minute') AS w, sum(v), min(d) FROM {s} WHERE v > 300 GROUP BY w, k, g$$);
CALL oracle.view('a', 'a_same', $$SELECT hop(ts, '1 minute', '1 minute') AS w, k, sum(v) FROM {s} GROUP BY w, k$$);
CALL oracle.view('a', 'a_having', $$SELECT k, hop(ts, '15 s', '90 s') AS w, sum(v) / 2 + count(*) AS h FROM {s} GROUP BY w, k HAVING sum(v) % 3 <> 0$$);
CALL oracle.view('a', 'a_none', $$SELECT hop(ts, '20 s', '1 minute') AS w, g FROM {s} GROUP BY w, g$$);
CALL oracle.view('a', 'a_origin', $$SELECT hop(ts, '15 s', '1 minute', '2026-01-01 00:00:07Z') AS w, k, sum(v), avg(x) FROM {s} GROUP BY w, k$$);
CALL oracle.view('a', 'a_plain', $$SELECT hop(ts::timestamp, '30 s', '2 minutes') AS w, date_trunc('hour', ts) AS h, count(*) FROM {s} GROUP BY w, h$$);
CALL oracle.view('a', 'a_dates', $$SELECT hop(ts::date, '1 day', '1 week') AS w, g, sum(v) FROM {s} GROUP BY w, g$$);
CALL oracle.view('a', 'a_date_origin', $$SELECT hop(ts::date, '12 hours', '3 days', '2024-01-02') AS w, g, sum(v) FROM {s} GROUP BY w, g$$);
CALL oracle.view('a', 'a_cum_dates', $$SELECT cumulate(ts::date, '1 day', '4 days') AS w, g, sum(v) FROM {s} GROUP BY w, g$$);
CALL oracle.view('a', 'a_days', $$SELECT hop(ts, '1 day', '1 week') AS w, g, sum(v) FROM {s} GROUP BY w, g$$);
CALL oracle.view('a', 'a_cum', $$SELECT cumulate(ts, '10 s', '1 minute') AS w, k, count(*), sum(v) AS sv, max(t), sum(x) FROM {s} GROUP BY w, k$$);
CALL oracle.view('a', 'a_cum_only', $$SELECT cumulate(ts::timestamp, '1 hour', '1 day') AS w, count(*) FROM {s} GROUP BY w$$);
-- these are expanded row by row
CALL oracle.view('a', 'a_gaps', $$SELECT hop(ts, '1 minute', '10 s') AS w, k, count(*) FROM {s} GROUP BY w, k$$);
CALL oracle.view('a', 'a_months', $$SELECT hop(ts, '1 month', '3 months') AS w, k, count(*) FROM {s} GROUP BY w, k$$);
CALL oracle.view('a', 'a_measure', $$SELECT hop(ts, '59.999 s', '2 minutes') AS w, count(*) FROM {s} GROUP BY w$$);
CALL oracle.view('a', 'a_two', $$SELECT hop(ts, '30 s', '1 minute') AS w, hop(ts, '20 s', '1 minute') AS w2, count(*) FROM {s} GROUP BY w, w2$$);
CALL oracle.view('a', 'a_below', $$SELECT w, count(*) FROM (SELECT hop(ts, '30 s', '1 minute') AS w FROM {s}) q GROUP BY w$$);
CALL oracle.view('a', 'a_held', $$SELECT hop(ts, '30 s', '1 minute') AS w, array_agg(DISTINCT v) AS vs FROM {s} GROUP BY w$$);
CALL oracle.view('a', 'a_tumble', $$SELECT tumble(ts, '1 minute') AS w, hop(ts, '30 s', '1 minute') AS w2, count(*) FROM {s} GROUP BY w, w2$$);
CALL oracle.run('a', '{1,2,3,50,51,300,301,899,930,940}');
SELECT oracle.found('a', $$UPDATE a_hop SET n = n + 1 WHERE w = '2026-01-01 00:03:00Z' AND k = 'k1'$$),
       oracle.found('a', $$DELETE FROM a_cum WHERE w = '2026-01-01 00:03:10Z' AND k IS NULL$$);
-- which of them have panes, and far fewer states than rows
CREATE FUNCTION states(view name, OUT panes boolean, OUT states bigint, OUT results bigint) LANGUAGE plpgsql AS $$
DECLARE
  c record;
BEGIN
  SELECT v.state, i.indnatts > 1 AS panes INTO c FROM streamx.continuous_views v JOIN pg_index i ON i.indrelid = v.state
  WHERE v.view = states.view::text::regclass;
  panes := c.panes;
  EXECUTE format('SELECT count(*) FROM %s', c.state) INTO states;
  EXECUTE format('SELECT count(*) FROM %I', view) INTO results;
END $$;
SELECT view, s.* FROM oracle.views, states(view) s ORDER BY view COLLATE "C";
-- rows that somebody else changed come right with their group
DELETE FROM a_only WHERE w < '2026-01-01 00:02:00Z';
INSERT INTO a_in SELECT 941, '2026-01-01 00:00:59Z', 'k1', 1, 5, 5, 5, 'again';
CALL oracle.run('a', '{941}', false);

-- ---- windows close: late rows, final rows ----
-- bound: what had closed when the batch began that brought the row
CREATE TABLE b (id int, ts timestamptz, k text, v int, bound timestamptz);
CREATE FOREIGN TABLE s (ts timestamptz, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
CREATE VIEW u WITH (streamx.continuous) AS
  SELECT hop(ts, '10 s', '1 minute') AS w, k, count(*) AS n, sum(v) AS v FROM s WHERE v > 3 GROUP BY w, k;
CREATE VIEW f WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT hop(ts, '10 s', '1 minute') AS w, k, count(*) AS n, sum(v) AS v FROM s WHERE v > 3 GROUP BY w, k;
CREATE VIEW fl WITH (streamx.continuous, streamx.emit = 'final', streamx.lateness = '25 s') AS
  SELECT hop(ts, '7 s', '1 minute') AS w, count(*) AS n, sum(v) AS v FROM s GROUP BY w HAVING count(*) > 2;
CREATE VIEW fc WITH (streamx.continuous, streamx.final_column = 'closed') AS
  SELECT k, cumulate(ts, '15 s', '1 minute') AS w, count(*) AS n, sum(v) AS v FROM s GROUP BY w, k;
CREATE VIEW c WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT cumulate(ts, '10 s', '1 minute') AS w, count(*) AS n, sum(v) AS v FROM s GROUP BY w;
CREATE VIEW r WITH (streamx.continuous, streamx.retention = '2 minutes') AS
  SELECT hop(ts, '20 s', '1 minute') AS w, count(*) AS n, sum(v) AS v FROM s GROUP BY w;

CREATE PROCEDURE take(first int, last int) LANGUAGE plpgsql AS $$
DECLARE
  before timestamptz := (SELECT max(ts) - interval '10 s' FROM b);
BEGIN
  INSERT INTO b SELECT i, '2026-01-01 00:00:00Z'::timestamptz + (i * 0.9 - (i * 7919 % 150) * (i % 4 = 0)::int) * interval '1 s',
      CASE WHEN i % 11 <> 0 THEN 'k' || i % 5 END, i * 31 % 50, coalesce(before, '-infinity')
    FROM generate_series(first + 1, last) i;
  INSERT INTO s SELECT ts, k, v FROM b WHERE id > first AND id <= last ORDER BY id;
  COMMIT;
  IF NOT (SELECT bool_and(streamx.wait(view)) FROM streamx.views WHERE state <> 'paused') THEN
    RAISE EXCEPTION 'time-out';
  END IF;
END $$;
-- what each view should have
CREATE VIEW closed AS SELECT max(ts) - interval '10 s' AS now FROM b;
CREATE VIEW e_u AS SELECT w, k, count(*) AS n, sum(v) AS v FROM b, hop(ts, '10 s', '1 minute') w
  WHERE v > 3 AND w + interval '1 minute' > bound GROUP BY w, k;
CREATE VIEW e_f AS SELECT e_u.* FROM e_u, closed WHERE w + interval '1 minute' <= now;
CREATE VIEW e_fl AS SELECT w, count(*) AS n, sum(v) AS v FROM b, closed, hop(ts, '7 s', '1 minute') w
  WHERE w + interval '85 s' > bound AND w + interval '85 s' <= now GROUP BY w HAVING count(*) > 2;
CREATE VIEW e_fc AS SELECT k, w, count(*) AS n, sum(v) AS v, w <= (SELECT now FROM closed) AS closed FROM b, cumulate(ts, '15 s', '1 minute') w
  WHERE w > bound GROUP BY w, k;
CREATE VIEW e_c AS SELECT w, count(*) AS n, sum(v) AS v FROM b, closed, cumulate(ts, '10 s', '1 minute') w
  WHERE w > bound AND w <= now GROUP BY w;
CREATE VIEW e_r AS SELECT w, count(*) AS n, sum(v) AS v FROM b, closed, hop(ts, '20 s', '1 minute') w
  WHERE w + interval '1 minute' > bound GROUP BY w, now HAVING w + interval '3 minutes' > now;
-- late: all windows had closed
CREATE FUNCTION late(view name) RETURNS bigint LANGUAGE sql AS $$
  SELECT count(*) FROM b WHERE CASE view
    WHEN 'u' THEN v > 3 AND tumble(ts, '10 s') + interval '1 minute' <= bound
    WHEN 'f' THEN v > 3 AND tumble(ts, '10 s') + interval '1 minute' <= bound
    WHEN 'fl' THEN tumble(ts, '7 s') + interval '85 s' <= bound
    WHEN 'fc' THEN tumble(ts, '1 minute') + interval '1 minute' <= bound
    WHEN 'c' THEN tumble(ts, '1 minute') + interval '1 minute' <= bound
    WHEN 'r' THEN tumble(ts, '20 s') + interval '1 minute' <= bound END
$$;
CREATE FUNCTION checked(view name, OUT differences bigint, OUT n bigint, OUT late bigint, OUT counted bigint) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT count(*) FROM ((TABLE e_%1$s EXCEPT ALL TABLE %1$s) UNION ALL (TABLE %1$s EXCEPT ALL TABLE e_%1$s)) x', view) INTO differences;
  EXECUTE format('SELECT count(*) FROM e_%1$s', view) INTO n;
  late := late(view);
  SELECT rows_late INTO counted FROM streamx.view_counters c WHERE c.view = checked.view::text::regclass;
END $$;
CREATE VIEW checks AS SELECT view, c.* FROM unnest('{u,f,fl,fc,c,r}'::name[]) AS view, checked(view) c;
CALL take(0, 1);
CALL take(1, 60);
SELECT * FROM checks;
CALL take(60, 61);
CALL take(61, 140);
CALL take(140, 141);
SELECT * FROM checks;
-- restart: nothing is known but what is in the tables
SELECT streamx.pause(view) FROM streamx.views;
SELECT streamx.resume(view) FROM streamx.views;
CALL take(141, 150);
CALL take(150, 400);
CALL take(400, 401);
CALL take(401, 402);
CALL take(402, 800);
SELECT * FROM checks;
-- panes of which all windows are closed are gone
SELECT v.view, value_of(format('SELECT min(k1) AS n FROM %s', v.state)) AS first_pane, now
FROM streamx.continuous_views v, closed WHERE v.view IN ('u'::regclass, 'f'::regclass, 'fl'::regclass, 'c'::regclass)
ORDER BY v.view::text COLLATE "C";
-- a batch that only closes
INSERT INTO s VALUES ('2026-01-01 01:00:00Z', 'end', 1);
INSERT INTO b VALUES (801, '2026-01-01 01:00:00Z', 'end', 1, (SELECT now FROM closed));
SELECT bool_and(streamx.wait(view)) FROM streamx.views;
SELECT * FROM checks;

-- another key closes: panes of local time, behind it by hours, stay
SET TimeZone = 'America/New_York';
CREATE TABLE l_in (id int, ts timestamptz, v int);
INSERT INTO l_in SELECT i, '2026-01-01 00:00:00Z'::timestamptz + i * interval '40 s', i FROM generate_series(1, 400) i;
CALL oracle.source('l', $$OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0')$$);
CALL oracle.view('l', 'l_local', $$SELECT hop(ts::timestamp, '30 s', '2 minutes') AS w, tumble(ts, '1 hour') AS h, count(*), sum(v) FROM {s} GROUP BY w, h$$);
CALL oracle.view('l', 'l_other', $$SELECT tumble(ts::timestamp, '2 minutes') AS w, hop(ts, '30 s', '2 minutes') AS h, count(*), sum(v) FROM {s} GROUP BY w, h$$);
CALL oracle.run('l', '{1,2,100,101,250,400}');
SET TimeZone = 'UTC';

-- a row whose windows are out of range is a dead letter, as the batch fails
CREATE FOREIGN TABLE far (ts timestamptz, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '1 s');
CREATE VIEW fv WITH (streamx.continuous) AS SELECT hop(ts, '1 day', '10 days') AS w, sum(v) FROM far GROUP BY w;
CREATE VIEW cv WITH (streamx.continuous) AS SELECT cumulate(ts, '1 day', '10 days') AS w, sum(v) FROM far GROUP BY w;
INSERT INTO far VALUES ('4714-11-24 00:00:00Z BC', 1), ('2026-01-01', 3), ('infinity', 4), (NULL, 5);
SELECT bool_and(streamx.wait(view)) FROM streamx.views;
SELECT count(*), sum(sum) FROM fv;
SELECT count(*), sum(sum) FROM cv;
SELECT view, sqlstate, error, count(*) FROM streamx.dead_letters GROUP BY 1, 2, 3 ORDER BY view::text, 2, 3;
SELECT hop('4714-11-24 00:00:00Z BC'::timestamptz, '1 day', '10 days');

SET client_min_messages = warning;
DROP FOREIGN TABLE s, far, a_s, l_s CASCADE;
DROP TABLE a_in, a_t, l_in, l_t, b CASCADE;
-- a date is its midnight as a timestamp, whatever the TimeZone
SET timezone = 'America/New_York';
SELECT hop(date '2024-01-03', '1 day', '2 days'), cumulate(date '2024-01-03', '1 day', '3 days'), hop(date '2024-01-03', '1 day', '1 day', '2024-01-01');
SELECT pg_typeof(hop(date 'infinity', '1 day', '2 days')), pg_typeof(cumulate(date '2024-01-03', '1 day', '1 day'));
RESET timezone;

DROP FUNCTION states, late, checked CASCADE;
DROP PROCEDURE take(int, int);
DROP EXTENSION streamx;
DROP SCHEMA oracle CASCADE;
