--
-- Fixed windows: tumble, date_bin, date_trunc, over timestamptz, timestamp
-- and date; in a query and in a continuous view.
--
\set ECHO none
\i test/lib/begin.sql
\set ECHO all

-- ---- the function ----
-- sizes without months count from Monday 2000-01-03 00:00 UTC
SELECT s AS size, tumble(timestamptz '2024-02-29 13:47:12.345678+00', s) AS tz,
       tumble(timestamp '2024-02-29 13:47:12.345678', s) AS ts, tumble(date '2024-02-29', s) AS d
FROM unnest('{1 us,1 ms,1 s,7 s,1 min,15 min,1 hour,90 min,1 day,36 hours,1 week,2 weeks,30 days,1000 days}'::interval[]) AS s;
SELECT extract(isodow FROM tumble(timestamptz '2024-02-29 13:47+00', '1 week')) AS monday;
-- months and years are those of the calendar, from 2000-01-01
SELECT s AS size, tumble(timestamptz '2024-02-29 13:47+00', s) AS tz,
       tumble(timestamp '2024-02-29 13:47', s) AS ts, tumble(date '2024-02-29', s) AS d
FROM unnest('{1 month,2 months,3 months,5 months,1 year,18 months,10 years,100 years}'::interval[]) AS s;
-- the same as date_bin and date_trunc where these can say it
SELECT count(*) AS n,
  count(*) FILTER (WHERE tumble(t, '7 min') <> date_bin('7 min', t, '2000-01-03 00:00+00')) AS bin_differs,
  count(*) FILTER (WHERE tumble(t, '1 week') <> date_trunc('week', t)) AS week_differs,
  count(*) FILTER (WHERE tumble(t, '1 month') <> date_trunc('month', t)) AS month_differs,
  count(*) FILTER (WHERE tumble(t, '3 months') <> date_trunc('quarter', t)) AS quarter_differs,
  count(*) FILTER (WHERE tumble(t, '1 year') <> date_trunc('year', t)) AS year_differs,
  count(*) FILTER (WHERE tumble(t, '10 years') <> date_trunc('decade', t)) AS decade_differs,
  count(*) FILTER (WHERE tumble(t::timestamp, '1 week') <> date_trunc('week', t::timestamp)) AS ts_week_differs,
  count(*) FILTER (WHERE tumble(t::timestamp, '1 month') <> date_trunc('month', t::timestamp)) AS ts_month_differs,
  count(*) FILTER (WHERE tumble(t::date, '1 month') <> date_trunc('month', t::date::timestamp)) AS d_month_differs,
  count(*) FILTER (WHERE tumble(t::date, '3 days') <> date_bin('3 days', t::date::timestamp, '2000-01-03')) AS d_bin_differs
FROM generate_series(timestamptz '1899-12-25 22:58+00', '2031-01-01', '5 days 07:13:11') AS t;
-- every window starts at or before its rows and ends after them
SELECT count(*) AS n, count(*) FILTER (WHERE NOT (w <= t AND t < w + s)) AS outside, count(*) FILTER (WHERE tumble(w, s) <> w) AS unstable
FROM generate_series(timestamp '1969-07-20 20:17:40', '2010-01-01', '41 days 03:07') AS t,
  unnest('{1 s,7 min,1 day,10 days,1 month,7 months,1 year,3 years}'::interval[]) AS s, tumble(t, s) AS w;
-- at the edge of a window, and before the origin
SELECT tumble(timestamptz '2024-01-01 00:00+00', '1 hour') AS at_start, tumble(timestamptz '2024-01-01 00:59:59.999999+00', '1 hour') AS at_end,
  tumble(timestamptz '2000-01-02 23:59:59.999999+00', '1 day') AS before_origin, tumble(timestamptz '1969-12-31 23:59:59.999999+00', '1 hour') AS before_1970,
  tumble(timestamp '0044-03-15 12:00 BC', '1 month') AS bc, tumble(date '1999-12-31', '5 months') AS months_before;
