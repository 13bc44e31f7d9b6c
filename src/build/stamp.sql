-- The stamp: what a build is, what went into it and what was counted. Run once in the fresh
-- database, before any user SQL and before anybody but the owner may connect.
create schema overnight;

create table overnight.build (
    one boolean primary key default true check (one),
    dataset text not null,
    build text not null,
    nonce text not null,
    schema_version integer not null,
    tool_version text not null,
    input_digest text not null,
    created_at timestamptz not null,
    verified_at timestamptz
);
comment on table overnight.build is 'What this database is; one row.';

create table overnight.input (
    source text not null,
    key text not null,
    version text not null,
    bytes bigint not null,
    sha256 text not null,
    records_read bigint not null,
    rows_loaded bigint not null,
    rejected bigint not null,
    skipped bigint not null,
    primary key (source, key)
);
comment on table overnight.input is 'The raw objects that went in; records_read = rows_loaded + rejected + skipped.';

create table overnight.loaded (
    table_name text primary key,
    rows_loaded bigint not null,
    at timestamptz not null default clock_timestamp(),
    transactions xid[] not null,
    profile jsonb,
    sketches jsonb
);
comment on table overnight.loaded is 'A receipt for each table, written in the transaction of its COPY.';
comment on column overnight.loaded.profile is 'What was measured of the rows on their way in; null once SQL has changed the table.';

create table overnight.reject (
    source text not null,
    key text not null,
    member text,
    record bigint not null,
    line bigint not null,
    byte bigint not null,
    column_name text,
    kind text not null,
    reason text not null
);
comment on table overnight.reject is 'Records that could not become rows: where and why, never what they held.';

create table overnight.sql_file (
    path text primary key,
    sha256 text not null
);
comment on table overnight.sql_file is 'The numbered SQL that made this database.';

create table overnight.declared (
    one boolean primary key default true check (one),
    schema_version integer not null
);

create table overnight.finished (
    line text primary key
);
comment on table overnight.finished is 'What the catalog was when everything was loaded and granted, one line each thing.';

create table overnight.filled (
    one boolean primary key default true check (one),
    locale text not null,
    resumes integer not null default 0
);
comment on table overnight.filled is 'Has a row when every table is loaded, derived and analyzed: only the gates are left.';

create function overnight.declare_version(version integer) returns void
    language sql
    set search_path = pg_catalog
    as 'insert into overnight.declared (schema_version) values (version)';
comment on function overnight.declare_version is 'The first schema file says which version it declares.';

create function overnight.require(min_version integer, max_version integer) returns integer
    language plpgsql stable
    set search_path = pg_catalog
    as $$
declare
    found_version integer;
begin
    select schema_version into strict found_version from overnight.build;
    if found_version between min_version and max_version then
        return found_version;
    end if;
    raise exception 'database % has schema version %, this client supports % to %',
        current_database(), found_version, min_version, max_version
        using errcode = 'object_not_in_prerequisite_state';
end
$$;
comment on function overnight.require is 'Returns the schema version, or raises unless it lies in the range a client supports.';
