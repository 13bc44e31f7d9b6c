-- The columns of every table and materialized view of the user's schemas, in order: what they are
-- called, what is kept in them, whether COPY sends bytes that both directions of it agree on (else their text is
-- taken), where they stand in the primary key, about how many rows there are, and whether the server can hash them.
-- Parts of partitioned tables are counted with the whole. Assumes tables that were analyzed.
select n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
       case
           when bt.typname in ('int2', 'int4', 'int8') then 'integer'
           when bt.typname = 'numeric' and greatest(a.atttypmod, t.typtypmod) >= 0 then 'scaled'
           when bt.typname = 'numeric' then 'decimal'
           when bt.typname in ('float4', 'float8') then 'float'
           when bt.typname = 'bpchar' then 'padded'
           when bt.typname in ('text', 'varchar', 'citext', 'name') then 'text'
           when bt.typname = 'date' then 'day'
           when bt.typname in ('timestamp', 'timestamptz') then 'time'
           when bt.typname in ('bool', 'uuid', 'json', 'bytea', 'inet', 'cidr', 'interval') or bt.oid = 'time'::regtype
                or bt.typtype = 'e' then 'bytes'
           when et.typname in ('int2', 'int4', 'int8', 'float4', 'float8', 'text', 'varchar', 'date', 'timestamp',
                               'timestamptz', 'bool', 'uuid', 'json', 'bytea', 'inet', 'cidr', 'interval', 'time')
                or et.typtype = 'e' then 'bytes'
           else 'other'
       end,
       coalesce(array_position((i.indkey::int2[])[0:i.indnkeyatts - 1], a.attnum), 0) as key_position,
       greatest(coalesce(
           (select sum(greatest(p.reltuples, 0)) from pg_partition_tree(c.oid) t join pg_class p on p.oid = t.relid
            where t.isleaf), c.reltuples), 0)::float8,
       coalesce(exists (select from pg_opclass o join pg_am m on m.oid = o.opcmethod
               where m.amname = 'hash' and o.opcdefault and o.opcintype = coalesce(et.oid, bt.oid))
         or bt.typname in ('varchar', 'cidr') or et.typname in ('varchar', 'cidr') or bt.typtype = 'e' or et.typtype = 'e', false)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
join pg_type bt on bt.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
left join pg_type et on et.oid = bt.typelem and bt.typcategory = 'A'
left join pg_index i on i.indrelid = c.oid and i.indisprimary
where c.relkind in ('r', 'p', 'm') and not c.relispartition and c.relispopulated
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'overnight')
  and not exists (select from pg_depend d
                  where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by 1, 2, a.attnum
