-- Version 12 of the ledger. Assumes the steps before it and runs in one transaction.

-- A row for each run, also for one that ended before a build existed.
create table ledger.run (
    id bigint generated always as identity primary key,
    datasets text[] not null,
    command text not null,
    actor text not null,
    host text not null,
    pid integer not null,
    project text not null,
    tool_version text not null,
    -- The session that keeps the record: while it exists, the run is under way.
    session_pid integer not null,
    session_start timestamptz not null,
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    -- The stage under way, or the last one.
    stage text,
    stage_since timestamptz,
    -- The exit status. Null while the run is under way, and for one that was killed.
    status integer,
    error text
);
create index on ledger.run using gin (datasets);

create table ledger.run_build (
    run bigint not null references ledger.run on delete cascade,
    build bigint not null references ledger.build,
    primary key (run, build)
);
create index on ledger.run_build (build);

create table ledger.run_stage (
    run bigint not null references ledger.run on delete cascade,
    position integer not null,
    -- The dataset, or the group.
    unit text not null,
    stage text not null,
    began_at timestamptz not null default clock_timestamp(),
    -- Null: it was under way when the run was last heard of.
    seconds double precision,
    primary key (run, position)
);

-- Locks that only the owner can take. Readers may connect to
-- this database, so an advisory lock would be open to them. A lock is LOCK TABLE on an empty table
-- here: `"planinfo build"` and `"planinfo move"` of each dataset, and what all datasets share.
create schema ledger_lock;
create table ledger_lock.datasets ();
create table ledger_lock.grants ();
create table ledger_lock.aliases ();

-- The control session of the command that holds a lock or held it last: when the lock is free and
-- that session is still at work, its client has died, and it is ended before the lock is used.
create table ledger.lock_holder (
    lock text primary key,
    pid integer not null,
    backend_start timestamptz not null
);

-- Until when a move that sessions are in the way of tries again.
alter table ledger.flip add column trying_until timestamptz;

do $$
declare
    name text;
begin
    for name in select dataset from ledger.dataset loop
        execute format('create table ledger_lock.%I ()', name || ' build');
        execute format('create table ledger_lock.%I ()', name || ' move');
    end loop;
end
$$;

-- A role registers at most a hundred services for a dataset: each has one of its slots, so that many
-- sessions at once cannot go above it either.
alter table ledger.consumer disable trigger seen;
alter table ledger.consumer add column slot smallint check (slot between 1 and 100);
update ledger.consumer c set slot = n.slot
from (select dataset, consumer, row_number() over (partition by dataset, role order by last_seen desc) as slot
      from ledger.consumer) n
where n.dataset = c.dataset and n.consumer = c.consumer and n.slot <= 100;
delete from ledger.consumer where slot is null;
alter table ledger.consumer alter column slot set not null;
create unique index consumer_slot on ledger.consumer (dataset, role, slot);

-- A host name goes into messages.
alter table ledger.consumer drop constraint consumer_host_check;
update ledger.consumer set host = left(host, 64);
alter table ledger.consumer add constraint consumer_host_check check (host ~ '^[[:graph:]]{1,64}$');
alter table ledger.consumer enable trigger seen;

create or replace function ledger.consumer_seen() returns trigger
    language plpgsql
    set search_path = pg_catalog
    as $$
declare
    known ledger.consumer;
begin
    select * into known from ledger.consumer c where c.dataset = new.dataset and c.consumer = new.consumer;
    new.last_seen := clock_timestamp();
    new.first_seen := coalesce(known.first_seen, new.last_seen);
    new.address := inet_client_addr();
    new.role := session_user;
    new.slot := known.slot;
    if known.role is distinct from new.role then
        -- Any free one: two services that start at once should not meet at the first.
        select s into new.slot from generate_series(1, 100) s
        where not exists (select from ledger.consumer c
                          where c.dataset = new.dataset and c.role = new.role and c.slot = s)
        order by random() limit 1;
        if new.slot is null then
            raise exception 'the role % has registered 100 services for %', new.role, new.dataset
                using errcode = 'program_limit_exceeded';
        end if;
    end if;
    return new;
end
$$;

-- The project whose run built the dataset last: its folder, and the machine that the folder is on.
alter table ledger.dataset add project text, add project_host text;
