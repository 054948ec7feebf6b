//! What stands in the way of a restore or of the swap behind it, found out before anything is stopped or touched, with
//! the line that takes it away.
//!
//! What the login may do is asked of the catalogue, never tried. It counts only for a connection that is there to
//! restore: one that only dumps needs no such rights, and its dumps are as good.

use std::collections::BTreeSet;

use tokio_postgres::{Client, Error};

use super::Backup;
use super::catalogue::{Entry, identifier};
use super::driver::Backups;
use super::facts::Facts;
use super::takeover::Belongings;
use crate::capability::sql::connection::Access;
use crate::failure::Failure;

/// The first version in which a membership says whether its role may be taken, and whether its rights count.
const MAJOR_WITH_MEMBER_OPTIONS: u32 = 16;
/// The first version in which single settings can be granted.
const MAJOR_WITH_SETTING_GRANTS: u32 = 15;
/// Whose members create extensions that are for superusers elsewhere, as those who run such servers have arranged it.
const MANAGERS: &[&str] = &["rds_superuser", "cloudsqlsuperuser", "azure_pg_admin"];

/// Something that is missing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lack {
    /// What is missing, in words.
    pub(super) what: String,
    /// The statements with which a superuser of the server puts it there; none if no statement does.
    pub(super) lines: Vec<String>,
}

/// Why a backup with these facts can't be restored on this server, and put in the live database's place, as things are.
pub(super) async fn of_restore(
    backups: &Backups,
    client: &Client,
    facts: &Facts,
    backup: &Backup,
) -> Result<Option<String>, Failure> {
    if let Some(other) = backup.database.as_deref().filter(|database| !backups.takes_backups_of(database)) {
        let listed = backups.also_of().iter().map(String::as_str).chain([other]);
        let listed = listed.map(|name| toml::Value::from(name).to_string()).collect::<Vec<_>>().join(", ");
        return Ok(Some(format!(
            "it is of the database {other}, and this connection's is {}; to restore it all the same, in ripcord.toml, in \
             this connection's table:  backups-of = [{listed}]",
            backups.database()
        )));
    }
    if facts.tables == 0 {
        return Ok(Some("it holds no table".to_owned()));
    }
    let trouble = |error: Error| backups.trouble("looking what a restore needs", &error);
    let mut lacks = of_server(client, facts).await.map_err(trouble)?;
    if backups.access >= Access::Restore {
        let live = backups.live(client).await?;
        let login = Login::of(backups, client).await?;
        let mut facts = facts.clone();
        facts.extensions.retain(|name| !backups.creates_extensions.contains(name));
        lacks.extend(of_login(client, &login, &live, &facts).await.map_err(trouble)?);
    }
    if !lacks.is_empty() {
        return Ok(Some(in_words(&lacks)));
    }
    // Tables need more room than their compressed rows.
    let bytes = backup.bytes;
    Ok(backups.free_on_server(client).await.filter(|free| *free < bytes).map(|free| {
        format!("the server has {free} bytes left on its disk, and the backup alone has {bytes}: make room first")
    }))
}

/// What a login lacks to restore anything at all into this database's place, and to hand on what belongs to its name.
pub(super) async fn of_swap(backups: &Backups, client: &Client, live: &Entry) -> Result<Vec<Lack>, Failure> {
    let login = Login::of(backups, client).await?;
    let lacks = of_login(client, &login, live, &Facts::default()).await;
    lacks.map_err(|error| backups.trouble("looking at the login's rights", &error))
}

/// All that is missing, and all that puts it there.
fn in_words(lacks: &[Lack]) -> String {
    let what = lacks.iter().map(|lack| lack.what.as_str()).collect::<Vec<_>>().join("; ");
    // One statement may be needed for several things.
    let mut lines: Vec<&str> = Vec::new();
    for line in lacks.iter().flat_map(|lack| &lack.lines) {
        if !lines.contains(&line.as_str()) {
            lines.push(line);
        }
    }
    // The one that gives most away is the last that anybody should think of.
    lines.sort_by_key(|line| line.ends_with(" SUPERUSER"));
    match lines.is_empty() {
        true => what,
        false => format!("{what}. A superuser of the server puts that right with:  {};", lines.join("; ")),
    }
}

