-- lineitem as the TPC-H specification declares it (section 1.4), with two indexes beside its key.
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
);

create index lineitem_shipdate on lineitem (l_shipdate);
create index lineitem_part on lineitem (l_partkey, l_suppkey);
