//! Pricing: the average cost of a unit of each package in each plan.
//!
//! In: the plans and the catalogue. Out: a row for each plan, covered package and length of
//! supply, in key order, in no memory beyond those two. From one night to the next about a third
//! of the packages move by up to four per cent.

use anyhow::Result;

use super::Options;
use super::drug::{Catalogue, Package, Product};
use super::formulary::covers;
use super::plan::Plan;
use super::random::{Random, Stream};
use super::sink::Sink;
use super::text_file::{Spelling, TextFile};

/// Writes pricing.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_pricing(
    options: &Options,
    sink: &dyn Sink,
    key: &str,
    plans: &[Plan],
    catalogue: &Catalogue,
) -> Result<()> {
    const HEADER: [&str; 6] = [
        "CONTRACT_ID",
        "PLAN_ID",
        "SEGMENT_ID",
        "NDC",
        "DAYS_SUPPLY",
        "UNIT_COST",
    ];
    let mut file = TextFile::create(sink, key, Spelling::Pipe, &HEADER)?;
    let costs: Vec<u64> = catalogue
        .packages
        .iter()
        .map(|package| cost(options, catalogue, package))
        .collect();
    for plan in plans.iter().filter(|plan| plan.publishes_drugs()) {
        let plan_key = format!("{}|{}|{}|", plan.contract_id, plan.plan_id, plan.segment_id);
        for (package, cost) in catalogue.packages.iter().zip(&costs) {
            let product: &Product = &catalogue.products[package.product];
            if !covers(options.seed, plan.formulary, package, product) {
                continue;
            }
            let mut random = Random::new(options.seed, Stream::Price, plan.slot, package.number);
            if !random.chance(55) {
                continue;
            }
            let in_plan = cost * random.between(950, 1_050) / 1_000;
            let supplies = [
                (true, b"30", 1_000),
                (random.chance(20), b"60", 990),
                (random.chance(70), b"90", 970),
            ];
            for (sold, days, per_mille) in supplies {
                if sold {
                    file.fields(plan_key.as_bytes())
                        .code(package.ndc11.as_bytes())
                        .code(days);
                    file.decimal(in_plan * per_mille / 1_000, 5);
                    file.end_row()?;
                }
            }
        }
    }
    file.finish()?;
    Ok(())
}

/// The cost of a unit on this night, in hundred-thousandths of a dollar.
fn cost(options: &Options, catalogue: &Catalogue, package: &Package) -> u64 {
    let mut cost = catalogue.products[package.product].cost;
    for night in 2..=options.night {
        let mut random = Random::new(options.seed, Stream::Drift, package.number, night);
        if random.chance(33) {
            cost = cost * random.between(960, 1_040) / 1_000;
        }
    }
    cost
}
