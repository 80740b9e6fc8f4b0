--
-- Joins of streams against the same queries over tables.
--
-- A view's query is a row of shapes, in which {a} and {b} stand for the
-- sources: the streams a_s and b_s, or the tables a_t and b_t that get the same
-- rows.  Names begin with what is to be expected: i, u are equal to the batch
-- after each cut, l, r, f have outer joins, o too, below more than a grouping, x
-- is final.  All are the same as the batch when time has passed.
--
--   INSERT INTO shapes (view, query) VALUES ('i_join', 'SELECT ... FROM {a} a JOIN {b} b ON ...');
--   CALL run('{{1,1},{60,40},{120,80}}');     -- rows of a, of b up to these
--
CREATE SCHEMA joins;
SET search_path = joins, public;
SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres';
SET DateStyle = 'ISO, MDY';

-- what a query that is made up gives
CREATE FUNCTION value_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE value text; BEGIN EXECUTE query INTO value; RETURN value; END $$;

-- what comes: out of order by up to 10 s, NULL keys, ties, duplicates
CREATE TABLE a_in (id int, ts timestamptz, k int, t text, v numeric, until timestamptz);
CREATE TABLE b_in (id int, ts timestamptz, k int, t text, v numeric);
INSERT INTO a_in
SELECT i, timestamptz '2026-01-01 00:00Z' + make_interval(secs => i * 2 + (i * 7) % 11),
  nullif(i % 5, 4), CASE WHEN i % 7 = 0 THEN repeat('x', 3000) || i % 3 ELSE 'k' || i % 3 END, i % 10,
  nullif(timestamptz '2026-01-01 00:00Z' + make_interval(secs => i * 2 + (i * 7) % 11 + (i % 4) * 20 - 10), '2026-01-01 00:01:17Z')
FROM generate_series(1, 120) AS i;
INSERT INTO b_in
SELECT i, timestamptz '2026-01-01 00:00Z' + make_interval(secs => i * 3 + (i * 5) % 9),
  nullif(i % 6, 5), CASE WHEN i % 7 = 0 THEN repeat('x', 3000) || i % 3 ELSE 'k' || i % 3 END, i % 4
FROM generate_series(1, 80) AS i;
INSERT INTO a_in SELECT id, ts, k, t, v, until FROM a_in WHERE id IN (30, 31);
INSERT INTO b_in SELECT id, ts, k, t, v FROM b_in WHERE id IN (20, 21);
CREATE TABLE names (k int PRIMARY KEY, name text);
INSERT INTO names VALUES (0, 'zero'), (1, 'one'), (2, NULL);

-- the views: {a}, {b} are the streams, or tables with the same rows
CREATE TABLE shapes (view name PRIMARY KEY, options text NOT NULL DEFAULT '', query text);

CREATE PROCEDURE make_all() LANGUAGE plpgsql AS $$
DECLARE
  s shapes;
BEGIN
  SET LOCAL client_min_messages = warning;
  DROP FOREIGN TABLE IF EXISTS a_s, b_s CASCADE;
  DROP TABLE IF EXISTS a_t, b_t;
  CREATE FOREIGN TABLE a_s (id int, ts timestamptz, k int, t text, v numeric, until timestamptz) SERVER streamx
    OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
  CREATE FOREIGN TABLE b_s (id int, ts timestamptz, k int, t text, v numeric) SERVER streamx
    OPTIONS (event_time 'ts', watermark '10 s', idle_timeout '0');
  CREATE TABLE a_t (LIKE a_in);
  CREATE TABLE b_t (LIKE b_in);
  FOR s IN SELECT * FROM shapes LOOP
    EXECUTE format('SELECT streamx.create_continuous_view(%L, %L, batch_interval => ''1 ms'' %s)', s.view,
      replace(replace(s.query, '{a}', 'a_s'), '{b}', 'b_s'), ', ' || nullif(s.options, ''));
  END LOOP;
END $$;

CREATE FUNCTION wait_all() RETURNS boolean LANGUAGE sql AS
$$ SELECT bool_and(streamx.wait(view)) FROM streamx.views $$;

-- rows that a view has and the batch has not, and the other way round
CREATE FUNCTION differences(s shapes, OUT extra bigint, OUT missing bigint, OUT n bigint) LANGUAGE plpgsql AS $$
DECLARE
  q text := replace(replace(s.query, '{a}', 'a_t'), '{b}', 'b_t');
  sample text;
