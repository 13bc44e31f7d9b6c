//! The plans on offer, and the plan information file.
//!
//! In: the options. Out: the plans of that night in key order (contract, plan, segment); every
//! other file takes its plans from here, which keeps the files consistent with each other.
//!
//! Each plan has a slot in an endless list, and everything about it follows from the seed and
//! the slot. A night sees a window of the list: the next night the window has moved on, so that
//! a few plans have gone, a few are new, and the others have not changed.

use anyhow::Result;

use super::Options;
use super::place::{STATES, State};
use super::random::{Random, Stream};
use super::sink::Sink;
use super::text_file::{Spelling, TextFile};

/// Plans of one contract.
const PLANS_PER_CONTRACT: u64 = 5;
/// Per cent of the plans that change from one night to the next.
const CHANGE_PERCENT: u64 = 3;

/// What sort of contract a plan belongs to; its letter opens the contract number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `H`: serves counties.
    Local,
    /// `R`: serves a Medicare Advantage region.
    Regional,
    /// `S`: a drug plan on its own, serves a drug plan region.
    Drug,
}

/// The company behind a contract.
pub struct Organisation {
    pub parent: &'static str,
    pub contract: &'static str,
    pub marketing: &'static str,
    pub brand: &'static str,
}

const fn organisation(
    parent: &'static str,
    contract: &'static str,
    marketing: &'static str,
    brand: &'static str,
) -> Organisation {
    Organisation {
        parent,
        contract,
        marketing,
        brand,
    }
}

/// Invented; with the accents, quotes, commas and signs that real names have.
const ORGANISATIONS: [Organisation; 11] = [
    organisation(
        "Lakeside Health Group, Inc.",
        "LAKESIDE HEALTH PLAN, INC.",
        "Lakeside Health",
        "Lakeside Choice",
    ),
    organisation(
        "Compañía de Salud del Caribe",
        "COMPAÑÍA DE SALUD BORICUA, INC.",
        "Salud Boricua",
        "Señorial Plus",
    ),
    organisation(
        "Evergreen Mutual",
        "EVERGREEN ADVANTAGE CORPORATION",
        "Evergreen",
        "Evergreen Advantage®",
    ),
    organisation(
        "Three Rivers Holdings LLC",
        "THREE RIVERS INSURANCE COMPANY",
        "Three Rivers",
        "Rivers \"Gold\"",
    ),
    organisation(
        "Prairie Star Cooperative",
        "PRAIRIE STAR HEALTH PLANS OF TEXAS",
        "Prairie Star",
        "Prairie Star Senior’s Choice™",
    ),
    organisation(
        "Harbor & Pine, Inc.",
        "HARBOR & PINE LIFE INSURANCE COMPANY",
        "Harbor & Pine",
        "Harbor Value",
    ),
    organisation(
        "Café Médico Partners",
        "CAFE MEDICO COMMUNITY PLAN",
        "Médico Community",
        "Médico Único",
    ),
    organisation(
        "Northlight Mutual",
        "NORTHLIGHT MUTUAL HEALTH PLAN",
        "Northlight",
        "Northlight Basic – Saver",
    ),
    organisation(
        "Lakeside Health Group, Inc.",
        "LAKESIDE PRESCRIPTION SERVICES",
        "Lakeside Rx",
        "Lakeside Rx",
    ),
    organisation(
        "Ironwood Benefit Trust",
        "IRONWOOD BENEFIT TRUST",
        "Ironwood",
        "Ironwood Complete",
    ),
    organisation(
        "Blue Mesa Care",
        "BLUE MESA CARE OF THE SOUTHWEST, INC.",
        "Blue Mesa",
        "Blue Mesa Care",
    ),
];

/// One plan (a contract, a plan and a segment of it) and where it is sold.
pub struct Plan {
    /// Its place in the endless list: names the plan to the random streams.
    pub slot: u64,
    pub contract_number: u64,
    pub contract_id: String,
    pub plan_id: String,
    pub segment_id: String,
    pub kind: Kind,
    pub organisation: &'static Organisation,
    pub name: String,
    pub plan_type: &'static str,
    /// Number of its formulary.
    pub formulary: u64,
    /// Part D premium a month; none while the plan is suppressed.
    pub premium_cents: Option<u64>,
    pub deductible_cents: u64,
    pub state: &'static State,
    /// Numbers of the counties of its state that it serves; all of them unless it is local.
    pub counties: Vec<usize>,
    /// 0 none, 1 chronic condition, 2 dual eligible, 3 institutional.
    pub snp: u8,
    pub suppressed: bool,
    /// Whether it covers drugs at all: those that do not are only in the Landscape.
    pub drug_coverage: bool,
}

impl Plan {
    /// Whether drug prices, cost shares and pharmacies of the plan are published.
    pub fn publishes_drugs(&self) -> bool {
        self.drug_coverage && !self.suppressed
    }
}

/// How many plans come and go from one night to the next.
pub fn changes_a_night(plans: u64) -> u64 {
    (plans * CHANGE_PERCENT / 100).max(1)
}

/// The plans of the night in key order; holds all of them in memory.
pub fn plans(options: &Options) -> Vec<Plan> {
    let first = (options.night - 1) * changes_a_night(options.plans);
    let mut plans: Vec<Plan> = (first..first + options.plans)
        .map(|slot| plan(options, slot))
        .collect();
    plans.sort_by(|a, b| {
        (&a.contract_id, &a.plan_id, &a.segment_id).cmp(&(
            &b.contract_id,
            &b.plan_id,
            &b.segment_id,
        ))
    });
    plans
}

