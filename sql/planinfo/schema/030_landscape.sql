-- The Landscape of one contract year: every plan, with and without drug coverage, a row for
-- each county (drug plans: a row for each state). All 53 columns, in the order of the file.
-- Flags stay text: some are yes and no, some have a third answer in some years.
create table landscape (
    contract_year                          smallint not null,
    contract_category_type                 text not null,
    us_territory                           text,
    state                                  text collate "C" not null,
    state_name                             text not null,
    county_name                            text collate "C" not null,
    contract_id                            text collate "C" not null check (length(contract_id) = 5),
    plan_id                                text collate "C" not null,
    segment_id                             text collate "C" not null,
    contract_plan_id                       text collate "C",
    contract_plan_segment_id               text collate "C",
    sanctioned_plan                        text,
    parent_organization_name               text,
    contract_name                          text,
    organization_marketing_name            text,
    organization_type                      text,
    plan_name                              text not null,
    plan_type                              text not null,
    enrollment_capacity_limit_accepted     text,
    enrollment_capacity_limit_amount       text,
    snp_indicator                          text,
    snp_type                               text,
    snp_institutional_type                 text,
    d_snp_integration_status               text,
    d_snp_aip_identifier                   text,
    c_snp_condition_type                   text,
    zero_dollar_cost_sharing_d_snp         text,
    part_d_coverage_indicator              text,
    national_pdp                           text,
    drug_benefit_category                  text,
    drug_benefit_type                      text,
    voluntary_de_minimis_program_participant text,
    part_d_basic_premium_at_or_below_regional_benchmark text,
    lis_auto_enrollment                    text,
    offers_drug_tier_with_no_part_d_deductible text,
    annual_part_d_deductible_amount        numeric(12,2),
    part_d_basic_premium                   numeric(12,2),
    part_d_supplemental_premium            numeric(12,2),
    part_d_total_premium                   numeric(12,2),
    lips_amount                            numeric(12,2),
    part_d_lips_cms_pays                   numeric(12,2),
    part_d_low_income_beneficiary_premium_amount numeric(12,2),
    part_d_oop_threshold                   numeric(12,2),
    part_c_premium                         numeric(12,2),
    monthly_consolidated_premium           numeric(12,2),
    in_network_moop_amount                 numeric(12,2),
    part_c_summary_star_rating             numeric(2,1) check (part_c_summary_star_rating between 1 and 5),
    part_d_summary_star_rating             numeric(2,1) check (part_d_summary_star_rating between 1 and 5),
    overall_star_rating                    numeric(2,1) check (overall_star_rating between 1 and 5),
    ma_region_code                         text collate "C",
    ma_region                              text,
    pdp_region_code                        text collate "C",
    pdp_region                             text,
    primary key (contract_id, plan_id, segment_id, state, county_name)
);

comment on table landscape is 'Plan on offer in one county (drug plans: in one state), contract year of the Landscape file';
comment on column landscape.county_name is 'With its accents; "All Counties" for drug plans';
comment on column landscape.part_d_basic_premium is 'Dollars a month; negative where a plan gives back more than this part of the premium';
comment on column landscape.lips_amount is 'Low income premium subsidy of the region, dollars a month';
comment on column landscape.part_d_oop_threshold is 'Out-of-pocket spending on drugs, dollars a year, after which the member pays nothing';
comment on column landscape.monthly_consolidated_premium is 'Part C and part D together, dollars a month';
comment on column landscape.in_network_moop_amount is 'Most that a member pays out of pocket in the network, dollars a year; drug plans have none';
comment on column landscape.overall_star_rating is 'Half stars from 1 to 5; missing for plans that are too new to rate';

create index landscape_place on landscape (state, county_name);
