//! The drugs: products, their packages, and the two files of the FDA NDC directory.
//!
//! In: the options. Out: the products and packages of that night. A package has the code the
//! FDA prints (4-4-2, 5-3-2 or 5-4-1 digits with hyphens) and the 11 digits without hyphens
//! (5-4-2, filled with zeros) by which formularies and prices name it.
//!
//! Companies and brands are invented; substances, forms and classes are real. A product keeps
//! its number for ever, and each night lists two packages more than the night before.

use anyhow::Result;

use super::Options;
use super::random::{Random, Stream};
use super::sink::Sink;
use super::text_file::{Spelling, TextFile};

/// Product numbers of one labeler, a prime: the numbering below gives each its own.
const PRODUCTS_PER_LABELER: u64 = 997;
/// Packages that the catalogue can hold: two of each product at the least.
pub const MOST_PACKAGES: u64 = PRODUCTS_PER_LABELER * LABELERS.len() as u64 * 2;

/// How a labeler divides the ten digits of its codes.
enum Division {
    Labeler4,
    Product3,
    Package1,
}

struct Labeler {
    code: &'static str,
    name: &'static str,
    division: Division,
}

const LABELERS: [Labeler; 12] = [
    Labeler {
        code: "0991",
        name: "Harborview Pharmaceuticals, Inc.",
        division: Division::Labeler4,
    },
    Labeler {
        code: "79123",
        name: "Laboratorios Peña S.A.",
        division: Division::Product3,
    },
    Labeler {
        code: "69876",
        name: "Nordiska Läkemedel AB",
        division: Division::Package1,
    },
    Labeler {
        code: "0087",
        name: "Old Mill Generics LLC",
        division: Division::Labeler4,
    },
    Labeler {
        code: "81555",
        name: "Façade Therapeutics Ltd.",
        division: Division::Product3,
    },
    Labeler {
        code: "70404",
        name: "Blue Door Repackaging",
        division: Division::Package1,
    },
    Labeler {
        code: "59991",
        name: "Ostrava Pharma a.s.",
        division: Division::Product3,
    },
    Labeler {
        code: "0456",
        name: "Kestrel Biologics Inc",
        division: Division::Labeler4,
    },
    Labeler {
        code: "66119",
        name: "Sunset \"Value\" Labs",
        division: Division::Package1,
    },
    Labeler {
        code: "83001",
        name: "Meridian Sterile Products",
        division: Division::Product3,
    },
    Labeler {
        code: "71205",
        name: "Coopérative Pharmaceutique du Nord",
        division: Division::Package1,
    },
    Labeler {
        code: "0733",
        name: "Tessellate Drug Company",
        division: Division::Labeler4,
    },
];

/// What a substance is sold as, and how much of it costs how much.
struct Substance {
    name: &'static str,
    brand: &'static str,
    form: &'static str,
    route: &'static str,
    strengths: [&'static str; 3],
    unit: &'static str,
    class: &'static str,
    schedule: &'static str,
    /// What a package counts: TABLET in a BOTTLE, mL in a VIAL.
    piece: &'static str,
    container: &'static str,
    /// Cost of a unit of the generic, in hundred-thousandths of a dollar.
    cost: u64,
    group: Group,
}

/// What a plan may do with a drug.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Usual,
    Insulin,
    Specialty,
    /// Not a Part D drug; some plans cover it in addition.
    Excluded,
}

macro_rules! substances {
    ($($name:literal $brand:literal $form:literal $route:literal [$a:literal $b:literal $c:literal]
       $unit:literal $class:literal $schedule:literal $piece:literal $container:literal $cost:literal $group:ident;)*) => {
        [$(Substance {
            name: $name, brand: $brand, form: $form, route: $route, strengths: [$a, $b, $c],
            unit: $unit, class: $class, schedule: $schedule, piece: $piece, container: $container,
            cost: $cost, group: Group::$group,
        }),*]
    };
}

