--
-- Groups of windows that nobody has written yet are appended without looking
-- for them, many at a time; a row that a user has put there is met all the same.
--
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE FOREIGN TABLE s (ts timestamptz, k int, n int) SERVER streamx
  OPTIONS (event_time 'ts', watermark '2 minutes', idle_timeout '0');
CREATE TABLE t (ts timestamptz, k int, n int);

-- 300 groups of a minute, and some of the one before
CREATE PROCEDURE feed(minute int, more int) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO t SELECT timestamptz '2026-01-01 00:00Z' + make_interval(mins => minute - (i / 320), secs => i % 50), i % 300, i + more
    FROM generate_series(0, 340) AS i;
  INSERT INTO s SELECT timestamptz '2026-01-01 00:00Z' + make_interval(mins => minute - (i / 320), secs => i % 50), i % 300, i + more
    FROM generate_series(0, 340) AS i;
  COMMIT;
  PERFORM streamx.wait('v'), streamx.wait('h'), streamx.wait('d');
END $$;
CREATE VIEW v WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS minute, k, count(*), sum(n) AS sum, max(n)::text AS max FROM s GROUP BY 1, 2;
CREATE VIEW h WITH (streamx.continuous) AS
  SELECT tumble(ts, '1 minute') AS minute, k, sum(n) AS sum FROM s GROUP BY 1, 2 HAVING sum(n) % 2 = 0;
CREATE VIEW d WITH (streamx.continuous) AS SELECT DISTINCT tumble(ts, '1 minute') AS minute, k FROM s;
CREATE FUNCTION wrong() RETURNS TABLE (view text, rows bigint) LANGUAGE sql AS $$
  SELECT 'v', count(*) FROM (
    (TABLE v EXCEPT ALL SELECT tumble(ts, '1 minute'), k, count(*), sum(n), max(n)::text FROM t GROUP BY 1, 2)
    UNION ALL (SELECT tumble(ts, '1 minute'), k, count(*), sum(n), max(n)::text FROM t GROUP BY 1, 2 EXCEPT ALL TABLE v)) AS x
  UNION ALL SELECT 'h', count(*) FROM (
    (TABLE h EXCEPT ALL SELECT tumble(ts, '1 minute'), k, sum(n) FROM t GROUP BY 1, 2 HAVING sum(n) % 2 = 0)
    UNION ALL (SELECT tumble(ts, '1 minute'), k, sum(n) FROM t GROUP BY 1, 2 HAVING sum(n) % 2 = 0 EXCEPT ALL TABLE h)) AS x
  UNION ALL SELECT 'd', count(*) FROM (
    (TABLE d EXCEPT ALL SELECT DISTINCT tumble(ts, '1 minute'), k FROM t)
    UNION ALL (SELECT DISTINCT tumble(ts, '1 minute'), k FROM t EXCEPT ALL TABLE d)) AS x
$$;

-- windows close, so that it is known which are there
CALL feed(0, 1);
CALL feed(1, 2);
CALL feed(2, 3);
CALL feed(3, 3);
SELECT * FROM wrong();

-- nobody else's rows: they are appended, and found again
CALL feed(4, 4);
CALL feed(4, 5);
SELECT * FROM wrong();

-- somebody else's rows: they are taken over
INSERT INTO v VALUES ('2026-01-01 00:05Z', 7, 1000, 1000, 'mine'), ('2026-01-01 00:05Z', 299, 1, 1, 'mine');
INSERT INTO h SELECT '2026-01-01 00:05Z', k, -1 FROM generate_series(0, 9) AS k;
INSERT INTO d VALUES ('2026-01-01 00:05Z', 8);
CALL feed(5, 6);
SELECT * FROM wrong();
DELETE FROM v WHERE k % 3 = 0 AND minute = '2026-01-01 00:05Z';
CALL feed(5, 7);
CALL feed(6, 8);
SELECT * FROM wrong();
SELECT view, rows_late, dead_letters FROM streamx.views ORDER BY view::text;

-- a row that a constraint refuses: a dead letter, its neighbours count
ALTER TABLE v ADD CHECK (sum <> 5100);
CALL feed(7, 4801);
DELETE FROM t WHERE n = 5100;
SELECT * FROM wrong() WHERE view = 'v';
SELECT view, left(error, 70) AS error, count(*) FROM streamx.dead_letters GROUP BY 1, 2;

DROP VIEW v, h, d;
DROP FUNCTION wrong;
DROP PROCEDURE feed;
DROP FOREIGN TABLE s;
DROP TABLE t;
DROP EXTENSION streamx;
