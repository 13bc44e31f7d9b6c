-- A plan prices the drugs of its formulary. A few others can be lived with: the files are not
-- made on the same day. Offending: a plan in which more than one price in twenty has no entry.
with drug_plan as (
    select distinct contract_id, plan_id, segment_id, formulary_id from plan
)
select r.contract_id, r.plan_id, r.segment_id,
       count(*) as prices,
       count(*) filter (where f.ndc is null) as not_covered
  from price r
  join drug_plan p using (contract_id, plan_id, segment_id)
  left join (select distinct formulary_id, ndc from formulary_drug) f
    on f.formulary_id = p.formulary_id and f.ndc = r.ndc
 group by r.contract_id, r.plan_id, r.segment_id
having count(*) filter (where f.ndc is null) * 20 > count(*);