const SUBSTANCES: [Substance; 20] = substances! {
    "Metformin Hydrochloride" "Glucovanta®" "TABLET, FILM COATED" "ORAL" ["500" "850" "1000"] "mg/1" "Biguanide [EPC]" "" "TABLET" "BOTTLE" 3_100 Usual;
    "Insulin Lispro" "Lisprova®" "INJECTION, SOLUTION" "SUBCUTANEOUS" ["100" "200" "50"] "[iU]/mL" "Insulin [Chemical/Ingredient],Insulin Analog [EPC]" "" "mL" "VIAL" 690_000 Insulin;
    "Atorvastatin Calcium" "Lipaterra" "TABLET" "ORAL" ["10" "20" "40"] "mg/1" "HMG-CoA Reductase Inhibitor [EPC]" "" "TABLET" "BOTTLE" 5_200 Usual;
    "Adalimumab" "Humaryn™" "INJECTION, SOLUTION" "SUBCUTANEOUS" ["40" "80" "20"] "mg/.4mL" "Tumor Necrosis Factor Blocker [EPC]" "" "mL" "SYRINGE, GLASS" 92_000_000 Specialty;
    "Lisinopril" "Prinavil" "TABLET" "ORAL" ["5" "10" "20"] "mg/1" "Angiotensin Converting Enzyme Inhibitor [EPC]" "" "TABLET" "BOTTLE, PLASTIC" 1_900 Usual;
    "Insulin Glargine" "Glarandis®" "INJECTION, SOLUTION" "SUBCUTANEOUS" ["100" "300" "150"] "[iU]/mL" "Insulin [Chemical/Ingredient],Insulin Analog [EPC]" "" "mL" "CARTRIDGE" 810_000 Insulin;
    "Apixaban" "Apixelo" "TABLET, FILM COATED" "ORAL" ["2.5" "5" "10"] "mg/1" "Factor Xa Inhibitor [EPC]" "" "TABLET" "BOTTLE" 470_000 Usual;
    "Sildenafil Citrate" "Sildara" "TABLET, FILM COATED" "ORAL" ["25" "50" "100"] "mg/1" "Phosphodiesterase 5 Inhibitor [EPC]" "" "TABLET" "BOTTLE" 24_000 Excluded;
    "Levothyroxine Sodium" "Thyranova" "TABLET" "ORAL" ["25" "50" "100"] "ug/1" "l-Thyroxine [EPC]" "" "TABLET" "BOTTLE" 11_000 Usual;
    "Oxycodone Hydrochloride" "Oxalyd" "TABLET" "ORAL" ["5" "10" "15"] "mg/1" "Opioid Agonist [EPC]" "CII" "TABLET" "BOTTLE" 8_800 Usual;
    "Albuterol Sulfate" "Ventaire®" "AEROSOL, METERED" "RESPIRATORY (INHALATION)" ["90" "108" "120"] "ug/1" "beta2-Adrenergic Agonist [EPC]" "" "INHALANT" "INHALER" 310_000 Usual;
    "Benzonatate" "Tessaline" "CAPSULE" "ORAL" ["100" "150" "200"] "mg/1" "Non-narcotic Antitussive [EPC]" "" "CAPSULE" "BOTTLE" 12_000 Excluded;
    "Gabapentin" "Neurelan" "CAPSULE" "ORAL" ["100" "300" "400"] "mg/1" "Anti-epileptic Agent [EPC]" "" "CAPSULE" "BOTTLE" 4_400 Usual;
    "Imatinib Mesylate" "Glivera" "TABLET" "ORAL" ["100" "400" "200"] "mg/1" "Kinase Inhibitor [EPC]" "" "TABLET" "BOTTLE" 8_400_000 Specialty;
    "Amlodipine Besylate" "Norvella" "TABLET" "ORAL" ["2.5" "5" "10"] "mg/1" "Dihydropyridine Calcium Channel Blocker [EPC]" "" "TABLET" "BLISTER PACK" 1_600 Usual;
    "Sitagliptin Phosphate" "Sitagenta" "TABLET, FILM COATED" "ORAL" ["25" "50" "100"] "mg/1" "Dipeptidyl Peptidase 4 Inhibitor [EPC]" "" "TABLET" "BOTTLE" 980_000 Usual;
    "Zolpidem Tartrate" "Nocturne \"PM\"" "TABLET, COATED" "ORAL" ["5" "10" "12.5"] "mg/1" "gamma-Aminobutyric Acid-ergic Agonist [EPC]" "CIV" "TABLET" "BOTTLE" 6_100 Usual;
    "Latanoprost" "Xalavue" "SOLUTION/ DROPS" "OPHTHALMIC" [".05" ".1" ".2"] "mg/mL" "Prostaglandin Analog [EPC]" "" "mL" "BOTTLE, DROPPER" 260_000 Usual;
    "Warfarin Sodium" "Coumavin" "TABLET" "ORAL" ["1" "2" "5"] "mg/1" "Vitamin K Antagonist [EPC]" "" "TABLET" "BOTTLE" 9_300 Usual;
    "Testosterone" "Androcrème" "GEL" "TRANSDERMAL; TOPICAL" ["12.5" "25" "50"] "mg/1.25g" "Androgen [EPC]" "CIII" "g" "TUBE" 150_000 Usual;
};

