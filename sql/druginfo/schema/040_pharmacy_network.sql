-- Which pharmacies a plan works with: the big one, hundreds of millions of rows. The column
-- types are the narrowest that hold the values, there are no CHECKs, and beside its key the
-- table has the one index that the services use.
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

comment on table pharmacy_network is 'Pharmacy in the network of a plan';
comment on column pharmacy_network.pharmacy_number is '10 and the National Provider Identifier of the pharmacy';
comment on column pharmacy_network.in_area_flag is 'The pharmacy lies in the service area of the plan';
comment on column pharmacy_network.brand_dispensing_fee_30 is 'Dollars for each fill of a brand drug for 30 days';
comment on column pharmacy_network.selected_dispensing_fee_30 is 'Dollars for each fill of a drug whose price Medicare has negotiated; since plan year 2026';

create index pharmacy_network_pharmacy on pharmacy_network (pharmacy_number);
