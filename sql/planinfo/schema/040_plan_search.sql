-- What the plan search reads, and only that: one row for each row of the Landscape, with the
-- facets ready made. Filled by derive/110_plan_search.sql.
create table plan_search (
    contract_id       text collate "C" not null,
    plan_id           text collate "C" not null,
    segment_id        text collate "C" not null,
    state             text collate "C" not null,
    county_name       text collate "C" not null,
    plan_key          text collate "C" not null,
    county_code       text collate "C" references county,
    plan_name         text not null,
    organisation      text not null,
    parent_organisation text,
    plan_type         text not null,
    snp_type          text not null,
    drug_coverage     boolean not null,
    premium           numeric(12,2),
    premium_band      text not null,
    drug_deductible   numeric(12,2),
    deductible_band   text not null,
    star_rating       numeric(2,1),
    out_of_pocket_maximum numeric(12,2),
    formulary_id      text collate "C",
    suppressed        boolean not null,
    -- "simple": names are not English sentences. Accents are taken off, as people type them.
    names             tsvector not null generated always as (
                          to_tsvector('simple', translate(
                              lower(plan_name || ' ' || organisation || ' ' || coalesce(parent_organisation, '')),
                              'áéíñóúüç®™’', 'aeinouuc'))
                      ) stored,
    primary key (contract_id, plan_id, segment_id, state, county_name),
    foreign key (contract_id, plan_id, segment_id, state, county_name) references landscape
);

comment on table plan_search is 'Faceted search over plans: see golden/010_faceted_search.sql';
comment on column plan_search.plan_key is 'Contract, plan and segment as one: count distinct of it counts plans';
comment on column plan_search.county_code is 'Missing for drug plans, which serve the whole state, and where the names of the two files do not meet';
comment on column plan_search.premium is 'Dollars a month, medical and drug coverage together';
comment on column plan_search.snp_type is '"None" for plans that anyone may join';
comment on column plan_search.formulary_id is 'From plan information; missing for plans without drug coverage, or that plan information does not know yet';
comment on column plan_search.names is 'Words of the plan and organisation names, without accents';

create index plan_search_place on plan_search (state, county_code);
create index plan_search_names on plan_search using gin (names);
create index plan_search_plan_type on plan_search (plan_type, premium);
create index plan_search_organisation on plan_search (organisation);
create index plan_search_snp on plan_search (snp_type) where snp_type <> 'None';
create index plan_search_premium on plan_search (premium, star_rating desc nulls last);
