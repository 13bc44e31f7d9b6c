-- What is read for one name of `warm`: the relation itself, or the leaves of a partitioned one. Assumes
-- the name's schema as $1 and the rest as $2. Gives what it is (`table`, or the access method of an
-- index), its name and size, its table, and for an index the order of its keys, the first key and the
-- predicate, all as SQL.
with named as (
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'm', 'i', 'I')
), leaf as (
    select oid from named
    union
    select t.relid::oid from named, pg_partition_tree(named.oid) t where t.isleaf
)
select case c.relkind when 'i' then am.amname::text else 'table' end,
       c.relname::text,
       pg_relation_size(c.oid),
       coalesce(tn.nspname, n.nspname)::text,
       coalesce(t.relname, c.relname)::text,
       (select string_agg(pg_get_indexdef(x.indexrelid, k, true)
                   || case when x.indoption[k - 1] & 1 = 1 then ' desc' else '' end
                   || case x.indoption[k - 1] & 3 when 1 then ' nulls last' when 2 then ' nulls first' else '' end,
                   ', ' order by k)
        from generate_series(1, x.indnkeyatts::integer) k),
       coalesce(pg_get_indexdef(x.indexrelid, 1, true), ''),
       pg_get_expr(x.indpred, x.indrelid)
from leaf join pg_class c on c.oid = leaf.oid
     join pg_namespace n on n.oid = c.relnamespace
     left join pg_index x on x.indexrelid = c.oid
     left join pg_class t on t.oid = x.indrelid
     left join pg_namespace tn on tn.oid = t.relnamespace
     left join pg_am am on am.oid = c.relam and c.relkind = 'i'
where c.relkind in ('r', 'm', 'i')
order by c.oid
