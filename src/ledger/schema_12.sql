-- Version 12 of the ledger: a row for each run, also for one that ended before a build existed. Assumes
-- the steps before it and runs in one transaction.
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
