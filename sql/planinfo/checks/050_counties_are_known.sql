-- The Landscape and the locator spell counties in their own ways; a few that do not meet can
-- be lived with, many mean that a spelling has changed. Offending: a state in which more than
-- one in ten counties has no code.
select state, count(*) as counties, count(*) filter (where county_code is null) as without_code
  from (
      select distinct state, county_name, county_code
        from plan_search
       where county_name <> 'All Counties'
  ) as place
 group by state
having count(*) filter (where county_code is null) * 10 > count(*);
