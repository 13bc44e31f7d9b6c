-- Fills plan_drug_cost: price, tier, cost share and fees of each plan, package, length of
-- supply and class of pharmacy that the plan offers.
-- Assumes that 110 has run and plan_drug_cost is empty. A price without a formulary entry, and
-- a tier without a cost share, make no row; checks/040 and 060 say where there are many.
--
-- What is small is made ready first, in temporary tables with statistics: as parts of one
-- statement nobody knows their sizes, and the join over tens of millions of prices goes astray.

create temporary table drug_plan as
select distinct on (contract_id, plan_id, segment_id)
       contract_id, plan_id, segment_id, formulary_id
  from plan
 order by contract_id, plan_id, segment_id, area;

-- A package as a formulary sees it. Where two clinical drugs share a package, the cheaper tier
-- counts; where two label documents describe it, either may make it a brand drug or an insulin.
create temporary table drug as
select f.formulary_id, f.ndc, f.tier, f.selected,
       coalesce(k.brand, false) as brand,
       coalesce(k.insulin, false) as insulin
  from (select formulary_id, ndc, min(tier) as tier,
               bool_or(coalesce(selected_drug, false)) as selected
          from formulary_drug
         group by formulary_id, ndc) f
  left join (select ndc,
                    bool_or(p.marketing_category in ('NDA', 'BLA')) as brand,
                    bool_or(p.substance ~* '\minsulin\M') as insulin
               from ndc_package
               join ndc_product p using (product_id)
              group by ndc) k using (ndc);

-- What a member pays by plan, tier, days and class. The cost files have codes for the days.
create temporary table share as
select b.contract_id, b.plan_id, b.segment_id, b.tier, s.days_supply, c.pharmacy_class,
       false as insulin,
       case c.cost_type when 1 then 'copay' else 'coinsurance' end::cost_share as cost_share,
       c.amount, c.least, c.most,
       coalesce(b.ded_applies, false) as deductible_applies
  from beneficiary_cost b
  join (values (1, 30), (2, 90), (4, 60)) as s (code, days_supply) on s.code = b.days_supply
 cross join lateral (values
           ('preferred retail'::pharmacy_class,
               cost_type_pref, cost_amt_pref, cost_min_amt_pref, cost_max_amt_pref),
           ('nonpreferred retail',
               cost_type_nonpref, cost_amt_nonpref, cost_min_amt_nonpref, cost_max_amt_nonpref),
           ('preferred mail',
               cost_type_mail_pref, cost_amt_mail_pref,
               cost_min_amt_mail_pref, cost_max_amt_mail_pref),
           ('nonpreferred mail',
               cost_type_mail_nonpref, cost_amt_mail_nonpref,
               cost_min_amt_mail_nonpref, cost_max_amt_mail_nonpref)
       ) as c (pharmacy_class, cost_type, amount, least, most)
 where b.coverage_level = 1
   and c.cost_type in (1, 2)
   and c.amount is not null;

-- The same for insulin: a copay of its own where the plan has one, for its tier or, in plans
-- without tiers, for all of them; and never a deductible.
create temporary table insulin_copay as
select i.contract_id, i.plan_id, i.segment_id, i.tier, s.days_supply, c.pharmacy_class, c.copay
  from insulin_cost i
  join (values (1, 30), (2, 90), (4, 60)) as s (code, days_supply) on s.code = i.days_supply
 cross join lateral (values
           ('preferred retail'::pharmacy_class, copay_amt_pref_insln),
           ('nonpreferred retail', copay_amt_nonpref_insln),
           ('preferred mail', copay_amt_mail_pref_insln),
           ('nonpreferred mail', copay_amt_mail_nonpref_insln)
       ) as c (pharmacy_class, copay)
 where c.copay is not null;

analyze share;
analyze insulin_copay;

