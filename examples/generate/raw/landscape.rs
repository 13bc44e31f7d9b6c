//! The Landscape: every plan with its names, premiums and stars, a row for each county.
//!
//! In: the plans. Out: the CSV of contract year 2027, 53 columns. Money is spelled as a
//! spreadsheet shows it: `$1,234.00 ` with a space behind, `($60.80)` when negative, and
//! `Not Applicable` where there is none.

use anyhow::Result;

use super::Options;
use super::plan::{Kind, Plan};
use super::random::{Random, Stream};
use super::sink::Sink;
use super::text_file::{Spelling, TextFile};

const NONE: &str = "Not Applicable";

const HEADER: [&str; 53] = [
    "Contract Year",
    "Contract Category Type",
    "US Territory",
    "State Territory Abbreviation",
    "State Territory Name",
    "County Name",
    "Contract ID",
    "Plan ID",
    "Segment ID",
    "Contract Plan ID",
    "Contract Plan Segment ID",
    "Sanctioned Plan",
    "Parent Organization Name",
    "Contract Name",
    "Organization Marketing Name",
    "Organization Type",
    "Plan Name",
    "Plan Type",
    "Enrollment Capacity Limit Accepted",
    "Enrollment Capacity Limit Amount",
    "Special Needs Plan (SNP) Indicator",
    "SNP Type",
    "SNP Institutional Type",
    "Dual Eligible SNP (D-SNP) Integration Status",
    "D-SNP Applicable Integrated Plan (AIP) Identifier",
    "Chronic or Disabling Condition SNP (C-SNP) Condition Type",
    "Medicare Zero-Dollar Cost Sharing D-SNP",
    "Part D Coverage Indicator",
    "National PDP",
    "Drug Benefit Category",
    "Drug Benefit Type",
    "Voluntary De Minimis Program Participant",
    "Part D Basic Premium At or Below Regional Benchmark",
    "Low Income Subsidy (LIS) Auto Enrollment",
    "Offers Drug Tier with No Part D Deductible",
    "Annual Part D Deductible Amount",
    "Part D Basic Premium",
    "Part D Supplemental Premium",
    "Part D Total Premium",
    "Low Income Premium Subsidy (LIPS) Amount",
    "Part D LIPS (CMS Pays)",
    "Part D Low Income Beneficiary Premium Amount",
    "Part D Out-of-Pocket (OOP) Threshold",
    "Part C Premium",
    "Monthly Consolidated Premium (Part C + D)",
    "In-Network Maximum Out-of-Pocket (MOOP) Amount",
    "Part C Summary Star Rating",
    "Part D Summary Star Rating",
    "Overall Star Rating",
    "MA Region Code",
    "MA Region",
    "PDP Region Code",
    "PDP Region",
];

/// Writes the Landscape.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_landscape(
    options: &Options,
    sink: &dyn Sink,
    key: &str,
    plans: &[Plan],
) -> Result<()> {
    let mut file = TextFile::create(sink, key, Spelling::Csv, &HEADER)?;
    for plan in plans {
        // A drug plan is listed once for its state.
        let counties: Vec<&str> = if plan.kind == Kind::Drug {
            vec!["All Counties"]
        } else {
            plan.counties
                .iter()
                .map(|&county| plan.state.counties[county].accented)
                .collect()
        };
        let (place, details) = (place_fields(plan), detail_fields(options, plan));
        for county in counties {
            place.iter().for_each(|field| _ = file.text(field));
            file.text(county);
            details.iter().for_each(|field| _ = file.text(field));
            file.end_row()?;
        }
    }
    file.finish()?;
    Ok(())
}

/// The columns before the county.
fn place_fields(plan: &Plan) -> [&str; 5] {
    let category = match plan.kind {
        Kind::Drug => "PDP",
        _ if plan.drug_coverage => "MA-PD",
        _ => "MA",
    };
    [
        "2027",
        category,
        yes_no(plan.state.territory),
        plan.state.abbreviation,
        plan.state.name,
    ]
}

