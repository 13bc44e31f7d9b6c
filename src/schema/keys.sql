-- Indexes of user tables and the constraints they carry, with the statements that make them again.
-- Assumes: search_path = pg_catalog, so that definitions spell user names in full.
-- An index of a partitioned table is made without its parts, and each part is attached to it, so that
-- the parts keep their names and build side by side (as pg_dump does).
WITH idx AS (
  SELECT x.*, i.relname, i.relkind, i.reloptions, t.relkind AS tablekind,
         x.indexrelid::regclass::text AS ident, x.indrelid::regclass::text AS tab,
         coalesce(pg_partition_root(x.indrelid), x.indrelid)::oid AS root,
         (SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = x.indexrelid) AS parent,
         (SELECT quote_ident(s.spcname) FROM pg_tablespace s WHERE s.oid = i.reltablespace) AS space,
         (SELECT amname FROM pg_am WHERE pg_am.oid = i.relam) AS method,
         pg_get_indexdef(x.indexrelid) AS def,
         coalesce(' WHERE ' || pg_get_expr(x.indpred, x.indrelid), '') AS predicate,
         c.oid AS con, c.conname, c.contype,
         concat(CASE WHEN c.condeferrable THEN ' DEFERRABLE' END,
                CASE WHEN c.condeferred THEN ' INITIALLY DEFERRED' END) AS deferral
  FROM pg_index x
  JOIN pg_class i ON i.oid = x.indexrelid
  JOIN pg_class t ON t.oid = x.indrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
  LEFT JOIN pg_constraint c ON c.conindid = x.indexrelid AND c.contype IN ('p', 'u', 'x')
  WHERE t.relkind IN ('r', 'p') AND t.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'overnight')
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = t.oid AND d.deptype = 'e')
)
SELECT indexrelid AS oid, indrelid AS table_oid, root, parent, ident, tab,
  CASE contype WHEN 'p' THEN 'primary key ' WHEN 'u' THEN 'unique constraint ' WHEN 'x' THEN 'exclusion constraint '
    ELSE 'index ' END || coalesce(quote_ident(conname) || ' on ' || tab, ident) AS name,
  relkind = 'I' AS partitioned,
  -- What building costs for each byte of the table, in tenths of reading it: a guess for the order only.
  CASE method WHEN 'btree' THEN 20 + 10 * indnkeyatts WHEN 'hash' THEN 30 WHEN 'brin' THEN 10 ELSE 100 END::int AS weight,
  CASE WHEN contype IS NULL THEN 'DROP INDEX ' || ident
       ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', tab, conname) END AS take_out,
  -- Alone and beside others: an index. Not so where only the constraint's own clause can make it.
  contype IS NOT NULL AND (relkind = 'I' OR contype = 'x' OR method <> 'btree') AS whole,
  CASE
    WHEN contype IS NULL OR (relkind = 'i' AND contype <> 'x' AND method = 'btree') THEN
      CASE WHEN space IS NULL THEN def
           ELSE left(def, length(def) - length(predicate)) || ' TABLESPACE ' || space || predicate END
    WHEN contype = 'x' THEN
      format('ALTER TABLE %s%s ADD CONSTRAINT %I %s', CASE relkind WHEN 'I' THEN 'ONLY ' END, tab, conname,
             pg_get_constraintdef(con))
    ELSE
      format('ALTER TABLE %s%s ADD CONSTRAINT %I %s%s%s%s', CASE relkind WHEN 'I' THEN 'ONLY ' END, tab, conname,
             left(pg_get_constraintdef(con), length(pg_get_constraintdef(con)) - length(deferral)),
             ' WITH (' || (SELECT string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')
                           FROM unnest(reloptions) AS o) || ')',
             ' USING INDEX TABLESPACE ' || space, deferral)
  END AS build,
  array_remove(ARRAY[
    CASE WHEN relkind = 'i' AND contype IN ('p', 'u') AND method = 'btree' THEN
      format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I%s', tab, conname,
             CASE contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, relname, deferral) END,
    CASE WHEN contype = 'x' THEN format('ALTER INDEX %s SET TABLESPACE ', ident) || space END,
    CASE WHEN indisclustered THEN format('ALTER TABLE %s CLUSTER ON %I', tab, relname) END,
    CASE WHEN indisreplident THEN format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', tab, relname) END,
    format('COMMENT ON INDEX %s IS ', ident) || quote_literal(obj_description(indexrelid, 'pg_class')),
    format('COMMENT ON CONSTRAINT %s ON %s IS ', quote_ident(conname), tab) || quote_literal(obj_description(con, 'pg_constraint'))
  ] || ARRAY(
    SELECT format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', ident, a.attnum, a.attstattarget)
    FROM pg_attribute a WHERE a.attrelid = indexrelid AND a.attstattarget >= 0 ORDER BY a.attnum
  ), NULL) AS finish
FROM idx
ORDER BY indexrelid
