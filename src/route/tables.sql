-- The tables of one partition tree, with their bounds, the top one first.
-- Assumes: search_path = pg_catalog, ISO dates, standard_conforming_strings = on.
-- $1: the identifier of the top table.
SELECT c.oid, t.parentrelid::oid AS parent, n.nspname, c.relname, c.relkind::text AS relkind,
       pg_get_expr(c.relpartbound, c.oid) AS bound,
       (SELECT p.partstrat::text FROM pg_partitioned_table p WHERE p.partrelid = c.oid) AS strategy,
       -- An INSERT trigger for each statement fires for the table that COPY names alone.
       EXISTS (SELECT FROM pg_trigger g
               WHERE g.tgrelid = c.oid AND g.tgenabled <> 'D'
                 AND g.tgtype::integer & 1 = 0 AND g.tgtype::integer & 4 <> 0) AS statement_trigger,
       -- A column that COPY leaves out gets the default of the table that COPY names.
       (SELECT min(a.attname::text)
        FROM pg_attribute a
        JOIN pg_attribute top ON top.attrelid = $1 AND top.attname = a.attname AND top.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_attrdef td ON td.adrelid = top.attrelid AND td.adnum = top.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname <> ALL ($2::text[]::name[]) AND top.attgenerated = ''
          AND (a.attidentity IS DISTINCT FROM top.attidentity
               OR pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM pg_get_expr(td.adbin, td.adrelid)))
         AS other_default
FROM pg_partition_tree($1::oid::regclass) t
JOIN pg_class c ON c.oid = t.relid
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY t.level, n.nspname COLLATE "C", c.relname COLLATE "C"
