-- Every type a column can have, with what a domain, an array or an enum is made of.
-- Assumes: nothing.
SELECT t.oid, n.nspname, t.typname, t.typtype::text AS typtype, t.typbasetype, t.typtypmod, t.typnotnull,
       e.oid AS element,
       ARRAY(SELECT l.enumlabel::text FROM pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder) AS labels
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type e ON e.typarray = t.oid
WHERE t.oid IN (SELECT a.atttypid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                WHERE a.attnum > 0 AND c.relkind IN ('r', 'p'))
   OR t.typtype IN ('b', 'd', 'e', 'r', 'm')
