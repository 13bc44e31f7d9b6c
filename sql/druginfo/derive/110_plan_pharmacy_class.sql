-- Fills plan_pharmacy_class: reads the pharmacy network once, and makes of a row with three
-- fees (30, 60, 90 days) three rows only when hundreds of millions have become thousands.
-- Assumes that pharmacy_network is loaded and plan_pharmacy_class is empty.
-- A pharmacy with a shop and a mail service belongs to two classes.
--
-- The temporary table is there because the server reads in parallel to make a table, but not to
-- insert into one.
create temporary table class as
select n.contract_id, n.plan_id, n.segment_id, c.pharmacy_class,
       count(*) as pharmacies,
       min(n.brand_dispensing_fee_30) as brand_min_30,
       avg(n.brand_dispensing_fee_30) as brand_avg_30,
       max(n.brand_dispensing_fee_30) as brand_max_30,
       min(n.brand_dispensing_fee_60) as brand_min_60,
       avg(n.brand_dispensing_fee_60) as brand_avg_60,
       max(n.brand_dispensing_fee_60) as brand_max_60,
       min(n.brand_dispensing_fee_90) as brand_min_90,
       avg(n.brand_dispensing_fee_90) as brand_avg_90,
       max(n.brand_dispensing_fee_90) as brand_max_90,
       min(n.generic_dispensing_fee_30) as generic_min_30,
       avg(n.generic_dispensing_fee_30) as generic_avg_30,
       max(n.generic_dispensing_fee_30) as generic_max_30,
       min(n.generic_dispensing_fee_60) as generic_min_60,
       avg(n.generic_dispensing_fee_60) as generic_avg_60,
       max(n.generic_dispensing_fee_60) as generic_max_60,
       min(n.generic_dispensing_fee_90) as generic_min_90,
       avg(n.generic_dispensing_fee_90) as generic_avg_90,
       max(n.generic_dispensing_fee_90) as generic_max_90,
       min(n.selected_dispensing_fee_30) as selected_min_30,
       avg(n.selected_dispensing_fee_30) as selected_avg_30,
       max(n.selected_dispensing_fee_30) as selected_max_30,
       min(n.selected_dispensing_fee_60) as selected_min_60,
       avg(n.selected_dispensing_fee_60) as selected_avg_60,
       max(n.selected_dispensing_fee_60) as selected_max_60,
       min(n.selected_dispensing_fee_90) as selected_min_90,
       avg(n.selected_dispensing_fee_90) as selected_avg_90,
       max(n.selected_dispensing_fee_90) as selected_max_90
  from pharmacy_network n
 cross join lateral (values
           (n.pharmacy_retail, case when n.preferred_status_retail
               then 'preferred retail' else 'nonpreferred retail' end::pharmacy_class),
           (n.pharmacy_mail, case when n.preferred_status_mail
               then 'preferred mail' else 'nonpreferred mail' end::pharmacy_class)
       ) as c (offered, pharmacy_class)
 where c.offered
 group by n.contract_id, n.plan_id, n.segment_id, c.pharmacy_class;

insert into plan_pharmacy_class (
    contract_id, plan_id, segment_id, pharmacy_class, days_supply, pharmacies,
    brand_fee_min, brand_fee_avg, brand_fee_max,
    generic_fee_min, generic_fee_avg, generic_fee_max,
    selected_fee_min, selected_fee_avg, selected_fee_max
)
select c.contract_id, c.plan_id, c.segment_id, c.pharmacy_class, s.days_supply, c.pharmacies,
       s.brand_min, s.brand_avg, s.brand_max,
       s.generic_min, s.generic_avg, s.generic_max,
       s.selected_min, s.selected_avg, s.selected_max
  from class c
 cross join lateral (values
           (30, brand_min_30, brand_avg_30, brand_max_30,
                generic_min_30, generic_avg_30, generic_max_30,
                selected_min_30, selected_avg_30, selected_max_30),
           (60, brand_min_60, brand_avg_60, brand_max_60,
                generic_min_60, generic_avg_60, generic_max_60,
                selected_min_60, selected_avg_60, selected_max_60),
           (90, brand_min_90, brand_avg_90, brand_max_90,
                generic_min_90, generic_avg_90, generic_max_90,
                selected_min_90, selected_avg_90, selected_max_90)
       ) as s (days_supply, brand_min, brand_avg, brand_max,
               generic_min, generic_avg, generic_max,
               selected_min, selected_avg, selected_max)
 order by c.contract_id, c.plan_id, c.segment_id, c.pharmacy_class, s.days_supply;

drop table class;
