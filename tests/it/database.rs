//! A plan on a real PostgreSQL: what it changes happens once, what it looks at stays as it is.

use ripcord::journal::Settler;
use ripcord_tests::fault::Window;

use crate::world::postgres::{self, Database};
use crate::world::{World, in_parallel};

const COUNT: &str = "UPDATE counters SET n = n + 1 WHERE name = $1 RETURNING n";
const UNCOUNT: &str = "UPDATE counters SET n = n - 1 WHERE name = $1 RETURNING n";
const RUN: &[&str] = &["run", "fix.toml", "--yes"];

/// A step that counts two counters up, neither of which may be counted twice, and what looks at them.
const PLAN: &str = r#"
[[step]]
id   = "fix"
use = "steps"
bind = { database = "app" }
with.apply = [
    { call = { role = "database", sql = { query = { statement = "SELECT sum(n) FROM counters", parameters = [] } } } },
    { call = { role = "database", sql = { execute = { statement = "COUNT", parameters = [{ text = "a" }] } }, assume = ASSUMED, undo = [{ call = { role = "database", sql = { execute = { statement = "UNCOUNT", parameters = [{ text = "a" }] } }, assume = ASSUMED } }] } },
    { call = { role = "database", sql = { execute = { statement = "COUNT", parameters = [{ text = "b" }] } }, assume = ASSUMED, undo = [{ call = { role = "database", sql = { execute = { statement = "UNCOUNT", parameters = [{ text = "b" }] } }, assume = ASSUMED } }] } },
]

[[verify]]
id     = "counted"
use    = "sql-check"
bind   = { database = "app" }
with   = { query = "SELECT count(*) AS counters, min(n) AS least, max(n) AS most FROM counters WHERE name <> $1", parameters = ["c"] }
expect = "row.counters == 2 && row.least == 1 && row.most == 1"
"#;

struct Counters {
    world: World,
    database: Database,
}

impl Counters {
    fn new() -> Self {
        let counters = Self { world: World::new(), database: Database::new() };
        counters.database.as_owner(
            "CREATE TABLE counters (name text PRIMARY KEY, n int NOT NULL); \
             INSERT INTO counters VALUES ('a', 0), ('b', 0), ('c', 0)",
        );
        counters.world.write("owner", postgres::OWNER_PASSWORD);
        counters.world.write("reader", postgres::READER_PASSWORD);
        counters.operate(&format!("access = \"write\"\nwrite = [{COUNT:?}, {UNCOUNT:?}]"));
        let assumed = "{ sql = { executed = { affected = 1, returned = { columns = [], rows = [] } } } }";
        let plan = PLAN.replace("UNCOUNT", UNCOUNT).replace("COUNT", COUNT).replace("ASSUMED", assumed);
        counters.world.plan("fix", &plan);
        counters
    }

    /// The connection, with these of its keys.
    fn operate(&self, keys: &str) {
        let read_as = match keys.contains("access") {
            true => "read-as = { user = \"reader\", password = \"secret:reader\" }",
            false => "",
        };
        self.world.allow(&format!(
            "owner = {{ file = \"owner\" }}\nreader = {{ file = \"reader\" }}\n\
             [sql.app]\nurl = {:?}\npassword = \"secret:owner\"\n{read_as}\ntimeout = \"5s\"\n{keys}\n",
            self.database.url("owner")
        ));
    }

    fn counted(&self) -> String {
        self.database.psql("SELECT string_agg(name || n, ' ' ORDER BY name) FROM counters")
    }
}

