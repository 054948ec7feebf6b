//! The database: the newest good backup into a new one, which then takes the live one's name.

use ripcord_plugin::sql::{Backup, Database, Restored, Swapped};
use ripcord_plugin::{Context, Failure, Result, log};

use crate::config::Config;
use crate::good::{self, Good};

pub(crate) const DATABASE: Database = Database::role("database");

/// What a preview takes for the new database's name.
const ASSUMED_NAME: &str = "assumed-database";

/// The database of the connection, which alone knows its name. A backup may be of another one.
const LIVE: &str = "the live database";

/// What is restored, found out before anything is touched.
pub(crate) struct Chosen {
    pub(crate) backup: Backup,
    /// Its checksum, as it was read just now: no other file is restored under its name.
    sha256: Option<String>,
    /// The good state that it is of: its code is the one that goes with this data.
    pub(crate) good: Option<Good>,
}

impl Chosen {
    /// The backup that the plan names; else that of the last good state; else the newest that can be restored.
    pub(crate) fn find(context: &Context, config: &Config) -> Result<Self> {
        let there = DATABASE.backups()?;
        let is_of = |good: &Good, name: &str| good.backup.as_ref().is_some_and(|backup| backup.name == name);
        let good = match &config.backup {
            Some(name) => good::states(context).find(|good| is_of(good, name)),
            None => good::states(context).find(|good| there.iter().any(|backup| is_of(good, &backup.name))),
        };
        let of_state = good.as_ref().and_then(|good| good.backup.clone());
        let known = of_state.clone().map(|backup| backup.name);
        if let Some(name) = config.backup.clone().or(known) {
            let sha256 = of_state.and_then(|backup| backup.sha256);
            return match Self::read(&name)? {
                Ok(chosen) if sha256.is_none() || sha256 == chosen.sha256 => Ok(Self { good, ..chosen }),
                Ok(_) => Err(Failure::permanent(format!(
                    "backup {name} is not the file any more that was verified: its checksum differs. Nothing was \
                     touched. Name another one with `backup`"
                ))),
                Err(problem) => Err(Failure::permanent(format!(
                    "backup {name} can't be restored: {problem}. Nothing was touched. Name another one with `backup`"
                ))),
            };
        }
        let mut problems = Vec::new();
        for backup in &there {
            match Self::read(&backup.name)? {
                Ok(chosen) => return Ok(chosen),
                Err(problem) => {
                    log::warn(format!("backup {} is passed over: {problem}", backup.name));
                    problems.push(format!("{}: {problem}", backup.name));
                }
            }
        }
        Err(Failure::permanent(match problems.as_slice() {
            [] => "there is no backup to restore in the granted folder; nothing was touched".to_owned(),
            [newest, older @ ..] => {
                let count = older.len();
                let more = if count == 0 { String::new() } else { format!(", nor any of the {count} older ones") };
                format!("nothing was touched: the newest backup can't be restored{more}. {newest}")
            }
        }))
    }

    fn read(name: &str) -> Result<std::result::Result<Self, String>> {
        let contents = DATABASE.read_backup(name).send()?;
        Ok(match contents.problem {
            Some(problem) => Err(problem),
            None => Ok(Self { sha256: contents.backup.sha256.clone(), backup: contents.backup, good: None }),
        })
    }

    /// Restores it beside the live database, and puts it in its place. A failure leaves the live one as it was.
    pub(crate) fn exchange(&self) -> Result<(Restored, Swapped)> {
        let restored = self.restore()?;
        let swapped = swap(&restored.database, LIVE).map_err(|failure| {
            failure.and(&format!("what was restored stays in {}, which nobody uses", restored.database))
        })?;
        Ok((restored, swapped))
    }

    /// Restores it beside the live database.
    fn restore(&self) -> Result<Restored> {
        let name = &self.backup.name;
        log::info(format!("restoring {name} into a new database"));
        let assumed = Restored { database: ASSUMED_NAME.to_owned(), tables: 0, rows: 0 };
        let restored = DATABASE.restore(name, self.sha256.as_deref()).idempotent().assume(assumed).send()?;
        log::info(format!("{} has {} tables and {} rows", restored.database, restored.tables, restored.rows));
        Ok(restored)
    }
}

/// Gives a database the live one's name.
pub(crate) fn swap(database: &str, live: &str) -> Result<Swapped> {
    log::info(format!("putting {database} in the place of {live}"));
    let assumed = Swapped { live: live.to_owned(), kept: ASSUMED_NAME.to_owned() };
    let swapped = DATABASE.swap(database).assume(assumed).send()?;
    log::info(format!("what {} held before is kept as {}", swapped.live, swapped.kept));
    Ok(swapped)
}
