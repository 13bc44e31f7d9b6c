//! Generates the raw files of the two example datasets, as their publishers spell them.
//!
//! In: [`Options`]. Out: objects in a [`Sink`], `planinfo/…` and `druginfo/…`, each folder
//! closed by its marker `_SUCCESS`, which is taken away first and written last.
//!
//! The same options give the same text. All files of a night speak of the same plans, drugs and
//! counties, and keys that should be unique are. Memory holds the plans and the drugs, never
//! rows. The layouts follow the record layouts that CMS publishes with the "Prescription Drug
//! Plan Formulary, Pharmacy Network, and Pricing Information" files and with the Landscape, and
//! the FDA's description of the NDC directory's product and package files; the data is invented.

pub mod bucket;
pub mod compare;
mod compress;
mod cost_share;
mod drug;
mod formulary;
mod landscape;
mod permutation;
mod pharmacy;
mod place;
mod plan;
mod pricing;
mod random;
pub mod sink;
mod text_file;

use anyhow::{Result, ensure};
use sink::Sink;

/// How the big files are compressed; the small ones each keep their own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compress {
    Zstd,
    Gzip,
    None,
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// 1 is the first night; each further one changes some of the night before.
    pub night: u64,
    pub plans: u64,
    /// Packages in the NDC directory on the first night.
    pub drugs: u64,
    /// Rows of the pharmacy networks on the first night.
    pub pharmacy_rows: u64,
    pub pharmacy_parts: u64,
    /// Writes the pharmacy rows in another order.
    pub shuffle: bool,
    pub compress: Compress,
}

impl Options {
    /// How many formularies the plans choose from.
    fn formularies(&self) -> u64 {
        (self.plans / 10).max(3)
    }

    fn check(&self) -> Result<()> {
        ensure!(self.night >= 1, "the first night is 1");
        ensure!(self.plans >= 1, "at least one plan is needed");
        ensure!(
            (1..=999).contains(&self.pharmacy_parts),
            "1 to 999 pharmacy parts are possible"
        );
        let slots = self.plans + self.night * plan::changes_a_night(self.plans);
        ensure!(
            slots <= 45_000,
            "at most 45,000 plans have contract numbers, nights included"
        );
        let packages = self.drugs + self.night * 2;
        ensure!(
            packages <= drug::MOST_PACKAGES,
            "at most {} drug packages have product numbers, nights included",
            drug::MOST_PACKAGES
        );
        let most = self.pharmacy_rows / self.plans * 18 + 128;
        ensure!(
            most < 999_999_999,
            "there are not enough pharmacy numbers: ask for more plans"
        );
        Ok(())
    }

    fn big(&self, key: &str) -> String {
        let end = match self.compress {
            Compress::Zstd => ".zst",
            Compress::Gzip => ".gz",
            Compress::None => "",
        };
        format!("{key}{end}")
    }
}

const PLAN_INFORMATION: &str = "planinfo/plan_information.txt.gz";
const LOCATOR: &str = "planinfo/geographic_locator.txt";
const LANDSCAPE: &str = "planinfo/landscape_2027.csv";
const PLANINFO_READY: &str = "planinfo/_SUCCESS";
const DRUG_PLAN_INFORMATION: &str = "druginfo/plan_information.txt.gz";
const FORMULARY: &str = "druginfo/formulary.txt";
const EXCLUDED: &str = "druginfo/excluded_drugs.txt";
const BENEFICIARY_COST: &str = "druginfo/beneficiary_cost.txt.gz";
const INSULIN_COST: &str = "druginfo/insulin_beneficiary_cost.txt";
const PRICING: &str = "druginfo/pricing.txt";
const PRODUCTS: &str = "druginfo/ndc_product.txt";
const PACKAGES: &str = "druginfo/ndc_package.txt";
const DRUGINFO_READY: &str = "druginfo/_SUCCESS";

fn pharmacy_parts(options: &Options) -> Vec<String> {
    (1..=options.pharmacy_parts)
        .map(|part| options.big(&format!("druginfo/pharmacy_networks/part_{part}.txt")))
        .collect()
}

/// The keys that [`generate`] writes.
pub fn keys(options: &Options) -> Vec<String> {
    let small = [
        PLAN_INFORMATION,
        LOCATOR,
        PLANINFO_READY,
        DRUG_PLAN_INFORMATION,
        EXCLUDED,
        BENEFICIARY_COST,
        INSULIN_COST,
        PRODUCTS,
        PACKAGES,
        DRUGINFO_READY,
    ];
    let big = [LANDSCAPE, FORMULARY, PRICING];
    let mut keys: Vec<String> = small.map(String::from).to_vec();
    keys.extend(big.map(|key| options.big(key)));
    keys.extend(pharmacy_parts(options));
    keys
}

/// Writes all files of one night.
///
/// # Errors
/// The options ask for more than there are numbers for, or the sink cannot be written to.
pub fn generate(options: &Options, sink: &dyn Sink) -> Result<()> {
    options.check()?;
    sink.remove(PLANINFO_READY)?;
    sink.remove(DRUGINFO_READY)?;
    let plans = plan::plans(options);
    let drugs = drug::catalogue(options);

    plan::write_plan_information(sink, PLAN_INFORMATION, &plans)?;
    place::write_locator(sink, LOCATOR)?;
    landscape::write_landscape(options, sink, &options.big(LANDSCAPE), &plans)?;
    sink.open(PLANINFO_READY)?.finish()?;

    plan::write_plan_information(sink, DRUG_PLAN_INFORMATION, &plans)?;
    formulary::write_formulary(options, sink, &options.big(FORMULARY), &drugs)?;
    formulary::write_excluded(options, sink, EXCLUDED, &plans, &drugs)?;
    cost_share::write_beneficiary_cost(options, sink, BENEFICIARY_COST, &plans)?;
    cost_share::write_insulin_cost(options, sink, INSULIN_COST, &plans)?;
    pharmacy::write_networks(options, sink, &pharmacy_parts(options), &plans)?;
    pricing::write_pricing(options, sink, &options.big(PRICING), &plans, &drugs)?;
    drug::write_products(sink, PRODUCTS, &drugs)?;
    drug::write_packages(sink, PACKAGES, &drugs)?;
    sink.open(DRUGINFO_READY)?.finish()
}