/// What the server has not got, whoever restores.
async fn of_server(client: &Client, facts: &Facts) -> Result<Vec<Lack>, Error> {
    let mut lacks = Vec::new();
    let wanted: Vec<&str> = facts.roles.union(&facts.acts_as).map(String::as_str).collect();
    let roles = "SELECT wanted FROM unnest($1::text[]) wanted \
                 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) ORDER BY 1";
    let roles = names(client, roles, &wanted).await?;
    if !roles.is_empty() {
        let lines = roles.iter().map(|role| format!("CREATE ROLE {}", identifier(role))).collect();
        let what = format!("it needs the role {}, which the server does not have", listed(&roles));
        lacks.push(Lack { what, lines });
    }
    let wanted: Vec<&str> = facts.settings.iter().map(String::as_str).collect();
    let settings =
        "SELECT wanted FROM unnest($1::text[]) wanted WHERE current_setting(wanted, true) IS NULL ORDER BY 1";
    let settings = names(client, settings, &wanted).await?;
    if !settings.is_empty() {
        let what = format!(
            "it sets {}, which this server does not know, for a newer pg_dump has made it: dump with the pg_dump of the \
             server's own version, or delete that line (`SET {} = …;`) near the beginning of the file",
            listed(&settings),
            settings[0],
        );
        lacks.push(Lack { what, lines: Vec::new() });
    }
    let wanted: Vec<&str> = facts.extensions.iter().map(String::as_str).collect();
    let extensions = "SELECT wanted FROM unnest($1::text[]) wanted \
                      WHERE NOT EXISTS (SELECT FROM pg_available_extensions e WHERE e.name = wanted) ORDER BY 1";
    let extensions = names(client, extensions, &wanted).await?;
    if !extensions.is_empty() {
        let what = format!(
            "it needs the extension {}, which is not installed on the server: install its package there",
            listed(&extensions)
        );
        lacks.push(Lack { what, lines: Vec::new() });
    }
    Ok(lacks)
}

/// Who logs in to restore, and what for anybody but a superuser depends on.
struct Login {
    name: String,
    /// As it is written in a statement.
    quoted: String,
    major: u32,
    is_superuser: bool,
    makes_databases: bool,
    makes_roles: bool,
    inherits: bool,
}

impl Login {
    async fn of(backups: &Backups, client: &Client) -> Result<Self, Failure> {
        const RIGHTS: &str = "SELECT rolname::text, rolsuper, rolcreatedb, rolcreaterole, rolinherit FROM pg_roles \
                              WHERE rolname = current_user";
        let major = backups.major(client).await?;
        let row = client.query_one(RIGHTS, &[]).await.and_then(|row| {
            let name: String = row.try_get(0)?;
            Ok(Self {
                quoted: identifier(&name),
                name,
                major,
                is_superuser: row.try_get(1)?,
                makes_databases: row.try_get(2)?,
                makes_roles: row.try_get(3)?,
                inherits: row.try_get(4)?,
            })
        });
        row.map_err(|error| backups.trouble("looking at the login's rights", &error))
    }

    /// What only a superuser can.
    fn superuser(&self) -> Vec<String> {
        vec![format!("ALTER ROLE {} SUPERUSER", self.quoted)]
    }

    /// What makes the login one who has a role's rights and may give things to it.
    fn membership(&self, role: &str) -> Vec<String> {
        let grant = format!("GRANT {} TO {}", identifier(role), self.quoted);
        match (self.major >= MAJOR_WITH_MEMBER_OPTIONS, self.inherits) {
            (true, _) => vec![grant + " WITH INHERIT TRUE, SET TRUE"],
            (false, true) => vec![grant],
            (false, false) => vec![grant, format!("ALTER ROLE {} INHERIT", self.quoted)],
        }
    }
}

