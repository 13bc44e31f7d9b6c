-- The ledger: what was built, what is live, and every move of an alias. Created once in the
-- control database. A row is written before the act and confirmed after it, so that the next
-- start can tell what was done.
create schema ledger;

create table ledger.version (
    version integer not null,
    tool_version text not null,
    created_at timestamptz not null default clock_timestamp()
);

create table ledger.dataset (
    dataset text primary key,
    live_build bigint,
    previous_build bigint,
    epoch bigint not null default 0,
    held boolean not null default false,
    hold_reason text,
    held_by text,
    held_at timestamptz
);

create table ledger.build (
    id bigint generated always as identity primary key,
    dataset text not null references ledger.dataset,
    name text not null unique,
    nonce text not null,
    database_oid oid,
    state text not null check (state in
        ('creating', 'loading', 'verified', 'published', 'tombstone', 'dropped', 'failed')),
    schema_version integer not null,
    input_digest text not null,
    tool_version text not null,
    created_at timestamptz not null default clock_timestamp(),
    verified_at timestamptz,
    published_at timestamptz,
    rolled_back_at timestamptz,
    tombstoned_at timestamptz,
    dropped_at timestamptz,
    failure text,
    records_read bigint,
    rows_loaded bigint,
    bytes_read bigint,
    seconds double precision
);

alter table ledger.dataset
    add foreign key (live_build) references ledger.build,
    add foreign key (previous_build) references ledger.build;

create table ledger.input (
    build bigint not null references ledger.build,
    source text not null,
    key text not null,
    version text not null,
    bytes bigint not null,
    sha256 text,
    records_read bigint,
    rows_loaded bigint,
    rejected bigint,
    primary key (build, source, key)
);

create table ledger.loaded (
    build bigint not null references ledger.build,
    table_name text not null,
    rows_loaded bigint not null,
    primary key (build, table_name)
);

create table ledger.sql_file (
    build bigint not null references ledger.build,
    path text not null,
    sha256 text not null,
    primary key (build, path)
);

create table ledger.stage (
    build bigint not null references ledger.build,
    position integer not null,
    stage text not null,
    seconds double precision not null,
    rows_done bigint,
    bytes_done bigint,
    primary key (build, position)
);

create table ledger.flip (
    id bigint generated always as identity primary key,
    dataset text not null references ledger.dataset,
    epoch bigint not null,
    from_build bigint references ledger.build,
    to_build bigint not null references ledger.build,
    kind text not null check (kind in ('rotate', 'rollback')),
    state text not null check (state in ('intent', 'switched', 'confirmed', 'abandoned', 'reverted')),
    reason text,
    actor text not null,
    -- What a move that is taken back must restore.
    previous_before bigint references ledger.build,
    held_before boolean not null,
    hold_reason_before text,
    held_by_before text,
    held_at_before timestamptz,
    begun_at timestamptz not null default clock_timestamp(),
    switched_at timestamptz,
    confirmed_at timestamptz
);

create table ledger.event (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    dataset text not null,
    build bigint,
    kind text not null,
    detail text,
    actor text not null
);
