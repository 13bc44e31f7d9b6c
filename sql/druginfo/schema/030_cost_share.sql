-- What a member pays of a fill: by plan, coverage level, tier and days of supply, in four
-- classes of pharmacy.
create table beneficiary_cost (
    contract_id               text collate "C" not null,
    plan_id                   text collate "C" not null,
    segment_id                text collate "C" not null,
    coverage_level            smallint not null check (coverage_level between 0 and 3),
    tier                      smallint not null,
    days_supply               smallint not null check (days_supply between 1 and 4),
    cost_type_pref            smallint check (cost_type_pref between 0 and 2),
    cost_amt_pref             numeric(14,2),
    cost_min_amt_pref         numeric(14,2),
    cost_max_amt_pref         numeric(14,2),
    cost_type_nonpref         smallint check (cost_type_nonpref between 0 and 2),
    cost_amt_nonpref          numeric(14,2),
    cost_min_amt_nonpref      numeric(14,2),
    cost_max_amt_nonpref      numeric(14,2),
    cost_type_mail_pref       smallint check (cost_type_mail_pref between 0 and 2),
    cost_amt_mail_pref        numeric(14,2),
    cost_min_amt_mail_pref    numeric(14,2),
    cost_max_amt_mail_pref    numeric(14,2),
    cost_type_mail_nonpref    smallint check (cost_type_mail_nonpref between 0 and 2),
    cost_amt_mail_nonpref     numeric(14,2),
    cost_min_amt_mail_nonpref numeric(14,2),
    cost_max_amt_mail_nonpref numeric(14,2),
    tier_specialty            boolean,
    ded_applies               boolean,
    primary key (contract_id, plan_id, segment_id, coverage_level, tier, days_supply)
);

comment on table beneficiary_cost is 'Copay or coinsurance of a plan at one coverage level, tier and length of supply';
comment on column beneficiary_cost.coverage_level is '0 before the deductible is met, 1 initial coverage, 3 catastrophic';
comment on column beneficiary_cost.days_supply is 'A code: 1 is 30 days, 2 is 90, 3 another length, 4 is 60';
comment on column beneficiary_cost.cost_type_pref is '0 not offered, 1 copay, 2 coinsurance; so are the other three types';
comment on column beneficiary_cost.cost_amt_pref is 'Dollars of a copay, or the fraction of a coinsurance (0.25)';

create table insulin_cost (
    contract_id                   text collate "C" not null,
    plan_id                       text collate "C" not null,
    segment_id                    text collate "C" not null,
    tier                          smallint,
    days_supply                   smallint not null check (days_supply between 1 and 4),
    copay_amt_pref_insln          numeric(12,2),
    copay_amt_nonpref_insln       numeric(12,2),
    copay_amt_mail_pref_insln     numeric(12,2),
    copay_amt_mail_nonpref_insln  numeric(12,2),
    coin_amt_pref_insln           numeric(12,2),
    coin_amt_nonpref_insln        numeric(12,2),
    coin_amt_mail_pref_insln      numeric(12,2),
    coin_amt_mail_nonpref_insln   numeric(12,2)
);

comment on table insulin_cost is 'Most that a plan charges for covered insulin';
comment on column insulin_cost.tier is 'Missing for plans of the standard design, which have no tiers';
comment on column insulin_cost.days_supply is 'A code, as in beneficiary_cost';

-- The tier may be missing, so this is a unique index and not a primary key.
create unique index insulin_cost_key
    on insulin_cost (contract_id, plan_id, segment_id, days_supply, coalesce(tier, -1));
