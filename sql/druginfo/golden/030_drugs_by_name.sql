-- Products and packages by the words of their names. Expected within 20 ms.
select p.proprietary_name, p.nonproprietary_name, p.active_numerator_strength,
       p.active_ingredient_unit, p.labeler, k.ndc
  from ndc_product p
  join ndc_package k using (product_id)
 where to_tsvector('simple', coalesce(p.proprietary_name, '') || ' ' || coalesce(p.nonproprietary_name, ''))
       @@ websearch_to_tsquery('simple', 'insulin glargine')
 order by k.ndc
 limit 50;
