-- Who is connected to a database ($1) and is not overnight itself: one row a session. Ages are null
-- where this role may not see them (pg_read_all_stats lets it).
select a.pid,
       coalesce(a.application_name, '') as application,
       a.usename::text as role,
       coalesce(pg_catalog.host(a.client_addr), 'local') as address,
       extract(epoch from clock_timestamp() - a.backend_start)::bigint as session_seconds,
       extract(epoch from clock_timestamp() - a.xact_start)::bigint as transaction_seconds,
       coalesce(r.rolsuper, false) as superuser
from pg_catalog.pg_stat_activity a
left join pg_catalog.pg_roles r on r.oid = a.usesysid
where a.datid = $1
  and a.usesysid is not null
  and coalesce(a.backend_type, 'client backend') = 'client backend'
  and not (a.usename = current_user and pg_catalog.starts_with(a.application_name, 'overnight '))
order by a.backend_start, a.pid
