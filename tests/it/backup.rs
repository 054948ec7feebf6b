//! Plans that back a database up and restore it, on a real PostgreSQL, wherever they are killed.

use std::fs;

use ripcord_tests::fault::Window;

use crate::world::postgres::{self, Database};
use crate::world::{World, in_parallel};

/// Restores a dump and swaps it in.
const RESTORE: &str = r#"
[[step]]
id   = "restore"
use = "steps"
bind = { database = "app" }
with.apply = [
    { call = { role = "database", sql = { restore = { backup = "BACKUP" } }, assume = { sql = { restored = { database = "assumed-database", tables = 1, rows = 0 } } } } },
    { call = { role = "database", sql = { swap = { database = "{0:/sql/restored/database}" } }, assume = { sql = { swapped = { live = "assumed-live", kept = "assumed-kept" } } } } },
]
"#;

/// Tells of what stops half-way.
const TELL: &str = r#"
[[notice]]
id   = "tell"
on   = ["halted"]
use  = "notify-people"
bind = { administrators = "team" }
with = { subject = "{{ run.why }}", text = "{{ run.state }}" }
"#;

/// Drops the kept database, and deletes the dump.
const TIDY: &str = r#"
[[step]]
id   = "tidy"
use = "steps"
bind = { database = "app" }
with.apply = [
    { call = { role = "database", sql = { drop-database = { database = "KEPT" } }, assume = { sql = { dropped = "KEPT" } } } },
    { call = { role = "database", sql = { delete-backup = { name = "BACKUP" } }, assume = { sql = { deleted = "BACKUP" } } } },
]
"#;

struct Place {
    world: World,
    database: Database,
}

impl Place {
    fn new() -> Self {
        let place = Self { world: World::new(), database: Database::new() };
        place.database.as_owner("CREATE TABLE calls AS SELECT n FROM generate_series(1, 20) n");
        place.world.write("superuser", postgres::SUPERUSER_PASSWORD);
        fs::create_dir(place.world.path("backups")).unwrap();
        place.world.allow(&format!(
            "superuser = {{ file = \"superuser\" }}\n[sql.app]\nurl = {:?}\npassword = \"secret:superuser\"\n\
             access = \"restore\"\nbackups = \"backups\"\n\
             [notify.team]\nfile = \"told.jsonl\"\n[http.ill]\nurl = \"http://127.0.0.1:9\"\nread = [\"GET /health\"]\n",
            place.database.url("postgres")
        ));
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../plans/backup-before-deploy.toml");
        let plan = fs::read_to_string(shipped).unwrap();
        let (step, _) = plan.split_once("[[verify]]").unwrap();
        let step = step.replace(", service = \"app\"", "").replace("path    = \"/health\"", "version = \"1.4.2\"");
        let step = step.replace("pointer = \"/version\"\n", "").replace("keep    = 7", "keep = 2");
        place.world.write("backup.toml", &step.replace("app/production", &place.database.name));
        place
    }

    fn backups(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.world.path("backups"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".json"))
            .collect();
        names.sort();
        names
    }

    /// The names of all databases that have to do with this one, without what tells them apart.
    fn databases(&self) -> Vec<String> {
        let names =
            format!("SELECT datname FROM pg_database WHERE datname ~ '^{}(_|$)' ORDER BY 1", self.database.name);
        let names = self.database.server.psql("postgres", &names);
        let kind = |name: &str| name.split('_').nth(1).unwrap_or("live").to_owned();
        names.lines().map(kind).collect()
    }
}

const BACKUP: &[&str] = &["run", "backup.toml", "--yes"];
const RUN: &[&str] = &["run", "restore.toml", "--yes"];

