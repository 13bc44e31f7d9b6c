//! Rights: what the tool's role and the readers lack, and what they have too much of.

use super::{Known, Notes, Visit, present};
use crate::postgres::LOOK;
use anyhow::{Context, Result};

/// Roles that lead out of the database onto the server's machine.
const FILES: &str = "pg_read_server_files pg_write_server_files pg_execute_server_program";

pub(super) async fn look(visit: &Visit<'_>, known: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("rights");
    own(visit, &mut notes).await?;
    databases(visit, known, &mut notes).await?;
    for dataset in visit.datasets {
        for reader in &dataset.settings.readers {
            let looked = look_at_reader(visit, known, &dataset.name, reader, &mut notes).await;
            if let Err(error) = looked {
                notes.unknown(
                    &format!("the reader `{reader}` of `{}`", dataset.name),
                    &error,
                );
            }
        }
    }
    for known in known {
        if let Err(error) = public(visit, known, &mut notes).await {
            notes.unknown(&format!("the live `{}`", known.row.dataset), &error);
        }
    }
    Ok(notes.or_ok("the role has what it needs and no more; readers only read"))
}

/// The role that everything is done as.
async fn own(visit: &Visit<'_>, notes: &mut Notes) -> Result<()> {
    let row = visit
        .session
        .query_one(
            "select rolname::text, rolsuper, rolreplication, rolbypassrls, rolcreaterole,
                    (select coalesce(string_agg(name, ', '), '') from unnest(string_to_array($1, ' ')) name
                      where pg_has_role(name, 'usage'))
             from pg_roles where rolname = current_user",
            &[&FILES],
        )
        .await
        .context("ask for the rights of the role")?;
    let role: String = row.get(0);
    if row.get(1) {
        notes.warn(
            format!("the role `{role}` is a superuser"),
            format!("alter role {role} nosuperuser createdb; grant pg_signal_backend to {role}"),
        );
        return Ok(());
    }
    for (index, attribute) in [(2, "replication"), (3, "bypassrls"), (4, "createrole")] {
        if row.get::<_, bool>(index) {
            notes.warn(
                format!("the role `{role}` has {attribute}, which it does not need"),
                format!("alter role {role} no{attribute}"),
            );
        }
    }
    let files: String = row.get(5);
    if !files.is_empty() {
        notes.warn(
            format!("the role `{role}` is a member of {files}: a mistake in SQL could reach the server's files"),
            format!("revoke {files} from {role}"),
        );
    }
    Ok(())
}

/// The control database and the builds: ours, and closed to the public.
async fn databases(visit: &Visit<'_>, known: &[Known], notes: &mut Notes) -> Result<()> {
    let rows = visit
        .session
        .query(
            "select d.datname::text, pg_get_userbyid(d.datdba)::text, d.datdba <> (select oid from pg_roles where rolname = current_user),
                    exists (select from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a where a.grantee = 0)
             from pg_database d where d.oid = any($1) or d.datname = $2 order by 1",
            &[&present(known), &visit.config.control_database],
        )
        .await
        .context("ask who owns the databases")?;
    for row in &rows {
        let (name, owner): (String, String) = (row.get(0), row.get(1));
        if row.get(2) {
            notes.problem(
                format!("`{name}` belongs to `{owner}`: it can be neither renamed nor dropped"),
                format!("alter database {name} owner to {}", visit.session.user()),
            );
        }
        if row.get(3) {
            notes.problem(
                format!("every role may connect to `{name}`"),
                format!("revoke all on database {name} from public"),
            );
        }
    }
    Ok(())
}

