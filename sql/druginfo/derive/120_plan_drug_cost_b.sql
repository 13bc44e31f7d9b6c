-- Fills plan_drug_cost with the second half of the contracts; the other file of this number inserts the
-- other half at the same time. The columns of derive.drug_cost are those of the table.
insert into plan_drug_cost
select * from derive.drug_cost
 where contract_id >= (select contract_id from derive.middle)
 order by contract_id, plan_id, segment_id, ndc, days_supply, pharmacy_class;
