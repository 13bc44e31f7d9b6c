-- A plan has one formulary, one premium and one name, however many counties it serves.
-- Rows that disagree come from two deliveries mixed into one file.
select contract_id, plan_id, segment_id
  from plan
 group by contract_id, plan_id, segment_id
having count(distinct formulary_id) > 1
    or count(distinct premium) > 1
    or count(distinct plan_name) > 1;
