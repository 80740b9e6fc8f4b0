--
-- The oracle: does a continuous view equal the same SELECT as a batch?
--
-- A data set x is a table x_in (id int, ...), whose rows, in the order of id,
-- are fed both to a native stream x_s and to a table x_t with the same
-- columns.  A view's query says {s} where its source stands: the stream for
-- the continuous view, the table for the batch.
--
--   CALL oracle.source('x');
--   CALL oracle.view('x', 'v', 'SELECT k, count(*) FROM {s} GROUP BY k');
--   CALL oracle.run('x', '{1,2,10,60}');     -- rows up to these, one
--                                            -- transaction and batch each
--
-- After each cut the views of x are compared with their batch queries; what
-- differs is printed.  At the end come the numbers of views, rows compared
-- and differences.
--
-- Columns are compared by their text, which is stricter than equality; keys
-- by the equality of their type (1.0 and 1.00 are one group, and either may
-- stand for it); floats by nine digits (four-byte ones by five), as sums of
-- parts round differently.
--
CREATE SCHEMA oracle;

CREATE TABLE oracle.views (
  view name PRIMARY KEY,
  source name NOT NULL,
  query text NOT NULL,
  expected bigint NOT NULL DEFAULT 0    -- rows fed since it was created
);

CREATE FUNCTION oracle.fuzz(x float8) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN x IN ('NaN', 'Infinity', '-Infinity') THEN x::text
              WHEN abs(x) < 1e-12 THEN '0'
              ELSE to_char(x, '9.99999999EEEE') END
$$;
CREATE FUNCTION oracle.fuzz(x float4) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN x IN ('NaN', 'Infinity', '-Infinity') THEN x::text
              WHEN x = 0 THEN '0'
              ELSE to_char(x, '9.9999EEEE') END
$$;
CREATE FUNCTION oracle.fuzz(a float8[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT array_agg(oracle.fuzz(x) ORDER BY i)::text FROM unnest(a) WITH ORDINALITY AS u (x, i)
$$;

CREATE PROCEDURE oracle.source(x name, options text DEFAULT '')
LANGUAGE plpgsql AS $$
DECLARE
  cols text;
BEGIN
  SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)) ||
                    CASE WHEN attcollation NOT IN (0, 100)
                         THEN ' COLLATE ' || attcollation::regcollation ELSE '' END,
                    ', ' ORDER BY attnum)
  INTO cols FROM pg_attribute WHERE attrelid = (x || '_in')::regclass AND attnum > 0;
  EXECUTE format('CREATE TABLE %I (%s)', x || '_t', cols);
  EXECUTE format('CREATE FOREIGN TABLE %I (%s) SERVER streamx %s', x || '_s', cols, options);
END $$;

CREATE PROCEDURE oracle.view(x name, view name, query text)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM streamx.create_continuous_view(quote_ident(view), replace(query, '{s}', x || '_s'),
                                         batch_interval => '1 ms');
  INSERT INTO oracle.views VALUES (view, x, replace(query, '{s}', x || '_t'));
END $$;

-- All that has been fed is visible in all views of x.  streamx.wait() takes a
-- round trip to the worker each: asked for one view, the others are compared
-- with it by what they have taken in.
CREATE PROCEDURE oracle.wait(x name) LANGUAGE plpgsql AS $$
DECLARE
  behind text;
  started timestamptz := clock_timestamp();
BEGIN
  PERFORM streamx.wait((SELECT view::regclass FROM oracle.views WHERE source = x LIMIT 1));
  LOOP
    SELECT string_agg(format('%s has %s of %s rows, %s %s', v.view, w.rows_in, v.expected, w.state, w.error), E'\n')
    INTO behind
    FROM oracle.views v JOIN streamx.view_counters c ON c.view = v.view::regclass
      JOIN streamx.views w ON w.view = c.view JOIN streamx.continuous_views cv ON cv.view = c.view
    WHERE v.source = x AND c.rows_in < v.expected AND cv.sources = '{}';  -- others follow their sources
    EXIT WHEN behind IS NULL;
    IF clock_timestamp() > started + interval '30 s' THEN
      RAISE EXCEPTION 'not there after 30 s' USING
        detail = concat_ws(E'\n', behind, (SELECT string_agg(s::text, E'\n') FROM streamx.streams s),
                           (SELECT string_agg(concat_ws(' ', backend_type, pid, wait_event), E'\n')
                            FROM pg_stat_activity WHERE backend_type LIKE 'streamx%'));
    END IF;
    PERFORM pg_sleep(0.002);
  END LOOP;
END $$;

