-- Which drugs are covered: by the formularies that plans choose from, and by plans that cover
-- more than Part D does.
create table formulary_drug (
    formulary_id           text collate "C" not null check (length(formulary_id) = 8),
    formulary_version      integer not null,
    contract_year          smallint not null,
    rxcui                  text collate "C" not null,
    ndc                    text collate "C" not null check (length(ndc) = 11),
    tier                   smallint not null check (tier >= 0),
    quantity_limit         boolean not null,
    quantity_limit_amount  numeric(12,5),
    quantity_limit_days    smallint,
    prior_authorization    boolean not null,
    step_therapy           boolean not null,
    selected_drug          boolean,
    primary key (formulary_id, ndc, rxcui)
);

comment on table formulary_drug is 'Drug that a formulary covers, by the package that stands for it';
comment on column formulary_drug.ndc is '11 digits, 5-4-2, without hyphens';
comment on column formulary_drug.rxcui is 'RxNorm concept of the clinical drug';
comment on column formulary_drug.tier is 'Step of the cost sharing: beneficiary_cost.tier';
comment on column formulary_drug.selected_drug is 'Medicare has negotiated the price; the file has it since plan year 2026';

create index formulary_drug_rxcui on formulary_drug (rxcui);
create index formulary_drug_ndc on formulary_drug (ndc);

create table excluded_drug (
    contract_id            text collate "C" not null,
    plan_id                text collate "C" not null,
    rxcui                  text collate "C" not null,
    tier                   smallint,
    quantity_limit         boolean not null,
    quantity_limit_amount  numeric(12,5),
    quantity_limit_days    smallint,
    prior_auth             boolean not null,
    step_therapy           boolean not null,
    capped_benefit         boolean not null,
    primary key (contract_id, plan_id, rxcui)
);

comment on table excluded_drug is 'Drug that Part D excludes and a plan covers all the same; all segments of the plan';

create index excluded_drug_rxcui on excluded_drug (rxcui);