-- a given origin
SELECT tumble(timestamptz '2024-02-29 13:47+00', '1 hour', '2024-01-01 00:17+00') AS tz,
  tumble(timestamp '2024-02-29 13:47', '1 day', '2030-01-01 06:00') AS later_origin,
  tumble(date '2024-02-29', '1 week', '2024-01-07') AS sundays,
  tumble(timestamptz '2024-02-29 13:47+00', '1 month', '2020-06-15 12:00+00') AS mid_month,
  tumble(timestamp '2024-02-29 13:47', '1 year', '2023-04-06') AS fiscal,
  tumble(timestamp '2024-02-28', '1 month', '2024-01-31') AS short_month, tumble(timestamp '2024-02-29', '1 month', '2024-01-31') AS its_end,
  tumble(date '2024-02-29', '2 months', '2023-01-10') AS d;
-- infinities are their own window; NULL is NULL
SELECT tumble('infinity'::timestamptz, '1 hour'), tumble('-infinity'::timestamp, '1 month'), tumble('infinity'::date, '1 day'),
  tumble(NULL::timestamptz, '1 hour') IS NULL AS n1, tumble(timestamptz '2024-01-01', NULL) IS NULL AS n2,
  tumble(timestamptz '2024-01-01', '1 day', NULL) IS NULL AS n3;

-- ---- time zones ----
-- days and months: 24 hours by UTC, and months of the session's time zone
SET TimeZone = 'Europe/Berlin';
SELECT t, tumble(t, '1 day') AS day, tumble(t, '1 hour') AS hour, tumble(t, '1 month') AS month, tumble(t, '1 year') AS year
FROM unnest('{2024-01-01 00:30,2024-03-31 00:30,2024-03-31 03:30,2024-03-31 23:30,2024-04-01 00:30,2024-10-27 01:30,2024-10-27 02:30+02,2024-10-27 02:30+01,2024-11-01 00:00}'::timestamptz[]) AS t;
SELECT tumble(timestamptz '2024-04-15', '1 month', '2024-01-10 00:00') AS by_origin;
SELECT tumble(timestamp '2024-03-31 02:30', '1 hour') AS local_time, tumble(date '2024-03-31', '1 day') AS local_day;
-- windows that begin in the hour that does not exist
SELECT tumble(timestamptz '2024-04-10', '1 month', '2024-01-31 02:30') AS skipped_hour;
SET TimeZone = 'Australia/Lord_Howe';
SELECT tumble(t, '1 month') AS month FROM unnest('{2024-04-06 20:00+00,2024-04-30 13:45+00,2024-10-05 15:00+00}'::timestamptz[]) AS t;
SET TimeZone = 'UTC';

-- ---- what is no window ----
SELECT tumble(timestamptz '2024-01-01', '0');
SELECT tumble(timestamptz '2024-01-01', '-1 hour');
SELECT tumble(timestamp '2024-01-01', '1 month 1 day');
SELECT tumble(date '2024-01-01', '1 day -1 hour');
SELECT tumble(timestamptz '2024-01-01', '-3 months');
SELECT tumble(timestamptz 'infinity', '0');
SELECT tumble(timestamptz '4713-01-01 BC', '1000000 days');
SELECT tumble(timestamptz '2024-01-01', '1 day', 'infinity');
SELECT tumble(timestamp '2024-01-01', '1 month', '-infinity');
SELECT tumble(date '2024-01-01', '1 day', 'infinity');
SELECT tumble(timestamptz '2024-01-01', '1 hour', timestamptz '-infinity');
SELECT tumble(timestamp '294276-12-31 23:59:59', '100000000 days') AS far;
SELECT tumble(timestamptz '2024-01-01', '170000000 years') AS huge;

-- ---- in continuous views ----
CREATE TABLE w_in (id int, tz timestamptz, ts timestamp, d date, k int, v numeric);
INSERT INTO w_in
SELECT i, t, t AT TIME ZONE 'Europe/Berlin', (t AT TIME ZONE 'Europe/Berlin')::date, i % 3, i * 0.25
FROM generate_series(1, 400) AS i, LATERAL (SELECT timestamptz '2024-03-28 12:00+00' + (i * 7919 % 400) * interval '37 minutes 11 seconds') AS x (t);
INSERT INTO w_in VALUES (401, NULL, NULL, NULL, 1, 1), (402, '1965-05-05 05:05:05+00', '1965-05-05 05:05:05', '1965-05-05', 1, 1),
  (403, 'infinity', '-infinity', 'infinity', 2, 2), (404, '-infinity', 'infinity', '-infinity', 2, 2), (405, '2024-10-27 00:30+00', '2024-10-27 02:30', '2024-10-27', 1, 1),
  (406, '2024-10-27 01:30+00', '2024-10-27 02:30', '2024-10-27', 1, 1);
