-- What is sold. Written naturally: the tool sets keys and indexes aside for the load.
select overnight.declare_version(1);

create table item (
    id integer primary key,
    name text not null,
    price numeric(8, 2) not null
);
comment on table item is 'Everything that can be bought.';

create index item_name on item (name);
