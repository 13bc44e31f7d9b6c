//! Room for one more build beside those that are kept, and what holds the log back.

use super::{Known, Notes, Visit, present};
use crate::units::Bytes;
use crate::vitals::{disk, log};
use anyhow::{Context, Result};

/// A build while its indexes are made, in hundredths of the finished one.
const HEIGHT: u64 = 150;

pub(super) async fn look(visit: &Visit<'_>, known: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("disk");
    let settings = &visit.config.watching;
    let live: Vec<u32> = known
        .iter()
        .filter_map(|known| known.live()?.database_oid)
        .collect();
    let largest: i64 = visit
        .session
        .query_one(
            "select coalesce(max(pg_database_size(oid)), 0)::bigint from pg_database
             where oid = any($1) and has_database_privilege(oid, 'connect')",
            &[&live],
        )
        .await
        .context("ask for the size of the live builds")?
        .get(0);
    let next = largest.unsigned_abs() / 100 * HEIGHT;
    let folders = disk::folders(
        visit.session,
        visit.server.target().is_local(),
        visit.data.clone(),
        &settings.folders,
    )
    .await?;
    let disk::Disks {
        mut spaces,
        failures,
    } = disk::look(&folders).await;
    for failure in &failures {
        notes.problem(
            failure,
            "let this user enter the folder, or declare another one in `folders` of [brake]",
        );
    }
    if let Some(size) = settings.server_disk {
        let log = log::log(visit.session).await?;
        spaces.push(disk::reckoned(visit.session, size, log.bytes).await?);
    }
    let local = visit.server.target().is_local() && settings.server_disk.is_none();
    let data = visit.data.clone();
    let unwatched = disk::unwatched(visit.session, local, data, &settings.folders).await?;
    match unwatched {
        Some((finding, todo)) => notes.problem(
            format!("{finding}; the next build needs about {}", Bytes(next)),
            todo,
        ),
        None if spaces.is_empty() && failures.is_empty() => notes.warn(
            format!(
                "no role can see the disk of this server; the next build needs about {}",
                Bytes(next)
            ),
            "declare `server_disk` in [brake]",
        ),
        None => {}
    }
    for space in spaces {
        let (mark, _) = disk::marks(space.size_bytes, settings.free, settings.free_min);
        let text = format!(
            "{} has {} free of {}; the next build needs about {}, and the load waits below {}",
            space.place,
            Bytes(space.free_bytes),
            Bytes(space.size_bytes),
            Bytes(next),
            Bytes(mark)
        );
        match space.free_bytes {
            free if free < next + mark => {
                notes.problem(text, "give the server room, or keep fewer builds");
            }
            free if free < 2 * next + mark => notes.warn(text, "give the server room soon"),
            _ => notes.ok(text),
        }
    }
    Ok(notes)
}

pub(super) async fn look_at_log(visit: &Visit<'_>, known: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("log");
    let found = log::log(visit.session).await?;
    let what = match found.measured {
        true => "pg_wal has",
        false => "since the last checkpoint, or held by a slot:",
    };
    notes.ok(format!(
        "{what} {}; usual are up to {}",
        Bytes(found.bytes),
        Bytes(found.usual_bytes)
    ));
    let builds = present(known);
    for slot in &found.slots {
        let name = &slot.name;
        let held = Bytes(slot.held_bytes);
        if slot.database.is_some_and(|oid| builds.contains(&oid)) {
            notes.problem(
                format!("the logical slot `{name}` is in a build, which can then not be dropped"),
                format!("select pg_drop_replication_slot('{name}')"),
            );
        }
        if slot.is_in_danger() {
            notes.problem(
                format!("the slot `{name}` holds {held} and is about to be cut off"),
                "bring its standby back, or raise max_slot_wal_keep_size",
            );
        } else if !slot.active && slot.held_bytes > found.usual_bytes {
            notes.problem(
                format!("nobody reads the slot `{name}`, and it holds {held} of log"),
                format!("bring its standby back, or select pg_drop_replication_slot('{name}')"),
            );
        } else if !slot.active {
            notes.warn(
                format!("nobody reads the slot `{name}`; it holds {held} of log, and each load adds to it"),
                format!("bring its standby back, or select pg_drop_replication_slot('{name}')"),
            );
        }
    }
    others(visit, &builds, &mut notes).await?;
    Ok(notes)
}

/// Prepared transactions, subscriptions, the archive.
async fn others(visit: &Visit<'_>, builds: &[u32], notes: &mut Notes) -> Result<()> {
    let rows = visit
        .session
        .query(
            "select d.datname::text, d.oid = any($1), count(*),
                    extract(epoch from clock_timestamp() - min(p.prepared))::bigint
             from pg_prepared_xacts p join pg_database d on d.datname = p.database group by 1, 2 order by 1",
            &[&builds],
        )
        .await
        .context("ask for prepared transactions")?;
    for row in rows {
        let (name, count, age): (String, i64, i64) = (row.get(0), row.get(2), row.get(3));
        let text = format!("{count} prepared transactions in `{name}`, the oldest {age} s old");
        match row.get(1) {
            true => notes.problem(
                format!("{text}: it can be neither renamed nor dropped"),
                "commit prepared or rollback prepared, there",
            ),
            false => notes.warn(text, "somebody forgot them: they keep old rows and locks"),
        }
    }
    let subscriptions: i64 = visit
        .session
        .query_one(
            "select count(*) from pg_subscription where subdbid = any($1)",
            &[&builds],
        )
        .await
        .context("ask for subscriptions")?
        .get(0);
    if subscriptions > 0 {
        notes.problem(
            format!("{subscriptions} subscriptions in builds: they write to what was verified"),
            "drop subscription, there",
        );
    }
    let row = visit
        .session
        .query_one(
            "select current_setting('archive_mode') <> 'off'
                    and last_failed_time > coalesce(last_archived_time, '-infinity'), failed_count
             from pg_stat_archiver",
            &[],
        )
        .await
        .context("ask for the archive")?;
    if row.get::<_, Option<bool>>(0) == Some(true) {
        notes.problem(
            format!(
                "the log is not archived ({} failures): it stays on the disk",
                row.get::<_, i64>(1)
            ),
            "look at archive_command and the server's log",
        );
    }
    Ok(())
}
