//! What the statements of a dump say of what it needs: tables, roles, extensions.
//!
//! They are read as pg_dump writes them. A statement that somebody else has put otherwise may not be understood; then
//! the server finds out what is missing, in the middle of the restore.

use std::collections::BTreeSet;

/// What a dump says of itself, as far as it has been read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Facts {
    /// It has the comment that pg_dump writes last, and nothing behind it.
    pub(super) is_complete: bool,
    /// All roles that it names.
    pub(super) roles: BTreeSet<String>,
    /// Those that own something in it: who restores it has to be able to give things to them.
    pub(super) owners: BTreeSet<String>,
    /// Those whose default privileges it sets: who restores it has to have their rights.
    pub(super) defaults_of: BTreeSet<String>,
    /// Those in whose name it acts: only a superuser can.
    pub(super) acts_as: BTreeSet<String>,
    /// It says who may do what.
    pub(super) has_grants: bool,
    /// The extensions that it creates.
    pub(super) extensions: BTreeSet<String>,
    /// The settings of the session that it sets.
    pub(super) settings: BTreeSet<String>,
    /// How many tables it creates.
    pub(super) tables: u64,
    /// The titles of what is in it: `TABLE public.calls`.
    pub(super) entries: Vec<String>,
}

/// What may stand behind the roles of a grant.
const BEHIND_GRANTEES: &[&str] = &[";", "WITH GRANT OPTION;", "CASCADE;"];

impl Facts {
    /// Takes in a whole statement, `upper` being the same in capitals: a place in one is a place in the other.
    pub(super) fn take_in(&mut self, statement: &str, upper: &str) {
        if upper.starts_with("CREATE TABLE ") || upper.starts_with("CREATE UNLOGGED TABLE ") {
            self.tables += 1;
        } else if let Some(rest) = upper.strip_prefix("CREATE EXTENSION ") {
            let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
            self.extensions.extend(first_name(&statement[statement.len() - rest.len()..]).map(|(name, _)| name));
        } else if upper.starts_with("ALTER DEFAULT PRIVILEGES ") {
            self.defaults_of(statement, upper);
            self.grantees(statement, upper);
        } else if upper.starts_with("ALTER ") {
            self.owner(statement, upper);
        } else if upper.starts_with("GRANT ") || upper.starts_with("REVOKE ") {
            self.has_grants |= upper.starts_with("GRANT ");
            self.grantees(statement, upper);
        } else if upper.starts_with("CREATE POLICY ") {
            self.of_policy(statement, upper);
        } else if upper.starts_with("SET SESSION AUTHORIZATION ") && upper != "SET SESSION AUTHORIZATION DEFAULT;" {
            let role = statement["SET SESSION AUTHORIZATION ".len()..].replace('\'', "\"");
            self.acts_as.extend(first_name(&role).map(|(name, _)| name));
        } else if upper.starts_with("SET ")
            && let Some((name, rest)) = first_name(&statement["SET ".len()..])
            && rest.trim_start().starts_with('=')
        {
            self.settings.insert(name);
        }
    }

    /// `ALTER TABLE a OWNER TO b;`
    fn owner(&mut self, statement: &str, upper: &str) {
        const OWNER: &str = " OWNER TO ";
        if let Some(at) = upper.rfind(OWNER)
            && let Some((owner, ";")) = first_name(&statement[at + OWNER.len()..])
        {
            self.roles.insert(owner.clone());
            self.owners.insert(owner);
        }
    }

    /// `ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA b GRANT SELECT ON TABLES TO c;`
    fn defaults_of(&mut self, statement: &str, upper: &str) {
        const FOR: &str = " FOR ROLE ";
        if let Some(at) = upper.find(FOR) {
            let (of, _) = names(&statement[at + FOR.len()..]);
            self.roles.extend(of.iter().cloned());
            self.defaults_of.extend(of);
        }
    }

    /// Those behind the last `TO` or `FROM`.
    fn grantees(&mut self, statement: &str, upper: &str) {
        let last = [" TO ", " FROM "].iter().filter_map(|word| Some((upper.rfind(word)?, word.len()))).max();
        if let Some((at, length)) = last {
            let (grantees, behind) = names(&statement[at + length..]);
            if BEHIND_GRANTEES.contains(&behind.trim_start()) {
                self.roles.extend(grantees.into_iter().filter(|name| is_role(name)));
            }
        }
    }