async fn look_at_reader(
    visit: &Visit<'_>,
    known: &[Known],
    dataset: &str,
    reader: &str,
    notes: &mut Notes,
) -> Result<()> {
    let live = known.iter().find(|known| known.row.dataset == dataset);
    let live = live.and_then(|known| known.live()?.database_oid);
    let row = visit
        .session
        .query_opt(
            "select concat_ws(', ', case when rolsuper then 'superuser' end, case when rolcreatedb then 'createdb' end,
                              case when rolcreaterole then 'createrole' end, case when rolreplication then 'replication' end,
                              case when rolbypassrls then 'bypassrls' end,
                              (select string_agg(name, ', ') from unnest(string_to_array($3, ' ')) name
                                where pg_has_role(r.oid, name, 'member'))),
                    not rolsuper and pg_has_role(r.oid, current_user::name, 'member'),
                    (select string_agg(d.datname, ', ') from pg_database d
                      where d.oid = any($4) and not r.rolsuper
                        and (d.datdba = r.oid or has_database_privilege(r.oid, d.oid, 'create')
                             or has_database_privilege(r.oid, d.oid, 'temporary'))),
                    (select has_database_privilege(r.oid, d.oid, 'connect') from pg_database d where d.oid = $2),
                    pg_has_role(r.oid, 'member'),
                    (select string_agg(m.rolname, ', ' order by m.rolname) from pg_auth_members g join pg_roles m on m.oid = g.member
                      where g.roleid = r.oid and m.rolname <> current_user and not m.rolsuper and pg_has_role(m.oid, r.oid, 'usage'))
             from pg_roles r where rolname = $1",
            &[&reader, &live, &FILES, &present(known)],
        )
        .await
        .with_context(|| format!("ask for the rights of `{reader}`"))?;
    let Some(row) = row else {
        if visit.data.is_some() {
            // The first run makes the readers of the embedded server.
            return Ok(());
        }
        notes.problem(
            format!("the reader `{reader}` of `{dataset}` does not exist"),
            format!("create role {reader} login"),
        );
        return Ok(());
    };
    let too_much: String = row.get(0);
    if !too_much.is_empty() {
        notes.warn(
            format!("the reader `{reader}` of `{dataset}` has more than it needs: {too_much}"),
            format!("take these from {reader}; services only read"),
        );
    }
    if row.get(1) {
        notes.problem(
            format!("the reader `{reader}` is a member of the role of overnight and could change or drop builds"),
            format!("revoke that membership from {reader}"),
        );
    }
    if let Some(databases) = row.get::<_, Option<String>>(2) {
        notes.problem(
            format!("the reader `{reader}` owns or may create objects in {databases}"),
            format!("revoke create, temporary on these databases from {reader}"),
        );
    }
    if let Some(members) = row.get::<_, Option<String>>(5) {
        notes.warn(
            format!(
                "members of the reader `{reader}` of `{dataset}` read what it reads: {members}"
            ),
            format!("revoke {reader} from {members}, unless they are meant to"),
        );
    }
    if row.get::<_, Option<bool>>(3) == Some(false) {
        notes.problem(
            format!("the reader `{reader}` may not connect to `{dataset}`"),
            format!("grant connect on database {dataset} to {reader}"),
        );
    }
    // Without either, what a reader sees is asked for and not tried.
    let tried = visit.data.is_some() || row.get::<_, bool>(4);
    if !tried
        && !visit
            .datasets
            .iter()
            .any(|of| of.name == dataset && of.settings.probe.is_some())
    {
        notes.warn(
            format!("nothing is tried as the reader `{reader}`: its rights are only asked for"),
            format!(
                "set `probe` in dataset.toml, or grant {reader} to {}",
                visit.session.user()
            ),
        );
    }
    Ok(())
}

/// Tables of the live build that every role may read which may connect.
async fn public(visit: &Visit<'_>, known: &Known, notes: &mut Notes) -> Result<()> {
    let Some(live) = known.live() else {
        return Ok(());
    };
    let dataset = &known.row.dataset;
    let name = visit.router.name_of_live(dataset, live);
    let session = visit.server.connect(name, "doctor").await?;
    session.limit(LOOK, LOOK).await?;
    let row = session
        .query_one(
            "select string_agg(format('%I.%I', n.nspname, c.relname), ', ' order by 1)
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'p', 'v', 'm') and n.nspname !~ '^pg_'
               and n.nspname not in ('information_schema', 'overnight')
               and exists (select from aclexplode(c.relacl) a where a.grantee = 0 and a.privilege_type = 'SELECT')",
            &[],
        )
        .await
        .context("ask what PUBLIC may read")?;
    session.close().await;
    if let Some(tables) = row.get::<_, Option<String>>(0) {
        notes.warn(
            format!("every role that may connect to `{dataset}` may read {tables}"),
            format!("revoke select on {tables} from public, in the schema files and in `{name}`"),
        );
    }
    Ok(())
}
