//! Taking keys out and putting them back.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use tokio_postgres::Client;

use overnight::capacity::Capacity;
use overnight::schema::catalog::snapshot;
use overnight::schema::jobs::Step;
use overnight::schema::run::run;
use overnight::schema::set_aside::plan;
use overnight::schema::tables::{Identity, Kind, TableKind, tables};
use overnight::schema::worker::Limits;

use super::{file, rich, rich_database};
use crate::support::database::{Database, value};

/// So many sessions on a server with as many cores.
fn limits(sessions: usize) -> Limits {
    let capacity = Capacity {
        cores: sessions,
        memory_bytes: 1 << 30,
        origin: "a test".into(),
        sessions_left: usize::MAX,
    };
    Limits::new(&capacity, None, &capacity.slots(None))
}

#[tokio::test]
async fn the_catalog_is_the_same_after_putting_back() {
    let database = rich_database().await;
    run(&database.open().await, &rich()).await.unwrap();
    let client = database.open().await;
    let declared = snapshot(&client).await.unwrap();
    let mut aside = plan(&client).await.unwrap();
    aside.take_out(&client).await.unwrap();

    let kept: Vec<&str> = aside.kept.iter().map(|k| k.name.as_str()).collect();
    assert_eq!(kept, ["primary key grouped_pkey on public.grouped"]);
    assert!(
        aside.kept[0].reason.contains("view public.totals"),
        "{:?}",
        aside.kept
    );
    let left = value(
        &client,
        "select string_agg(indexrelid::regclass::text, ' ') from pg_index join pg_class c on c.oid = indrelid
         where c.relkind in ('r', 'p') and relnamespace = 'public'::regnamespace",
    );
    assert_eq!(left.await, "grouped_pkey");
    assert_eq!(
        value(
            &client,
            "select count(*) from pg_constraint where contype = 'f'"
        )
        .await,
        "0"
    );

    let sizes = HashMap::new();
    let done = Mutex::new(Vec::new());
    aside
        .put_back(
            || database.try_open(),
            &limits(4),
            &sizes,
            |job, _| {
                done.lock().unwrap().push(job.name.clone());
            },
        )
        .await
        .unwrap();
    assert_eq!(declared.diff(&snapshot(&client).await.unwrap()), [""; 0]);
    assert_eq!(done.lock().unwrap().len(), aside.jobs().len());
    let names: BTreeSet<String> = done.into_inner().unwrap().into_iter().collect();
    assert!(
        names.contains("foreign key a_b_fkey on public.a"),
        "{names:?}"
    );
    // The one that was declared unchecked stays unchecked.
    let unchecked = "select string_agg(conname, ' ') from pg_constraint where not convalidated";
    assert_eq!(value(&client, unchecked).await, "a_id_fkey");
    assert_eq!(
        value(
            &client,
            "select count(*) from pg_index where not indisvalid"
        )
        .await,
        "0"
    );
}

#[tokio::test]
async fn the_same_statements_work_in_one_transaction() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    let declared = snapshot(&client).await.unwrap();
    let path = value(&client, "show search_path").await;
    let mut aside = plan(&client).await.unwrap();
    client.batch_execute("begin").await.unwrap();
    aside.take_out_here(&client).await.unwrap();
    assert_ne!(declared, snapshot(&client).await.unwrap());
    aside.put_back_here(&client).await.unwrap();
    client.batch_execute("commit").await.unwrap();
    assert_eq!(declared.diff(&snapshot(&client).await.unwrap()), [""; 0]);
    assert_eq!(value(&client, "show search_path").await, path);
}

#[tokio::test]
async fn a_catalog_does_not_depend_on_the_order_of_creation() {
    let (first, second) = (rich_database().await, rich_database().await);
    let b = second.open().await;
    b.batch_execute("create table x (); drop table x; create schema overnight; create table overnight.build (a int primary key)").await.unwrap();
    let a = first.open().await;
    run(&a, &rich()).await.unwrap();
    run(&b, &rich()).await.unwrap();
    b.batch_execute("set search_path = \"Odd Schema\", public; set timezone = 'Asia/Tokyo'")
        .await
        .unwrap();
    let (a, b) = (snapshot(&a).await.unwrap(), snapshot(&b).await.unwrap());
    assert_eq!(a.diff(&b), [""; 0]);
    assert_eq!(a.digest(), b.digest());
    assert_eq!(a.digest().len(), 64);
}

