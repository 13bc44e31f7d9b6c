-- Plans that cover drugs, as plan information lists them: a row for each plan and county,
-- or, for plans that serve a region, for each plan and region.
-- The first schema file: it declares what the services were built against.
--
-- The other files name a plan by contract, plan and segment, of which this table has as many
-- rows as the plan has counties. That is why none of them has a foreign key to it; the checks
-- look for plans that are not here.
-- Codes are compared byte by byte everywhere (collate "C"): they are not words, and their
-- indexes build in little more than half the time.
select overnight.declare_version(3);

create table plan (
    contract_id      text collate "C" not null check (length(contract_id) = 5),
    plan_id          text collate "C" not null check (length(plan_id) = 3),
    segment_id       text collate "C" not null check (length(segment_id) = 3),
    contract_name    text not null,
    plan_name        text not null,
    formulary_id     text collate "C" check (length(formulary_id) = 8),
    premium          numeric(12,2) check (premium >= 0),
    deductible       numeric(12,2) check (deductible >= 0),
    ma_region_code   text collate "C",
    pdp_region_code  text collate "C",
    state            text collate "C",
    county_code      text collate "C",
    snp              smallint not null check (snp between 0 and 3),
    suppressed       boolean not null,
    -- One of three columns says where a row applies; a key cannot hold the two missing ones.
    area             text collate "C" generated always as (
                         coalesce(county_code, 'MA' || ma_region_code, 'PDP' || pdp_region_code, '')
                     ) stored,
    primary key (contract_id, plan_id, segment_id, area)
);

comment on table plan is 'Plan with drug coverage in one county or region';
comment on column plan.segment_id is 'Part of a plan with its own premium; 000 when the plan is not divided';
comment on column plan.formulary_id is 'What the plan covers: formulary_drug';
comment on column plan.suppressed is 'The plan exists, but its figures are not published: no prices, no pharmacies';
comment on column plan.area is 'Code of the county, or MA or PDP and the code of the region';

create index plan_formulary on plan (formulary_id);
create index plan_county on plan (county_code);
