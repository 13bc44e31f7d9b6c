-- Which plans a pharmacy works with, and where it is preferred. Expected within 20 ms. The last
-- pharmacy of the table stands for the one a visitor asks for.
with wanted as (
    select max(pharmacy_number) as pharmacy_number from pharmacy_network
)
select n.contract_id, n.plan_id, n.segment_id,
       n.preferred_status_retail, n.preferred_status_mail, n.in_area_flag
  from pharmacy_network n, wanted w
 where n.pharmacy_number = w.pharmacy_number
 order by n.contract_id, n.plan_id, n.segment_id;
