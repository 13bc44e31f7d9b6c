//! Pharmacy networks: which pharmacies a plan works with, and their dispensing fees.
//!
//! In: the plans, the number of rows, the number of part files. Out: the parts, each with its
//! own header. This is the file with hundreds of millions of rows: a row is a pure function of
//! its number, so any order can be written in constant memory, and the key (plan, pharmacy) is
//! unique by construction.
//!
//! A plan of `n` pharmacies takes one of each pair of neighbours in a common list of pharmacies,
//! which gives rising pharmacy numbers in a plan and pharmacies that many plans share.

use anyhow::Result;

use super::Options;
use super::cost_share::has_preferred;
use super::permutation::Permutation;
use super::plan::{Kind, Plan};
use super::random::{Random, Stream};
use super::sink::Sink;
use super::text_file::{Spelling, TextFile};

const HEADER: [&str; 20] = [
    "CONTRACT_ID",
    "PLAN_ID",
    "SEGMENT_ID",
    "PHARMACY_NUMBER",
    "PHARMACY_ZIPCODE",
    "PREFERRED_STATUS_RETAIL",
    "PREFERRED_STATUS_MAIL",
    "PHARMACY_RETAIL",
    "PHARMACY_MAIL",
    "IN_AREA_FLAG",
    "FLOOR_PRICE",
    "BRAND_DISPENSING_FEE_30",
    "BRAND_DISPENSING_FEE_60",
    "BRAND_DISPENSING_FEE_90",
    "GENERIC_DISPENSING_FEE_30",
    "GENERIC_DISPENSING_FEE_60",
    "GENERIC_DISPENSING_FEE_90",
    "SELECTED_DISPENSING_FEE_30",
    "SELECTED_DISPENSING_FEE_60",
    "SELECTED_DISPENSING_FEE_90",
];

/// Writes the parts. Without `shuffle` their rows are in key order, within a part and from part
/// to part.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_networks(
    options: &Options,
    sink: &dyn Sink,
    part_keys: &[String],
    plans: &[Plan],
) -> Result<()> {
    let networks = Networks::new(options, plans);
    let rows = networks.rows;
    let parts = part_keys.len() as u64;
    let permutation = options
        .shuffle
        .then(|| Permutation::new(rows, options.seed));
    for (part, key) in (0u64..).zip(part_keys) {
        let mut file = TextFile::create(sink, key, Spelling::Pipe, &HEADER)?;
        let mut network = 0;
        for position in share(rows, part, parts)..share(rows, part + 1, parts) {
            let row = permutation
                .as_ref()
                .map_or(position, |order| order.row_at(position));
            network = networks.network_of(row, network);
            networks.write_row(&mut file, network, row)?;
        }
        file.finish()?;
    }
    Ok(())
}

/// Where part `part` of `parts` begins.
fn share(rows: u64, part: u64, parts: u64) -> u64 {
    (u128::from(rows) * u128::from(part) / u128::from(parts)) as u64
}

/// The networks of all plans: what is the same for every row of a plan.
struct Networks {
    seed: u64,
    rows: u64,
    /// Distance of one pharmacy's number to the next one's.
    spacing: u64,
    networks: Vec<Network>,
}

struct Network {
    slot: u64,
    /// `H1013|001|000|`
    plan_key: Vec<u8>,
    first_row: u64,
    end_row: u64,
    preferred: bool,
    fees_change: bool,
    zip_prefix: u64,
}