#[test]
fn a_backup_before_each_deploy_leaves_the_last_ones_and_nothing_else_is_deleted() {
    let place = Place::new();
    place.world.write("backups/by-hand.txt", "not a backup");
    for kept in [1, 2, 2] {
        place.world.ripcord(BACKUP).expect(0);
        assert_eq!(place.backups().iter().filter(|name| name.ends_with("-1.4.2.dump")).count(), kept);
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    assert!(place.backups().contains(&"by-hand.txt".to_owned()));

    // A service that is not well is backed up, but that is nothing to go back to, and never takes the place of what is.
    let good = place.backups().into_iter().rfind(|name| name.ends_with(".dump")).unwrap();
    let plan = fs::read_to_string(place.world.path("backup.toml")).unwrap();
    let bound = "bind    = { database = \"app\", service = \"ill\" }\nretry   = { attempts = 1 }";
    let ill = plan.replace("bind    = { database = \"app\" }", bound);
    assert_ne!(ill, plan);
    place.world.write("ill.toml", &ill);
    for _ in 0..2 {
        place.world.ripcord(&["run", "ill.toml", "--yes"]).expect(0).says("is no good state");
        let journal = place.world.journal();
        let receipt = journal.state(&journal.last()).receipt("backup").unwrap().clone();
        assert!(receipt.get("good-state").is_none(), "{receipt}");
    }
    let left = place.backups();
    assert!(left.contains(&good) && left.iter().filter(|name| name.ends_with(".dump")).count() == 3, "{left:?}");
}

#[test]
fn a_backup_or_a_restore_that_is_killed_in_any_window_ends_as_if_it_had_not_been() {
    in_parallel(Window::ALL.to_vec(), |window| {
        let place = Place::new();
        place.world.ripcord(BACKUP).killed(window, 1).expect_killed();
        place.world.ripcord(&["resume", "last"]).expect(0);
        let backups = place.backups();
        assert_eq!(backups.len(), 1, "{backups:?}");

        place.world.plan("restore", &(RESTORE.replace("BACKUP", &backups[0]) + TELL));
        place.database.as_owner("DELETE FROM calls");
        place.world.ripcord(RUN).killed(window, 1).expect_killed();
        // What the guest assumes stands in its plan, so that it is no hole: the swap is asked about.
        place.world.ripcord(&["resume", "last"]).expect(3).says("swap");
        place.world.ripcord(&["resume", "last"]).expect(3);
        let told = fs::read_to_string(place.world.path("told.jsonl")).unwrap();
        assert_eq!(
            (told.lines().count(), told.matches("The preview did not list this call: swap").count()),
            (1, 1),
            "{told}"
        );
        assert_eq!(place.database.psql("SELECT count(*) FROM calls"), "0", "{window:?}");
        place.world.ripcord(&["approve", "last", "call-1.1"]).expect(0);
        place.world.ripcord(&["resume", "last"]).killed(window, 1).expect_killed();
        place.world.ripcord(&["resume", "last"]).expect(0);
        assert_eq!(place.database.psql("SELECT count(*) FROM calls"), "20", "{window:?}");
        assert_eq!(place.databases(), ["live", "before"], "{window:?}");
        place.world.ripcord(&["replay", "last"]).expect(0);

        let kept = format!("SELECT datname FROM pg_database WHERE datname LIKE '{}\\_before%'", place.database.name);
        let kept = place.database.server.psql("postgres", &kept);
        place.world.plan("tidy", &TIDY.replace("KEPT", &kept).replace("BACKUP", &backups[0]));
        place.world.ripcord(&["run", "tidy.toml", "--yes"]).killed(window, 1).expect_killed();
        place.world.ripcord(&["resume", "last"]).killed(window, 1).expect_killed();
        place.world.ripcord(&["resume", "last"]).expect(0);
        assert_eq!(place.databases(), ["live"], "{window:?}");
        assert_eq!(place.backups(), [""; 0], "{window:?}");
        place.world.ripcord(&["replay", "last"]).expect(0);
    });
}

#[test]
fn a_preview_says_how_old_the_backup_is_and_makes_nothing() {
    let place = Place::new();
    place.world.ripcord(BACKUP).expect(0);
    place.world.plan("restore", &RESTORE.replace("BACKUP", &place.backups()[0]));
    let shown = place.world.ripcord(&["preview", "restore.toml"]).expect(0).to_string();
    for says in ["the backup is 0 minutes old", "a new database", "pg_restore --file=-", "version 1.4.2"] {
        assert!(shown.contains(says), "no `{says}` in {shown}");
    }
    assert_eq!(place.databases(), ["live"]);
}
