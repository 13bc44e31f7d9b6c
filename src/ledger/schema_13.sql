-- Version 13 of the ledger. Assumes the steps before it and runs in one transaction.

-- A build that is loaded and that gates have refused stays for a while, closed.
alter table ledger.build drop constraint build_state_check;
alter table ledger.build add constraint build_state_check check (state in
    ('creating', 'loading', 'refused', 'verified', 'published', 'tombstone', 'dropped', 'failed'));
alter table ledger.build add column refused_at timestamptz;
-- The live build that the gates compared it with.
alter table ledger.build add column refused_beside bigint references ledger.build;

-- How long the parts of a stage took: files of SQL and gates.
create table ledger.run_part (
    run bigint not null references ledger.run on delete cascade,
    position integer not null,
    unit text not null,
    stage text not null,
    part text not null,
    seconds double precision not null,
    primary key (run, position)
);

-- What services can see of the build, as it was finished: JSON.
alter table ledger.measured add column shape text;
