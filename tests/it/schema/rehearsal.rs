//! Rehearsing on empty tables.

use overnight::schema::catalog::snapshot;
use overnight::schema::rehearse::rehearse;
use overnight::schema::run::{SqlFailure, run};
use overnight::schema::set_aside::plan;

use super::{file, rich, rich_database};
use crate::support::database::value;

#[tokio::test]
async fn a_rehearsal_leaves_the_database_as_it_was() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    let declared = snapshot(&client).await.unwrap();
    let aside = plan(&client).await.unwrap();
    let derive = [
        file(
            "110_first.sql",
            "create temp table scratch (i int); set work_mem = '7MB'; set constraints all deferred;
             create table derived (id int generated always as identity primary key,
                                   b_id int references b deferrable initially deferred);
             insert into plan (contract_id, plan_id, name, premium) values ('H0001', '001', 'n', 1);
             set search_path = \"Odd Schema\"",
        ),
        file(
            "120_second.sql",
            "create temp table scratch (i int); insert into derived (b_id) select id from b",
        ),
        file("130_vacuum.sql", "-- no-transaction\nvacuum;"),
        file("140_after.sql", "insert into made_by_vacuum values (1)"),
    ];
    let checks = [
        file("010_none.sql", "select * from derived where b_id is null;"),
        file(
            "020_empty.sql",
            "select 'no rows at all' where not exists (select from a) -- why not\n",
        ),
    ];
    let rehearsal = rehearse(&client, &aside, &derive, &checks).await.unwrap();
    assert_eq!(rehearsal.steps.len(), 8);
    assert_eq!(rehearsal.offending.len(), 1);
    assert_eq!(rehearsal.offending[0].file, "020_empty.sql");
    let skipped: Vec<&str> = rehearsal
        .not_rehearsed
        .iter()
        .map(|(f, _)| f.as_str())
        .collect();
    assert_eq!(skipped, ["130_vacuum.sql", "140_after.sql"]);
    assert_eq!(rehearsal.kept.len(), 1);

    assert_eq!(declared.diff(&snapshot(&client).await.unwrap()), [""; 0]);
    assert_eq!(value(&client, "select count(*) from plan").await, "0");
    assert_eq!(
        value(&client, "select is_called from plan_row_no_seq").await,
        "f"
    );
    assert_eq!(value(&client, "select is_called from numbers").await, "f");
    assert_eq!(value(&client, "show work_mem").await, "4MB");
    assert_eq!(
        value(&client, "show search_path").await,
        "\"$user\", public"
    );
    // And the real thing still works.
    let mut aside = aside;
    aside.take_out(&client).await.unwrap();
    aside.put_back_here(&client).await.unwrap();
    assert_eq!(declared, snapshot(&client).await.unwrap());
}

#[tokio::test]
async fn a_misspelt_column_shows_with_file_and_line() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    let declared = snapshot(&client).await.unwrap();
    let aside = plan(&client).await.unwrap();
    let text = "-- Totals.\ncreate table total (n int);\n\ninsert into total\n-- é\nselect count(*) from plan\nwhere 'é' = naem;\n";
    let derive = [file("110_total.sql", text)];
    let error = rehearse(&client, &aside, &derive, &[]).await.unwrap_err();
    let failure = error.downcast_ref::<SqlFailure>().unwrap();
    assert_eq!((failure.line, failure.statement_line), (7, 4));
    assert_eq!(failure.code.as_deref(), Some("42703"));
    assert_eq!(
        format!("{error:#}"),
        "`sql/d/any/110_total.sql` line 7 (statement of line 4): column \"naem\" does not exist (SQLSTATE 42703)"
    );
    assert_eq!(declared, snapshot(&client).await.unwrap());

    let checks = [file(
        "010_c.sql",
        "select 1 from plan where\n  nmae is null",
    )];
    let error = rehearse(&client, &aside, &[], &checks).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`sql/d/any/010_c.sql` line 2 "),
        "{error:#}"
    );
}

#[tokio::test]
async fn a_deferred_constraint_speaks_at_the_end_of_its_file() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    let aside = plan(&client).await.unwrap();
    let derive = [file("110_orphan.sql", "insert into b values (1, 4711)")];
    let error = rehearse(&client, &aside, &derive, &[]).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("110_orphan.sql") && text.contains("b_a_id_fkey"),
        "{text}"
    );
    assert!(!text.contains("4711"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_put_back_is_found_by_the_rehearsal() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    let mut aside = plan(&client).await.unwrap();
    let broken = aside
        .keys
        .iter_mut()
        .find(|k| k.name.contains("plan_tags_idx"))
        .unwrap();
    broken.build = broken.build.replace("off", "on");
    let error = rehearse(&client, &aside, &[], &[]).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("missing: index public.plan_tags_idx"),
        "{text}"
    );
    assert!(text.contains("extra: index public.plan_tags_idx"), "{text}");
}