#[test]
fn a_rollback_that_is_killed_in_any_window_of_a_statement_has_made_it_once() {
    in_parallel(Window::ALL.to_vec(), |window| {
        let counters = Counters::new();
        counters.world.ripcord(RUN).killed(window, 1).expect_killed();
        counters.world.ripcord(&["resume", "last"]).expect(0);
        assert_eq!(counters.counted(), "a1 b1 c0");
        let journal = counters.world.journal();
        let settlers = journal.settlers(&journal.last());
        assert!(settlers.iter().all(|settler| *settler == Settler::Driver), "{settlers:?}");
        counters.world.ripcord(&["replay", "last"]).expect(0);
    });
    in_parallel(Window::ALL.to_vec(), |window| {
        let counters = Counters::new();
        counters.world.ripcord(RUN).expect(0);
        counters.world.ripcord(&["undo", "last", "--yes"]).killed(window, 2).expect_killed();
        counters.world.ripcord(&["resume", "last"]).expect(1);
        assert_eq!(counters.counted(), "a0 b0 c0");
    });
}

#[test]
fn a_preview_shows_the_statements_and_touches_nothing() {
    let counters = Counters::new();
    let rows = "SELECT xmin, * FROM counters; SELECT count(*) FROM pg_class";
    let before = counters.database.psql(rows);
    let ran = counters.world.ripcord(&["preview", "fix.toml"]).expect(0);
    let shown = ran.to_string().replace(&counters.database.server.port.to_string(), "PORT");
    let shown = shown.replace(&format!("/{}", counters.database.name), "/DATABASE");
    let shown = shown.replace(&format!("{} on", counters.database.name), "DATABASE on");
    for line in [
        "execute in DATABASE on 127.0.0.1:PORT",
        "UPDATE counters SET n = n + 1 WHERE name = $1 RETURNING n",
        "\"a\"",
        "login",
    ] {
        assert!(shown.contains(line), "no `{line}` in {shown}");
    }
    assert!(!shown.contains(postgres::OWNER_PASSWORD), "{shown}");
    assert_eq!(counters.database.psql(rows), before);
}

#[test]
fn a_statement_that_nobody_allowed_is_denied_with_the_line_that_would_allow_it() {
    let counters = Counters::new();
    for (keys, says) in [
        ("", "access = \"write\" write = [\"UPDATE counters SET n = n + 1 WHERE name = $1 RETURNING n\"]"),
        (
            "access = \"write\"\nwrite = [\"DELETE FROM counters\"]",
            "write = [\"DELETE FROM counters\", \"UPDATE counters SET n = n + 1 WHERE name = $1 RETURNING n\"]",
        ),
        ("access = \"write\"\nread = []", "read = [\"SELECT sum(n) FROM counters\"]"),
    ] {
        counters.operate(keys);
        if keys.is_empty() {
            // The owner may write, so a query is not made in its name either; the reader's name is.
            let reader = counters.database.url("reader");
            let text = std::fs::read_to_string(counters.world.path("ripcord.toml")).unwrap();
            let text = text.replace(&counters.database.url("owner"), &reader).replace("secret:owner", "secret:reader");
            counters.world.write("ripcord.toml", &text);
        }
        let ran = counters.world.ripcord(RUN).run();
        assert_ne!(ran.code(), Some(0), "{ran}");
        let said = ran.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let says = says.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&says), "{ran}");
        assert_eq!(counters.counted(), "a0 b0 c0");
    }
}

