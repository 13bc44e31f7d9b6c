-- Version 2 of the ledger: where the time of a build went. Assumes version 1 and runs in one
-- transaction. Rows of older builds keep nulls, and have no row in the new table.
alter table ledger.stage
    add column sessions integer,
    add column client_cpu_seconds double precision;

create table ledger.table_timing (
    build bigint not null references ledger.build,
    table_name text not null,
    seconds double precision not null,
    streams integer not null,
    readers integer not null,
    bytes_read bigint not null,
    bytes_sent bigint not null,
    rows_sent bigint not null,
    waiting_for_input_seconds double precision not null,
    decompress_cpu_seconds double precision not null,
    parse_cpu_seconds double precision not null,
    waiting_for_parse_seconds double precision not null,
    waiting_for_server_seconds double precision not null,
    sort_cpu_seconds double precision,
    primary key (build, table_name)
);
