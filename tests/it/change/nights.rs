//! Nights as they are: small changes raise no alarm, and what was measured is kept.

use super::{PLANS, newest, night, project};

#[test]
fn ten_clean_nights_raise_no_alarm_and_leave_figures_without_values() {
    let project = project("change_clean");
    for number in 0..10 {
        night(&project, number);
        let ended = project.run().code(0);
        let build = newest(&project);
        let alarms = project.ledger(&format!(
            "select count(*) || ' ' || coalesce(string_agg(gate || ': ' || finding, '; '), '') from ledger.finding f
             join ledger.build b on b.id = f.build where b.name = '{build}' and verdict <> 'passed'"
        ));
        // The second night has nothing to learn from: it only says that all rows were seen anew.
        match number {
            1 => assert!(
                alarms.starts_with("1 profile of plan")
                    && alarms.contains(
                        "% of the rows have another value, and there is no earlier night"
                    ),
                "{alarms}"
            ),
            _ => assert_eq!(alarms, "0 ", "night {number}: {}", ended.stderr),
        }
        assert_eq!(project.live(), build);
    }
    let figures =
        project.ledger("select count(*) || ' ' || count(distinct build) from ledger.profile");
    assert_eq!(figures, "30 10");
    let rows = project.ledger(
        "select profile->>'rows' from ledger.profile where table_name = 'plan' order by build limit 1",
    );
    assert_eq!(rows, PLANS.to_string());
    // No value of the data is in the ledger.
    let said = project.ledger("select string_agg(profile::text, '') from ledger.profile");
    for value in ["Austin", "remark 1 of", "\"TX", "Plan ", "V001"] {
        assert!(!said.contains(value), "{value}");
    }
    let renewed = project.ledger(
        "select (c->'moved'->>'renewed')::float8 > 0.9 from ledger.profile p, jsonb_array_elements(profile->'columns') c
         where table_name = 'plan' and c->>'name' = 'seen' order by build desc limit 1",
    );
    assert_eq!(renewed, "t");
    // Asked again, the live build is as it was measured.
    let told = project.overnight(&["verify", &project.name]).code(0).stdout;
    for gate in [
        "catalog since it was finished",
        "content of plan ",
        "content of visit",
        "content of per_state",
    ] {
        assert!(told.contains(gate), "{gate}: {told}");
    }
}

#[test]
fn tables_that_are_not_to_be_measured_are_not() {
    let project = project("change_off");
    super::source(&project, "[expect]\nprofile = \"off\"\n");
    night(&project, 0);
    project.run().code(0);
    let tables = project
        .ledger("select string_agg(table_name, ' ' order by table_name) from ledger.profile");
    assert_eq!(tables, "per_state visit");
    let toml = format!("sources/{}/dataset.toml", project.name);
    let text = std::fs::read_to_string(project.path(&toml)).unwrap();
    project.write(&toml, &format!("profile = \"off\"\n{text}"));
    night(&project, 1);
    project.run().code(0);
    let tables = project.ledger(
        "select count(*) from ledger.profile where build = (select max(id) from ledger.build)",
    );
    assert_eq!(tables, "0");
    project.overnight(&["verify", &project.name]).code(0);
}