/// A product: one labeler's version of a substance in one strength.
pub struct Product {
    pub id: String,
    pub ndc: String,
    pub rxcui: String,
    pub brand: bool,
    pub group: Group,
    /// Cost of a unit in hundred-thousandths of a dollar, before plans and nights.
    pub cost: u64,
    labeler: &'static Labeler,
    substance: &'static Substance,
    strength: &'static str,
    start: String,
}

/// A package of a product.
pub struct Package {
    /// Its place in the catalogue: names the package to the random streams.
    pub number: u64,
    pub product: usize,
    /// The 11 digits.
    pub ndc11: String,
    code: String,
    pieces: u64,
}

/// All drugs of a night.
pub struct Catalogue {
    pub products: Vec<Product>,
    /// In the order of their 11 digits.
    pub packages: Vec<Package>,
}

/// The drugs of the night; holds all of them in memory.
pub fn catalogue(options: &Options) -> Catalogue {
    let wanted = options.drugs + (options.night - 1) * 2;
    let (mut products, mut packages) = (Vec::new(), Vec::new());
    let mut number = 0;
    while (packages.len() as u64) < wanted {
        let product = product(options, number);
        let mut random = Random::new(options.seed, Stream::Package, number, 0);
        for member in 0..random.between(2, 3).min(wanted - packages.len() as u64) {
            packages.push(package(
                packages.len() as u64,
                products.len(),
                &product,
                member,
            ));
        }
        products.push(product);
        number += 1;
    }
    packages.sort_by(|a: &Package, b: &Package| a.ndc11.cmp(&b.ndc11));
    Catalogue { products, packages }
}

