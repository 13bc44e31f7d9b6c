-- What a subset adds to the stamp of the build that it was taken from. Run once, behind the stamp.
create table overnight.subset (
    one boolean primary key default true check (one),
    nonce text not null,
    seed text not null,
    rules_digest text not null
);
comment on table overnight.subset is 'This database holds a part of the build only; one row.';

create table overnight.subset_table (
    table_name text primary key,
    rows_copied bigint not null
);
comment on table overnight.subset_table is 'How many rows of each table were copied.';
