//! Which drugs a formulary covers and how: the formulary file and the excluded drugs.
//!
//! In: the catalogue and the plans. Out: a row for each formulary and package; for plans with
//! enhanced benefits a row for each drug they cover although Part D does not.
//!
//! Whether a package is covered is a question to the random stream, not a table in memory: the
//! prices ask it again.

use anyhow::Result;

use super::Options;
use super::drug::{Catalogue, Group, Package, Product};
use super::plan::Plan;
use super::random::{Random, Stream};
use super::sink::Sink;
use super::text_file::{Spelling, TextFile};

/// The published id of a formulary: eight digits, zeros in front.
pub fn formulary_id(formulary: u64) -> String {
    format!("{:08}", 26_000 + formulary * 7)
}

/// Whether a formulary covers a package.
pub fn covers(seed: u64, formulary: u64, package: &Package, product: &Product) -> bool {
    product.group != Group::Excluded
        && Random::new(seed, Stream::Formulary, formulary, package.number).chance(58)
}

/// The tier of a product on every formulary, 1 to 5.
fn tier(product: &Product) -> u64 {
    match (product.group, product.brand) {
        (Group::Specialty, _) => 5,
        (Group::Insulin, _) => 3,
        (_, true) if product.cost > 2_000_000 => 4,
        (_, true) => 3,
        (_, false) if product.cost > 20_000 => 2,
        (_, false) => 1,
    }
}

/// Writes the formularies, by formulary id and NDC.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_formulary(
    options: &Options,
    sink: &dyn Sink,
    key: &str,
    catalogue: &Catalogue,
) -> Result<()> {
    const HEADER: [&str; 12] = [
        "FORMULARY_ID",
        "FORMULARY_VERSION",
        "CONTRACT_YEAR",
        "RXCUI",
        "NDC",
        "TIER_LEVEL_VALUE",
        "QUANTITY_LIMIT_YN",
        "QUANTITY_LIMIT_AMOUNT",
        "QUANTITY_LIMIT_DAYS",
        "PRIOR_AUTHORIZATION_YN",
        "STEP_THERAPY_YN",
        "SELECTED_DRUG_YN",
    ];
    let mut file = TextFile::create(sink, key, Spelling::Pipe, &HEADER)?;
    for formulary in 0..options.formularies() {
        let id = formulary_id(formulary);
        for package in &catalogue.packages {
            let product = &catalogue.products[package.product];
            if !covers(options.seed, formulary, package, product) {
                continue;
            }
            let mut random =
                Random::new(options.seed, Stream::Formulary, formulary, package.number);
            let limited = random.bits().is_multiple_of(5);
            let days = [30, 90][random.below(2) as usize];
            let amount = random.between(1, 8) * 15;
            file.text(&id).number(6 + options.night).number(2027);
            file.text(&product.rxcui)
                .text(&package.ndc11)
                .number(tier(product));
            file.yes_no(limited);
            if limited {
                file.number(amount).number(days);
            } else {
                file.code(b" ").code(b" ");
            }
            file.yes_no(product.group == Group::Specialty || random.chance(4));
            file.yes_no(product.brand && random.chance(6));
            file.yes_no(is_selected(product));
            file.end_row()?;
        }
    }
    file.finish()?;
    Ok(())
}

/// A drug whose price Medicare has negotiated: pharmacies have a dispensing fee of its own for it.
fn is_selected(product: &Product) -> bool {
    product.brand && matches!(product.cost, 3_500_000..=9_500_000)
}

/// Writes the drugs that plans cover outside Part D, by contract, plan and drug.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_excluded(
    options: &Options,
    sink: &dyn Sink,
    key: &str,
    plans: &[Plan],
    catalogue: &Catalogue,
) -> Result<()> {
    const HEADER: [&str; 10] = [
        "CONTRACT_ID",
        "PLAN_ID",
        "RXCUI",
        "TIER",
        "QUANTITY_LIMIT_YN",
        "QUANTITY_LIMIT_AMOUNT",
        "QUANTITY_LIMIT_DAYS",
        "PRIOR_AUTH_YN",
        "STEP_THERAPY_YN",
        "CAPPED_BENEFIT_YN",
    ];
    let mut drugs: Vec<&str> = catalogue
        .products
        .iter()
        .filter(|product| product.group == Group::Excluded)
        .map(|product| product.rxcui.as_str())
        .collect();
    drugs.sort_unstable();
    drugs.dedup();

    let mut file = TextFile::create(sink, key, Spelling::Pipe, &HEADER)?;
    let mut last = ("", "");
    for plan in plans.iter().filter(|plan| plan.publishes_drugs()) {
        // The file knows no segments: a plan with two of them is listed once.
        let this = (plan.contract_id.as_str(), plan.plan_id.as_str());
        if std::mem::replace(&mut last, this) == this {
            continue;
        }
        let mut random = Random::new(options.seed, Stream::Excluded, plan.slot, 0);
        if !random.chance(40) {
            continue;
        }
        for drug in &drugs {
            if !random.chance(70) {
                continue;
            }
            let limited = random.chance(60);
            file.text(&plan.contract_id).text(&plan.plan_id).text(drug);
            file.number(random.between(1, 4)).one_zero(limited);
            if limited {
                file.number(random.between(4, 30)).number(30);
            } else {
                file.code(b" ").code(b" ");
            }
            file.one_zero(random.chance(10))
                .one_zero(false)
                .one_zero(random.chance(20));
            file.end_row()?;
        }
    }
    file.finish()?;
    Ok(())
}
