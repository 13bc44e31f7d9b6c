-- Adds to the ledger: builds that wait for an operator, and who let them pass. Assumes the steps before
-- it and runs in one transaction.
create table ledger.approval (
    build bigint primary key references ledger.build,
    asked_at timestamptz not null default clock_timestamp(),
    asked_by text not null,
    expires_at timestamptz not null,
    approved_at timestamptz,
    approved_by text,
    reason text
);