    /// `CREATE POLICY a ON b FOR SELECT TO c, d USING (…) WITH CHECK (…);`: what is in parentheses may be anything.
    fn of_policy(&mut self, statement: &str, upper: &str) {
        let end = [" USING (", " WITH CHECK ("].iter().filter_map(|word| upper.find(word)).min();
        let end = end.unwrap_or(statement.len());
        if let Some(at) = upper[..end].rfind(" TO ") {
            let (roles, behind) = names(&statement[at + " TO ".len()..end]);
            if ["", ";"].contains(&behind) {
                self.roles.extend(roles.into_iter().filter(|name| is_role(name)));
            }
        }
    }
}

/// What stands where a role does is not always one.
fn is_role(name: &str) -> bool {
    !["PUBLIC", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"].contains(&name.to_ascii_uppercase().as_str())
}

/// The names that a text begins with, with commas between them, and what comes behind.
fn names(text: &str) -> (Vec<String>, &str) {
    let (mut names, mut rest) = (Vec::new(), text);
    while let Some((name, behind)) = first_name(rest) {
        names.push(name);
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None => return (names, behind),
        }
    }
    (names, rest)
}

/// The name that a text begins with, without its quotes, and what comes behind it.
fn first_name(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let end = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..])).filter(|(name, _)| !name.is_empty());
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if chars.peek().is_some_and(|&(_, next)| next == '"') => {
                chars.next();
                name.push('"');
            }
            '"' => return Some((name, &quoted[at + 1..])),
            c => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(statement: &str) -> String {
        let mut facts = Facts::default();
        facts.take_in(statement, &statement.to_ascii_uppercase());
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join("+");
        let Facts { roles, owners, defaults_of, acts_as, extensions, .. } = &facts;
        [roles, owners, defaults_of, acts_as, extensions].map(list).join("|")
    }

    #[test]
    fn each_role_and_extension_that_a_statement_needs_is_found() {
        for (statement, expected) in [
            ("ALTER TABLE public.calls OWNER TO andrea;", "andrea|andrea|||"),
            ("ALTER FUNCTION public.\"a OWNER TO b\"() OWNER TO \"an\"\"a\";", "an\"a|an\"a|||"),
            ("GRANT SELECT ON TABLE public.calls TO reader;", "reader||||"),
            ("GRANT SELECT(id) ON TABLE public.calls TO reader WITH GRANT OPTION;", "reader||||"),
            ("GRANT ALL ON SCHEMA public TO PUBLIC;", "||||"),
            ("REVOKE ALL ON SCHEMA public FROM PUBLIC;", "||||"),
            ("REVOKE SELECT ON TABLE public.calls FROM \"a, b\";", "a, b||||"),
            (
                "ALTER DEFAULT PRIVILEGES FOR ROLE \"O\" IN SCHEMA public GRANT SELECT ON TABLES TO reader;",
                "O+reader||O||",
            ),
            ("ALTER DEFAULT PRIVILEGES FOR ROLE o REVOKE ALL ON FUNCTIONS FROM PUBLIC;", "o||o||"),
            ("CREATE POLICY own ON public.calls FOR SELECT TO ana, \"e v a\" USING ((owner TO x));", "ana+e v a||||"),
            ("CREATE POLICY own ON public.calls USING ((said = ' TO nobody'::text));", "||||"),
            ("CREATE POLICY own ON public.calls FOR INSERT TO ana WITH CHECK (true);", "ana||||"),
            ("SET SESSION AUTHORIZATION passer;", "|||passer|"),
            ("SET SESSION AUTHORIZATION 'passer';", "|||passer|"),
            ("SET SESSION AUTHORIZATION DEFAULT;", "||||"),
            ("CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA public;", "||||uuid-ossp"),
            ("CREATE EXTENSION hstore;", "||||hstore"),
            // What stands in a text is none.
            ("ALTER TABLE a ADD CONSTRAINT b CHECK ((c <> ' OWNER TO d'::text));", "||||"),
            ("COMMENT ON TABLE a IS 'GRANT b TO c';", "||||"),
            ("GRANT SELECT ON TABLE a TO \"back to front\";", "||||"),
            ("SELECT 1;", "||||"),
        ] {
            assert_eq!(told(statement), expected, "{statement}");
        }
    }
}
