-- Every plan with prices has what a member pays for them: a plan without would show as one that
-- covers nothing.
select r.contract_id, r.plan_id, r.segment_id
  from (select distinct contract_id, plan_id, segment_id from price) r
 where not exists (
     select from plan_drug_cost c
      where c.contract_id = r.contract_id
        and c.plan_id = r.plan_id
        and c.segment_id = r.segment_id
 );
