-- Every plan that publishes its figures has a formulary, and the formulary has drugs.
select distinct p.contract_id, p.plan_id, p.segment_id, p.formulary_id
  from plan p
 where not p.suppressed
   and not exists (select from formulary_drug f where f.formulary_id = p.formulary_id);
