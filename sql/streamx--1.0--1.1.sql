/* sql/streamx--1.0--1.1.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION streamx UPDATE TO '1.1'" to load this file. \quit

-- ERROR with the cure while the server still runs an older library
DO $$
DECLARE
  needed CONSTANT text := '1.1';
  loaded CONSTANT text := library FROM streamx.server_state();
BEGIN
  IF pg_catalog.string_to_array(loaded, '.')::int[] < pg_catalog.string_to_array(needed, '.')::int[] THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = pg_catalog.format('version %s of extension "streamx" needs a newer library', needed),
      DETAIL = pg_catalog.format('The server has loaded the library of version %s.', loaded),
      HINT = 'Restart the server, so that it loads the library that is installed.';
  END IF;
END;
$$;

CREATE FUNCTION streamx.version(OUT library text, OUT extension text, OUT installed text)
LANGUAGE sql VOLATILE PARALLEL SAFE SET search_path = pg_catalog
BEGIN ATOMIC
SELECT s.library,
       (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'streamx'),
       (SELECT a.default_version FROM pg_available_extensions() a WHERE a.name = 'streamx')
FROM streamx.server_state() s;
END;
COMMENT ON FUNCTION streamx.version() IS 'versions: of the library that the server has loaded, of the extension in this database, of what is installed on disk';

-- of a final view over other views: windows that begin before it have come
ALTER TABLE streamx.view_counters ADD COLUMN final_before timestamptz;

ALTER TABLE streamx.progress ADD COLUMN topic_deleted boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN streamx.progress.topic_deleted IS 'Kafka: the topic was deleted, or created anew, after it had been read this far: what comes by its name has other rows';
