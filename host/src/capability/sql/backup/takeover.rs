//! What belongs to a database's name rather than to its content, and would stay with the old one: owner,
//! grants, settings, limits, comment. The new one takes it over in the transaction of the swap, and the
//! catalogue has to agree before that commits.

use tokio_postgres::Client;

use super::catalogue::{self, Entry, identifier, literal};

/// The settings whose values are lists of names, which are quoted one by one; as pg_dump knows them
/// (`variable_is_guc_list_quote`).
const LISTS: &[&str] = &[
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// What a database has besides its content.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Belongings {
    pub(super) owner: String,
    /// None: the default.
    grants: Option<Vec<Grant>>,
    /// For everybody, or for one role; `name=value`.
    pub(super) settings: Vec<(Option<String>, String)>,
    connection_limit: i64,
    is_template: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    /// Not the owner; those come first.
    is_passed_on: bool,
    grantor: String,
    /// None: everybody.
    grantee: Option<String>,
    privilege: String,
    is_grantable: bool,
}

impl Belongings {
    pub(super) async fn of(client: &Client, entry: &Entry) -> Result<Self, tokio_postgres::Error> {
        let grants = client
            .query(
                "SELECT a.grantor <> d.datdba, pg_get_userbyid(a.grantor)::text, \
                 CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee)::text END, a.privilege_type, a.is_grantable \
                 FROM pg_database d, aclexplode(d.datacl) a WHERE d.oid = $1",
                &[&entry.oid],
            )
            .await?;
        let has_grants = "SELECT datacl IS NOT NULL FROM pg_database WHERE oid = $1";
        let has_grants: bool = client.query_one(has_grants, &[&entry.oid]).await?.try_get(0)?;
        let mut grants = grants
            .iter()
            .map(|row| {
                Ok(Grant {
                    is_passed_on: row.try_get(0)?,
                    grantor: row.try_get(1)?,
                    grantee: row.try_get(2)?,
                    privilege: row.try_get(3)?,
                    is_grantable: row.try_get(4)?,
                })
            })
            .collect::<Result<Vec<_>, tokio_postgres::Error>>()?;
        grants.sort();
        let settings = client
            .query(
                "SELECT CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole)::text END, c.setting \
                 FROM pg_db_role_setting s, unnest(s.setconfig) WITH ORDINALITY c (setting, place) \
                 WHERE s.setdatabase = $1 ORDER BY s.setrole, c.place",
                &[&entry.oid],
            )
            .await?;
        let settings = settings.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        Ok(Self {
            owner: entry.owner.clone(),
            grants: has_grants.then_some(grants),
            settings: settings.collect::<Result<_, tokio_postgres::Error>>()?,
            connection_limit: entry.connection_limit(),
            is_template: entry.is_template(),
        })
    }

    /// Who has granted what on it, where that was not the owner: only they can do it again.
    pub(super) fn grantors(&self) -> impl Iterator<Item = &str> {
        self.grants.iter().flatten().filter(|grant| grant.is_passed_on).map(|grant| grant.grantor.as_str())
    }

    /// The statements that give a database these, where it has others.
    pub(super) fn give(&self, database: &str, has: &Self) -> Vec<String> {
        let name = identifier(database);
        let mut statements = Vec::new();
        if has.owner != self.owner {
            statements.push(format!("ALTER DATABASE {name} OWNER TO {}", identifier(&self.owner)));
        }
        if let Some(grants) = &self.grants {
            let owner = identifier(&self.owner);
            statements.push(format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC, {owner} CASCADE"));
            let others = has.grants.iter().flatten().filter_map(|grant| grant.grantee.as_deref());
            for grantee in others.filter(|grantee| *grantee != self.owner) {
                statements.push(format!("REVOKE ALL ON DATABASE {name} FROM {} CASCADE", identifier(grantee)));
            }
            for Grant { is_passed_on, grantor, grantee, privilege, is_grantable } in grants {
                let grantee = grantee.as_deref().map_or_else(|| "PUBLIC".to_owned(), identifier);
                let option = if *is_grantable { " WITH GRANT OPTION" } else { "" };
                let grant = format!("GRANT {privilege} ON DATABASE {name} TO {grantee}{option}");
                match is_passed_on {
                    false => statements.push(grant),
                    // Who granted it is a part of a grant, and only they can make it.
                    true => statements.extend([
                        format!("SET LOCAL ROLE {}", identifier(grantor)),
                        grant,
                        "RESET ROLE".to_owned(),
                    ]),
                }
            }
        }
        if has.settings != self.settings {
            let whose = |role: &Option<String>| match role {
                None => format!("ALTER DATABASE {name}"),
                Some(role) => format!("ALTER ROLE {} IN DATABASE {name}", identifier(role)),
            };
            let mut had: Vec<_> = has.settings.iter().map(|(role, _)| role).collect();
            had.dedup();
            statements.extend(had.into_iter().map(|role| format!("{} RESET ALL", whose(role))));
            statements.extend(self.settings.iter().filter_map(|(role, setting)| {
                let (key, value) = setting.split_once('=')?;
                let key = key.split('.').map(identifier).collect::<Vec<_>>().join(".");
                Some(format!("{} SET {key} TO {}", whose(role), setting_value(setting.split('=').next()?, value)))
            }));
        }
        if has.connection_limit != self.connection_limit {
            statements.push(format!("ALTER DATABASE {name} CONNECTION LIMIT {}", self.connection_limit));
        }
        if has.is_template != self.is_template {
            statements.push(format!("ALTER DATABASE {name} IS_TEMPLATE {}", self.is_template));
        }
        statements
    }

    /// What a database has not got of these, in words; none if it has them all.
    pub(super) fn missing_in(&self, got: &Self) -> Option<String> {
        let differs = [
            (self.owner != got.owner, "owner"),
            (self.grants.is_some() && self.grants != got.grants, "grants"),
            (self.settings != got.settings, "settings (ALTER DATABASE … SET)"),
            (self.connection_limit != got.connection_limit, "connection limit"),
            (self.is_template != got.is_template, "template flag"),
        ];
        let differs: Vec<&str> = differs.into_iter().filter_map(|(differs, what)| differs.then_some(what)).collect();
        (!differs.is_empty()).then(|| differs.join(", "))
    }
}

fn setting_value(key: &str, value: &str) -> String {
    if !LISTS.contains(&key.to_ascii_lowercase().as_str()) {
        return catalogue::literal(value);
    }
    let names = list(value);
    if names.is_empty() {
        "''".to_owned()
    } else {
        names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ")
    }
}

/// The names of a list, as the catalogue keeps it: `"$user", public`.
fn list(text: &str) -> Vec<String> {
    let (mut names, mut name, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => name.extend(chars.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => names.push(std::mem::take(&mut name)),
            c if c.is_whitespace() && !is_quoted => {}
            c => name.push(c),
        }
    }
    if !text.trim().is_empty() {
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_set_name_by_name_and_anything_else_as_one_text() {
        for (key, value, set) in [
            ("search_path", "\"$user\", public", "'$user', 'public'"),
            ("search_path", "\"a\"\"b, c\",d", "'a\"b, c', 'd'"),
            ("search_path", "\"\"", "''"),
            ("search_path", "", "''"),
            ("DateStyle", "ISO, DMY", "'ISO, DMY'"),
            ("app.motto", "it's", "'it''s'"),
        ] {
            assert_eq!(setting_value(key, value), set, "{key}={value}");
        }
    }
}
