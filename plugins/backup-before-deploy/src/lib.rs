//! What `backup_before_deploy.sh` did: dumps the database before a deploy, sees that the dump can be read,
//! notes which version it belongs to, and keeps the last few.
//!
//! What was there before is deleted only when the new dump has been read to its end, and the dump of the last good state
//! never. A service that is not well makes its dump no good state.

use ripcord_plugin::git::WorkingCopy;
use ripcord_plugin::sql::{Backup, BackupContents, BackupFormat, Database};
use ripcord_plugin::{
    Action, Context, Effects, Failure, Manifest, Pending, Reconciliation, Result, Role, export_action, http, log,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const DATABASE: Database = Database::role("database");
const SERVICE: http::Service = http::Service::role("service");
const CODE: WorkingCopy = WorkingCopy::role("code");

/// What a preview takes for the name of the dump.
const ASSUMED_NAME: &str = "assumed-backup";

struct BackupBeforeDeploy;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    version: Option<String>,
    #[serde(default = "path")]
    path: String,
    #[serde(default = "pointer")]
    pointer: String,
    #[serde(default)]
    format: BackupFormat,
    keep: Option<usize>,
}

fn path() -> String {
    "/health".to_owned()
}

fn pointer() -> String {
    "/version".to_owned()
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Receipt {
    /// The name of the new dump.
    backup: String,
    sha256: Option<String>,
    bytes: u64,
    tables: u64,
    version: Option<String>,
    /// The dumps that were deleted for it.
    deleted: Vec<String>,
    /// What the host keeps of a run that ends verified; none if the service was not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    good_state: Option<GoodState>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct GoodState {
    version: Option<String>,
    /// The commit that the working copy is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    backup: KeptBackup,
}

/// What is known of earlier good states, of which each plugin writes a part.
#[derive(Deserialize)]
struct LastGood {
    backup: Option<KeptBackup>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct KeptBackup {
    name: String,
    sha256: Option<String>,
}

impl Action for BackupBeforeDeploy {
    type Config = Config;
    type Receipt = Receipt;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Back a database up before a deploy",
            description: "Dumps the database, reads the dump to its end, and deletes all but the last `keep` of the \
                          dumps that ripcord has made of it and the one of the last good state. The version that it \
                          belongs to comes from the plan or from the service; if that is not well, the dump is made and \
                          is no good state. Undo leaves the dump where it is.",
            parameters: include_str!("parameters.json"),
            roles: vec![
                Role::write("database", "sql", "to dump it, and to delete its oldest dumps"),
                Role::read("service", "http", "to ask whether it is well, and which version runs now").optional(),
                Role::read("code", "git", "to note the commit that this version is").optional(),
            ],
            can_undo: true,
        }
    }

    fn apply(context: &Context, config: Config) -> Result<Receipt> {
        let Running { version, is_well } = running(context, &config)?;
        let commit = if context.is_bound("code") { Some(CODE.resolve("HEAD")?) } else { None };
        // What there is before the new one: a preview can't read that one back.
        let before = DATABASE.backups()?;
        log::info(format!("dumping the database, version {}", version.as_deref().unwrap_or("not known")));
        let dump = DATABASE.dump().format(config.format);
        let dump = version.iter().fold(dump, |dump, version| dump.version(version));
        let backup = dump.assume(Backup::assumed(ASSUMED_NAME, config.format)).send()?;
        let assumed = BackupContents { backup: backup.clone(), entries: Vec::new(), tables: 0, problem: None };
        let contents = DATABASE.read_backup(&backup.name).assume(assumed).send()?;
        if let Some(problem) = contents.problem {
            return Err(Failure::permanent(format!(
                "the new dump {} can't be restored: {problem}; it was left there, and no other was deleted",
                backup.name
            )));
        }
        let keep = config.keep.map_or(usize::MAX, |keep| keep.saturating_sub(1));
        let own =
            before.iter().filter(|old| old.is_own && (old.database == backup.database || backup.database.is_none()));
        // After a row of bad deploys it is the only one that anybody wants back.
        let good = context.good_states_as::<LastGood>().find_map(|good| good.state.backup).map(|backup| backup.name);
        let mut deleted = Vec::new();
        for old in own.skip(keep).filter(|old| Some(&old.name) != good.as_ref()) {
            DATABASE.delete_backup(&old.name).idempotent().send()?;
            deleted.push(old.name.clone());
        }
        let sha256 = contents.backup.sha256;
        let kept = KeptBackup { name: backup.name.clone(), sha256: sha256.clone() };
        Ok(Receipt {
            backup: backup.name,
            sha256,
            bytes: backup.bytes,
            tables: contents.tables,
            version: version.clone(),
            deleted,
            good_state: is_well.then_some(GoodState { version, commit, backup: kept }),
        })
    }

    /// A backup does no harm, and what was deleted for it can't be brought back.
    fn undo(_: &Context, _: Config, _: Effects, _: Option<Receipt>) -> Result<()> {
        Ok(())
    }

    /// The host itself can look whether a dump is there.
    fn reconcile(_: &Context, _: Config, _: Pending) -> Reconciliation {
        Reconciliation::Unknown("the host has looked already".to_owned())
    }
}

/// What runs now.
struct Running {
    version: Option<String>,
    /// Nothing speaks against it: it says that it is well, or nobody is bound who could be asked.
    is_well: bool,
}

/// Asks the service. One that is not well is backed up as well, for whoever needs what it holds: only nobody goes back to
/// that.
fn running(context: &Context, config: &Config) -> Result<Running> {
    let version = config.version.clone();
    if !context.is_bound("service") {
        return Ok(Running { version, is_well: true });
    }
    let response = match SERVICE.get(&config.path).send() {
        Ok(response) if response.is_success() => response,
        Err(failure @ (Failure::Denied(_) | Failure::Permanent(_))) => return Err(failure),
        ill => {
            let seen = ill.map_or_else(
                |failure| failure.message().to_owned(),
                |answer| answer.unexpected("").message().to_owned(),
            );
            log::warn(format!("the service is not well, so the dump is kept and is no good state: {seen}"));
            return Ok(Running { version, is_well: false });
        }
    };
    if version.is_some() {
        return Ok(Running { version, is_well: true });
    }
    match response.json::<Value>()?.pointer(&config.pointer) {
        Some(Value::String(version)) if !version.is_empty() => {
            Ok(Running { version: Some(version.clone()), is_well: true })
        }
        _ => Err(response.unexpected(&format!(", which has no version at `{}`", config.pointer))),
    }
}

export_action!(BackupBeforeDeploy);
