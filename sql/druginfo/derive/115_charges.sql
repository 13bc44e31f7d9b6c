-- Prepares the inputs of plan_drug_cost: everything about a price but the price, and the query that
-- joins them. The two files 120 fill it side by side, and 130 drops what is made here.
-- Assumes that 110 has run. A price without a formulary entry, and a tier without a cost share, make
-- no row; checks/040 and 060 say where there are many.
--
-- The small inputs are tables with statistics: as parts of one statement the planner does not know
-- their sizes, and plans the join over tens of millions of prices badly. They are unlogged and not temporary,
-- because other sessions read them.
create schema derive;

create unlogged table derive.drug_plan as
select distinct on (contract_id, plan_id, segment_id)
       contract_id, plan_id, segment_id, formulary_id
  from plan
 order by contract_id, plan_id, segment_id, area;

-- A package as a formulary sees it. Where two clinical drugs share a package, the cheaper tier
-- counts; where two label documents describe it, either may make it a brand drug or an insulin.
create unlogged table derive.drug as
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
create unlogged table derive.share as
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
create unlogged table derive.insulin_copay as
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

analyze derive.share;
analyze derive.insulin_copay;

insert into derive.share
select s.contract_id, s.plan_id, s.segment_id, s.tier, s.days_supply, s.pharmacy_class,
       true,
       case when i.copay is null then s.cost_share else 'copay' end,
       coalesce(i.copay, s.amount),
       case when i.copay is null then s.least end,
       case when i.copay is null then s.most end,
       false
  from derive.share s
  left join derive.insulin_copay of_tier
    on (of_tier.contract_id, of_tier.plan_id, of_tier.segment_id, of_tier.tier,
        of_tier.days_supply, of_tier.pharmacy_class)
     = (s.contract_id, s.plan_id, s.segment_id, s.tier, s.days_supply, s.pharmacy_class)
  left join (select * from derive.insulin_copay where tier is null) of_all
    on (of_all.contract_id, of_all.plan_id, of_all.segment_id,
        of_all.days_supply, of_all.pharmacy_class)
     = (s.contract_id, s.plan_id, s.segment_id, s.days_supply, s.pharmacy_class)
 cross join lateral (select coalesce(of_tier.copay, of_all.copay)) as i (copay);

-- With the fees of the class, everything about a price but the price is in one place.
create unlogged table derive.charge as
select p.contract_id, p.plan_id, p.segment_id, s.tier, s.days_supply, s.insulin,
       s.pharmacy_class, s.cost_share, s.amount, s.least, s.most, s.deductible_applies,
       coalesce(n.pharmacies, 0) as pharmacies,
       n.brand_fee_min, n.brand_fee_avg, n.brand_fee_max,
       n.generic_fee_min, n.generic_fee_avg, n.generic_fee_max,
       n.selected_fee_min, n.selected_fee_avg, n.selected_fee_max
  from derive.share s
  join derive.drug_plan p using (contract_id, plan_id, segment_id)
  left join plan_pharmacy_class n
 using (contract_id, plan_id, segment_id, pharmacy_class, days_supply);

analyze derive.drug_plan;
analyze derive.drug;
analyze derive.charge;

-- A contract that about half of the plans come before.
create unlogged table derive.middle as
select percentile_disc(0.5) within group (order by contract_id) as contract_id
  from derive.drug_plan;

create view derive.drug_cost as
select r.contract_id, r.plan_id, r.segment_id, r.ndc, r.days_supply, c.pharmacy_class,
       d.tier, r.unit_cost, c.cost_share, c.amount as share,
       c.least as share_min, c.most as share_max,
       c.deductible_applies, d.insulin, c.pharmacies,
       fee.least as dispensing_fee_min, fee.average as dispensing_fee_avg,
       fee.most as dispensing_fee_max,
       -- Never more than the fill costs. greatest() and least() pass over missing limits.
       round(least(
           fill.cost,
           case c.cost_share
               when 'copay' then c.amount
               else greatest(c.least, least(c.most, c.amount * fill.cost))
           end
       ), 2) as member_pays
  from price r
  join derive.drug_plan p using (contract_id, plan_id, segment_id)
  join derive.drug d on d.formulary_id = p.formulary_id and d.ndc = r.ndc
  join derive.charge c
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
 cross join lateral (select r.unit_cost * r.days_supply + coalesce(fee.average, 0)) as fill (cost);
