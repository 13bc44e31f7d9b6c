-- Foreign keys of user tables as they were declared, without those that partitions inherit.
-- Assumes: search_path = pg_catalog.
select con.conname::text as name, con.conrelid as child, con.confrelid as parent,
       array(select a.attname::text from unnest(con.conkey) with ordinality as k (number, at)
             join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.number
             order by k.at) as child_columns,
       array(select a.attname::text from unnest(con.confkey) with ordinality as k (number, at)
             join pg_attribute a on a.attrelid = con.confrelid and a.attnum = k.number
             order by k.at) as parent_columns,
       array(select format('operator(%I.%s)', n.nspname, o.oprname)
             from unnest(con.conpfeqop) with ordinality as k (oid, at)
             join pg_operator o on o.oid = k.oid
             join pg_namespace n on n.oid = o.oprnamespace
             order by k.at) as operators
from pg_constraint con
join pg_class c on c.oid = con.conrelid
join pg_namespace n on n.oid = c.relnamespace
where con.contype = 'f' and con.conparentid = 0
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'overnight')
order by n.nspname collate "C", c.relname collate "C", con.conname collate "C"