-- (no event time is declared here: what stands in tz is data, NULL and
-- infinities are groups)
CALL oracle.source('w');
SET TimeZone = 'Europe/Berlin';
CALL oracle.view('w', 'w_minutes', $$SELECT tumble(tz, '15 min') AS w, count(*), sum(v) FROM {s} GROUP BY w$$);
CALL oracle.view('w', 'w_day', $$SELECT tumble(tz, '1 day') AS w, k, avg(v), min(tz), max(ts) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('w', 'w_origin', $$SELECT tumble(tz, '1 day', '2024-01-01 06:00') AS w, count(*) FROM {s} GROUP BY 1$$);
CALL oracle.view('w', 'w_month', $$SELECT tumble(tz, '1 month') AS w, count(*) FROM {s} GROUP BY 1$$);
CALL oracle.view('w', 'w_month_origin', $$SELECT tumble(tz, '1 month', '2020-06-15') AS w, count(*) FROM {s} GROUP BY 1$$);
CALL oracle.view('w', 'w_year', $$SELECT tumble(tz, '1 year') AS w, count(*) FROM {s} GROUP BY 1$$);
CALL oracle.view('w', 'w_ts', $$SELECT tumble(ts, '2 hours') AS w, tumble(ts, '1 week', '2024-03-31') AS wk, count(*) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('w', 'w_date', $$SELECT tumble(d, '2 days') AS w, tumble(d, '1 month') AS m, count(*) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('w', 'w_bin', $$SELECT date_bin('20 min', tz, '2024-01-01 00:03+00') AS w, count(*) FROM {s} WHERE isfinite(tz) GROUP BY 1$$);
CALL oracle.view('w', 'w_trunc', $$SELECT date_trunc('day', tz) AS local, date_trunc('day', tz, 'America/New_York') AS ny, count(*) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('w', 'w_trunc_ts', $$SELECT date_trunc('week', ts) AS w, date_trunc('month', d) AS m, count(*) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('w', 'w_expr', $$SELECT tumble(tz, '1 day') + interval '1 day' AS ends, extract(hour FROM tumble(tz, '1 hour')) AS h, count(*) FROM {s} GROUP BY 1, 2$$);
CALL oracle.view('w', 'w_below', $$SELECT w, count(*) FROM (SELECT tumble(tz, '6 hours') AS w, v FROM {s}) q GROUP BY w HAVING sum(v) > 100$$);
CALL oracle.view('w', 'w_text', $$SELECT tz::text AS as_text, tz::date AS day, to_char(tz, 'HH24:MI TZ') AS fmt, count(*) FROM {s} GROUP BY 1, 2, 3$$);
CALL oracle.view('w', 'w_rows', $$SELECT id, tumble(tz, '1 hour') AS w, tumble(tz, '1 month') AS m, tz::text AS as_text FROM {s}$$);
-- the size of a window may come from a table or from the row
CREATE TABLE sizes (k int, size interval);
INSERT INTO sizes VALUES (0, '1 hour'), (1, '1 day'), (2, '1 month');
CALL oracle.view('w', 'w_sizes', $$SELECT k, tumble(tz, size) AS w, count(*) FROM {s} JOIN sizes USING (k) GROUP BY 1, 2$$);
CALL oracle.run('w', '{1,2,3,50,51,200,400,402,406}');
SELECT oracle.found('w', $$UPDATE w_t SET tz = tz + interval '1 month', d = d + 40 WHERE id = 7$$) > 0 AS found;
-- a view keeps the settings of its CREATE, whoever feeds it under whichever
SET TimeZone = 'America/New_York';
SET DateStyle = 'German';
SET IntervalStyle = 'iso_8601';
CREATE FOREIGN TABLE n_s (id int, tz timestamptz, i interval) SERVER streamx;
SET TimeZone = 'Europe/Berlin';
CREATE VIEW n_kept WITH (streamx.continuous) AS SELECT id, tumble(tz, '1 month') AS m, tz::text AS t, i::text AS i FROM n_s;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
INSERT INTO n_s VALUES (1, '2024-03-31 22:30+00', '1 day 2 hours'), (2, '2024-03-31 21:30+00', '1 day 2 hours');
SELECT streamx.wait('n_kept');
SELECT * FROM n_kept ORDER BY id;

-- over the event time of the stream, a row without one is in no window: a dead
-- letter of the views that ask for it, counted by the others
DELETE FROM oracle.views;
CREATE TABLE e_in AS SELECT * FROM w_in;
CALL oracle.source('e', 'OPTIONS (event_time ''tz'', watermark ''400000 days'')');
SET TimeZone = 'Europe/Berlin';
CALL oracle.view('e', 'e_tumble', $$SELECT tumble(tz, '1 hour') AS w, k, count(*) FROM {s} WHERE isfinite(tz) GROUP BY 1, 2$$);
CALL oracle.view('e', 'e_month', $$SELECT tumble(tz, '1 month', '2024-01-15') AS w, count(*) FROM {s} WHERE isfinite(tz) GROUP BY 1$$);
CALL oracle.view('e', 'e_bin', $$SELECT date_bin('20 min', tz, '2024-01-01 00:03+00') AS w, count(*) FROM {s} WHERE isfinite(tz) GROUP BY 1$$);
CALL oracle.view('e', 'e_trunc', $$SELECT date_trunc('day', tz) AS w, count(*) FROM {s} WHERE isfinite(tz) GROUP BY 1$$);
CALL oracle.view('e', 'e_below', $$SELECT w, sum(v) FROM (SELECT tumble(tz, '6 hours') AS w, v FROM {s} WHERE isfinite(tz)) q GROUP BY w HAVING sum(v) > 100$$);
CALL oracle.view('e', 'e_other', $$SELECT tumble(ts, '1 day') AS w, count(*) FROM {s} GROUP BY 1$$);
CALL oracle.view('e', 'e_none', $$SELECT k, count(*) FROM {s} GROUP BY k$$);
CALL oracle.view('e', 'e_rows', $$SELECT id, tumble(tz, '1 day') FROM {s}$$);
CREATE VIEW e_bad WITH (streamx.continuous) AS SELECT tumble(tz, '1 hour') AS w, count(*) FROM e_s GROUP BY 1;
CREATE VIEW e_bad_below WITH (streamx.continuous) AS SELECT w, count(*) FROM (SELECT date_trunc('hour', tz) AS w FROM e_s) q GROUP BY 1;
CALL oracle.run('e', '{1,2,3,50,51,200,400,402,406}');
SET TimeZone = 'UTC';
SELECT streamx.wait('e_bad'), streamx.wait('e_bad_below');
SELECT sum(count) AS counted, count(*) FILTER (WHERE w IS NULL OR NOT isfinite(w)) AS groups_of_their_own FROM e_bad;
SELECT sum(count) AS counted, count(*) FILTER (WHERE w IS NULL OR NOT isfinite(w)) AS groups_of_their_own FROM e_bad_below;
SELECT view, sqlstate, error, count(*) FROM streamx.dead_letters GROUP BY 1, 2, 3 ORDER BY view::text, sqlstate;

-- a size that is none stops nobody: the row is a dead letter of its view
UPDATE sizes SET size = '0' WHERE k = 1;
INSERT INTO w_s (id, tz, k) VALUES (501, '2030-01-01 10:30+00', 0), (502, '2030-01-01 10:30+00', 1), (503, '2030-01-01 10:30+00', 0);
SELECT streamx.wait('w_sizes');
SELECT k, w, count FROM w_sizes WHERE isfinite(w) AND w > '2029-01-01';
SELECT view, sqlstate, error FROM streamx.dead_letters WHERE stream = 'w_s'::regclass;
SELECT state, rows_in, dead_letters FROM streamx.views WHERE view = 'w_sizes'::regclass;
CREATE VIEW bad WITH (streamx.continuous) AS SELECT tumble(v, '1 day') AS w, count(*) FROM w_s GROUP BY 1;

\set ECHO none
\i test/lib/clean.sql
