//! What a member pays: beneficiary cost, and insulin beneficiary cost.
//!
//! In: the plans. Out: for each plan, coverage level, tier and length of supply a copay or a
//! coinsurance in each of four classes of pharmacy; for insulin the capped amounts, where a plan
//! of the standard design has no tiers and says `.`.

use anyhow::Result;

use super::Options;
use super::compress::Members;
use super::plan::Plan;
use super::random::{Random, Stream};
use super::sink::Sink;
use super::text_file::{Spelling, TextFile};

/// Codes of the length of supply with the months each stands for: 30, 90 and 60 days.
const SUPPLIES: [(u64, u64); 3] = [(1, 1), (2, 3), (4, 2)];
/// Copay of each tier for a month, in dollars; the tiers above have a coinsurance.
const COPAY_DOLLARS: [u64; 3] = [0, 8, 42];

/// Whether the plan has one coinsurance for everything in place of tiers.
fn is_standard(options: &Options, plan: &Plan) -> bool {
    Random::new(options.seed, Stream::Cost, plan.slot, 0).chance(12)
}

/// Whether the plan has preferred pharmacies at all.
pub fn has_preferred(options: &Options, plan: &Plan) -> bool {
    Random::new(options.seed, Stream::Cost, plan.slot, 1).chance(60)
}

/// Writes beneficiary cost.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_beneficiary_cost(
    options: &Options,
    sink: &dyn Sink,
    key: &str,
    plans: &[Plan],
) -> Result<()> {
    const HEADER: [&str; 24] = [
        "CONTRACT_ID",
        "PLAN_ID",
        "SEGMENT_ID",
        "COVERAGE_LEVEL",
        "TIER",
        "DAYS_SUPPLY",
        "COST_TYPE_PREF",
        "COST_AMT_PREF",
        "COST_MIN_AMT_PREF",
        "COST_MAX_AMT_PREF",
        "COST_TYPE_NONPREF",
        "COST_AMT_NONPREF",
        "COST_MIN_AMT_NONPREF",
        "COST_MAX_AMT_NONPREF",
        "COST_TYPE_MAIL_PREF",
        "COST_AMT_MAIL_PREF",
        "COST_MIN_AMT_MAIL_PREF",
        "COST_MAX_AMT_MAIL_PREF",
        "COST_TYPE_MAIL_NONPREF",
        "COST_AMT_MAIL_NONPREF",
        "COST_MIN_AMT_MAIL_NONPREF",
        "COST_MAX_AMT_MAIL_NONPREF",
        "TIER_SPECIALTY_YN",
        "DED_APPLIES_YN",
    ];
    let mut file = TextFile::with_members(sink, key, Spelling::Pipe, &HEADER, Members::Two)?;
    for plan in plans.iter().filter(|plan| plan.publishes_drugs()) {
        let standard = is_standard(options, plan);
        let preferred = has_preferred(options, plan);
        // 0 is the time before the deductible is met, 1 the initial coverage, 3 the catastrophic.
        for level in [0, 1, 3] {
            if level == 0 && plan.deductible_cents == 0 {
                continue;
            }
            for tier in 1..=5 {
                let mut random = Random::new(options.seed, Stream::Cost, plan.slot, 10 + tier);
                let share = Share::draw(&mut random, standard, tier);
                let deductible = plan.deductible_cents > 0 && (standard || tier >= 3);
                let applied = match level {
                    0 if deductible => Share::Coinsurance(100),
                    3 => Share::Copay(0),
                    _ => share,
                };
                for (supply, months) in SUPPLIES {
                    // The specialty tier is dispensed by the month.
                    if tier == 5 && supply != 1 {
                        continue;
                    }
                    file.text(&plan.contract_id)
                        .text(&plan.plan_id)
                        .text(&plan.segment_id);
                    file.number(level).number(tier).number(supply);
                    applied.write(&mut file, preferred, months, 0);
                    applied.write(&mut file, true, months, if preferred { 6 } else { 0 });
                    applied.write(&mut file, preferred && supply != 4, months, 0);
                    applied.write(&mut file, supply == 2, months, 3);
                    file.yes_no(tier == 5).yes_no(deductible);
                    file.end_row()?;
                }
            }
        }
    }
    file.finish()?;
    Ok(())
}

/// What the member pays of a fill.
#[derive(Clone, Copy)]
enum Share {
    /// Dollars for a month.
    Copay(u64),
    /// Per cent of the cost.
    Coinsurance(u64),
}

impl Share {
    fn draw(random: &mut Random, standard: bool, tier: u64) -> Share {
        if standard {
            return Share::Coinsurance(25);
        }
        match COPAY_DOLLARS.get((tier - 1) as usize) {
            Some(dollars) => Share::Copay(dollars + random.below(5)),
            None if tier == 5 => Share::Coinsurance(random.between(25, 33)),
            None => Share::Coinsurance(random.between(35, 50)),
        }
    }

    /// Four fields: type (0 not offered, 1 copay, 2 coinsurance), amount, least, most.
    fn write(self, file: &mut TextFile, offered: bool, months: u64, extra_dollars: u64) {
        match self {
            _ if !offered => file.code(b"0").code(b" ").code(b" ").code(b" "),
            Share::Copay(dollars) => {
                let dollars = if dollars == 0 {
                    0
                } else {
                    dollars + extra_dollars
                };
                file.number(1)
                    .decimal(dollars * months * 100, 2)
                    .code(b" ")
                    .code(b" ")
            }
            Share::Coinsurance(percent) => file
                .number(2)
                .decimal(percent, 2)
                .decimal(0, 2)
                .decimal(200_000 * months, 2),
        };
    }
}

/// Writes insulin beneficiary cost; half of its header is in lower case.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_insulin_cost(
    options: &Options,
    sink: &dyn Sink,
    key: &str,
    plans: &[Plan],
) -> Result<()> {
    const HEADER: [&str; 13] = [
        "CONTRACT_ID",
        "PLAN_ID",
        "SEGMENT_ID",
        "TIER",
        "DAYS_SUPPLY",
        "copay_amt_pref_insln",
        "copay_amt_nonpref_insln",
        "copay_amt_mail_pref_insln",
        "copay_amt_mail_nonpref_insln",
        "coin_amt_pref_insln",
        "coin_amt_nonpref_insln",
        "coin_amt_mail_pref_insln",
        "coin_amt_mail_nonpref_insln",
    ];
    let mut file = TextFile::create(sink, key, Spelling::Pipe, &HEADER)?;
    for plan in plans.iter().filter(|plan| plan.publishes_drugs()) {
        let standard = is_standard(options, plan);
        let preferred = has_preferred(options, plan);
        // Insulin is on tier 3 here; the cap is 35 dollars for a month of supply.
        let tier: &[u8] = if standard { b"." } else { b"3" };
        for (supply, months) in SUPPLIES {
            file.text(&plan.contract_id)
                .text(&plan.plan_id)
                .text(&plan.segment_id);
            file.code(tier).number(supply);
            let offered = [preferred, true, preferred && supply != 4, supply == 2];
            for (class, offered) in offered.into_iter().enumerate() {
                let dollars = if class % 2 == 0 { 25 } else { 35 };
                if offered {
                    file.decimal(dollars * months * 100, 2)
                } else {
                    file.code(b".")
                };
            }
            for offered in offered {
                if offered {
                    file.decimal(25, 2)
                } else {
                    file.code(b".")
                };
            }
            file.end_row()?;
        }
    }
    file.finish()?;
    Ok(())
}