BEGIN
  EXECUTE format('SELECT count(*) FROM (SELECT row_::text FROM %1$I row_ EXCEPT ALL SELECT row_::text FROM (%2$s) row_) d', s.view, q) INTO extra;
  EXECUTE format('SELECT count(*), string_agg(t, chr(10)) FROM (SELECT row_::text AS t FROM (%2$s) row_ EXCEPT ALL SELECT row_::text FROM %1$I row_ LIMIT 5) d', s.view, q) INTO missing, sample;
  EXECUTE format('SELECT count(*) FROM %I', s.view) INTO n;
END $$;

CREATE PROCEDURE feed(stream text, lo int, hi int) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('INSERT INTO %1$I_t SELECT * FROM %1$I_in WHERE id > $1 AND id <= $2 ORDER BY id', stream) USING lo, hi;
  EXECUTE format('INSERT INTO %1$I_s SELECT * FROM %1$I_in WHERE id > $1 AND id <= $2 ORDER BY id', stream) USING lo, hi;
  COMMIT;
END $$;

-- The cuts as {a rows up to, b rows up to}.  Inner joins are the same as the
-- batch after each, outer ones never have a row too many where rows are
-- appended, and both are the same when time has passed.
CREATE PROCEDURE run(cuts int[][], verify_each boolean DEFAULT false) LANGUAGE plpgsql AS $$
DECLARE
  i int;
  alo int := 0;
  blo int := 0;
  s shapes;
  d record;
  compared bigint := 0;
  held bigint;
  differing text;
BEGIN
  CALL make_all();
  COMMIT;
  FOR i IN 1 .. array_length(cuts, 1) LOOP
    IF i = 3 THEN
      PERFORM streamx.pause(view) FROM streamx.views;
      COMMIT;
      PERFORM streamx.resume(view) FROM streamx.views;
      COMMIT;
    END IF;
    IF cuts[i][1] > alo THEN CALL feed('a', alo, cuts[i][1]); alo := cuts[i][1]; END IF;
    IF cuts[i][2] > blo THEN CALL feed('b', blo, cuts[i][2]); blo := cuts[i][2]; END IF;
    IF NOT wait_all() THEN RAISE EXCEPTION 'not there'; END IF;
    FOR s IN SELECT * FROM shapes WHERE view LIKE 'i%' OR view LIKE 'u%' LOOP
      d := differences(s);
      compared := compared + d.n;
      IF d.extra + d.missing > 0 THEN RAISE NOTICE 'cut %: % has % rows too many, % too few', i, s.view, d.extra, d.missing; END IF;
    END LOOP;
    FOR s IN SELECT * FROM shapes WHERE view ~ '^[lrf]' AND query !~ 'GROUP BY' LOOP
      -- a row without a partner that gets one later has not come
      EXECUTE format('SELECT count(*) FROM (SELECT row_::text FROM %1$I row_ EXCEPT ALL SELECT row_::text FROM (%2$s) row_) d', s.view,
        replace(replace(s.query, '{a}', 'a_in'), '{b}', 'b_in')) INTO held;
      IF held > 0 THEN RAISE NOTICE 'cut %: % has % rows too many', i, s.view, held; END IF;
    END LOOP;

    -- what has not come yet is not missing (open sessions are)
    CONTINUE WHEN NOT verify_each AND i < array_length(cuts, 1);
    SELECT count(*), string_agg(DISTINCT v.view::text, ' ') INTO held, differing
    FROM streamx.continuous_views v, LATERAL streamx.verify(v.view) WHERE v.view::text <> 'x_session';
    IF held > 0 THEN RAISE NOTICE 'cut %: verify finds % rows in %', i, held, differing; END IF;
  END LOOP;

  -- time passes
  INSERT INTO a_s VALUES (NULL, '2026-01-01 01:00Z', NULL, NULL, NULL, 'infinity');
  INSERT INTO b_s VALUES (NULL, '2026-01-01 01:10Z');
  COMMIT;
  IF NOT wait_all() THEN RAISE EXCEPTION 'not there'; END IF;
  FOR s IN SELECT * FROM shapes LOOP
    d := differences(s);
    compared := compared + d.n;
    IF d.n = 0 THEN RAISE NOTICE '% has no rows', s.view; END IF;
    IF d.extra + d.missing > 0 THEN RAISE NOTICE 'end: % has % rows too many, % too few', s.view, d.extra, d.missing; END IF;
  END LOOP;
  RAISE NOTICE '% cuts, % rows compared', array_length(cuts, 1), compared;
END $$;