fn plan(options: &Options, slot: u64) -> Plan {
    let (contract, member) = (slot / PLANS_PER_CONTRACT, slot % PLANS_PER_CONTRACT);
    let kind = match contract % 10 {
        7 => Kind::Regional,
        8 | 9 => Kind::Drug,
        _ => Kind::Local,
    };
    let letter = match kind {
        Kind::Local => 'H',
        Kind::Regional => 'R',
        Kind::Drug => 'S',
    };
    // 37 and 9000 have no common divisor: every contract gets its own number.
    let contract_number = 1000 + (contract * 37 + 13) % 9000;
    // Regional contracts have odd numbers, and Puerto Rico, which has no such region, is the
    // seventh of eight states: the two never meet.
    let state = &STATES[(contract % 8) as usize];
    let organisation = if state.territory {
        &ORGANISATIONS[1]
    } else {
        &ORGANISATIONS[(contract % ORGANISATIONS.len() as u64) as usize]
    };
    // The last two plans of a local contract are two segments of one plan.
    let (plan_number, segment) = match (kind, member) {
        (Kind::Local, 3) => (4, 1),
        (Kind::Local, 4) => (4, 2),
        _ => (member + 1, 0),
    };

    let mut random = Random::new(options.seed, Stream::Plan, slot, 0);
    let snp = if kind == Kind::Local && segment == 0 && random.chance(40) {
        1 + random.below(3) as u8
    } else {
        0
    };
    // By number and not by chance: even a small set should have one.
    let suppressed = slot % 31 == 12;
    let drug_coverage =
        suppressed || kind == Kind::Drug || snp > 0 || member != 2 || random.chance(50);
    let (plan_type, short) = match (kind, random.below(4)) {
        (Kind::Drug, _) => ("Medicare Prescription Drug Plan", "PDP"),
        (Kind::Regional, _) => ("Regional PPO", "Regional PPO"),
        (Kind::Local, 0 | 1) => ("HMO", "HMO"),
        (Kind::Local, 2) => ("Local PPO", "PPO"),
        (Kind::Local, _) => ("HMO-POS", "HMO-POS"),
    };
    let special = ["", " C-SNP", " D-SNP", " I-SNP"][usize::from(snp)];
    let premium_cents = if random.chance(35) {
        0
    } else {
        random.between(50, 1_600) * 10
    };
    let deductible_cents = match random.below(4) {
        0 => 0,
        1 => 61_500,
        _ => random.between(10, 60) * 1_000,
    };
    let counties = match kind {
        Kind::Local => {
            let mut random = Random::new(options.seed, Stream::County, slot, 0);
            let first = random.below(3) as usize;
            (first..=first + random.below(3) as usize).collect()
        }
        _ => (0..state.counties.len()).collect(),
    };
    Plan {
        slot,
        contract_number: contract,
        contract_id: format!("{letter}{contract_number}"),
        plan_id: format!("{plan_number:03}"),
        segment_id: format!("{segment:03}"),
        kind,
        organisation,
        name: format!("{} {plan_number} ({short}{special})", organisation.brand),
        plan_type,
        formulary: Random::new(options.seed, Stream::Contract, contract, member / 3)
            .below(options.formularies()),
        premium_cents: (!suppressed).then_some(premium_cents),
        deductible_cents,
        state,
        counties,
        snp,
        suppressed,
        drug_coverage,
    }
}

/// Writes plan information: a row for each plan and county, or plan and region.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_plan_information(sink: &dyn Sink, key: &str, plans: &[Plan]) -> Result<()> {
    const HEADER: [&str; 14] = [
        "CONTRACT_ID",
        "PLAN_ID",
        "SEGMENT_ID",
        "CONTRACT_NAME",
        "PLAN_NAME",
        "FORMULARY_ID",
        "PREMIUM",
        "DEDUCTIBLE",
        "MA_REGION_CODE",
        "PDP_REGION_CODE",
        "STATE",
        "COUNTY_CODE",
        "SNP",
        "PLAN_SUPPRESSED_YN",
    ];
    let mut file = TextFile::create(sink, key, Spelling::Pipe, &HEADER)?;
    for plan in plans.iter().filter(|plan| plan.drug_coverage) {
        let areas = if plan.kind == Kind::Local {
            plan.counties.as_slice()
        } else {
            &[0]
        };
        for &county in areas {
            let (mut ma_region, mut pdp_region, mut state) = (" ", " ", " ");
            let mut county_code = " ".to_string();
            match plan.kind {
                Kind::Local => {
                    state = plan.state.abbreviation;
                    county_code = plan.state.county_code(county);
                }
                Kind::Regional => ma_region = plan.state.ma_region.map_or(" ", |(code, _)| code),
                Kind::Drug => pdp_region = plan.state.pdp_region.0,
            }
            file.text(&plan.contract_id)
                .text(&plan.plan_id)
                .text(&plan.segment_id);
            file.text(plan.organisation.contract).text(&plan.name);
            file.text(&super::formulary::formulary_id(plan.formulary));
            file.cents(plan.premium_cents)
                .cents(Some(plan.deductible_cents));
            file.text(ma_region)
                .text(pdp_region)
                .text(state)
                .text(&county_code);
            file.number(u64::from(plan.snp)).yes_no(plan.suppressed);
            file.end_row()?;
        }
    }
    file.finish()?;
    Ok(())
}
