-- Tables that hold rows, each with its uppermost partitioned table, its size and what lies above it.
-- Assumes: search_path = pg_catalog.
select c.oid, coalesce(pg_partition_root(c.oid)::oid, c.oid) as root,
       n.nspname::text as schema, c.relname::text as name,
       c.reltuples::float8 as row_estimate, pg_relation_size(c.oid) as bytes,
       array(select relid::oid from pg_partition_ancestors(c.oid)) || c.oid as lineage
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'overnight')
order by n.nspname collate "C", c.relname collate "C"