insert into share
select s.contract_id, s.plan_id, s.segment_id, s.tier, s.days_supply, s.pharmacy_class,
       true,
       case when i.copay is null then s.cost_share else 'copay' end,
       coalesce(i.copay, s.amount),
       case when i.copay is null then s.least end,
       case when i.copay is null then s.most end,
       false
  from share s
  left join insulin_copay of_tier
    on (of_tier.contract_id, of_tier.plan_id, of_tier.segment_id, of_tier.tier,
        of_tier.days_supply, of_tier.pharmacy_class)
     = (s.contract_id, s.plan_id, s.segment_id, s.tier, s.days_supply, s.pharmacy_class)
  left join (select * from insulin_copay where tier is null) of_all
    on (of_all.contract_id, of_all.plan_id, of_all.segment_id,
        of_all.days_supply, of_all.pharmacy_class)
     = (s.contract_id, s.plan_id, s.segment_id, s.days_supply, s.pharmacy_class)
 cross join lateral (select coalesce(of_tier.copay, of_all.copay)) as i (copay);

-- With the fees of the class, everything about a price but the price is in one place.
create temporary table charge as
select p.contract_id, p.plan_id, p.segment_id, s.tier, s.days_supply, s.insulin,
       s.pharmacy_class, s.cost_share, s.amount, s.least, s.most, s.deductible_applies,
       coalesce(n.pharmacies, 0) as pharmacies,
       n.brand_fee_min, n.brand_fee_avg, n.brand_fee_max,
       n.generic_fee_min, n.generic_fee_avg, n.generic_fee_max,
       n.selected_fee_min, n.selected_fee_avg, n.selected_fee_max
  from share s
  join drug_plan p using (contract_id, plan_id, segment_id)
  left join plan_pharmacy_class n
 using (contract_id, plan_id, segment_id, pharmacy_class, days_supply);

analyze drug_plan;
analyze drug;
analyze charge;

insert into plan_drug_cost (
    contract_id, plan_id, segment_id, ndc, days_supply, pharmacy_class, tier, unit_cost,
    cost_share, share, share_min, share_max, deductible_applies, insulin, pharmacies,
    dispensing_fee_min, dispensing_fee_avg, dispensing_fee_max, member_pays
)
select r.contract_id, r.plan_id, r.segment_id, r.ndc, r.days_supply, c.pharmacy_class,
       d.tier, r.unit_cost, c.cost_share, c.amount, c.least, c.most,
       c.deductible_applies, d.insulin, c.pharmacies,
       fee.least, fee.average, fee.most,
       -- Never more than the fill costs. greatest() and least() pass over missing limits.
       round(least(
           fill.cost,
           case c.cost_share
               when 'copay' then c.amount
               else greatest(c.least, least(c.most, c.amount * fill.cost))
           end
       ), 2)
  from price r
  join drug_plan p using (contract_id, plan_id, segment_id)
  join drug d on d.formulary_id = p.formulary_id and d.ndc = r.ndc
  join charge c
    on c.contract_id = r.contract_id and c.plan_id = r.plan_id and c.segment_id = r.segment_id
   and c.tier = d.tier and c.days_supply = r.days_supply and c.insulin = d.insulin
 cross join lateral (
     select case when of_selected then c.selected_fee_min
                 when d.brand then c.brand_fee_min else c.generic_fee_min end,
            case when of_selected then c.selected_fee_avg
                 when d.brand then c.brand_fee_avg else c.generic_fee_avg end,
            case when of_selected then c.selected_fee_max
                 when d.brand then c.brand_fee_max else c.generic_fee_max end
       from (select d.selected and c.selected_fee_avg is not null) as kind (of_selected)
 ) as fee (least, average, most)
 cross join lateral (select r.unit_cost * r.days_supply + coalesce(fee.average, 0)) as fill (cost)
 order by r.contract_id, r.plan_id, r.segment_id, r.ndc, r.days_supply, c.pharmacy_class;

drop table charge, insulin_copay, share, drug, drug_plan;
