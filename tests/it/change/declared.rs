//! What a source file declares of rows, groups, keys and columns.

use super::{newest, night, project, source};

#[test]
fn rows_have_a_most_and_two_directions() {
    let project = project("change_rows");
    source(
        &project,
        "[expect]\nrows = { max = 1210, change = { up = \"50%\", down = \"10%\" } }\n",
    );
    night(&project, 0);
    project.run().code(0);
    night(&project, 4);
    project.refuses(1, &["rows of plan: 1,212 encoded", "at most 1,210"]);
    source(
        &project,
        "[expect]\nrows = { change = { up = \"50%\", down = \"10%\" } }\n",
    );
    let text = std::fs::read_to_string(project.path("in/change_rows/plan.csv")).unwrap();
    let kept: Vec<&str> = text.lines().take(1 + 1000).collect();
    std::fs::write(
        project.path("in/change_rows/plan.csv"),
        kept.join("\n") + "\n",
    )
    .unwrap();
    let visits = std::fs::read_to_string(project.path("in/change_rows/visit.csv")).unwrap();
    let kept: Vec<&str> = visits.lines().take(1 + 1000).collect();
    std::fs::write(
        project.path("in/change_rows/visit.csv"),
        kept.join("\n") + "\n",
    )
    .unwrap();
    project.refuses(
        1,
        &[
            "change of plan: 1,000 rows, 1,200 in ",
            "-16.67%, allowed 50% up and 10% down",
        ],
    );
}

#[test]
fn a_group_that_is_gone_stops_the_build_and_is_named_only_where_it_may_be() {
    let project = project("change_groups");
    let groups = "[expect]\ngroups = [{ by = \"state\", change = \"40%\" }, { by = [\"state\", \"city\"], min = 5, missing = \"warn\" }]\nprofile = \"warn\"\n";
    source(&project, groups);
    for number in 0..3 {
        night(&project, number);
        project.run().code(0);
    }
    night(&project, 3);
    let gone = "delete from visit using plan where plan.id = visit.plan and state = 'TX'; delete from plan where state = 'TX';\n";
    project.sql("derive/120_gone.sql", gone);
    let ended = project.refuses(
        1,
        &["groups of plan by state: 7 groups, 0 new, 1 group missing, against"],
    );
    let (_, refused) = ended.stderr.split_once("error:").unwrap();
    assert!(
        !refused.contains("by state,city") && !refused.contains("TX"),
        "{refused}"
    );
    let warned = project.ledger("select finding from ledger.finding where gate = 'groups of plan by state,city' order by id desc limit 1");
    assert!(warned.contains("6 groups missing"), "{warned}");
    source(
        &project,
        &format!("{groups}[expect.columns]\nstate = {{ show = true }}\n"),
    );
    std::fs::remove_file(project.path("sql/change_groups/derive/120_gone.sql")).unwrap();
    project.run().code(0);
    let least = project.ledger("select c->>'least' from ledger.profile p, jsonb_array_elements(profile->'columns') c
                                where table_name = 'plan' and c->>'name' = 'state' order by build desc limit 1");
    assert_eq!(least, "CA");
    night(&project, 4);
    project.sql("derive/120_gone.sql", gone);
    project.refuses(1, &["1 group missing ({TX})"]);
    // One that is only smaller.
    project.sql("derive/120_gone.sql", "delete from visit using plan p where p.id = visit.plan and state = 'ME' and p.id % 3 < 2; delete from plan where state = 'ME' and id % 3 < 2;\n");
    project.refuses(1, &["1 group moved by more than 40%, the most by -6"]);
    // Somebody takes the responsibility.
    project
        .overnight(&[
            "run",
            &project.name,
            "--accept",
            "groups of plan by state",
            "--accept",
            "rows of visit",
            "--accept",
            "rows of plan",
            "--reason",
            "Maine left",
        ])
        .code(0);
}

#[test]
fn keys_are_compared_exactly_where_it_is_declared() {
    let project = project("change_keys");
    source(
        &project,
        "[expect]\nprofile = \"warn\"\nkeys = { added = \"5%\", removed = \"1%\", changed = \"30%\" }\n",
    );
    night(&project, 0);
    project.run().code(0);
    // The next night takes 12 rows away, brings 15, and touches the column `seen` of every row.
    night(&project, 1);
    let live = project.live();
    project.refuses(1, &[&format!("keys of plan: 15 added (allowed 5%), 12 removed (allowed 1%), 1,188 changed (allowed 30%) of 1,200 in `{live}`")]);
    source(
        &project,
        "[expect]\nprofile = \"warn\"\nkeys = { added = \"5%\", removed = \"1%\" }\n",
    );
    project.run().code(0);
    let kept = project.ledger("select added || ' ' || removed || ' ' || changed || ' ' || unchanged from ledger.key_change where table_name = 'plan' order by build desc limit 1");
    assert_eq!(kept, "15 12 1188 0");
    night(&project, 3);
    project.refuses(1, &["24 removed (allowed 1%)"]);
}

#[test]
fn a_column_has_limits_of_its_own() {
    let project = project("change_columns");
    for number in 0..3 {
        night(&project, number);
        project.run().code(0);
    }
    night(&project, 3);
    project.sql("derive/120_null.sql", "update plan set remark = null;\n");
    project.refuses(1, &["profile of plan: against", "remark: nulls"]);
    // Every source file is part of what a build is made of.
    source(
        &project,
        "[expect.columns]\nremark = { profile = \"warn\" }\n",
    );
    let ended = project.run().code(0);
    assert!(ended.stderr.contains("remark: nulls"), "{}", ended.stderr);
    night(&project, 4);
    source(
        &project,
        "[expect.columns]\nremrak = { profile = \"warn\" }\n",
    );
    project.refuses(
        1,
        &["limits of plan: `[expect.columns.remrak]`: `plan` has no such column"],
    );
    source(
        &project,
        "[expect.columns]\nremark = { profile = \"ward\" }\n",
    );
    project.refuses(2, &["plan.toml", "line 4", "`ward`"]);
    let build = newest(&project);
    assert_ne!(build, project.live());
}