async fn of_login(client: &Client, login: &Login, live: &Entry, facts: &Facts) -> Result<Vec<Lack>, Error> {
    // A dump without owners is restored as the live database's owner, whoever logs in.
    let is_owners = facts.owners.is_empty();
    let mut lacks = if is_owners { of_owner(client, live, facts).await? } else { Vec::new() };
    if login.is_superuser {
        return Ok(lacks);
    }
    let name = &login.name;
    if !login.makes_databases {
        let lines = vec![format!("ALTER ROLE {} CREATEDB", login.quoted)];
        lacks.push(Lack { what: format!("{name} may not make databases"), lines });
    }
    let belongings = Belongings::of(client, live).await?;
    let mut wanted: BTreeSet<&str> = match is_owners {
        true => BTreeSet::new(),
        false => facts.owners.iter().chain(&facts.defaults_of).map(String::as_str).collect(),
    };
    // Of the new database that is the live one's owner.
    wanted.remove("pg_database_owner");
    wanted.insert(&live.owner);
    wanted.extend(belongings.grantors());
    for role in not_a_member(client, login, &wanted).await? {
        let why = match role == live.owner {
            true => format!("{name} can't act for {role}, who owns the database {}", live.name),
            false => format!("{name} can't act for {role}, who owns or has granted something in it"),
        };
        lacks.push(Lack { what: why, lines: login.membership(&role) });
    }
    if !facts.acts_as.is_empty() {
        let roles: Vec<String> = facts.acts_as.iter().cloned().collect();
        let what = format!("it makes grants in the name of {}, which only a superuser can", listed(&roles));
        lacks.push(Lack { what, lines: login.superuser() });
    }
    let extensions = for_superusers(client, name, &facts.extensions).await?;
    if !extensions.is_empty() && !is_owners {
        let what = format!(
            "{name} may not create the extension {}, which is for superusers (it has no `trusted = true` in its control \
             file){}",
            listed(&extensions),
            unless_arranged(&extensions)
        );
        lacks.push(Lack { what, lines: login.superuser() });
    }
    lacks.extend(of_settings(client, login, live, &belongings).await?);
    Ok(lacks)
}

/// What the live database's owner lacks to make all that a dump without owners holds.
async fn of_owner(client: &Client, live: &Entry, facts: &Facts) -> Result<Vec<Lack>, Error> {
    const REMEDY: &str = "dump it with its owners (without --no-owner)";
    let owner = &live.owner;
    let is_superuser = "SELECT coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = $1), false)";
    if client.query_one(is_superuser, &[owner]).await?.try_get(0)? {
        return Ok(Vec::new());
    }
    let made_as = format!("it names no owners, so all of it is made as {owner}");
    let mut lacks = Vec::new();
    let extensions = for_superusers(client, owner, &facts.extensions).await?;
    if !extensions.is_empty() {
        let what = format!(
            "{made_as}, who may not create the extension {}, which is for superusers: {REMEDY}{}",
            listed(&extensions),
            unless_arranged(&extensions)
        );
        lacks.push(Lack { what, lines: Vec::new() });
    }
    let statement = "SELECT r.rolname::text FROM pg_roles r WHERE r.rolname = ANY ($1::text[]) \
                     AND NOT pg_has_role($2, r.oid, 'USAGE') ORDER BY 1";
    let others: Vec<&str> = facts.defaults_of.iter().map(String::as_str).collect();
    let others = client.query(statement, &[&others, owner]).await?;
    let others = others.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    if !others.is_empty() {
        let others = listed(&others);
        let what = format!("{made_as}, who may not set the default privileges of {others}: {REMEDY}");
        lacks.push(Lack { what, lines: Vec::new() });
    }
    Ok(lacks)
}

/// The roles that the login can't take, or whose rights it has not got.
async fn not_a_member(client: &Client, login: &Login, wanted: &BTreeSet<&str>) -> Result<Vec<String>, Error> {
    let takes = if login.major >= MAJOR_WITH_MEMBER_OPTIONS { "SET" } else { "MEMBER" };
    let statement = format!(
        "SELECT r.rolname::text FROM pg_roles r WHERE r.rolname = ANY ($1::text[]) \
         AND NOT (pg_has_role(r.oid, '{takes}') AND pg_has_role(r.oid, 'USAGE')) ORDER BY 1"
    );
    names(client, &statement, &wanted.iter().copied().collect::<Vec<_>>()).await
}

