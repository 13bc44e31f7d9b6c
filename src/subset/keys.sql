-- Unique keys without conditions and expressions, the best to tell rows apart first: the primary key,
-- then short ones of columns that are never missing.
-- Assumes: search_path = pg_catalog.
select i.indrelid as table_oid, i.indisprimary as is_primary, k.columns, k.never_missing
from pg_index i
join pg_class c on c.oid = i.indexrelid
cross join lateral (
    select array_agg(a.attname::text order by k.at) as columns, bool_and(a.attnotnull) as never_missing
    from unnest(i.indkey::int2[]) with ordinality as k (number, at)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
    where k.at <= i.indnkeyatts
) k
where i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
  and i.indrelid >= 16384
order by i.indrelid, i.indisprimary desc, k.never_missing desc, i.indnkeyatts, c.relname collate "C"
