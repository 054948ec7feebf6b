//! Dumping the live database into the granted folder, and deleting what was dumped.
//!
//! A dump has no name before it is whole: it is written beside the backups, read back, made durable, and
//! then renamed. So what has a backup's name is one, and a host that dies leaves nothing but a hidden file
//! that the call's next attempt writes over.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio::sync::OwnedMutexGuard;
use tokio::sync::watch;

use super::driver::{Backups, Tell};
use super::folder::{self, Folder, Record};
use super::source::{self, Extent};
use super::tools::Program;
use super::{Backup, DumpOptions, Format};
use crate::capability::sql::Reply;
use crate::capability::{At, Prepared, Settlement};
use crate::failure::Failure;

/// How much is read from `pg_dump` at once.
const CHUNK_BYTES: usize = 256 << 10;
/// What a version may be made of, as a part of a file's name.
const VERSION_BYTES_MAX: usize = 80;
/// How long a table may be locked against reading by somebody else.
const LOCK_WAIT: &str = "--lock-wait-timeout=30s";

struct Dump {
    backups: Arc<Backups>,
    at: At,
    options: DumpOptions,
    name: String,
    program: Program,
    reader: Option<Program>,
    environment: BTreeMap<String, String>,
    server_version: String,
    turn: OwnedMutexGuard<()>,
}

struct Delete {
    backups: Arc<Backups>,
    name: String,
    turn: OwnedMutexGuard<()>,
}

/// Whether a dump can be made with these options.
///
/// # Errors
/// Why not.
pub(in crate::capability::sql) fn check(options: &DumpOptions) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    match &options.version {
        Some(version) if version.is_empty() || version.len() > VERSION_BYTES_MAX || !version.chars().all(is_plain) => {
            Err(format!(
                "{version:?} can't be a part of a backup's name: a version has letters, digits, `.`, `_`, `-` and `+`, and \
                 at most {VERSION_BYTES_MAX} of them"
            ))
        }
        _ => Ok(()),
    }
}

/// `app-20261123T031500Z-1.4.2.dump`, or the next of that name that is free.
fn name(folder: &Folder, database: &str, options: &DumpOptions, now: Timestamp) -> String {
    let database: String =
        database.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).take(60).collect();
    let version = options.version.as_ref().map(|version| format!("-{version}")).unwrap_or_default();
    let base = format!("{database}-{}{version}", now.strftime("%Y%m%dT%H%M%SZ"));
    let extension = options.format.extension();
    let mut name = format!("{base}.{extension}");
    for number in 2.. {
        if !folder.has(&name) {
            break;
        }
        name = format!("{base}-{number}.{extension}");
    }
    name
}

/// The arguments of `pg_dump`.
pub(super) fn arguments(format: Format) -> [&'static str; 4] {
    let format = match format {
        Format::Custom => "--format=custom",
        Format::Plain | Format::PlainGzip => "--format=plain",
    };
    [format, "--encoding=UTF8", LOCK_WAIT, "--no-password"]
}

pub(super) async fn prepare(
    backups: &Arc<Backups>,
    at: &At,
    options: &DumpOptions,
) -> Result<Box<dyn Prepared<Reply>>, Failure> {
    let folder = backups.folder()?;
    let turn = backups.busy.clone().lock_owned().await;
    let server = backups.maintenance(&at.key()).await?;
    let major = backups.major(&server.client).await?;
    let live = backups.live(&server.client).await?;
    let program = backups.tools.find("pg_dump", major).await?;
    let reader = match options.format {
        Format::Custom => Some(backups.tools.find("pg_restore", major).await?),
        Format::Plain | Format::PlainGzip => None,
    };
    // The last dump tells best how big the next one is; without one, it compresses as most do.
    let last = backups.list().await?.into_iter().find(|backup| backup.is_own && backup.format == options.format);
    let needed = last.map_or(live.bytes / 20, |last| last.bytes);
    if let Some(free) = folder.free().filter(|free| *free < needed) {
        return Err(Failure::permanent(format!(
            "there are {free} bytes left in {}, and a dump of {} needs about {needed}: make room first",
            folder.path().display(),
            live.name
        )));
    }
    let name = name(folder, &live.name, options, Timestamp::now());
    let environment = backups.environment(&at.key());
    let server_version = backups.version(&server.client).await?;
    let (backups, at, options) = (backups.clone(), at.clone(), options.clone());
    Ok(Box::new(Dump { backups, at, options, name, program, reader, environment, server_version, turn }))
}

#[async_trait]
impl Prepared<Reply> for Dump {
    fn marker(&self) -> Option<Json> {
        Some(json!({ "name": self.name }))
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        let unfinished = self.backups.folder()?.unfinished(&self.at.key());
        let dumped = self.dump().await;
        if dumped.is_err() {
            // A hidden file that can't be removed is written over by the next attempt.
            let _ = std::fs::remove_file(unfinished);
        }
        dumped.map(Box::new).map(Reply::Backup)
    }
}

