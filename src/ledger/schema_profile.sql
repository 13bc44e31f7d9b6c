-- The next version of the ledger: what each build measured of its tables, also where it passed. Figures only,
-- never a value of the data; hashes stand for groups, and bits for rows.
create table ledger.measured (
    build bigint primary key references ledger.build,
    -- Hashes are compared only between builds of one major version.
    server_major integer not null,
    -- SHA-256 of the lines that describe the finished catalog; the lines are in the stamp.
    catalog_sha256 text not null,
    at timestamptz not null default clock_timestamp()
);

create table ledger.profile (
    build bigint not null references ledger.build,
    table_name text not null,
    profile jsonb not null,
    -- For each column, which of the sampled rows have which value, as bits; only of the newest builds.
    sketches jsonb,
    primary key (build, table_name)
);

create table ledger.group_rows (
    build bigint not null references ledger.build,
    table_name text not null,
    columns text not null,
    group_hash bigint not null,
    -- Only of columns that are declared with show = true.
    label text,
    row_count bigint not null,
    primary key (build, table_name, columns, group_hash)
);

create table ledger.key_change (
    build bigint not null references ledger.build,
    table_name text not null,
    measure_build bigint not null references ledger.build,
    added bigint not null,
    removed bigint not null,
    changed bigint not null,
    unchanged bigint not null,
    primary key (build, table_name)
);
