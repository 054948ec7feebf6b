//! The granted folder: what is in it, and how a file comes into it and goes.
//!
//! Names are those of files directly in it. A symbolic link is not followed, a pipe not waited for.
//! Beside a backup that ripcord made stands its record, `NAME.json`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::{Backup, Format};
use crate::failure::Failure;
use crate::id::Digest;

/// How many backups are told of; the newest.
pub(super) const BACKUPS_MAX: usize = 1000;

/// What an archive begins with.
const ARCHIVE: &[u8] = b"PGDMP";
const GZIP: &[u8] = &[0x1f, 0x8b];
/// What a plain dump begins with, but for comment signs.
const PLAIN: &[&[u8]] = &[b"-- PostgreSQL database dump", b"-- PostgreSQL database cluster dump"];
const BEGINNING_BYTES: u64 = 64;
const RECORD_BYTES_MAX: u64 = 64 << 10;
const CHUNK_BYTES: usize = 256 << 10;

/// The folder of a connection's backups.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// What ripcord writes down of a backup that it made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Record {
    /// The call that made it, which no other call is named like.
    pub(super) call: String,
    pub(super) database: String,
    pub(super) server_version: String,
    pub(super) taken_at: Timestamp,
    pub(super) version: Option<String>,
    pub(super) bytes: u64,
    pub(super) sha256: Digest,
}

/// A backup, opened.
pub(super) struct Opened {
    pub(super) backup: Backup,
    pub(super) file: File,
    /// What is written down of it.
    pub(super) record: Option<Record>,
}

impl Folder {
    /// The folder, which has to be there.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let problem = |error: io::Error| format!("backups is {}: {error}", path.display());
        let folder = path.canonicalize().map_err(problem)?;
        if !folder.is_dir() {
            return Err(problem(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The file of a name that was let through.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// How many bytes there is room for.
    pub(super) fn free(&self) -> Option<u64> {
        super::driver::free_in(&self.0)
    }

    /// All backups, the newest first.
    pub(super) fn list(&self) -> io::Result<Vec<Backup>> {
        let mut backups = Vec::new();
        for entry in self.0.read_dir()? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if check_name(&name).is_ok()
                && let Ok(Some(opened)) = self.look(&name)
            {
                backups.push(opened.backup);
            }
        }
        backups.sort_by(|a, b| b.taken_at.cmp(&a.taken_at).then_with(|| b.name.cmp(&a.name)));
        backups.truncate(BACKUPS_MAX);
        Ok(backups)
    }

    /// One backup, opened.
    pub(super) fn backup(&self, name: &str) -> Result<Opened, Failure> {
        let path = self.file(name);
        match self.look(name) {
            Ok(Some(opened)) => Ok(opened),
            Ok(None) => Err(Failure::permanent(format!(
                "{} is no backup: it is neither an archive of pg_dump (--format=custom) nor a plain dump, gzip or not",
                path.display()
            ))),
            Err(error) => Err(Failure::permanent(format!("can't open the backup {}: {error}", path.display()))),
        }
    }

    /// Whether a name is taken, by anything.
    pub(super) fn has(&self, name: &str) -> bool {
        self.file(name).symlink_metadata().is_ok()
    }

    fn look(&self, name: &str) -> io::Result<Option<Opened>> {
        let mut file = open(&self.file(name))?;
        let Some(format) = format_of(&mut file)? else { return Ok(None) };
        let metadata = file.metadata()?;
        let record = self.record(name).filter(|record| record.bytes == metadata.len());
        let written_at = Timestamp::try_from(metadata.modified()?).unwrap_or_default();
        let backup = Backup {
            name: name.to_owned(),
            bytes: metadata.len(),
            taken_at: record.as_ref().map_or(written_at, |record| record.taken_at),
            format,
            sha256: record.as_ref().map(|record| record.sha256),
            database: record.as_ref().map(|record| record.database.clone()),
            server_version: record.as_ref().map(|record| record.server_version.clone()),
            version: record.as_ref().and_then(|record| record.version.clone()),
            is_own: record.is_some(),
        };
        Ok(Some(Opened { backup, file, record }))
    }

    fn record(&self, name: &str) -> Option<Record> {
        let mut text = String::new();
        open(&record_path(&self.file(name))).ok()?.take(RECORD_BYTES_MAX).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// A new file beside the backups, which is nobody's backup yet.
    pub(super) fn begin(&self, call: &str) -> io::Result<(PathBuf, File)> {
        let path = self.unfinished(call);
        let mut options = OpenOptions::new();
        // What a killed attempt of the same call has left.
        let _ = std::fs::remove_file(&path);
        let file = options.write(true).read(true).create_new(true).mode(0o600).open(&path)?;
        Ok((path, file))
    }

    /// Where the dump of a call is written until it is whole.
    pub(super) fn unfinished(&self, call: &str) -> PathBuf {
        self.0.join(format!(".{call}.part"))
    }

    /// Gives a whole dump its name, and makes that durable.
    pub(super) fn finish(&self, unfinished: &Path, name: &str, record: &Record) -> io::Result<()> {
        let path = self.file(name);
        let mut json = serde_json::to_vec_pretty(record)?;
        json.push(b'\n');
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(record_path(&path))?;
        file.write_all(&json)?;
        file.sync_all()?;
        std::fs::rename(unfinished, &path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes a backup that ripcord has made, and its record.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.file(name);
        std::fs::remove_file(&path)?;
        match std::fs::remove_file(record_path(&path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        File::open(&self.0)?.sync_all()
    }
}

/// Whether a backup can have this name.
///
/// # Errors
/// Why not.
pub(in crate::capability::sql) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) || name.len() > 200 {
        return Err(format!(
            "{name:?} can't be a backup: it is the name of a file in the folder `backups`, without a path"
        ));
    }
    Ok(())
}

/// What is read of a file, from its beginning, to its checksum.
pub(super) fn checksum(file: &mut File) -> io::Result<Digest> {
    let mut hasher = sha2::Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            read => hasher.update(&chunk[..read]),
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(Digest(hasher.finalize().into()))
}

fn record_path(backup: &Path) -> PathBuf {
    let mut path = backup.as_os_str().to_owned();
    path.push(".json");
    path.into()
}

/// Opens a regular file of its own name.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// How the file is written, told from how it begins; none for what is no backup.
fn format_of(file: &mut File) -> io::Result<Option<Format>> {
    let mut beginning = Vec::new();
    Read::by_ref(file).take(BEGINNING_BYTES).read_to_end(&mut beginning)?;
    file.seek(SeekFrom::Start(0))?;
    if beginning.starts_with(ARCHIVE) {
        return Ok(Some(Format::Custom));
    }
    if !beginning.starts_with(GZIP) {
        return Ok(is_plain(&beginning).then_some(Format::Plain));
    }
    let mut beginning = Vec::new();
    // What can't be unpacked is no backup of ours to judge; what is cut off may begin well.
    let _ = MultiGzDecoder::new(&mut *file).take(BEGINNING_BYTES).read_to_end(&mut beginning);
    file.seek(SeekFrom::Start(0))?;
    Ok(is_plain(&beginning).then_some(Format::PlainGzip))
}

fn is_plain(beginning: &[u8]) -> bool {
    beginning.split(|&byte| byte == b'\n').any(|line| PLAIN.contains(&line.trim_ascii_end()))
}
