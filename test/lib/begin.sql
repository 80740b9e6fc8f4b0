-- What the regress tests have that compare views with batches: the extension, the
-- oracle, and times in one form.
SET client_min_messages = warning;
CREATE EXTENSION streamx;
RESET client_min_messages;
SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres';
SET DateStyle = 'ISO, MDY';
\i test/lib/oracle.sql

-- what a query that is made up gives
CREATE OR REPLACE FUNCTION value_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE value text; BEGIN EXECUTE query INTO value; RETURN value; END $$;