/// The extensions that nobody but a superuser creates, and so not this role.
async fn for_superusers(client: &Client, role: &str, wanted: &BTreeSet<String>) -> Result<Vec<String>, Error> {
    let managers = "SELECT FROM pg_roles r WHERE r.rolname = ANY ($1::text[]) AND pg_has_role($2, r.oid, 'MEMBER')";
    // Modules of such servers, which let others do what their settings say.
    let modules = "SELECT m FROM unnest($1::text[]) m WHERE coalesce(current_setting(m, true), '') <> ''";
    if !client.query(managers, &[&MANAGERS, &role]).await?.is_empty()
        || !names(client, modules, &["extwlist.extensions", "supautils.privileged_extensions"]).await?.is_empty()
    {
        return Ok(Vec::new());
    }
    let statement = "SELECT e.name::text FROM pg_available_extensions e \
                     JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version \
                     WHERE e.name = ANY ($1::text[]) AND v.superuser AND NOT v.trusted ORDER BY 1";
    names(client, statement, &wanted.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// What the catalogue does not know: whether the server lets somebody create an extension all the same.
fn unless_arranged(extensions: &[String]) -> String {
    let names = extensions.iter().map(|name| toml::Value::from(name.as_str()).to_string()).collect::<Vec<_>>();
    format!(
        "; if the server lets it be created all the same, as some that are run for others do, in ripcord.toml, in this \
         connection's table:  creates-extensions = [{}]",
        names.join(", ")
    )
}

/// The settings of the database that the swap hands on, and that the login may not set.
async fn of_settings(
    client: &Client,
    login: &Login,
    live: &Entry,
    belongings: &Belongings,
) -> Result<Vec<Lack>, Error> {
    let mut lacks = Vec::new();
    let keys: Vec<&str> = belongings.settings.iter().filter_map(|(_, setting)| setting.split('=').next()).collect();
    let can_be_granted = login.major >= MAJOR_WITH_SETTING_GRANTS;
    // One that the server does not know is an application's own: those too are for superusers.
    let granted = if can_be_granted { "AND NOT has_parameter_privilege(wanted, 'SET')" } else { "" };
    let statement = format!(
        "SELECT DISTINCT wanted FROM unnest($1::text[]) wanted LEFT JOIN pg_settings s ON lower(s.name) = lower(wanted) \
         WHERE s.context IS DISTINCT FROM 'user' {granted} ORDER BY 1"
    );
    for key in names(client, &statement, &keys).await? {
        let quoted = key.split('.').map(identifier).collect::<Vec<_>>().join(".");
        let lines = match can_be_granted {
            true => vec![format!("GRANT SET ON PARAMETER {quoted} TO {}", login.quoted)],
            false => login.superuser(),
        };
        let what = format!("{} may not set {key}, which {} has and the new database is to have", login.name, live.name);
        lacks.push(Lack { what, lines });
    }
    let roles: Vec<&str> = belongings.settings.iter().filter_map(|(role, _)| role.as_deref()).collect();
    let administers = match login.major >= MAJOR_WITH_MEMBER_OPTIONS {
        true => "pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION')",
        false => "true",
    };
    let of_roles = format!(
        "SELECT r.rolname::text, r.rolsuper FROM pg_roles r WHERE r.rolname = ANY ($1::text[]) \
         AND r.rolname <> current_user AND (r.rolsuper OR NOT $2 OR NOT {administers}) ORDER BY 1"
    );
    for row in client.query(&of_roles, &[&roles, &login.makes_roles]).await? {
        let (role, is_superuser): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        let makes_roles = format!("ALTER ROLE {} CREATEROLE", login.quoted);
        let lines = match (is_superuser, login.major >= MAJOR_WITH_MEMBER_OPTIONS) {
            (true, _) => login.superuser(),
            (false, false) => vec![makes_roles],
            (false, true) => {
                vec![makes_roles, format!("GRANT {} TO {} WITH ADMIN TRUE", identifier(&role), login.quoted)]
            }
        };
        let what = format!(
            "{} may not set what {role} has of its own in {} (ALTER ROLE … IN DATABASE … SET)",
            login.name, live.name
        );
        lacks.push(Lack { what, lines });
    }
    Ok(lacks)
}

async fn names(client: &Client, statement: &str, wanted: &[&str]) -> Result<Vec<String>, Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    client.query(statement, &[&wanted]).await?.iter().map(|row| row.try_get(0)).collect()
}

fn listed(names: &[String]) -> String {
    names.join(", ")
}
