-- Every price and every cost share belongs to a plan of plan information.
with known as (
    select distinct contract_id, plan_id, segment_id from plan
),
used as (
    select contract_id, plan_id, segment_id, 'price' as found_in from price
     group by contract_id, plan_id, segment_id
    union all
    select contract_id, plan_id, segment_id, 'beneficiary_cost' from beneficiary_cost
     group by contract_id, plan_id, segment_id
    union all
    select contract_id, plan_id, segment_id, 'insulin_cost' from insulin_cost
     group by contract_id, plan_id, segment_id
)
select u.found_in, u.contract_id, u.plan_id, u.segment_id
  from used u
  left join known k using (contract_id, plan_id, segment_id)
 where k.contract_id is null;