/// The columns behind the county.
fn detail_fields(options: &Options, plan: &Plan) -> [String; 47] {
    let drugs = plan.drug_coverage;
    let medical = plan.kind != Kind::Drug;
    let mut random = Random::new(options.seed, Stream::Landscape, plan.slot, 0);

    let total = plan.premium_cents.unwrap_or(0) as i64;
    // A plan may give back more than its basic premium, which makes that one negative.
    let supplemental = match random.below(10) {
        0 => total + 6_080,
        1..=5 => 0,
        _ => random.below(total.unsigned_abs() + 1) as i64,
    };
    let basic = total - supplemental;
    let subsidy = total.clamp(0, 3_840);
    let part_c = if random.chance(60) {
        0
    } else {
        random.between(5, 250) as i64 * 100
    };
    let out_of_pocket_maximum = random.between(29, 92) as i64 * 10_000;
    let integration = ["Coordination Only", "HIDE", "FIDE"][random.below(3) as usize];
    let condition = [
        "Cardiovascular Disorders",
        "Diabetes Mellitus",
        "Chronic Lung Disorders",
    ][random.below(3) as usize];
    let (sanctioned, capacity, national, enhanced) = (
        random.chance(1),
        random.chance(3),
        random.chance(50),
        random.chance(60),
    );
    let low_income = [
        random.chance(20),
        random.chance(40),
        random.chance(30),
        random.chance(50),
    ];

    let mut stars = Random::new(options.seed, Stream::Contract, plan.contract_number, 99);
    let rated = stars.chance(85);
    let mut star = |applies: bool| {
        let half_stars = stars.between(5, 10);
        let rating = format!("{}.{}", half_stars / 2, half_stars % 2 * 5);
        if rated && applies {
            rating
        } else {
            NONE.to_string()
        }
    };
    let (star_c, star_d, star_overall) = (star(medical), star(drugs), star(medical && drugs));
    let money_if = |applies: bool, cents: i64| {
        if applies {
            money(cents)
        } else {
            NONE.to_string()
        }
    };
    let text_if = |applies: bool, text: &str| (if applies { text } else { NONE }).to_string();
    let (ma_code, ma_name) = plan
        .state
        .ma_region
        .filter(|_| medical)
        .unwrap_or((NONE, NONE));

    [
        plan.contract_id.clone(),
        plan.plan_id.clone(),
        plan.segment_id.clone(),
        format!("{}-{}", plan.contract_id, plan.plan_id),
        format!("{}-{}-{}", plan.contract_id, plan.plan_id, plan.segment_id),
        yes_no(sanctioned).to_string(),
        plan.organisation.parent.to_string(),
        plan.organisation.contract.to_string(),
        plan.organisation.marketing.to_string(),
        match plan.kind {
            Kind::Local => "Local CCP",
            Kind::Regional => "Regional CCP",
            Kind::Drug => "PDP",
        }
        .to_string(),
        plan.name.clone(),
        plan.plan_type.to_string(),
        yes_no(capacity).to_string(),
        text_if(capacity, "2,500"),
        yes_no(plan.snp > 0).to_string(),
        [
            NONE,
            "Chronic or Disabling Condition",
            "Dual-Eligible",
            "Institutional",
        ][usize::from(plan.snp)]
        .to_string(),
        text_if(plan.snp == 3, "Institutional Equivalent"),
        text_if(plan.snp == 2, integration),
        text_if(plan.snp == 2, yes_no(integration == "FIDE")),
        text_if(plan.snp == 1, condition),
        text_if(plan.snp == 2, "Yes"),
        yes_no(drugs).to_string(),
        text_if(!medical, yes_no(national)),
        text_if(drugs, if enhanced { "Enhanced" } else { "Basic" }),
        text_if(
            drugs,
            if enhanced {
                "Enhanced Alternative"
            } else {
                "Defined Standard"
            },
        ),
        text_if(drugs, yes_no(low_income[0])),
        text_if(drugs, yes_no(low_income[1])),
        text_if(drugs, yes_no(low_income[2])),
        text_if(drugs, yes_no(low_income[3])),
        money_if(drugs, plan.deductible_cents as i64),
        money_if(drugs, basic),
        money_if(drugs, supplemental),
        money_if(drugs, total),
        money_if(drugs, 3_840),
        money_if(drugs, subsidy),
        money_if(drugs, total - subsidy),
        money_if(drugs, 210_000),
        money_if(medical, part_c),
        money(if medical { part_c } else { 0 } + if drugs { total } else { 0 }),
        money_if(medical, out_of_pocket_maximum),
        star_c,
        star_d,
        star_overall,
        ma_code.to_string(),
        ma_name.to_string(),
        plan.state.pdp_region.0.to_string(),
        plan.state.pdp_region.1.to_string(),
    ]
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "Yes" } else { "No" }
}

/// Money as the Landscape spells it.
fn money(cents: i64) -> String {
    let (dollars, rest) = (cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
    let grouped = if dollars >= 1_000 {
        format!("{},{:03}", dollars / 1_000, dollars % 1_000)
    } else {
        dollars.to_string()
    };
    if cents < 0 {
        format!("(${grouped}.{rest:02})")
    } else {
        format!("${grouped}.{rest:02} ")
    }
}
