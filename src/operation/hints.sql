-- Columns and keys of the loaded tables that cost more than they need to: $1 has the tables' OIDs.
-- A default collation is the database's; only B-trees are sorted by it. Columns of the catalog that
-- older servers lack are read through JSON.
with loaded as (
    select c.oid, a.attnum, a.attname, t.typname,
           case when d.typtype = 'd' then d.typtypmod else a.atttypmod end as typmod
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type d on d.oid = a.atttypid
    join pg_type t on t.oid = case when d.typtype = 'd' then d.typbasetype else d.oid end
    where c.oid = any($1::oid[])
), columns as (
    select oid, attnum::int as position, attname::text as name,
           case when typname = 'numeric' then 'numeric' else 'char' end as kind,
           null::text as sorted_by
    from loaded
    where (typname = 'numeric' and typmod >= 4 and (typmod - 4) >> 16 <= 18
           and (typmod - 4) & 2047 < 1024)
       or (typname = 'bpchar' and typmod - 4 > 1)
), keys as (
    select i.indrelid as oid, k.position::int as position,
           coalesce(a.attname::text, 'an expression') as name, k.collation_oid
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am m on m.oid = c.relam and m.amname = 'btree'
    cross join lateral unnest(i.indcollation::oid[], i.indkey::int2[])
        with ordinality as k (collation_oid, attnum, position)
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and k.attnum > 0
    where i.indrelid = any($1::oid[]) and k.collation_oid <> 0
), database as (
    select coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') as provider, d.datcollate::text as locale
    from pg_database d where d.datname = current_database()
), sorted as (
    select k.oid, k.position, k.name, c.collname::text as sorted_by,
           case when c.collprovider = 'd' then d.provider else c.collprovider::text end as provider,
           case when c.collprovider = 'd' then d.locale else c.collcollate::text end as locale
    from keys k join pg_collation c on c.oid = k.collation_oid cross join database d
)
select oid, kind, name, sorted_by from columns
union all
select distinct oid, case provider when 'i' then 'icu' else 'libc' end, name,
       case sorted_by when 'default' then locale else sorted_by end
from sorted
where provider = 'i' or (provider = 'c' and locale not in ('C', 'POSIX'))
order by 1, 2, 3