#[tokio::test]
async fn every_kind_of_change_shows_in_the_catalog() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    let declared = snapshot(&client).await.unwrap();
    for change in [
        "comment on column plan.name is 'n'",
        "comment on index plan_full_id is 'n'",
        "alter table plan alter name drop not null",
        "alter table plan alter name set storage external",
        "alter table plan alter name set statistics 7",
        "alter table plan set (fillfactor = 50)",
        "alter table plan set unlogged",
        "alter table plan set without cluster",
        "alter table part replica identity full",
        "alter index plan_full_id set tablespace other",
        "alter table b alter constraint b_a_id_fkey not deferrable",
        "alter table a validate constraint a_id_fkey",
        "alter type status add value 'new'",
        "alter domain short_code set not null",
        "alter sequence numbers increment 6",
        "alter policy mine on booking using (room = 2)",
        "alter table plan disable trigger plan_touch",
        "grant insert on plan to reader",
        "revoke execute on function touch from public",
        "drop statistics plan_stats",
        "create or replace view totals as select id, label, 1::bigint as sum from grouped group by id",
        "create function f() returns int language sql return 1",
        "create aggregate total(int) (sfunc = int4pl, stype = int)",
        "alter index plan_name_idx alter column 1 set statistics 9",
    ] {
        client.batch_execute("begin").await.unwrap();
        let changed = client.batch_execute(change).await;
        if let Err(error) = changed {
            // Tables with foreign keys cannot become unlogged, but nothing else may fail.
            assert!(change.contains("unlogged"), "{change}: {error:?}");
        } else {
            let now = snapshot(&client).await.unwrap();
            assert_ne!(declared.diff(&now), [""; 0], "{change}");
        }
        client.batch_execute("rollback").await.unwrap();
    }
    assert_eq!(declared, snapshot(&client).await.unwrap());
}

#[tokio::test]
async fn an_orphan_stops_putting_back_and_no_value_is_told() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    let mut aside = plan(&client).await.unwrap();
    aside.take_out(&client).await.unwrap();
    client
        .batch_execute("insert into b values (1, null), (4711, 815); insert into a values (1, 1), (4711, 4711)")
        .await
        .unwrap();
    let error = aside
        .put_back(
            || database.try_open(),
            &limits(3),
            &HashMap::new(),
            |_, _| {},
        )
        .await
        .unwrap_err();
    let text = format!("{error:#} {error:?}");
    assert!(
        text.contains("put back foreign key b_a_id_fkey on public.b"),
        "{text}"
    );
    assert!(text.contains("23503"), "{text}");
    assert!(!text.contains("815") && !text.contains("4711"), "{text}");
}

#[tokio::test]
async fn a_duplicate_cancels_what_still_runs() {
    let database = Database::new().await;
    let client = database.open().await;
    let text = "
        create function slow(i int) returns int language plpgsql immutable as
            $$ begin perform pg_sleep(0.05); return i; end $$;
        create table s (id int not null);
        create index s_slow on s (slow(id));
        create table t (id int primary key);";
    run(&client, &file("010_slow.sql", text)).await.unwrap();
    let mut aside = plan(&client).await.unwrap();
    aside.take_out(&client).await.unwrap();
    client
        .batch_execute(
            "insert into s select generate_series(1, 2000); insert into t values (7), (7)",
        )
        .await
        .unwrap();
    let began = std::time::Instant::now();
    let error = aside
        .put_back(
            || database.try_open(),
            &limits(2),
            &HashMap::new(),
            |_, _| {},
        )
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}")
            .contains("put back primary key t_pkey on public.t: unique constraint violated"),
        "{error:#}"
    );
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    // The server tells the error a moment before it calls the session idle.
    let active = "select count(*) from pg_stat_activity where query like 'CREATE INDEX s_slow%' and state = 'active'";
    while value(&client, active).await != "0" {
        assert!(began.elapsed().as_secs() < 30);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn jobs_wait_for_what_they_need_and_never_fight_for_a_table() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    let aside = plan(&client).await.unwrap();
    let jobs = aside.jobs();
    for (at, job) in jobs.iter().enumerate() {
        assert!(job.after.iter().all(|other| *other < at), "{job:?}");
        assert!(!job.statements.is_empty());
    }
    let plan_builds: Vec<_> = jobs
        .iter()
        .filter(|j| j.step == Step::Build && j.statements[0].contains(" ON public.plan "))
        .collect();
    assert_eq!(plan_builds.len(), 9);
    assert!(
        plan_builds[0].beside(plan_builds[1]),
        "indexes of one table build side by side"
    );
    let adds: Vec<_> = jobs
        .iter()
        .filter(|j| j.step == Step::AddForeignKey)
        .collect();
    let of = |name: &str| adds.iter().find(|j| j.name.contains(name)).unwrap();
    assert!(
        !of("a_b_fkey").beside(of("b_a_id_fkey")),
        "opposite directions would deadlock"
    );
    assert!(aside.drops()[0].contains("DROP CONSTRAINT"));
}

#[tokio::test]
async fn rows_loaded_in_between_are_indexed() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    let declared = snapshot(&client).await.unwrap();
    let mut aside = plan(&client).await.unwrap();
    aside.take_out(&client).await.unwrap();
    client
        .batch_execute(
            "insert into plan (contract_id, plan_id, name, premium) select 'H' || i, '001', 'n' || i, i
               from generate_series(1, 1000) i;
             alter table plan alter code set default null;
             update plan set code = row_no;
             insert into claim select i, '2025-12-15'::date + i % 100, 'H1', lpad((i % 3)::text, 3, '0'), 0, null
               from generate_series(1, 5000) i where i % 3 = 1;
             insert into claim_note select month, claim_id, 'x' from claim",
        )
        .await
        .unwrap();
    let sizes = tables(&client).await.unwrap();
    let sizes = sizes
        .iter()
        .map(|t| (t.oid, u64::from(t.name == "plan")))
        .collect();
    // The second foreign key of claim_note looks only into one partition.
    let error = aside
        .put_back(|| database.try_open(), &limits(2), &sizes, |_, _| {})
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("claim_note_claim_id_month_fkey"),
        "{error:#}"
    );
    assert_ne!(declared, snapshot(&client).await.unwrap());
}

