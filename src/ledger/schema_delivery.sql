-- Adds to the ledger: what hooks are to be told, kept until they have been. A move is told once it is
-- confirmed; `told` says that it was written down here. Moves of earlier days count as told. Assumes the
-- steps before it and runs in one transaction.
alter table ledger.flip add column told boolean not null default true;
alter table ledger.flip alter column told set default false;

create table ledger.delivery (
    id bigint generated always as identity primary key,
    -- The same for every hook that is told of one event, and for every attempt.
    event text not null,
    hook text not null,
    dataset text not null,
    kind text not null,
    document text not null,
    state text not null default 'waiting' check (state in ('waiting', 'delivered', 'given up')),
    attempts integer not null default 0,
    last_error text,
    created_at timestamptz not null default clock_timestamp(),
    -- Somebody is at it until then.
    claimed_until timestamptz,
    ended_at timestamptz,
    unique (event, hook)
);
create index on ledger.delivery (hook) where state = 'waiting';
