-- Where a drug is cheapest: the plans of a county that charge least for 30 days of a package,
-- at a preferred pharmacy. Expected within 20 ms. The first package of the table stands for
-- the one a visitor asks for.
with wanted as (
    select min(ndc) as ndc from plan_drug_cost
)
select c.contract_id, c.plan_id, c.segment_id, c.member_pays, c.cost_share, c.share, c.pharmacies
  from plan_drug_cost c, wanted w
 where c.ndc = w.ndc
   and c.days_supply = 30
   and c.pharmacy_class = 'preferred retail'
 order by c.member_pays, c.contract_id, c.plan_id, c.segment_id
 limit 20;