impl Dump {
    async fn dump(self) -> Result<Backup, Failure> {
        let Self { backups, at, options, name, program, reader, environment, server_version, turn } = self;
        let failed = |problem: String| Failure::permanent(format!("can't dump into {name}: {problem}"));
        let folder = backups.folder()?.clone();
        let (path, file) = folder.begin(&at.key()).map_err(|error| failed(error.to_string()))?;
        let taken_at = Timestamp::now();
        let (tool, output) = program.start(&arguments(options.format), &environment, Stdio::null(), backups.timeout)?;
        let (written, mut progress) = watch::channel(0);
        let compress = options.format == Format::PlainGzip;
        let mut writing = tokio::task::spawn_blocking(move || write(output, file, compress, &written));
        let mut tell = Tell::new(&at, format!("dump to {name}"), None);
        let file = loop {
            tokio::select! {
                file = &mut writing => break file,
                Ok(()) = progress.changed() => tell.progress(|| *progress.borrow_and_update()),
            }
        };
        let file = file.map_err(io::Error::other).flatten();
        // A disk that is full ends the tool as well, and is the better reason.
        let mut file = match (file, tool.finish().await) {
            (Ok(file), Ok(())) => file,
            (Err(error), _) => return Err(failed(error.to_string())),
            (Ok(_), Err(problem)) => return Err(failed(problem)),
        };
        let read_back = source::read(&file, options.format, reader.as_ref(), Extent::Facts, backups.timeout)?;
        read_back
            .finish()
            .await
            .map_err(|problem| failed(format!("what was written can't be read back: {problem}")))?;

        let database = backups.database().to_owned();
        let (final_name, version) = (name.clone(), options.version.clone());
        let call = at.key();
        let finished = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            file.sync_all()?;
            let bytes = file.metadata()?.len();
            let sha256 = folder::checksum(&mut file)?;
            let record = Record { call, database, server_version, taken_at, version, bytes, sha256 };
            folder.finish(&path, &final_name, &record)?;
            folder.backup(&final_name).map_err(io::Error::other)
        });
        let finished = finished.await.map_err(io::Error::other).flatten();
        finished.map(|opened| opened.backup).map_err(|error| Failure::unknown(format!("can't finish {name}: {error}")))
    }
}

fn write(mut output: File, file: File, compress: bool, written: &watch::Sender<u64>) -> io::Result<File> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut total = 0;
    let mut pump = |file: &mut dyn Write| -> io::Result<()> {
        loop {
            match output.read(&mut chunk)? {
                0 => return Ok(()),
                read => {
                    file.write_all(&chunk[..read])?;
                    total += read as u64;
                    written.send_replace(total);
                }
            }
        }
    };
    if !compress {
        let mut file = file;
        pump(&mut file)?;
        return Ok(file);
    }
    let mut encoder = GzEncoder::new(file, Compression::default());
    pump(&mut encoder)?;
    encoder.finish()
}

pub(super) async fn settle(backups: &Backups, at: &At, marker: &Json) -> Result<Settlement<Reply>, Failure> {
    let Some(name) = marker.get("name").and_then(Json::as_str) else {
        return Ok(Settlement::Unknown(format!("its marker names no backup: {marker}")));
    };
    // The first attempt's thread may still be at it.
    let _turn = backups.busy.clone().lock_owned().await;
    let folder = backups.folder()?;
    if !folder.has(name) {
        return Ok(Settlement::DidNotHappen);
    }
    let opened = folder.backup(name)?;
    Ok(match opened.record {
        Some(record) if record.call == at.key() => Settlement::Happened(Reply::Backup(Box::new(opened.backup))),
        _ => Settlement::Unknown(format!(
            "{} is there, and is not the one that this call has made",
            folder.file(name).display()
        )),
    })
}

pub(super) async fn prepare_delete(backups: &Arc<Backups>, name: &str) -> Result<Box<dyn Prepared<Reply>>, Failure> {
    let turn = backups.busy.clone().lock_owned().await;
    let folder = backups.folder()?;
    if !folder.backup(name)?.backup.is_own {
        return Err(Failure::permanent(format!(
            "{} was not made by ripcord, or is not as it was made, and only what it made is deleted",
            folder.file(name).display()
        )));
    }
    let name = name.to_owned();
    Ok(Box::new(Delete { backups: backups.clone(), name, turn }))
}

#[async_trait]
impl Prepared<Reply> for Delete {
    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        let Self { backups, name, turn } = *self;
        let folder: PathBuf = backups.folder()?.path().to_owned();
        let (of, file) = (backups.folder()?.clone(), name.clone());
        let removed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            of.remove(&file)
        });
        match removed.await.map_err(io::Error::other).flatten() {
            Ok(()) => Ok(Reply::Deleted(name)),
            Err(error) => Err(Failure::unknown(format!("can't delete {}: {error}", folder.join(&name).display()))),
        }
    }
}

pub(super) async fn settle_delete(backups: &Backups, name: &str) -> Result<Settlement<Reply>, Failure> {
    let _turn = backups.busy.clone().lock_owned().await;
    Ok(match backups.folder()?.has(name) {
        true => Settlement::DidNotHappen,
        false => Settlement::Happened(Reply::Deleted(name.to_owned())),
    })
}
