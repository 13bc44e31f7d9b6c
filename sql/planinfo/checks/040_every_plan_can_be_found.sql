-- Every row of the Landscape is in plan_search, and the other way round is a foreign key.
select l.contract_id, l.plan_id, l.segment_id, l.state, l.county_name
  from landscape l
  left join plan_search s using (contract_id, plan_id, segment_id, state, county_name)
 where s.contract_id is null;
