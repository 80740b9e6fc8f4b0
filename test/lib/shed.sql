-- What the regress tests have whose groups and partitions cannot be written: a stream
-- whose windows close at once, and a trigger that takes no sums of zero.
\i test/lib/begin.sql
CREATE FOREIGN TABLE s (ts timestamptz, k text, n int) SERVER streamx OPTIONS (event_time 'ts', watermark '0', retain '1 hour');
CREATE FUNCTION not_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.total = 0 THEN
    RAISE 'no zeros';
  END IF;
  RETURN new;
END $$;
