-- Fills plan_search: one row for each row of the Landscape, whatever else is known about it.
-- Assumes that landscape, county and plan are loaded and plan_search is empty.
--
-- The Landscape names counties, with accents; the locator has codes, and names without. They
-- meet on the folded name. A name that two codes share gets the first code.
with county_by_name as (
    select lower(state_name) as state_name,
           lower(county) as county,
           min(county_code) as county_code
      from county
     group by 1, 2
),
-- What plan information says of a plan does not differ between its counties.
drug_plan as (
    select distinct on (contract_id, plan_id, segment_id)
           contract_id, plan_id, segment_id, formulary_id, suppressed
      from plan
     order by contract_id, plan_id, segment_id, area
)
insert into plan_search (
    contract_id, plan_id, segment_id, state, county_name, plan_key, county_code,
    plan_name, organisation, parent_organisation, plan_type, snp_type, drug_coverage,
    premium, premium_band, drug_deductible, deductible_band, star_rating,
    out_of_pocket_maximum, formulary_id, suppressed
)
select l.contract_id,
       l.plan_id,
       l.segment_id,
       l.state,
       l.county_name,
       concat_ws('-', l.contract_id, l.plan_id, l.segment_id),
       c.county_code,
       l.plan_name,
       coalesce(l.organization_marketing_name, l.contract_name, l.contract_id),
       l.parent_organization_name,
       l.plan_type,
       coalesce(l.snp_type, 'None'),
       coalesce(l.part_d_coverage_indicator = 'Yes', false),
       l.monthly_consolidated_premium,
       case
           when l.monthly_consolidated_premium is null then 'unknown'
           when l.monthly_consolidated_premium <= 0 then '$0'
           when l.monthly_consolidated_premium < 25 then 'under $25'
           when l.monthly_consolidated_premium < 50 then '$25 to $50'
           when l.monthly_consolidated_premium < 100 then '$50 to $100'
           else '$100 and more'
       end,
       l.annual_part_d_deductible_amount,
       case
           when l.annual_part_d_deductible_amount is null then 'no drug coverage'
           when l.annual_part_d_deductible_amount <= 0 then 'none'
           when l.annual_part_d_deductible_amount < 300 then 'under $300'
           else '$300 and more'
       end,
       coalesce(l.overall_star_rating, l.part_d_summary_star_rating, l.part_c_summary_star_rating),
       l.in_network_moop_amount,
       p.formulary_id,
       coalesce(p.suppressed, false)
  from landscape l
  left join county_by_name c
    on c.state_name = lower(l.state_name)
   and c.county = translate(lower(l.county_name), 'áéíñóúü', 'aeinouu')
  left join drug_plan p
    on p.contract_id = l.contract_id
   and p.plan_id = lpad(l.plan_id, 3, '0')
   and p.segment_id = lpad(l.segment_id, 3, '0')
 order by l.state, c.county_code, l.contract_id, l.plan_id, l.segment_id;
