-- Adds to the ledger: which moves were one act. The moves of a group share its name and the id of the
-- first of them; a move of a single alias has neither. Assumes the steps before it and runs in one
-- transaction.
alter table ledger.flip
    add column group_name text,
    add column act bigint references ledger.flip;
create index on ledger.flip (group_name, act) where group_name is not null;
