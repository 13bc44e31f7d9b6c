-- Plans whose own name, or whose company's, has the words a visitor types, without accents.
-- Expected within 10 ms.
select distinct plan_key, plan_name, organisation
  from plan_search
 where names @@ websearch_to_tsquery('simple', 'senorial salud')
 order by plan_key
 limit 20;
