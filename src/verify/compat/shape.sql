-- What services can see of a database and rely on, as one JSON document; the names of things in
-- `public` stand without their schema. Assumes: search_path = pg_catalog. $1: the roles whose rights
-- are looked at, `public` for everybody.
-- Left out: the server's own schemas, members of extensions, what lies inside a partition, trigger
-- functions (nobody calls them), and of the schema overnight all but `build` and `require`.
with recursive member as (
  select classid, objid from pg_depend where deptype = 'e'
), ns as (
  select n.oid, n.nspname, case n.nspname when 'public' then '' else quote_ident(n.nspname) || '.' end as dot
  from pg_namespace n
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (select from member m where m.classid = 'pg_namespace'::regclass and m.objid = n.oid)
), rel as (
  select c.*, ns.nspname, ns.dot || quote_ident(c.relname) as name
  from pg_class c join ns on ns.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'f', 'v', 'm', 'c', 'S') and c.relpersistence <> 't'
    and (ns.nspname <> 'overnight' or c.relname = 'build')
    and not exists (select from member m where m.classid = 'pg_class'::regclass and m.objid = c.oid)
), tab as (
  select * from rel where relkind <> 'S' and not relispartition
), fun as (
  select p.*, format('%s%I(%s)', ns.dot, p.proname, oidvectortypes(p.proargtypes)) as name
  from pg_proc p join ns on ns.oid = p.pronamespace
  where p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
    and (ns.nspname <> 'overnight' or p.proname = 'require')
    and not exists (select from member m where m.classid = 'pg_proc'::regclass and m.objid = p.oid)
), typ as (
  select t.*, ns.dot || quote_ident(t.typname) as name
  from pg_type t join ns on ns.oid = t.typnamespace
  where t.typtype in ('b', 'd', 'e', 'r') and t.typcategory <> 'A' and ns.nspname <> 'overnight'
    and not exists (select from member m where m.classid = 'pg_type'::regclass and m.objid = t.oid)
), peeled (oid, base, modifier) as (
  -- A client is told the type below a domain, however many domains lie on each other.
  select oid, typbasetype, typtypmod from pg_type where typtype = 'd'
  union all
  select p.oid, t.typbasetype, t.typtypmod from peeled p join pg_type t on t.oid = p.base where t.typtype = 'd'
), wire as (
  select p.oid, p.base, p.modifier from peeled p join pg_type t on t.oid = p.base where t.typtype <> 'd'
), role (name) as (
  select unnest($1::text[])
), held (role, kind, object, part_of, rights) as (
  select role.name, 'schema', quote_ident(ns.nspname), null, array(
    select p from unnest(array['CREATE', 'USAGE']) p where has_schema_privilege(role.name, ns.oid, p))
  from ns, role
  union all
  select role.name, 'relation', rel.name, null, array(
    select p from unnest(array['DELETE', 'INSERT', 'REFERENCES', 'SELECT', 'TRIGGER', 'TRUNCATE', 'UPDATE']) p
    where has_table_privilege(role.name, rel.oid, p))
  from rel, role where rel.relkind not in ('S', 'c')
  union all
  select role.name, 'sequence', rel.name, null, array(
    select p from unnest(array['SELECT', 'UPDATE', 'USAGE']) p where has_sequence_privilege(role.name, rel.oid, p))
  from rel, role where rel.relkind = 'S'
  union all
  -- Rights on a single column, where there is none on the whole table.
  select role.name, 'column', tab.name || '.' || quote_ident(a.attname), tab.name, array['SELECT']
  from role, tab join pg_attribute a on a.attrelid = tab.oid and a.attnum > 0 and not a.attisdropped
  where tab.relkind <> 'c' and not has_table_privilege(role.name, tab.oid, 'SELECT')
    and has_column_privilege(role.name, tab.oid, a.attnum, 'SELECT')
  union all
  select role.name, 'function', fun.name, null, array(
    select p from unnest(array['EXECUTE']) p where has_function_privilege(role.name, fun.oid, p))
  from fun, role
)
select json_build_object(
  'locale', (select datcollate from pg_database where datname = current_database()),
  'schemas', coalesce((select json_agg(quote_ident(nspname)) from ns), '[]'),
  'extensions', coalesce((select json_agg(quote_ident(extname)) from pg_extension), '[]'),
  'partitions', coalesce((select json_agg(name) from rel where relispartition), '[]'),
  'sequences', coalesce((
    select json_agg(name) from rel where relkind = 'S' and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = rel.oid and d.deptype = 'i')), '[]'),
  'relations', coalesce((
    select json_agg(json_build_object(
      'name', tab.name, 'schema', quote_ident(tab.nspname), 'row_security', tab.relrowsecurity,
      'kind', case tab.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'c' then 'type' else 'table' end,
      'columns', coalesce((
        select json_agg(json_build_object(
          'name', quote_ident(a.attname),
          'declared', format_type(a.atttypid, a.atttypmod),
          'wire', coalesce(format_type(w.base, w.modifier), format_type(a.atttypid, a.atttypmod)),
          'not_null', a.attnotnull,
          'identity', a.attidentity <> '',
          'collation', (select c.collname from pg_collation c join pg_type t on t.oid = a.atttypid
                        where c.oid = a.attcollation and a.attcollation <> t.typcollation)
        ) order by a.attnum)
        from pg_attribute a left join wire w on w.oid = a.atttypid
        where a.attrelid = tab.oid and a.attnum > 0 and not a.attisdropped), '[]'))
      order by tab.name)
    from tab), '[]'),
  'indexes', coalesce((
    -- What stands behind the table's name: neither the index's name nor its storage matters.
    select json_agg(json_build_object('table', tab.name, 'unique', x.indisunique,
      'of_key', exists (select from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u', 'x')),
      'definition', regexp_replace(
        substr(d.rest, strpos(d.rest, ' USING ') + 7),
        case when i.reloptions is null then '^$' else ' WITH \([^)]*\)' end, ''))
      order by tab.name, pg_get_indexdef(i.oid))
    from tab join pg_index x on x.indrelid = tab.oid join pg_class i on i.oid = x.indexrelid,
         lateral (select substr(pg_get_indexdef(i.oid),
                    length(case when x.indisunique then 'CREATE UNIQUE INDEX ' else 'CREATE INDEX ' end
                           || quote_ident(i.relname)) + 1)) d (rest)), '[]'),
  'keys', coalesce((
    select json_agg(json_build_object('table', tab.name, 'definition', case c.contype
      when 'f' then format('FOREIGN KEY (%s) REFERENCES %s (%s)',
        (select string_agg(quote_ident(a.attname), ', ' order by k.n) from unnest(c.conkey) with ordinality k (num, n)
         join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.num),
        (select ns.dot || quote_ident(r.relname) from pg_class r join ns on ns.oid = r.relnamespace where r.oid = c.confrelid),
        (select string_agg(quote_ident(a.attname), ', ' order by k.n) from unnest(c.confkey) with ordinality k (num, n)
         join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.num))
      else regexp_replace(pg_get_constraintdef(c.oid), '( NOT VALID| NO INHERIT| DEFERRABLE| INITIALLY DEFERRED)+$', '') end)
      order by tab.name, pg_get_constraintdef(c.oid))
    from tab join pg_constraint c on c.conrelid = tab.oid
    where c.contype in ('p', 'u', 'f', 'c', 'x')
      and not (c.contype = 'f' and exists (
        select from pg_constraint p where p.oid = c.conparentid and p.conrelid = c.conrelid))), '[]'),
  'functions', coalesce((
    select json_agg(json_build_object('name', name,
      'kind', case prokind when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then 'window function' else 'function' end,
      'result', coalesce(pg_get_function_result(fun.oid), 'nothing'),
      'volatility', case provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
      'arguments', coalesce((select json_agg(a.name) from unnest(proargnames, proargmodes) as a (name, mode)
                             where a.mode is null or a.mode in ('i', 'b', 'v')), '[]'),
      'defaults', pronargdefaults, 'definer', prosecdef, 'strict', proisstrict) order by name)
    from fun), '[]'),
  'types', coalesce((
    select json_agg(json_build_object('name', typ.name,
      'kind', case typ.typtype when 'e' then 'enum' when 'd' then 'domain' when 'r' then 'range' else 'type' end,
      'wire', case when typ.typtype = 'd' then (select format_type(w.base, w.modifier) from wire w where w.oid = typ.oid) end,
      'not_null', typ.typnotnull,
      'labels', coalesce((select json_agg(quote_literal(e.enumlabel) order by e.enumsortorder)
                          from pg_enum e where e.enumtypid = typ.oid), '[]'),
      'checks', coalesce((select json_agg(regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''))
                          from pg_constraint c where c.contypid = typ.oid and c.contype = 'c'), '[]')) order by typ.name)
    from typ), '[]'),
  'rights', coalesce((
    select json_agg(json_build_object('role', role, 'kind', kind, 'object', object, 'part_of', part_of, 'rights', rights) order by role, kind, object)
    from held), '[]')
)::text
