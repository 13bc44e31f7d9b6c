-- Fills plan_drug_cost with the first half of the contracts: price, tier, cost share and fees of each plan,
-- package, length of supply and class of pharmacy that the plan offers. The other file of this number
-- fills the rest at the same time: the server inserts with one process, however many it has.
insert into plan_drug_cost (
    contract_id, plan_id, segment_id, ndc, days_supply, pharmacy_class, tier, unit_cost,
    cost_share, share, share_min, share_max, deductible_applies, insulin, pharmacies,
    dispensing_fee_min, dispensing_fee_avg, dispensing_fee_max, member_pays
)
select contract_id, plan_id, segment_id, ndc, days_supply, pharmacy_class, tier, unit_cost,
       cost_share, share, share_min, share_max, deductible_applies, insulin, pharmacies,
       dispensing_fee_min, dispensing_fee_avg, dispensing_fee_max, member_pays
  from derive.drug_cost
 where contract_id < (select contract_id from derive.middle)
 order by contract_id, plan_id, segment_id, ndc, days_supply, pharmacy_class;