fn product(options: &Options, number: u64) -> Product {
    let count = SUBSTANCES.len() as u64;
    let which = (number % count) as usize;
    let strength = (number / count % 3) as usize;
    let substance = &SUBSTANCES[which];
    let labeler_number = number % LABELERS.len() as u64;
    let labeler = &LABELERS[labeler_number as usize];
    let serial = (number / LABELERS.len() as u64 * 37 + 101) % PRODUCTS_PER_LABELER + 1;
    let mut random = Random::new(options.seed, Stream::Product, number, 0);
    // The first to sell a strength sells the brand.
    let brand = number < count * 3;
    let ndc = match labeler.division {
        Division::Product3 => format!("{}-{serial:03}", labeler.code),
        Division::Labeler4 | Division::Package1 => format!("{}-{serial:04}", labeler.code),
    };
    let (a, b) = (random.bits(), random.bits());
    Product {
        id: format!(
            "{ndc}_{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        ),
        ndc,
        rxcui: (197_000 + (which as u64 * 3 + strength as u64) * 74 + u64::from(brand)).to_string(),
        brand,
        group: substance.group,
        cost: substance.cost * if brand { 9 } else { 1 } * random.between(80, 120) / 100,
        labeler,
        substance,
        strength: substance.strengths[strength],
        start: format!(
            "{:04}{:02}{:02}",
            random.between(1995, 2025),
            random.between(1, 12),
            random.between(1, 28)
        ),
    }
}

fn package(number: u64, product_index: usize, product: &Product, member: u64) -> Package {
    let code = match product.labeler.division {
        Division::Package1 => format!("{}-{}", product.ndc, member + 1),
        Division::Labeler4 | Division::Product3 => {
            format!("{}-{:02}", product.ndc, member * 30 + 1)
        }
    };
    let mut parts = code.split('-').map(|part| part.parse().unwrap_or(0u64));
    let mut part = || parts.next().unwrap_or(0);
    Package {
        number,
        product: product_index,
        ndc11: format!("{:05}{:04}{:02}", part(), part(), part()),
        code,
        pieces: [30, 90, 500][(member % 3) as usize],
    }
}

/// Writes the products.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_products(sink: &dyn Sink, key: &str, catalogue: &Catalogue) -> Result<()> {
    const HEADER: [&str; 20] = [
        "PRODUCTID",
        "PRODUCTNDC",
        "PRODUCTTYPENAME",
        "PROPRIETARYNAME",
        "PROPRIETARYNAMESUFFIX",
        "NONPROPRIETARYNAME",
        "DOSAGEFORMNAME",
        "ROUTENAME",
        "STARTMARKETINGDATE",
        "ENDMARKETINGDATE",
        "MARKETINGCATEGORYNAME",
        "APPLICATIONNUMBER",
        "LABELERNAME",
        "SUBSTANCENAME",
        "ACTIVE_NUMERATOR_STRENGTH",
        "ACTIVE_INGRED_UNIT",
        "PHARM_CLASSES",
        "DEASCHEDULE",
        "NDC_EXCLUDE_FLAG",
        "LISTING_RECORD_CERTIFIED_THROUGH",
    ];
    let mut file = TextFile::create(sink, key, Spelling::Tab, &HEADER)?;
    for product in &catalogue.products {
        let substance = product.substance;
        let biologic = matches!(product.group, Group::Insulin) || substance.name == "Adalimumab";
        let category = match (biologic, product.brand) {
            (true, _) => "BLA",
            (false, true) => "NDA",
            (false, false) => "ANDA",
        };
        let application = product.rxcui.trim_start_matches('1');
        file.text(&product.id)
            .text(&product.ndc)
            .text("HUMAN PRESCRIPTION DRUG");
        file.text(if product.brand {
            substance.brand
        } else {
            substance.name
        });
        file.text(if product.brand && product.cost % 7 == 0 {
            "XR"
        } else {
            ""
        });
        file.text(substance.name)
            .text(substance.form)
            .text(substance.route);
        file.text(&product.start).text("").text(category);
        file.text(&format!("{category}{application:0>6}"))
            .text(product.labeler.name);
        file.text(&substance.name.to_uppercase())
            .text(product.strength)
            .text(substance.unit);
        file.text(substance.class)
            .text(substance.schedule)
            .text("N")
            .text("20271231");
        file.end_row()?;
    }
    file.finish()?;
    Ok(())
}

/// Writes the packages, in the order of the catalogue's products.
///
/// # Errors
/// The sink cannot be written to.
pub fn write_packages(sink: &dyn Sink, key: &str, catalogue: &Catalogue) -> Result<()> {
    const HEADER: [&str; 8] = [
        "PRODUCTID",
        "PRODUCTNDC",
        "NDCPACKAGECODE",
        "PACKAGEDESCRIPTION",
        "STARTMARKETINGDATE",
        "ENDMARKETINGDATE",
        "NDC_EXCLUDE_FLAG",
        "SAMPLE_PACKAGE",
    ];
    let mut file = TextFile::create(sink, key, Spelling::Tab, &HEADER)?;
    for package in &catalogue.packages {
        let product = &catalogue.products[package.product];
        let substance = product.substance;
        file.text(&product.id)
            .text(&product.ndc)
            .text(&package.code);
        file.text(&format!(
            "{} {} in 1 {} ({}) ",
            package.pieces, substance.piece, substance.container, package.code
        ));
        file.text(&product.start);
        file.text(if package.number % 29 == 11 {
            "20281130"
        } else {
            ""
        });
        file.text("N").yes_no(package.number % 41 == 7);
        file.end_row()?;
    }
    file.finish()?;
    Ok(())
}
