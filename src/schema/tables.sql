-- The tables of user schemas and their columns, in the order of name and position.
-- Assumes: search_path = pg_catalog, so that format_type spells user types in full.
SELECT c.oid, n.nspname, c.relname, c.relkind::text AS relkind,
       c.relpersistence = 'u' AS unlogged,
       (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition) AS parent,
       a.attname, a.attnum, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod) AS sql_type,
       a.attnotnull, a.atthasdef AND a.attgenerated = '' AS has_default,
       a.attgenerated <> '' AS generated, a.attidentity::text AS identity
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'overnight')
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", a.attnum
