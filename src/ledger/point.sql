-- Writes where an alias ($1) leads, from the ledger and the catalog as this transaction sees them,
-- and notifies. With nothing live the row goes.
with live as (
    select d.dataset, b.name as build, p.datname::text as database, b.schema_version, d.epoch
    from ledger.dataset d
    left join ledger.build b on b.id = d.live_build
    left join pg_catalog.pg_database p on p.oid = b.database_oid
    where d.dataset = $1
), gone as (
    delete from overnight.alias a using live
    where a.dataset = live.dataset and live.database is null
), written as (
    insert into overnight.alias as a (dataset, build, database, schema_version, epoch)
    select dataset, build, database, schema_version, epoch from live where database is not null
    on conflict (dataset) do update
    set build = excluded.build, database = excluded.database,
        schema_version = excluded.schema_version, epoch = excluded.epoch,
        moved_at = clock_timestamp()
)
select pg_catalog.pg_notify('overnight_alias', pg_catalog.json_build_object(
    'dataset', dataset, 'build', build, 'database', database, 'epoch', epoch)::text)
from live;
