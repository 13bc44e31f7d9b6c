-- Every plan says where it applies in the way of its kind: local plans by a county, regional
-- plans and drug plans by a region. A row that says it in none would be found by no one.
select contract_id, plan_id, segment_id, area
  from plan
 where case left(contract_id, 1)
           when 'H' then county_code is null
           when 'R' then ma_region_code is null
           when 'S' then pdp_region_code is null
           else area = ''
       end;
