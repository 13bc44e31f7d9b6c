-- A coinsurance is a fraction: 25 in place of 0.25 would charge a member 25 times the cost.
-- Nobody pays more than the cost, or less than nothing.
select contract_id, plan_id, segment_id, ndc, days_supply, pharmacy_class
  from plan_drug_cost
 where (cost_share = 'coinsurance' and share > 1)
    or share < 0
    or member_pays < 0
    or member_pays > round(unit_cost * days_supply + coalesce(dispensing_fee_avg, 0), 2) + 0.01;
