//! What a person is told before a database is dumped, restored, swapped or dropped.

use jiff::{Timestamp, Unit};

use super::driver::Backups;
use super::dump;
use super::source::{self, Extent};
use super::{Format, obstacle};
use crate::capability::sql::Call;
use crate::capability::{At, Capped, Changed, Detail, Exactly, Version};

/// The tables whose rows are told of: those with the most.
const TABLES_MAX: usize = 10;

pub(super) fn exactly(backups: &Backups, call: &Call) -> Exactly {
    let url = backups.database();
    let file = |name: &str| {
        backups.folder().map_or_else(|_| name.to_owned(), |folder| folder.file(name).display().to_string())
    };
    match call {
        Call::Dump(options) => {
            let folder = file("");
            Exactly::new(backups.tools.line("pg_dump", &dump::arguments(options.format)))
                .with("of", url)
                .with("into", folder)
        }
        Call::Restore { backup, .. } => Exactly::new(match backup.ends_with(Format::Custom.extension()) {
            true => backups.tools.line("pg_restore", source::arguments(Extent::Whole)),
            false => "the statements of the backup".to_owned(),
        })
        .with("from", file(backup))
        .with("into", format!("a new database beside {url}, in one transaction")),
        Call::Swap { database } => Exactly::new(format!("rename {url} to {url}_before_…, {database} to {url}"))
            .with("first", format!("all sessions of {url} are ended"))
            .with("also", "owner, grants, settings, connection limit and comment, in the same transaction"),
        Call::DropDatabase { database } => Exactly::new(format!("DROP DATABASE {database}")),
        Call::DeleteBackup { name } => Exactly::new(format!("delete {}", file(name))),
        call => Exactly::new(format!("{call:?}")),
    }
}

pub(super) async fn detail(backups: &Backups, at: &At, call: &Call) -> Option<Detail> {
    match call {
        Call::Restore { backup, .. } => restores(backups, at, backup).await,
        Call::Swap { .. } => swaps(backups, at).await,
        Call::DropDatabase { database } => Some(Detail {
            notes: vec![format!("{database} is gone for good; what it holds is in no backup unless you have made one")],
            ..Detail::default()
        }),
        _ => None,
    }
}

async fn restores(backups: &Backups, at: &At, name: &str) -> Option<Detail> {
    let mut opened = backups.folder().ok()?.backup(name).ok()?;
    let server = backups.maintenance(&at.key()).await.ok()?;
    let reader = backups.reader(&server.client, opened.backup.format).await;
    backups.identify(&mut opened, reader.as_ref().ok().and_then(Option::as_ref)).await;
    let backup = &opened.backup;
    let mut detail = Detail::default();
    let age = age(backup.taken_at, Timestamp::now());
    let of = backup.database.as_ref().map(|database| format!(" of {database}")).unwrap_or_default();
    detail.restores = Some(Version {
        name: format!("backup {name}"),
        title: format!("{}{of}, {}", backup.format.words(), indicatif::BinaryBytes(backup.bytes)),
        by: backup.version.as_ref().map(|version| format!("version {version}")).unwrap_or_default(),
        at: Some(backup.taken_at),
    });
    detail.notes.push(format!(
        "the backup is {age} old: once it takes the place of {}, what was written since is in the kept database only",
        backups.database()
    ));
    detail.notes.push("it goes into a new database; the live one is not touched before the swap".to_owned());
    detail.obstacle = match reader {
        Err(failure) => Some(failure.to_string()),
        Ok(program) => {
            match source::read(&opened.file, backup.format, program.as_ref(), Extent::Facts, backups.timeout) {
                Err(failure) => Some(failure.to_string()),
                Ok(reading) => match reading.finish().await {
                    Err(problem) => Some(problem),
                    Ok(facts) => {
                        if !facts.owners.is_empty() && !facts.has_grants {
                            detail.notes.push(
                                "the backup holds no grants: roles other than the owners will not reach its tables"
                                    .to_owned(),
                            );
                        }
                        obstacle::of_restore(backups, &server.client, &facts, &opened.backup).await.ok().flatten()
                    }
                },
            }
        }
    };
    Some(detail)
}

/// What the live database holds, as far as the server's statistics know without counting.
async fn swaps(backups: &Backups, at: &At) -> Option<Detail> {
    let live = backups.session(backups.database(), &at.key()).await.ok()?;
    let tables = live
        .client
        .query(
            "SELECT format('%I.%I', schemaname, relname), n_live_tup FROM pg_stat_user_tables \
             ORDER BY n_live_tup DESC, 1",
            &[],
        )
        .await
        .ok()?;
    let tables =
        tables.iter().filter_map(|row| Some((row.try_get::<_, String>(0).ok()?, row.try_get::<_, i64>(1).ok()?)));
    let changes = tables.map(|(name, rows)| Changed {
        name: format!("{name} (about {rows} rows now)"),
        change: "replaced".to_owned(),
        counts: None,
    });
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let sessions: i64 = live.client.query_one(sessions, &[]).await.ok()?.try_get(0).ok()?;
    Some(Detail {
        notes: vec![
            format!("ends the {sessions} sessions that {} has now", backups.database()),
            "the database of now is kept under its dated name, with all that it holds".to_owned(),
        ],
        changes: Capped::of(changes.collect::<Vec<_>>(), TABLES_MAX),
        ..Detail::default()
    })
}

fn age(then: Timestamp, now: Timestamp) -> String {
    let minutes = now.since(then).and_then(|span| span.total(Unit::Minute)).unwrap_or_default().max(0.0);
    match minutes {
        minutes if minutes < 120.0 => format!("{minutes:.0} minutes"),
        minutes if minutes < 48.0 * 60.0 => format!("{:.0} hours", minutes / 60.0),
        minutes => format!("{:.0} days", minutes / (24.0 * 60.0)),
    }
}
