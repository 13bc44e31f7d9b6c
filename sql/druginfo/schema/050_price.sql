-- What a unit of a drug costs in a plan, on average over its pharmacies.
create table price (
    contract_id  text collate "C" not null,
    plan_id      text collate "C" not null,
    segment_id   text collate "C" not null,
    ndc          text collate "C" not null,
    days_supply  smallint not null check (days_supply in (30, 60, 90)),
    unit_cost    numeric(14,5) not null check (unit_cost >= 0),
    primary key (contract_id, plan_id, segment_id, ndc, days_supply)
);

comment on table price is 'Average cost of a unit of a package in a plan, by days of supply';
comment on column price.ndc is '11 digits, 5-4-2, without hyphens';
comment on column price.unit_cost is 'Dollars for a unit: a tablet, a millilitre, a gram';
