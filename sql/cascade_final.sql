--
-- Continuous views over the results of other continuous views, with emit = 'final'
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';

CREATE FOREIGN TABLE s (id int, ts timestamptz, at timestamp, k text, v int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0', retain '1 day');
CREATE FOREIGN TABLE s2 (at timestamp, k text) SERVER streamx
  OPTIONS (event_time 'at', watermark '0', idle_timeout '0', retain '1 day');
CREATE TABLE names (k text, name text);
INSERT INTO names VALUES ('k0', 'zero'), ('k1', 'one'), (NULL, 'none');

-- what they stand over
CREATE VIEW m_update WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n, sum(v) AS s FROM s GROUP BY minute, k;
CREATE VIEW m_final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n, sum(v) AS s FROM s GROUP BY minute, k;
CREATE VIEW m_trunc WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT k, date_trunc('minute', ts) AS minute, count(*) AS n FROM s GROUP BY k, minute;
CREATE VIEW m_hop WITH (streamx.continuous) AS
  SELECT hop(ts, '1 minute', '3 minutes') AS w, k, count(*) AS n FROM s GROUP BY w, k;
CREATE VIEW m_hop_final WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT hop(ts, '1 minute', '3 minutes') AS w, k, count(*) AS n FROM s GROUP BY w, k;
CREATE VIEW m_gaps WITH (streamx.continuous) AS
  SELECT hop(ts, '5 minutes', '1 minute') AS w, count(*) AS n FROM s GROUP BY w;
CREATE VIEW m_cumulate WITH (streamx.continuous) AS
  SELECT cumulate(ts, '1 minute', '5 minutes') AS w, k, count(*) AS n FROM s GROUP BY w, k;
CREATE VIEW m_late WITH (streamx.continuous, streamx.emit = 'final', streamx.lateness = '30 s') AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n FROM s GROUP BY minute, k;
CREATE VIEW m_kept WITH (streamx.continuous, streamx.retention = '2 minutes') AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n FROM s GROUP BY minute, k;
CREATE VIEW m_kept_final WITH (streamx.continuous, streamx.emit = 'final', streamx.retention = '0') AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n FROM s GROUP BY minute, k;
CREATE VIEW m_nulls WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS minute, k, grouping(tumble(ts, '1 minute')) AS g, count(*) AS n
    FROM s GROUP BY GROUPING SETS ((tumble(ts, '1 minute'), k), (k));
CREATE VIEW m_rank WITH (streamx.continuous) AS
  SELECT * FROM (SELECT minute, k, n, rank() OVER (PARTITION BY minute ORDER BY n DESC, k) AS r
    FROM (SELECT tumble(ts, '1 minute') AS minute, k, count(*) AS n FROM s GROUP BY minute, k) q) q WHERE r <= 2;
CREATE VIEW m_at WITH (streamx.continuous, streamx.emit = 'final') AS
  SELECT tumble(at, '1 minute') AS minute, k, count(*) AS n FROM s2 GROUP BY minute, k;

CREATE TABLE inserted (LIKE s);
CREATE PROCEDURE feed(lo int, hi int) LANGUAGE sql AS $$
  WITH new AS (SELECT i, '2026-01-01Z'::timestamptz + i * interval '7 s' -
      CASE WHEN i % 50 = 0 THEN interval '10 minutes' WHEN i % 9 = 0 THEN '5 s' ELSE '0' END AS ts,
      CASE WHEN i % 11 <> 0 THEN 'k' || i % 3 END AS k, i % 7 AS v FROM generate_series(lo, hi) i),
    kept AS (INSERT INTO inserted SELECT i, ts, ts, k, v FROM new RETURNING *),
    second AS (INSERT INTO s2 SELECT ts, k FROM new)
  INSERT INTO s SELECT * FROM kept;
$$;
-- rows before they are created
CALL feed(1, 60);
SELECT count(*) FROM (SELECT streamx.wait(view) FROM streamx.views) x;

-- closed: whether the windows w are, at watermark wm.  instead: has the rows of
-- the source, without retention
CREATE TABLE queries (name text PRIMARY KEY, closed text, q text, options jsonb DEFAULT '{}', instead text);
INSERT INTO queries VALUES
  ('lateness', 'w + ''6 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_late GROUP BY w, k', '{"lateness": "1 minute"}', NULL),
  ('kept', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_kept GROUP BY w, k', '{}', 'm_update'),
  ('kept_final', 'w + ''1 hour'' <= wm', 'SELECT tumble(minute, ''1 hour'') AS w, sum(n) AS n FROM m_kept_final GROUP BY w', '{}', 'm_final');
INSERT INTO queries VALUES
  ('bare', 'w + ''1 min'' <= wm', 'SELECT minute AS w, count(*) AS ks, sum(n) AS n FROM m_update GROUP BY minute'),
  ('bare_final', 'w + ''1 min'' <= wm', 'SELECT minute AS w, count(*) AS ks, sum(n) AS n FROM m_final GROUP BY minute'),
  ('rows', 'w + ''1 min'' <= wm', 'SELECT k || ''!'' AS k, minute AS w, n * 2 AS n FROM m_update WHERE n > 1'),
  ('five', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n, sum(s) AS s FROM m_update GROUP BY w, k'),
  ('five_final', 'w + ''5 min'' <= wm', 'SELECT k, tumble(minute, ''5 minutes'') AS w, sum(n) AS n, sum(s) AS s FROM m_final GROUP BY k, w'),
  ('trunc', 'w + ''1 hour'' <= wm', 'SELECT date_trunc(''hour'', minute) AS w, sum(n) AS n FROM m_trunc GROUP BY w'),
  ('bin', 'w + ''7 min'' <= wm', 'SELECT date_bin(''7 minutes'', minute, ''2026-01-01Z'') AS w, sum(n) AS n FROM m_final GROUP BY w'),
  ('odd', 'w + CASE WHEN extract(second FROM w) = 0 THEN interval ''2 min'' ELSE ''90 s'' END <= wm', 'SELECT tumble(minute, ''90 s'', ''2026-01-01Z'') AS w, sum(n) AS n FROM m_final GROUP BY w'),
  ('nested', 'w + ''10 min'' <= wm', 'SELECT w, max(n) AS n FROM (SELECT date_bin(''10 minutes'', five, ''2026-01-01Z'') AS w, sum(n) AS n FROM (SELECT tumble(minute, ''5 minutes'') AS five, k, n FROM m_update) q GROUP BY w, k) q GROUP BY w'),
  ('hop', 'w + ''7 min'' <= wm', 'SELECT tumble(w, ''5 minutes'') AS w, k, sum(n) AS n FROM m_hop GROUP BY 1, k'),
  ('hop_bare', 'w + ''3 min'' <= wm', 'SELECT w, k, n FROM m_hop_final'),
  ('gaps', 'w + ''56 min'' <= wm', 'SELECT tumble(w, ''1 hour'') AS w, sum(n) AS n FROM m_gaps GROUP BY 1'),
  ('cumulate', 'w <= wm', 'SELECT w, sum(n) AS n FROM m_cumulate GROUP BY w'),
  ('cumulate_five', 'w + ''4 min'' <= wm', 'SELECT tumble(w, ''5 minutes'') AS w, max(n) AS n FROM m_cumulate GROUP BY 1'),
  ('late', 'w + ''5 min 30 s'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_late GROUP BY w, k'),
  ('nulls', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_nulls GROUP BY w, k'),
  ('rank', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, sum(r) AS r, sum(n) AS n FROM m_rank GROUP BY w'),
  ('top', 'w + ''5 min'' <= wm', 'SELECT w, k, n FROM (SELECT w, k, n, rank() OVER (PARTITION BY w ORDER BY n DESC, k) AS r FROM (SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_update GROUP BY w, k) q) q WHERE r <= 2'),
  ('having', 'w + ''1 min'' <= wm', 'SELECT minute AS w, sum(n) AS n FROM m_update GROUP BY minute HAVING sum(n) % 2 = 0'),
  ('table', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, name, sum(n) AS n FROM m_update m LEFT JOIN names USING (k) GROUP BY w, name'),
  ('two', 'w + ''1 min 30 s'' <= wm', 'SELECT a.minute AS w, a.k, a.n, b.n AS bn FROM m_update a JOIN m_late b ON b.minute = a.minute AND b.k = a.k'),
  ('two_windows', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, tumble(minute, ''1 hour'') AS hour, sum(n) AS n FROM m_final GROUP BY w, hour'),
  ('at', 'w + ''5 min'' <= wm', 'SELECT tumble(minute, ''5 minutes'') AS w, k, sum(n) AS n FROM m_at GROUP BY w, k');

CREATE TABLE changes (view name, op text);
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO changes VALUES (TG_TABLE_NAME, TG_OP);
  RETURN NULL;
END $$;
CREATE PROCEDURE make(view text, q text, options jsonb DEFAULT '{}') LANGUAGE plpgsql AS $$
DECLARE
  opts text;
BEGIN
  SELECT coalesce(string_agg(format(', streamx.%s = %L', key, value), ''), '') INTO opts FROM jsonb_each_text(options);
  EXECUTE format('CREATE VIEW %I WITH (streamx.continuous, streamx.emit = ''final''%s) AS %s', view, opts, q);
  EXECUTE format('CREATE TRIGGER noted AFTER UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION note_change()', view);
END $$;
DO $$
DECLARE r record;
BEGIN
  FOR r IN SELECT * FROM queries LOOP
    CALL make('f_' || r.name, r.q, r.options);
  END LOOP;
END $$;
-- further levels, and through a view that emits updates
CREATE VIEW u_five WITH (streamx.continuous) AS
  SELECT tumble(minute, '5 minutes') AS five, k, sum(n) AS n FROM m_kept GROUP BY five, k;
INSERT INTO queries VALUES
  ('level2', 'w + ''15 min'' <= wm', 'SELECT tumble(w, ''15 minutes'') AS w, k, sum(n) AS n FROM f_five_final GROUP BY 1, k'),
  ('level3', 'w + ''1 hour'' <= wm', 'SELECT date_trunc(''hour'', w) AS w, sum(n) AS n FROM f_level2 GROUP BY 1'),
  ('over_update', 'w + ''10 min'' <= wm', 'SELECT tumble(five, ''10 minutes'') AS w, k, sum(n) AS n FROM u_five GROUP BY w, k');
DO $$
DECLARE r record;
BEGIN
  FOR r IN SELECT * FROM queries WHERE name IN ('level2', 'level3', 'over_update') ORDER BY name LOOP
    CALL make('f_' || r.name, r.q);
  END LOOP;
END $$;
UPDATE queries SET q = 'SELECT tumble(five, ''10 minutes'') AS w, k, sum(n) AS n FROM (SELECT tumble(minute, ''5 minutes'') AS five, k, sum(n) AS n FROM m_update GROUP BY five, k) q GROUP BY w, k'
  WHERE name = 'over_update';

-- views that are not the closed windows of what their query gives now, by two ways
CREATE FUNCTION differing() RETURNS TABLE (name text, rows bigint, open bigint, differences bigint, verified bigint) LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  PERFORM streamx.wait(view) FROM streamx.views WHERE state <> 'stopped';
  FOR r IN SELECT q.*, v.watermark AS wm FROM queries q JOIN streamx.views v ON v.view = ('f_' || q.name)::regclass LOOP
    name := r.name;
    r.q := CASE WHEN r.instead IS NULL THEN r.q ELSE regexp_replace(r.q, 'm_kept(_final)?', r.instead) END;
    EXECUTE format('WITH q AS (%s), c AS (SELECT q.* FROM q, (SELECT %L::timestamptz AS wm) x WHERE %s)
                    SELECT count(*), (SELECT count(*) FROM q) - (SELECT count(*) FROM c),
                      (SELECT count(*) FROM ((TABLE %4$I EXCEPT ALL TABLE c) UNION ALL (TABLE c EXCEPT ALL TABLE %4$I)) x) FROM %4$I',
                   r.q, r.wm, r.closed, 'f_' || name) INTO rows, open, differences;
    SELECT count(*) INTO verified FROM streamx.verify(('f_' || name)::regclass);
    RETURN NEXT;
  END LOOP;
END $$;

-- created after rows were there
SELECT * FROM differing();
-- each cut
CALL feed(61, 61);
SELECT * FROM differing() WHERE differences + verified > 0;
DO $$ BEGIN
  FOR i IN 62 .. 100 LOOP
    CALL feed(i, i);
    COMMIT;
  END LOOP;
END $$;
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(101, 140);
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(141, 500);
SELECT * FROM differing() WHERE differences + verified > 0;
CALL feed(501, 2000);
SELECT * FROM differing();
