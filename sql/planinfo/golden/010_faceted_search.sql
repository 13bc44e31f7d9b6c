-- The plan search page in one statement: counts for every value of every facet, and the first
-- page of plans. Expected within 50 ms for a state, 5 ms for a county.
--
-- In `wanted` stands what the visitor has chosen; null means no choice. The service puts
-- parameters there. A visitor who has chosen two stars still wants to see how many plans have
-- three: so the counts of a facet obey all choices but its own. For that each row counts the
-- choices it misses; a value of a facet counts rows that miss nothing, or nothing but this facet.
--
-- A plan has a row for each county, so plans are counted, not rows. Drug plans serve the whole
-- state: they have no county and are found in all of them.
with wanted as (
    select 'FL'::text as state,
           null::text as county_code,
           null::text as words,
           array['HMO', 'HMO-POS'] as plan_types,
           null::text[] as premium_bands,
           null::text[] as deductible_bands,
           null::text[] as snp_types,
           null::text[] as organisations,
           3.0 as least_stars,
           null::boolean as drug_coverage
),
candidate as (
    select s.*,
           w.plan_types is null or s.plan_type = any (w.plan_types) as plan_type_ok,
           w.premium_bands is null or s.premium_band = any (w.premium_bands) as premium_ok,
           w.deductible_bands is null or s.deductible_band = any (w.deductible_bands) as deductible_ok,
           w.snp_types is null or s.snp_type = any (w.snp_types) as snp_ok,
           w.organisations is null or s.organisation = any (w.organisations) as organisation_ok,
           w.least_stars is null or coalesce(s.star_rating >= w.least_stars, false) as stars_ok,
           w.drug_coverage is null or s.drug_coverage = w.drug_coverage as drugs_ok
      from plan_search s, wanted w
     where s.state = w.state
       and (w.county_code is null or s.county_code = w.county_code or s.county_name = 'All Counties')
       and (w.words is null or s.names @@ websearch_to_tsquery('simple', w.words))
),
counted as materialized (
    select candidate.*,
           (not plan_type_ok)::int + (not premium_ok)::int + (not deductible_ok)::int
             + (not snp_ok)::int + (not organisation_ok)::int + (not stars_ok)::int
             + (not drugs_ok)::int as misses
      from candidate
),
facet as (
    select f.facet, f.value, count(distinct c.plan_key) as plans
      from counted c
     cross join lateral (values
               ('plan type', c.plan_type, c.plan_type_ok),
               ('premium', c.premium_band, c.premium_ok),
               ('deductible', c.deductible_band, c.deductible_ok),
               ('special needs', c.snp_type, c.snp_ok),
               ('organisation', c.organisation, c.organisation_ok),
               ('stars', coalesce(c.star_rating::text, 'not rated'), c.stars_ok),
               ('drug coverage', case when c.drug_coverage then 'yes' else 'no' end, c.drugs_ok),
               ('county', c.county_name, true)
           ) as f (facet, value, ok)
     where c.misses = (not f.ok)::int
     group by f.facet, f.value
),
page as (
    select distinct on (premium, plan_key)
           premium, plan_key, plan_name, organisation, star_rating
      from counted
     where misses = 0
     order by premium, plan_key
     limit 20
)
select 'facet' as part, facet, value, plans, null::numeric as premium
  from facet
union all
select 'plan', organisation, plan_name || ' ' || plan_key, null, premium
  from page
 order by part, facet, plans desc nulls last, premium, value;
