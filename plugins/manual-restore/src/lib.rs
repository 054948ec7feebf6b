//! The manual rollback of a runbook, for when the platform that deploys does not answer: reverts the code, stops
//! the containers, restores the newest good backup, starts the containers in order, and waits for their health.
//!
//! All that can be found out by looking is found out before the first change. The backup is restored beside the
//! live database, while nothing is missing yet; only then the two exchange their names.

mod code;
mod config;
mod containers;
mod database;
mod good;
mod stranded;
mod undo;

use ripcord_plugin::docker::Container;
use ripcord_plugin::{
    Action, Context, Effects, Failure, Manifest, Pending, Reconciliation, Result, Role, export_action,
};
use serde::{Deserialize, Serialize};

use config::Config;
use good::{Good, GoodBackup};
use stranded::Stranded;

struct ManualRestore;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Receipt {
    /// The version that the target is at now, as the backup or the revision names it.
    version: Option<String>,
    /// The commit whose code is there now, and the one that `HEAD` is at.
    commit: Option<String>,
    head: Option<String>,
    /// The backup that was restored, and when it was taken, in seconds since 1970.
    backup: Option<String>,
    backup_taken_at: Option<i64>,
    /// The name under which the database of before is kept.
    kept: Option<String>,
    rows: u64,
    stopped: Vec<String>,
    started: Vec<String>,
    /// What the host keeps of a run that ends verified; none where the code is not this step's to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    good_state: Option<Good>,
}

impl Action for ManualRestore {
    type Config = Config;
    type Receipt = Receipt;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Restore by hand: code, database, containers",
            description: "Takes the code back (a commit on top, or the branch moved), stops containers, restores the \
                          newest good backup into a new database which takes the live one's place, starts the \
                          containers in order and waits until they are healthy. Undo stops the containers, puts the \
                          database of before and the code of before back, and starts them again.",
            parameters: include_str!("parameters.json"),
            roles: vec![
                Role::write("code", "git", "to take the code back, and to push it if asked").optional(),
                Role::write("containers", "docker", "to stop and start the application's containers").optional(),
                Role::write("database", "sql", "to restore a backup and put it in the live database's place")
                    .optional(),
            ],
            can_undo: true,
        }
    }

    fn apply(context: &Context, config: Config) -> Result<Receipt> {
        bound(context, &config)?;
        let chosen = config.database.then(|| database::Chosen::find(context, &config)).transpose()?;
        // The code and the data of one state, where both are known.
        let good = chosen.as_ref().and_then(|chosen| chosen.good.clone());
        let good = good.or_else(|| good::states(context).find(|good| good.revision().is_some()));
        let revision = || good.as_ref().and_then(Good::revision);
        let way = config.code.as_ref().map(|code| code::Way::find(revision(), code)).transpose()?;
        let stopping = containers::look(&config.stop)?;
        let starting: Vec<Vec<Container>> =
            config.start().iter().map(|group| containers::look(group)).collect::<Result<_>>()?;
        let stranded = Stranded::new(&stopping, &starting, way.as_ref(), chosen.is_some());

        let head = way.as_ref().map(code::Way::go).transpose()?;
        let exchanged = containers::stop(&stopping)
            .and_then(|stopped| Ok((stopped, chosen.as_ref().map(database::Chosen::exchange).transpose()?)));
        let (stopped, exchanged) = exchanged.map_err(|failure| stranded.help(context, failure))?;
        let (rows, kept) = exchanged.map_or((0, None), |(restored, swapped)| (restored.rows, Some(swapped.kept)));
        let mut started = Vec::new();
        let groups = config.start();
        for (at, group) in groups.iter().enumerate() {
            let begun = containers::start(group).and_then(|changed| {
                containers::wait_until_healthy(group, config.healthy_within)?;
                Ok(changed)
            });
            let begun = begun.map_err(|failure| {
                let exchanged = chosen.as_ref().zip(kept.as_deref()).map(|(chosen, kept)| (&*chosen.backup.name, kept));
                stranded::half_started(context, failure, exchanged, &groups[at + 1..])
            })?;
            started.extend(begun.into_iter().map(|changed| changed.name));
        }

        let backup = chosen.as_ref().map(|chosen| &chosen.backup);
        // A good state knows its version by the name that the service says; its code may be named by a commit.
        let of_code = good.filter(|_| config.code.as_ref().is_some_and(|code| code.to.is_none()));
        let version = backup.and_then(|backup| backup.version.clone());
        let version = version.or(of_code.and_then(|good| good.version)).or(way.as_ref().map(|way| way.to.clone()));
        let commit = way.as_ref().map(|way| way.commit.clone());
        let good_backup = backup.map(|backup| GoodBackup { name: backup.name.clone(), sha256: backup.sha256.clone() });
        Ok(Receipt {
            version: version.clone(),
            commit: commit.clone(),
            head,
            backup: backup.map(|backup| backup.name.clone()),
            backup_taken_at: backup.map(|backup| backup.taken_at),
            kept,
            rows,
            stopped: stopped.into_iter().map(|changed| changed.name).collect(),
            started,
            good_state: way.is_some().then_some(Good { version, commit, backup: good_backup }),
        })
    }

    fn undo(_: &Context, config: Config, effects: Effects, _: Option<Receipt>) -> Result<()> {
        undo::undo(&config, &effects)
    }

    /// The host itself looks at the repository, the engine and the catalogue.
    fn reconcile(_: &Context, _: Config, _: Pending) -> Reconciliation {
        Reconciliation::Unknown("the host has looked already, and could not tell".to_owned())
    }
}

/// What the plan asks for has to have a role that can do it.
fn bound(context: &Context, config: &Config) -> Result<()> {
    let needs_containers = !config.stop.is_empty() || !config.start().is_empty();
    for (is_needed, role, key, without) in [
        (config.code.is_some(), "code", "`code`", "take `code` out"),
        (needs_containers, "containers", "`stop` and `start`", "take them out"),
        (config.database, "database", "the database", "write `database = false`"),
    ] {
        if is_needed && !context.is_bound(role) {
            return Err(Failure::permanent(format!(
                "{key} needs the role `{role}`, and the plan binds nothing to it: write `bind = {{ {role} = \
                 \"CONNECTION\" }}`, or {without}. Nothing was touched"
            )));
        }
    }
    if !config.database && config.code.is_none() && !needs_containers {
        return Err(Failure::permanent("there is nothing to do: no `code`, no `stop`, no `start`, no database"));
    }
    Ok(())
}

export_action!(ManualRestore);
