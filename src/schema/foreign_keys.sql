-- Foreign keys of user tables, those of partitions that came from their parent left out, with the
-- statements that make them again.
-- Assumes: search_path = pg_catalog, so that definitions spell user names in full.
-- Between plain tables a key is added unchecked and then validated, which locks less. Where either side
-- is partitioned it is added at once: the server refuses NOT VALID there, or leaves parts unvalidated.
WITH fk AS (
  SELECT c.*, c.conrelid::regclass::text AS tab, pg_get_constraintdef(c.oid) AS def,
         coalesce(pg_partition_root(c.conrelid), c.conrelid)::oid AS root,
         coalesce(pg_partition_root(c.confrelid), c.confrelid)::oid AS target_root,
         c.convalidated AND t.relkind = 'r' AND r.relkind = 'r' AS split
  FROM pg_constraint c
  JOIN pg_class t ON t.oid = c.conrelid
  JOIN pg_class r ON r.oid = c.confrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
  WHERE c.contype = 'f' AND c.conparentid = 0 AND t.relkind IN ('r', 'p') AND t.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'overnight')
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = t.oid AND d.deptype = 'e')
)
SELECT oid, conrelid AS table_oid, root, target_root,
  format('foreign key %I on %s', conname, tab) AS name,
  format('ALTER TABLE %s DROP CONSTRAINT %I', tab, conname) AS take_out,
  format('ALTER TABLE %s ADD CONSTRAINT %I %s%s', tab, conname, def, CASE WHEN split THEN ' NOT VALID' END) AS build,
  format('COMMENT ON CONSTRAINT %I ON %s IS ', conname, tab) || quote_literal(obj_description(oid, 'pg_constraint')) AS comment,
  CASE WHEN split THEN format('ALTER TABLE %s VALIDATE CONSTRAINT %I', tab, conname) END AS validate
FROM fk
ORDER BY oid
