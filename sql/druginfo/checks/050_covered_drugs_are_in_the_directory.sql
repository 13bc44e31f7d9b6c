-- The directory knows the packages that formularies name. Some are missing from it at any time:
-- supplies that are no drugs, packages that are no longer listed. More than one in five missing
-- means that one of the two files is not what it should be, or that the codes do not meet.
select count(*) as packages, count(*) filter (where k.ndc is null) as not_in_directory
  from (select distinct ndc from formulary_drug) f
  left join (select distinct ndc from ndc_package) k on k.ndc = f.ndc
having count(*) filter (where k.ndc is null) * 5 > count(*);