#[test]
fn a_check_sees_that_the_calls_are_there_neither_empty_nor_mixed() {
    let counters = Counters::new();
    counters.database.as_owner(
        "CREATE TABLE calls (id int, started timestamptz, said text, speaker text); \
         INSERT INTO calls VALUES (1, '2026-11-23T10:00:00Z', 'hola', 'a'), (2, '2026-11-23T11:00:00Z', 'adiós', 'b')",
    );
    let query = "SELECT count(*) AS calls, count(*) FILTER (WHERE coalesce(said, '') = '') AS empty, \
                 count(*) - count(DISTINCT said) AS mixed, avg(length(said)) AS words \
                 FROM calls WHERE started >= $1";
    let check = |with: &str, expect: &str| {
        let expect = if expect.is_empty() { String::new() } else { format!("expect = {expect:?}\n") };
        counters.world.plan(
            "look",
            &format!(
                "[[step]]\nid = \"do\"\nuse = \"steps\"\nbind = {{ database = \"app\" }}\n\
                 with.apply = [{{ call = {{ role = \"database\", sql = {{ execute = {{ statement = \"{COUNT}\", \
                 parameters = [{{ text = \"c\" }}] }} }} }} }}]\n\
                 [[verify]]\nid = \"calls\"\nuse = \"sql-check\"\nbind = {{ database = \"app\" }}\n{expect}with = {with}\n"
            ),
        );
        let ran = counters.world.ripcord(&["run", "look.toml", "--yes"]).run();
        (ran.code(), ran.to_string())
    };
    let since = "[{ timestamptz = \"2026-11-23T09:00:00Z\" }]";
    let whole = format!("{{ query = {query:?}, parameters = {since} }}");
    let expect = "row.calls > 0 && row.empty == 0 && row.mixed == 0 && row.words > 3.5";
    for (with, expect, code, says) in [
        (whole.as_str(), expect, 0, ""),
        (&whole.replace("T09", "T12"), expect, 3, "calls"),
        (&whole.replace("{ timestamptz = \"2026-11-23T09:00:00Z\" }", "7"), expect, 3, "of type timestamptz"),
        ("{ query = \"SELECT id FROM calls WHERE id > 9\" }", "", 3, "the query gave 0 rows, expected at least 1"),
        ("{ query = \"SELECT id FROM calls WHERE id > 9\", max-rows = 0 }", "", 0, ""),
        ("{ query = \"SELECT id FROM calls\", max-rows = 1 }", "", 3, "the query gave 2 rows, expected at most 1"),
        ("{ query = \"SELECT id FROM calls\" }", "rows.exists(r, r.id == 2) && row_count == 2", 0, ""),
        ("{ query = \"SELECT count(*) FROM calls\" }", "value == 2 && columns[0] == 'count'", 0, ""),
        ("{ query = \"SELECT nothing FROM calls\" }", "", 3, "column \"nothing\" does not exist"),
        ("{ query = \"DELETE FROM calls RETURNING id\" }", "", 3, "read-only transaction"),
        ("{ query = \"SELECT $1::int[] = ARRAY[1, 2] AS it\", parameters = [[1, 2]] }", "row.it", 0, ""),
        ("{ query = \"SELECT $1::float8 + $2 AS it\", parameters = [0.5, 1] }", "row.it == 1.5", 0, ""),
    ] {
        let (came, said) = check(with, expect);
        assert_eq!(came, Some(code), "{with}: {said}");
        assert!(said.contains(says), "no `{says}` in {said}");
    }
    // What was wrong in between is put right, and the same check passes.
    counters.database.as_owner("UPDATE calls SET said = ''");
    assert_eq!(check(&whole, expect).0, Some(3));
}

#[test]
fn the_doctor_says_who_is_let_in_and_who_may_do_too_much() {
    let counters = Counters::new();
    let port = counters.database.server.port;
    let doctor = |code| {
        let ran = counters.world.ripcord(&["doctor"]).run();
        assert_eq!(ran.code(), Some(code), "{ran}");
        ran.to_string()
    };
    let said = doctor(0);
    for words in ["reader in", "is let in", "PostgreSQL 1", "reader can only read", "owner in", "clock"] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    let text = std::fs::read_to_string(counters.world.path("ripcord.toml")).unwrap();
    for (from, to, says) in [
        (
            "read-as = { user = \"reader\", password = \"secret:reader\" }",
            "",
            "who can do more than read (it may write",
        ),
        ("secret:reader\" }", "secret:owner\" }", "28P01"),
        (&port.to_string(), "1", "nobody listens at"),
        (&counters.database.name, "no_such_database", "3D000"),
    ] {
        assert!(text.contains(from), "{from}");
        counters.world.write("ripcord.toml", &text.replacen(from, to, 1));
        // The password of the reader is asked for behind the URL.
        let changed = match from {
            from if from == counters.database.name => text.replace(&format!("/{from}\""), &format!("/{to}\"")),
            from => text.replace(from, to),
        };
        counters.world.write("ripcord.toml", &changed);
        let said = doctor(2);
        assert!(said.contains(says), "no `{says}` in {said}");
    }
}