-- prints what differs; n: rows compared
CREATE FUNCTION oracle.differences(v oracle.views, OUT n bigint, OUT differences bigint)
LANGUAGE plpgsql AS $$
DECLARE
  names text;
  exprs text;
  sample text;
BEGIN
  WITH key AS (
    SELECT indkey::int2[] AS cols FROM pg_index
    WHERE indrelid = v.view::regclass AND indisunique AND indnullsnotdistinct)
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
         string_agg(CASE WHEN atttypid IN ('float4'::regtype, 'float8'::regtype)
                         THEN format('oracle.fuzz(%I)', attname)
                         WHEN atttypid IN ('float4[]'::regtype, 'float8[]'::regtype)
                         THEN format('oracle.fuzz(%I::float8[])', attname)
                         WHEN EXISTS (SELECT FROM key WHERE attnum = ANY (cols)
                                      OR 0 = ANY (cols) AND atttypid <> 'numeric'::regtype)
                         THEN quote_ident(attname)
                         ELSE format('%I::text', attname) END, ', ' ORDER BY attnum)
  INTO names, exprs
  FROM pg_attribute WHERE attrelid = v.view::regclass AND attnum > 0 AND NOT attisdropped;

  EXECUTE format($f$
    WITH r AS (SELECT %1$s FROM %2$I),
         b AS (SELECT %1$s FROM (%3$s) AS q (%4$s)),
         d AS (SELECT 'batch' AS here_only, b::text AS line FROM (TABLE b EXCEPT ALL TABLE r) b
               UNION ALL
               SELECT 'view', r::text FROM (TABLE r EXCEPT ALL TABLE b) r)
    SELECT (SELECT count(*) FROM b), count(*),
           string_agg(here_only || ' ' || left(line, 500), E'\n' ORDER BY line) FROM d
    $f$, exprs, v.view, v.query, names) INTO n, differences, sample;
  IF differences > 0 THEN
    RAISE NOTICE E'% differs:\n%', v.view, left(sample, 3000);
  END IF;
END $$;

CREATE FUNCTION oracle.check(x name, OUT views bigint, OUT n bigint, OUT differences bigint)
LANGUAGE sql AS $$
  SELECT count(*), sum(d.n), sum(d.differences)
  FROM oracle.views v, oracle.differences(v) d WHERE v.source = x
$$;

-- rows lo < id <= hi to stream and table, in one transaction
CREATE FUNCTION oracle.feed(x name, lo int, hi int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
BEGIN
  EXECUTE format('INSERT INTO %I SELECT * FROM %I WHERE id > $1 AND id <= $2 ORDER BY id',
                 x || '_t', x || '_in') USING lo, hi;
  EXECUTE format('INSERT INTO %I SELECT * FROM %I WHERE id > $1 AND id <= $2 ORDER BY id',
                 x || '_s', x || '_in') USING lo, hi;
  GET DIAGNOSTICS n = ROW_COUNT;
  UPDATE oracle.views SET expected = expected + n WHERE source = x;
  RETURN n;
END $$;

-- reopen: before the last cut the views are paused and resumed, so that they
-- go on from what is in the tables
CREATE PROCEDURE oracle.run(x name, cuts int[], reopen boolean DEFAULT true) LANGUAGE plpgsql AS $$
DECLARE
  lo int := 0;
  hi int;
  c record;
  fed bigint := 0;
  nviews bigint := 0;
  compared bigint := 0;
  differences bigint := 0;
BEGIN
  FOREACH hi IN ARRAY cuts LOOP
    IF reopen AND hi = cuts[array_upper(cuts, 1)] THEN
      PERFORM streamx.pause(v.view::regclass) FROM oracle.views v WHERE v.source = x;
      COMMIT;
      PERFORM streamx.resume(v.view::regclass) FROM oracle.views v WHERE v.source = x;
      COMMIT;
    END IF;
    fed := fed + oracle.feed(x, lo, hi);
    COMMIT;
    CALL oracle.wait(x);
    c := oracle.check(x);
    nviews := c.views;
    compared := compared + c.n;
    differences := differences + c.differences;
    lo := hi;
  END LOOP;
  RAISE NOTICE '%: % views, % rows in % cuts, % result rows compared, % differences',
    x, nviews, fed, array_length(cuts, 1), compared, differences;
END $$;

-- A difference of one column in one row is found, whoever is wrong.
CREATE FUNCTION oracle.found(x name, tampered text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  c record;
BEGIN
  SET LOCAL client_min_messages = warning;
  BEGIN
    EXECUTE tampered;
    c := oracle.check(x);
    RAISE EXCEPTION USING errcode = 'OR000';
  EXCEPTION WHEN SQLSTATE 'OR000' THEN
    RETURN c.differences;       -- tampered is rolled back
  END;
END $$;