impl Networks {
    fn new(options: &Options, plans: &[Plan]) -> Self {
        let plans: Vec<&Plan> = plans.iter().filter(|plan| plan.publishes_drugs()).collect();
        let weights: Vec<u64> = plans.iter().map(|plan| weight(options, plan)).collect();
        let total: u64 = weights.iter().sum();
        let rows = if total == 0 { 0 } else { rows_tonight(options) };
        let mut before = 0;
        let mut networks = Vec::with_capacity(plans.len());
        for (plan, weight) in plans.iter().zip(&weights) {
            networks.push(Network {
                slot: plan.slot,
                plan_key: format!("{}|{}|{}|", plan.contract_id, plan.plan_id, plan.segment_id)
                    .into_bytes(),
                first_row: share(rows, before, total),
                end_row: share(rows, before + weight, total),
                preferred: has_preferred(options, plan),
                fees_change: options.night > 1
                    && Random::new(options.seed, Stream::Drift, plan.slot, options.night)
                        .chance(20),
                zip_prefix: plan.state.code.parse::<u64>().unwrap_or(0) * 2 % 100,
            });
            before += weight;
        }
        // The common list must not depend on the night, or a pharmacy would get another number:
        // no plan has more rows than eight times the average of the first night, and a tenth.
        let most = options.pharmacy_rows / options.plans.max(1) * 8 * 11 / 10 + 64;
        Networks {
            seed: options.seed,
            rows,
            spacing: (999_999_999 / (most * 2)).max(1),
            networks,
        }
    }

    /// The network that a row belongs to; tries the one of the row before first.
    #[inline]
    fn network_of(&self, row: u64, last: usize) -> usize {
        match self.networks.get(last) {
            Some(network) if (network.first_row..network.end_row).contains(&row) => last,
            _ => self
                .networks
                .partition_point(|network| network.end_row <= row),
        }
    }

    #[inline]
    fn write_row(&self, file: &mut TextFile, network: usize, row: u64) -> Result<()> {
        let network = &self.networks[network];
        let member = row - network.first_row;
        let mut random = Random::new(self.seed, Stream::Network, network.slot, member);
        let bits = random.bits();

        let pharmacy = member * 2 + (bits & 1);
        let mut of_pharmacy = Random::new(self.seed, Stream::Pharmacy, pharmacy, 0);
        let pharmacy_bits = of_pharmacy.bits();
        let mail = pharmacy_bits.is_multiple_of(50);
        let retail = !mail || pharmacy_bits & (1 << 20) != 0;
        let number = 1_000_000_000 + pharmacy * self.spacing + (pharmacy_bits >> 32) % self.spacing;
        let preferred = network.preferred && (bits >> 1) & 3 != 0;

        file.fields(&network.plan_key);
        file.padded(100_000_000_000 + number, 12);
        // The zip code belongs to the pharmacy; only its first digits look like the plan's state.
        file.padded(network.zip_prefix * 1_000 + (pharmacy_bits >> 8) % 1_000, 5);
        file.yes_no(preferred && retail).yes_no(preferred && mail);
        file.yes_no(retail).yes_no(mail);
        file.one_zero((bits >> 3) & 15 != 0);
        if (bits >> 8) & 3 == 0 {
            file.decimal((bits >> 10) & 127, 2);
        } else {
            file.code(b" ");
        }
        let base = (network.slot % 7) * 10 + (bits >> 20) % 60 + u64::from(network.fees_change) * 3;
        let generic = base + (bits >> 28) % 40;
        file.decimal(base, 2).decimal(base, 2).decimal(base / 2, 2);
        file.decimal(generic, 2)
            .decimal(generic, 2)
            .decimal(generic / 2, 2);
        if (bits >> 40) & 7 == 0 {
            let selected = 100 + (bits >> 44) % 900;
            file.decimal(selected, 2)
                .decimal(selected, 2)
                .decimal(selected, 2);
        } else {
            file.fields(b".|.|.|");
        }
        file.end_row()
    }
}

/// How big the network of a plan is, beside the others: a drug plan's is the biggest.
fn weight(options: &Options, plan: &Plan) -> u64 {
    let wide = if plan.kind == Kind::Local { 0 } else { 3 };
    1 + wide + Random::new(options.seed, Stream::Network, plan.slot, u64::MAX).below(5)
}

/// The rows of the night: as asked for on the first, within three per cent of it on the others.
fn rows_tonight(options: &Options) -> u64 {
    let rows = options.pharmacy_rows;
    if options.night == 1 {
        return rows;
    }
    let per_mille = Random::new(options.seed, Stream::Drift, options.night, 0).between(970, 1_030);
    (u128::from(rows) * u128::from(per_mille) / 1_000) as u64
}
