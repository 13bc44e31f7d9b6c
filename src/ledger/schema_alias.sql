-- The pointer: where each alias leads, in a schema of its own that readers may read. Assumes the
-- ledger's tables. Written in the transaction of every move, whatever else realises the alias.
create schema overnight;

create table overnight.alias (
    dataset text primary key,
    build text not null,
    -- The name to connect to on this server.
    database text not null,
    schema_version integer not null,
    -- Grows with every move: a client that has seen it needs to look no further.
    epoch bigint not null,
    moved_at timestamptz not null default clock_timestamp()
);
comment on table overnight.alias is 'Where each alias leads; NOTIFY overnight_alias tells of a change.';

insert into overnight.alias (dataset, build, database, schema_version, epoch)
select d.dataset, b.name, p.datname, b.schema_version, d.epoch
from ledger.dataset d
join ledger.build b on b.id = d.live_build
join pg_catalog.pg_database p on p.oid = b.database_oid;

-- A move that a later one has overtaken before everybody had left the build before it.
alter table ledger.flip drop constraint flip_state_check;
alter table ledger.flip add constraint flip_state_check check (state in
    ('intent', 'switched', 'confirmed', 'abandoned', 'reverted', 'superseded'));
