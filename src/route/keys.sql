-- The key columns of every partitioned table of one partition tree, in the order of the key.
-- Assumes: search_path = pg_catalog.
-- $1: the identifier of the top table.
SELECT p.partrelid AS oid,
       -- NULL for an expression.
       a.attname,
       o.opcdefault AND o.opcnamespace = 'pg_catalog'::regnamespace AS usual, o.opcintype,
       k.coll <> 0 AND NOT l.collisdeterministic AS loose,
       -- Providers: c and b are libc and builtin, d is that of the database. Read as JSON, since
       -- columns differ between versions of the server.
       k.coll = 0 OR CASE l.collprovider::text
           WHEN 'd' THEN coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'b'
               OR coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c'
                  AND d.datcollate IN ('C', 'POSIX')
           WHEN 'c' THEN l.collcollate IN ('C', 'POSIX')
           WHEN 'b' THEN true
           ELSE false END AS bytewise,
       pg_encoding_to_char(d.encoding) = 'UTF8' AS utf8,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder) AS labels,
       ARRAY(SELECT e.oid FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder) AS label_oids
FROM pg_partition_tree($1::oid::regclass) t
JOIN pg_partitioned_table p ON p.partrelid = t.relid
CROSS JOIN LATERAL unnest(p.partattrs::int2[], p.partclass::oid[], p.partcollation::oid[])
    WITH ORDINALITY AS k (attnum, opclass, coll, place)
JOIN pg_opclass o ON o.oid = k.opclass
JOIN pg_database d ON d.datname = current_database()
LEFT JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k.attnum AND a.attnum > 0
LEFT JOIN pg_collation l ON l.oid = k.coll
-- The type below the domains.
LEFT JOIN LATERAL (
    WITH RECURSIVE base (oid) AS (
        SELECT a.atttypid
        UNION ALL
        SELECT y.typbasetype FROM base JOIN pg_type y ON y.oid = base.oid WHERE y.typtype = 'd')
    SELECT base.oid FROM base JOIN pg_type y ON y.oid = base.oid WHERE y.typtype <> 'd') b ON true
ORDER BY t.level, p.partrelid, k.place
