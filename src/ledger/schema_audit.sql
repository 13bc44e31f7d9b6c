-- A step of the ledger: the events of each dataset are a chain, so that one that was changed or
-- taken out later shows. The hash of an event covers the hash before it and every field; the head
-- knows how many there are. Events of older ledgers are chained as they stand.
alter table ledger.event
    add column position bigint,
    add column hash bytea;

create table ledger.event_head (
    dataset text primary key,
    position bigint not null,
    hash bytea not null
);

-- A field with its length in front, so that no two events have the same text.
create function ledger.event_field(value text) returns text
    language sql immutable
    set search_path = pg_catalog
    as $$ select coalesce(octet_length(value) || ':' || value, '-') $$;

create function ledger.event_hash(before bytea, event ledger.event) returns bytea
    language sql stable
    set search_path = pg_catalog
    as $$
    select sha256(before || convert_to(concat(
        ledger.event_field(event.position::text),
        ledger.event_field(event.id::text),
        ledger.event_field(to_char(event.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
        ledger.event_field(event.dataset),
        ledger.event_field(event.build::text),
        ledger.event_field(event.kind),
        ledger.event_field(event.detail),
        ledger.event_field(event.actor)), 'UTF8'))
    $$;

create function ledger.event_added() returns trigger
    language plpgsql
    set search_path = pg_catalog
    as $$
declare
    head ledger.event_head;
begin
    insert into ledger.event_head values (new.dataset, 0, '') on conflict do nothing;
    -- Events of one dataset come one after the other.
    select * into strict head from ledger.event_head where dataset = new.dataset for update;
    new.position := head.position + 1;
    new.hash := ledger.event_hash(head.hash, new);
    update ledger.event_head set position = new.position, hash = new.hash where dataset = new.dataset;
    return new;
end
$$;

do $$
declare
    earlier ledger.event;
    head ledger.event_head;
begin
    for earlier in select * from ledger.event order by id loop
        insert into ledger.event_head values (earlier.dataset, 0, '') on conflict do nothing;
        select * into strict head from ledger.event_head where dataset = earlier.dataset;
        earlier.position := head.position + 1;
        earlier.hash := ledger.event_hash(head.hash, earlier);
        update ledger.event set position = earlier.position, hash = earlier.hash where id = earlier.id;
        update ledger.event_head set position = earlier.position, hash = earlier.hash where dataset = earlier.dataset;
    end loop;
end
$$;

create trigger added before insert on ledger.event
    for each row execute function ledger.event_added();

create function ledger.event_kept() returns trigger
    language plpgsql
    set search_path = pg_catalog
    as $$
begin
    raise exception 'events of the ledger are added, never changed or taken out'
        using errcode = 'object_not_in_prerequisite_state';
end
$$;

create trigger kept before update or delete or truncate on ledger.event
    for each statement execute function ledger.event_kept();
