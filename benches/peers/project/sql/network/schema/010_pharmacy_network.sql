-- The big table of the example dataset druginfo, with its key and its index.
select overnight.declare_version(1);

create table pharmacy_network (
    contract_id                 text collate "C" not null,
    plan_id                     text collate "C" not null,
    segment_id                  text collate "C" not null,
    pharmacy_number             text collate "C" not null,
    pharmacy_zipcode            text collate "C",
    preferred_status_retail     boolean,
    preferred_status_mail       boolean,
    pharmacy_retail             boolean,
    pharmacy_mail               boolean,
    in_area_flag                boolean,
    floor_price                 numeric(6,2),
    brand_dispensing_fee_30     numeric(6,2),
    brand_dispensing_fee_60     numeric(6,2),
    brand_dispensing_fee_90     numeric(6,2),
    generic_dispensing_fee_30   numeric(6,2),
    generic_dispensing_fee_60   numeric(6,2),
    generic_dispensing_fee_90   numeric(6,2),
    selected_dispensing_fee_30  numeric(6,2),
    selected_dispensing_fee_60  numeric(6,2),
    selected_dispensing_fee_90  numeric(6,2),
    primary key (contract_id, plan_id, segment_id, pharmacy_number)
);

create index pharmacy_network_pharmacy on pharmacy_network (pharmacy_number);