#[tokio::test]
async fn columns_are_resolved_to_what_copy_writes() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    client
        .batch_execute("alter table plan drop column segment_id cascade; create table empty ()")
        .await
        .unwrap();
    let tables = tables(&client).await.unwrap();
    let table = |name: &str| tables.iter().find(|t| t.name == name).unwrap();
    let plan = table("plan");
    let column = |name: &str| plan.columns.iter().find(|c| c.name == name).unwrap();

    assert_eq!(
        (plan.kind, plan.schema.as_str()),
        (TableKind::Plain, "public")
    );
    assert_eq!(column("name").position, 4);
    let code = column("code");
    assert_eq!(
        (code.sql_type.as_str(), code.typmod),
        ("public.shorter_code", -1)
    );
    assert_eq!((code.base.name.as_str(), code.base.typmod), ("varchar", 12));
    assert!(!code.not_null);
    let premium = column("premium");
    assert_eq!((premium.base.oid, premium.not_null), (1700, true));
    assert_eq!(premium.base.typmod, ((12 << 16) | 2) + 4);
    let state = &column("state").base;
    assert_eq!(
        (state.schema.as_str(), state.name.as_str()),
        ("public", "status")
    );
    assert_eq!(
        state.kind,
        Kind::Enum {
            labels: vec!["active".into(), "retired".into(), "it's odd".into()]
        }
    );
    assert!(matches!(
        &column("tags").base.kind,
        Kind::Array {
            element_oid: 25,
            element_not_null: false,
            ..
        }
    ));
    assert!(column("tags").has_default && !column("full_id").has_default);
    match &column("amounts").base.kind {
        Kind::Array {
            element_oid,
            element,
            element_not_null,
        } => {
            assert_eq!((element.oid, element_not_null), (1700, &true));
            assert_eq!(
                (element.typmod, *element_oid == premium.type_oid),
                (premium.base.typmod, true)
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        &column("odd").base.kind,
        Kind::Array {
            element_oid: 25,
            ..
        }
    ));
    assert_eq!(
        column("couple").base.kind,
        Kind::Unsupported("a composite type")
    );
    assert_eq!(column("valid_during").base.kind, Kind::Range);
    assert!(column("full_id").generated);
    assert_eq!(column("row_no").identity, Identity::ByDefault);
    assert!(!column("contract_id").has_default && column("contract_id").not_null);

    let claim = table("claim");
    assert_eq!(claim.kind, TableKind::Partitioned { parent: None });
    assert_eq!(
        table("claim_rest").kind,
        TableKind::Partitioned {
            parent: Some(claim.oid)
        }
    );
    assert_eq!(
        table("claim_2026_02").kind,
        TableKind::Partition { parent: claim.oid }
    );
    assert!(table("empty").columns.is_empty());
}

#[tokio::test]
async fn what_a_part_is_needed_for_keeps_the_whole_key() {
    let database = rich_database().await;
    let client = database.open().await;
    run(&client, &rich()).await.unwrap();
    let view = "create view v as select claim_id, month, part_id from claim_rest_1 group by month, claim_id";
    client.batch_execute(view).await.unwrap();
    let declared = snapshot(&client).await.unwrap();
    let mut aside = plan(&client).await.unwrap();
    aside.take_out(&client).await.unwrap();
    let kept: Vec<&str> = aside.kept.iter().map(|k| k.name.as_str()).collect();
    assert_eq!(
        kept,
        [
            "primary key claim_pk on public.claim",
            "primary key grouped_pkey on public.grouped"
        ]
    );
    assert!(
        !aside
            .keys
            .iter()
            .any(|k| k.name.contains("claim_2026_01_pkey"))
    );
    let sizes = HashMap::new();
    let two = limits(2);
    let put_back = aside.put_back(|| database.try_open(), &two, &sizes, |_, _| {});
    // The nightly run may move it to another thread.
    fn sendable<F: Future + Send>(future: F) -> F {
        future
    }
    sendable(put_back).await.unwrap();
    assert_eq!(declared.diff(&snapshot(&client).await.unwrap()), [""; 0]);
}

#[tokio::test]
async fn a_database_without_keys_has_nothing_to_do() {
    let database = Database::new().await;
    let client = database.open().await;
    let mut aside = plan(&client).await.unwrap();
    aside.take_out(&client).await.unwrap();
    let nobody = || async { Err::<Client, _>(anyhow::anyhow!("no session is needed")) };
    aside
        .put_back(nobody, &limits(1), &HashMap::new(), |_, _| {})
        .await
        .unwrap();
    assert!(snapshot(&client).await.unwrap().entries.len() < 5);
}
