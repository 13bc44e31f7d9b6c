-- A schema with one of everything that a service can rely on. Every case of the comparison changes
-- one thing in it. Assumes an empty database and the role compat_reader.
create schema part;
create type public.mood as enum ('sad', 'calm', 'glad');
create domain public.dollars as numeric(12,2) not null constraint positive check (value >= 0);
create type public.pair as (low integer, high integer);
create sequence public.counter;

create table public.plan (
    id integer primary key,
    code character varying(10) not null,
    premium numeric(12,2) not null check (premium > 0),
    note text,
    mood public.mood,
    price public.dollars,
    seen timestamp(3) without time zone default now(),
    unique (code)
);
create index plan_note on public.plan (note) where premium > 10;
create index on public.plan using hash (code);
create unique index on public.plan (lower(code));

create table part.member (
    id bigint generated always as identity primary key,
    plan integer not null references public.plan (id),
    name text collate "C" not null
);
create table public.log (at date, line text) partition by range (at);
create table public.log_2025 partition of public.log for values from ('2025-01-01') to ('2026-01-01');
create table public.log_2026 partition of public.log for values from ('2026-01-01') to ('2027-01-01');

create view public.names as select id, name from part.member;
create materialized view public.totals as select plan, count(*) as members from part.member group by plan;

create function public.cheaper(amount numeric, than numeric default 10) returns integer
    language sql immutable as 'select (amount < than)::integer';
create function public.latest() returns timestamp
    language sql stable security definer as 'select max(seen) from public.plan';
create procedure public.nothing() language sql as 'select 1';
create aggregate public.total(numeric) (sfunc = numeric_add, stype = numeric);

grant usage on schema public, part to compat_reader;
grant select on all tables in schema public, part to compat_reader;
grant execute on all functions in schema public to compat_reader;
create table public.open (a integer, b integer);
grant select (a) on public.open to public;
