//! The states, counties and regions that plans serve.
//!
//! Names are real, so that they look right and sort as people expect; the county codes have the
//! shape of the Social Security Administration's (two digits of the state, three of the county,
//! in tens) but are numbered through here.

use anyhow::Result;

use super::sink::Sink;
use super::text_file::{Spelling, TextFile};

/// A state or territory.
pub struct State {
    pub name: &'static str,
    pub abbreviation: &'static str,
    /// The first two digits of its county codes.
    pub code: &'static str,
    pub territory: bool,
    /// Code and name of the Medicare Advantage region; none for territories.
    pub ma_region: Option<(&'static str, &'static str)>,
    /// Code and name of the drug plan region.
    pub pdp_region: (&'static str, &'static str),
    pub counties: [County; 5],
}

/// A county: the locator file is plain ASCII, the Landscape has the accents.
pub struct County {
    pub plain: &'static str,
    pub accented: &'static str,
}

const fn county(plain: &'static str) -> County {
    County {
        plain,
        accented: plain,
    }
}

const fn accented(plain: &'static str, accented: &'static str) -> County {
    County { plain, accented }
}

/// In the order of their codes.
pub const STATES: [State; 8] = [
    State {
        name: "Alabama",
        abbreviation: "AL",
        code: "01",
        territory: false,
        ma_region: Some(("10", "Alabama and Tennessee")),
        pdp_region: ("12", "Alabama and Tennessee"),
        counties: [
            county("Autauga"),
            county("Baldwin"),
            county("Jefferson"),
            county("Mobile"),
            county("St. Clair"),
        ],
    },
    State {
        name: "California",
        abbreviation: "CA",
        code: "05",
        territory: false,
        ma_region: Some(("24", "California")),
        pdp_region: ("32", "California"),
        counties: [
            county("Alameda"),
            county("Los Angeles"),
            county("Orange"),
            county("San Diego"),
            county("Yolo"),
        ],
    },
    State {
        name: "Florida",
        abbreviation: "FL",
        code: "10",
        territory: false,
        ma_region: Some(("09", "Florida")),
        pdp_region: ("11", "Florida"),
        counties: [
            county("Alachua"),
            county("DeSoto"),
            county("Miami-Dade"),
            county("Orange"),
            county("St. Johns"),
        ],
    },
    State {
        name: "New Mexico",
        abbreviation: "NM",
        code: "32",
        territory: false,
        ma_region: Some(("20", "Colorado and New Mexico")),
        pdp_region: ("26", "New Mexico"),
        counties: [
            county("Bernalillo"),
            county("Curry"),
            accented("Dona Ana", "Doña Ana"),
            county("Santa Fe"),
            county("Taos"),
        ],
    },
    State {
        name: "New York",
        abbreviation: "NY",
        code: "33",
        territory: false,
        ma_region: Some(("03", "New York")),
        pdp_region: ("03", "New York"),
        counties: [
            county("Albany"),
            county("Bronx"),
            county("Kings"),
            county("Orange"),
            county("Queens"),
        ],
    },
    State {
        name: "Ohio",
        abbreviation: "OH",
        code: "36",
        territory: false,
        ma_region: Some(("12", "Ohio")),
        pdp_region: ("14", "Ohio"),
        counties: [
            county("Adams"),
            county("Cuyahoga"),
            county("Franklin"),
            county("Hamilton"),
            county("Wood"),
        ],
    },
    State {
        name: "Puerto Rico",
        abbreviation: "PR",
        code: "40",
        territory: true,
        ma_region: None,
        pdp_region: ("38", "Puerto Rico"),
        counties: [
            accented("Anasco", "Añasco"),
            accented("Bayamon", "Bayamón"),
            accented("Mayaguez", "Mayagüez"),
            county("Ponce"),
            accented("San German", "San Germán"),
        ],
    },
    State {
        name: "Texas",
        abbreviation: "TX",
        code: "45",
        territory: false,
        ma_region: Some(("17", "Texas")),
        pdp_region: ("22", "Texas"),
        counties: [
            county("Anderson"),
            county("Bexar"),
            county("Dallas"),
            county("Harris"),
            county("Travis"),
        ],
    },
];

impl State {
    /// The five digits of one of its counties.
    pub fn county_code(&self, county: usize) -> String {
        format!("{}{:03}", self.code, county * 10)
    }
}

/// Writes the geographic locator.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_locator(sink: &dyn Sink, key: &str) -> Result<()> {
    const HEADER: [&str; 7] = [
        "COUNTY_CODE",
        "STATENAME",
        "COUNTY",
        "MA_REGION_CODE",
        "MA_REGION",
        "PDP_REGION_CODE",
        "PDP_REGION",
    ];
    let mut file = TextFile::create(sink, key, Spelling::Pipe, &HEADER)?;
    for state in &STATES {
        for (number, county) in state.counties.iter().enumerate() {
            let (ma_code, ma_name) = state.ma_region.unwrap_or((" ", " "));
            file.text(&state.county_code(number))
                .text(state.name)
                .text(county.plain);
            file.text(ma_code).text(ma_name);
            file.text(state.pdp_region.0).text(state.pdp_region.1);
            file.end_row()?;
        }
    }
    file.finish()?;
    Ok(())
}
