-- What the drug pages of the services read: the classes of pharmacy of each plan, and what each
-- plan charges for each package in each of them. Filled by derive/110 and derive/120.
create type pharmacy_class as enum (
    'preferred retail', 'nonpreferred retail', 'preferred mail', 'nonpreferred mail'
);

create type cost_share as enum ('copay', 'coinsurance');

create table plan_pharmacy_class (
    contract_id       text collate "C" not null,
    plan_id           text collate "C" not null,
    segment_id        text collate "C" not null,
    pharmacy_class    pharmacy_class not null,
    days_supply       smallint not null,
    pharmacies        bigint not null,
    brand_fee_min     numeric(8,2),
    brand_fee_avg     numeric(10,4),
    brand_fee_max     numeric(8,2),
    generic_fee_min   numeric(8,2),
    generic_fee_avg   numeric(10,4),
    generic_fee_max   numeric(8,2),
    selected_fee_min  numeric(8,2),
    selected_fee_avg  numeric(10,4),
    selected_fee_max  numeric(8,2),
    primary key (contract_id, plan_id, segment_id, pharmacy_class, days_supply)
);

comment on table plan_pharmacy_class is 'How many pharmacies of a class a plan works with, and their dispensing fees';
comment on column plan_pharmacy_class.days_supply is 'Days: 30, 60 or 90';

create table plan_drug_cost (
    contract_id         text collate "C" not null,
    plan_id             text collate "C" not null,
    segment_id          text collate "C" not null,
    ndc                 text collate "C" not null,
    days_supply         smallint not null,
    pharmacy_class      pharmacy_class not null,
    tier                smallint not null,
    unit_cost           numeric(14,5) not null,
    cost_share          cost_share not null,
    share               numeric(14,2) not null,
    share_min           numeric(14,2),
    share_max           numeric(14,2),
    deductible_applies  boolean not null,
    insulin             boolean not null,
    pharmacies          bigint not null,
    dispensing_fee_min  numeric(8,2),
    dispensing_fee_avg  numeric(10,4),
    dispensing_fee_max  numeric(8,2),
    member_pays         numeric(14,2) not null,
    primary key (contract_id, plan_id, segment_id, ndc, days_supply, pharmacy_class)
);

comment on table plan_drug_cost is 'What a plan charges for a package in a class of pharmacy, in initial coverage';
comment on column plan_drug_cost.days_supply is 'Days: 30, 60 or 90';
comment on column plan_drug_cost.share is 'Dollars of a copay, or the fraction of a coinsurance (0.25)';
comment on column plan_drug_cost.deductible_applies is 'The member pays the whole cost until the deductible is met; never for insulin';
comment on column plan_drug_cost.pharmacies is 'Pharmacies of the class in the network of the plan; 0: charged, but nowhere to go';
comment on column plan_drug_cost.dispensing_fee_avg is 'Of the kind of fee that applies to the drug: negotiated, brand or generic';
comment on column plan_drug_cost.member_pays is 'Dollars for a fill of one unit a day, after the deductible';

-- The cheapest plans for a drug.
create index plan_drug_cost_ndc on plan_drug_cost (ndc, days_supply, pharmacy_class, member_pays);
