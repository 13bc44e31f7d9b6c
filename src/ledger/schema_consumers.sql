-- A step of the ledger: the services that read a dataset, and which schema versions they support.
-- A service may write its own row with a reader's rights, where the owner grants it: it sees and
-- writes only rows of datasets whose live build it may connect to.
create table ledger.consumer (
    dataset text not null,
    consumer text not null check (consumer ~ '^[A-Za-z0-9][A-Za-z0-9_.:@/-]{0,62}$'),
    min_version integer not null,
    -- Null: every later version.
    max_version integer,
    -- The machine, as the service calls it.
    host text not null check (host ~ '^[[:graph:]]{1,255}$'),
    address inet,
    role text not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    primary key (dataset, consumer),
    check (min_version <= max_version)
);

-- When, as whom and from where is the server's to say, whoever writes.
create function ledger.consumer_seen() returns trigger
    language plpgsql
    set search_path = pg_catalog
    as $$
begin
    new.last_seen := clock_timestamp();
    new.first_seen := case tg_op when 'INSERT' then new.last_seen else old.first_seen end;
    new.address := inet_client_addr();
    new.role := session_user;
    return new;
end
$$;

create trigger seen before insert or update on ledger.consumer
    for each row execute function ledger.consumer_seen();

alter table ledger.consumer enable row level security;
create policy of_readers on ledger.consumer using (exists (
    select from ledger.dataset d join ledger.build b on b.id = d.live_build
    where d.dataset = consumer.dataset and has_database_privilege(b.database_oid, 'connect')));
