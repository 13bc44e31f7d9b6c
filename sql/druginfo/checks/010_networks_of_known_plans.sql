-- Every pharmacy network belongs to a plan of plan information, and to one that publishes its
-- figures. Reads the classes, which stand for all rows of the network.
select distinct c.contract_id, c.plan_id, c.segment_id
  from plan_pharmacy_class c
 where not exists (
     select from plan p
      where p.contract_id = c.contract_id
        and p.plan_id = c.plan_id
        and p.segment_id = c.segment_id
 );
