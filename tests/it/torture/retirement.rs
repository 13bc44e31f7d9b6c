//! Years of nights, jumps of the clock, floods of failed builds, look-alike names and people who
//! meddle: nothing goes that somebody needs or that is not ours.

use super::Row;
use super::retirement_model::Model;
use rand::Rng;
use serde_json::json;

#[test]
fn nothing_that_is_needed_or_not_ours_is_ever_dropped() {
    let row = Row::begin(
        "retirement",
        "retirement model with clock jumps of ten years, look-alike names, floods of failed builds: wrong drops",
        ["1,000 sequences: 0", "50,000 sequences: 0"],
    );
    let sequences = row.pick(1_000, 50_000);
    let (mut drops, mut steps, mut bad) = (0, 0, Vec::new());
    for sequence in 0..sequences {
        let mut rng = row.rng(sequence);
        let mut model = Model::new();
        for _ in 0..rng.random_range(10..60) {
            model.step(&mut rng);
            steps += 1;
        }
        let tidy = model.is_tidy(rng.random_range(1..5));
        drops += model.drops;
        if !tidy {
            bad.push(format!("sequence {sequence}: databases pile up"));
        }
        for wrong in model.wrong {
            bad.push(format!("sequence {sequence}: {wrong}"));
        }
    }
    // A retirement that never drops anything would be right, too.
    if drops < sequences as usize {
        bad.push(format!("only {drops} drops"));
    }
    row.end(
        &format!(
            "{sequences} sequences of {steps} steps, {drops} drops: {} wrong",
            bad.len()
        ),
        &json!({"sequences": sequences, "steps": steps, "drops": drops, "wrong": bad.len()}),
        &bad,
    );
}
