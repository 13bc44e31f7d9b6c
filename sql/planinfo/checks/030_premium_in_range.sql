-- Premiums are dollars a month. Cents taken for dollars, or a year's premium taken for a
-- month's, would be far outside this range.
select 'plan' as found_in, contract_id, plan_id, segment_id, premium
  from plan
 where premium > 500
union all
select 'landscape', contract_id, plan_id, segment_id, monthly_consolidated_premium
  from landscape
 where monthly_consolidated_premium not between -200 and 1000;
