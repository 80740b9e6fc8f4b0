-- Prints catalog.md: psql -AtXq -f docs/catalog.sql >docs/catalog.md, in a database
-- with the extension.  What it says are the comments of the objects themselves.
LOAD 'streamx';
SELECT $$# Functions, views and settings

Made by [catalog.sql](catalog.sql) from the comments of the objects themselves (`\df+`, `\dv+`, `\d+` and `pg_settings` show the same); a test
compares it with the code.

## Functions

| function | returns | |
|---|---|---|$$;

CREATE TEMP VIEW functions AS
SELECT p.oid, p.proname::text COLLATE "C" AS name, p.pronamespace::regnamespace AS schema,
       (SELECT coalesce(string_agg(concat_ws(' ', a.name, format_type(a.type, NULL)) ||
                                   CASE WHEN a.i > p.pronargs - p.pronargdefaults THEN ' DEFAULT ' || d.texts[a.i - p.pronargs + p.pronargdefaults] ELSE '' END,
                                   ', ' ORDER BY a.i), '')
        FROM (SELECT i, proargtypes[i - 1] AS type, proargnames[i] AS name FROM generate_series(1, p.pronargs) AS i) AS a,
             (SELECT regexp_split_to_array(pg_get_expr(p.proargdefaults, 0), ', ') AS texts) AS d) AS arguments,
       pg_get_function_result(p.oid) AS result, obj_description(p.oid, 'pg_proc') AS comment
FROM pg_proc AS p
JOIN pg_depend AS d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'streamx';
-- called by the extension itself
CREATE TEMP VIEW internal AS
SELECT * FROM functions
WHERE comment IS NULL OR comment LIKE 'used while %' OR comment LIKE '%; see streamx.%' OR result IN ('fdw_handler')
   OR name IN ('fdw_validator', 'health_checks', 'metric_label', 'require_preload', 'key_digest', 'session_start');

SELECT '| `' || CASE WHEN schema = 'streamx'::regnamespace THEN 'streamx.' ELSE '' END || name || '(' || arguments || ')` | ' ||
       CASE WHEN result IN ('record', 'SETOF record')
            THEN (SELECT CASE WHEN result = 'record' THEN 'a row of ' ELSE 'rows of ' END || string_agg('`' || n || '`', ', ' ORDER BY i)
                  FROM pg_proc AS p, unnest(p.proargnames, p.proargmodes) WITH ORDINALITY AS u(n, m, i) WHERE p.oid = f.oid AND m IN ('o', 't'))
            ELSE result END || ' | ' || comment || ' |'
FROM functions AS f WHERE oid NOT IN (SELECT oid FROM internal) ORDER BY name, arguments COLLATE "C";

SELECT E'\nThe window functions are in schema `public`. For the extension''s own use are ' ||
       string_agg(DISTINCT '`streamx.' || name || '`', ', ') || '.'
FROM internal;

SELECT E'\n## Views and tables\n';
SELECT E'### streamx.' || c.relname || E'\n\n' || upper(left(comment, 1)) || substr(comment, 2) || E'.\n\n| column | type | |\n|---|---|---|\n' ||
       (SELECT string_agg('| `' || attname || '` | ' || format_type(atttypid, NULL) || ' | ' || coalesce(col_description(c.oid, attnum), '') || ' |', E'\n' ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) || E'\n'
FROM pg_class AS c, obj_description(c.oid, 'pg_class') AS comment
WHERE c.relnamespace = 'streamx'::regnamespace AND c.relkind IN ('v', 'r')
  AND has_table_privilege('public', c.oid, 'SELECT')
ORDER BY c.relname::text COLLATE "C";
SELECT 'Tables of the extension''s own, that are read through the views: ' || string_agg('`streamx.' || c.relname || '`', ', ' ORDER BY c.relname::text COLLATE "C") || '.'
FROM pg_class AS c
WHERE c.relnamespace = 'streamx'::regnamespace AND c.relkind IN ('v', 'r') AND NOT has_table_privilege('public', c.oid, 'SELECT');

SELECT E'\n## Settings\n\n| setting | default | from, to | can be changed | |\n|---|---|---|---|---|';
SELECT '| `' || name || '` | ' ||
       CASE WHEN unit = 'kB' THEN pg_size_pretty(boot_val::bigint * 1024) ELSE boot_val END || ' | ' ||
       CASE WHEN unit = 'kB' THEN pg_size_pretty(min_val::bigint * 1024) || ', ' || pg_size_pretty(max_val::bigint * 1024)
            ELSE coalesce(min_val || ', ' || max_val, '') END || ' | ' ||
       CASE context WHEN 'postmaster' THEN 'at server start' WHEN 'sighup' THEN 'by a reload' WHEN 'superuser' THEN 'by superusers, at any time' ELSE context END || ' | ' ||
       concat_ws(' ', short_desc, extra_desc) || ' |'
FROM pg_settings WHERE name LIKE 'streamx%' AND context <> 'internal' ORDER BY name COLLATE "C";
