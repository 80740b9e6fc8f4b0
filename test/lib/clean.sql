-- the next test finds the database as it was created
SET client_min_messages = warning;
DROP EXTENSION streamx CASCADE;
DROP SCHEMA IF EXISTS oracle CASCADE;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
GRANT ALL ON SCHEMA public TO PUBLIC;
