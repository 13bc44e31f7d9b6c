-- Version 3 of the ledger: what each gate found, also where it passed, and who accepted what.
create table ledger.finding (
    id bigint generated always as identity primary key,
    build bigint not null references ledger.build,
    -- 'verify' or 'rotate'
    stage text not null,
    gate text not null,
    verdict text not null check (verdict in ('passed', 'warned', 'failed', 'accepted')),
    finding text not null,
    -- Why it was accepted, and by whom.
    reason text,
    actor text not null,
    at timestamptz not null default clock_timestamp()
);
create index on ledger.finding (build);
