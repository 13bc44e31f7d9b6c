-- The same table, keys and indexes as the dataset lineitem has, on two partitions.
select overnight.declare_version(1);

create table lineitem (
    l_orderkey       integer not null,
    l_partkey        integer not null,
    l_suppkey        integer not null,
    l_linenumber     integer not null,
    l_quantity       decimal(15,2) not null,
    l_extendedprice  decimal(15,2) not null,
    l_discount       decimal(15,2) not null,
    l_tax            decimal(15,2) not null,
    l_returnflag     char(1) not null,
    l_linestatus     char(1) not null,
    l_shipdate       date not null,
    l_commitdate     date not null,
    l_receiptdate    date not null,
    l_shipinstruct   char(25) not null,
    l_shipmode       char(10) not null,
    l_comment        varchar(44) not null,
    primary key (l_orderkey, l_linenumber)
) partition by hash (l_orderkey);

create table lineitem_0 partition of lineitem for values with (modulus 2, remainder 0);
create table lineitem_1 partition of lineitem for values with (modulus 2, remainder 1);

create index lineitem_shipdate on lineitem (l_shipdate);
create index lineitem_part on lineitem (l_partkey, l_suppkey);
