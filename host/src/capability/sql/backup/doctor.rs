//! Examines what a backup and a restore need: the folder, the tools, the rights, the room.

use std::sync::Arc;

use super::catalogue::Entry;
use super::driver::Backups;
use super::folder::Folder;
use super::obstacle;
use crate::capability::sql::connection::Access;
use crate::doctor::{Aspect, Exam};

/// A swap ends other people's sessions.
const SIGNALS: &str = "SELECT r.rolsuper, pg_has_role('pg_signal_backend', 'MEMBER') FROM pg_roles r \
                       WHERE r.rolname = current_user";

pub(in crate::capability::sql) async fn examine(backups: &Arc<Backups>, access: Access, exam: &Exam<'_>) {
    let Ok(folder) = backups.folder() else { return };
    look_into(folder, backups, access, exam).await;
    exam.trying(Aspect::Login, "the database postgres, from which others are renamed");
    let server = match backups.maintenance("ripcord doctor").await {
        Ok(server) => server,
        Err(failure) => {
            let remedy = "let the login into the database postgres (pg_hba.conf, GRANT CONNECT)";
            return exam.fault(Aspect::Login, failure.to_string(), remedy);
        }
    };
    let client = &server.client;
    let (major, live) = match (backups.major(client).await, backups.live(client).await) {
        (Ok(major), Ok(live)) => (major, live),
        (Err(failure), _) | (_, Err(failure)) => {
            return exam.fault(Aspect::Answer, failure.to_string(), "look at the server's own log");
        }
    };
    for name in ["pg_dump", "pg_restore"] {
        exam.trying(Aspect::Program, name);
        match backups.tools.find(name, major).await {
            Ok(program) => exam.good(Aspect::Program, format!("{name} is {}, as the server is", program.version)),
            Err(failure) => {
                let message = failure.to_string();
                let (seen, remedy) = message.split_once(". Next: ").unwrap_or((&message, "see to its tools"));
                exam.fault(Aspect::Program, seen, remedy);
            }
        }
    }
    if access >= Access::Restore {
        rights(backups, client, &live, exam).await;
    }
    if let Some(free) = backups.free_on_server(client).await {
        let needed = live.bytes;
        let seen = format!("the server's disk has {free} bytes left, and {} has {needed}", live.name);
        match free < needed {
            false => exam.good(Aspect::Disk, seen),
            true => {
                exam.warning(Aspect::Disk, format!("{seen}: a restore needs as much again"), "make room on the server")
            }
        }
    }
}

async fn look_into(folder: &Folder, backups: &Backups, access: Access, exam: &Exam<'_>) {
    let path = folder.path().display();
    match backups.list().await {
        Ok(found) => match found.first() {
            None => exam.warning(Aspect::Folder, format!("no backup is in {path}"), "see where backups are written to"),
            Some(newest) => {
                let count = found.len();
                exam.good(
                    Aspect::Folder,
                    format!("{count} backups in {path}, the newest is {} of {:.0}", newest.name, newest.taken_at),
                );
            }
        },
        Err(failure) => exam.fault(Aspect::Folder, failure.to_string(), "let ripcord's user read it"),
    }
    if access >= Access::Write && rustix::fs::access(folder.path(), rustix::fs::Access::WRITE_OK).is_err() {
        let seen = format!("{path} can't be written to, so no dump can be made");
        exam.warning(Aspect::Folder, seen, "let ripcord's user write there, if it is to make dumps");
    }
}

async fn rights(backups: &Backups, client: &tokio_postgres::Client, live: &Entry, exam: &Exam<'_>) {
    let user = backups.user();
    let row = client.query_one(SIGNALS, &[]).await;
    let rights = row.and_then(|row| Ok::<[bool; 2], tokio_postgres::Error>([row.try_get(0)?, row.try_get(1)?]));
    let rights = rights.map_err(|error| backups.trouble("looking at the login's rights", &error));
    let (is_superuser, can_signal, lacks) = match (rights, obstacle::of_swap(backups, client, live).await) {
        (Ok([is_superuser, can_signal]), Ok(lacks)) => (is_superuser, can_signal, lacks),
        (Err(failure), _) | (_, Err(failure)) => {
            return exam.fault(Aspect::Rules, failure.to_string(), "look at the server's own log");
        }
    };
    if is_superuser {
        return exam.good(Aspect::Rules, format!("{user} is a superuser, and may restore and swap"));
    }
    let owner = &live.owner;
    match lacks.as_slice() {
        [] => exam.good(Aspect::Rules, format!("{user} may make databases and is {owner}, who owns {}", live.name)),
        lacks => {
            let what = lacks.iter().map(|lack| lack.what.as_str()).collect::<Vec<_>>().join("; ");
            let lines = lacks.iter().flat_map(|lack| &lack.lines).map(String::as_str).collect::<Vec<_>>().join("; ");
            exam.fault(Aspect::Rules, format!("{user} can't restore {}: {what}", live.name), lines);
        }
    }
    if !can_signal {
        let seen = format!("{user} can't end the sessions of others, which a swap has to");
        exam.warning(Aspect::Rules, seen, format!("GRANT pg_signal_backend TO {user}"));
    }
}
