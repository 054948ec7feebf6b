//! What a restore brings back, and what it leaves alone.

use std::fs;
use std::process::Command;

use ripcord::capability::sql::Call;
use ripcord::capability::sql::backup::{Database as Made, DatabaseState, Format};

use super::super::assert_says;
use super::sessions::Pool;
use super::{Place, change, dump, list, made, read, restore, swap};

#[tokio::test]
async fn each_format_brings_everything_back_and_the_one_before_is_kept() {
    for format in [Format::Custom, Format::Plain, Format::PlainGzip] {
        let place = Place::new();
        let driver = place.driver().await;
        let before = place.content();
        let backup = dump(&driver, format, Some("1.4.2")).await.unwrap();
        assert!(backup.name.starts_with(&format!("{}-20", place.database.name)), "{}", backup.name);
        assert!(backup.name.contains("Z-1.4.2."), "{}", backup.name);
        assert_eq!(list(&driver).await, std::slice::from_ref(&backup));
        let contents = read(&driver, &backup.name).await;
        assert_eq!((contents.tables, contents.problem, &contents.backup), (2, None, &backup));
        assert!(contents.entries.contains(&"TABLE public.calls".to_owned()), "{:?}", contents.entries);

        place.database.as_owner("DELETE FROM notes; DELETE FROM calls; DROP FUNCTION odd");
        let restored = restore(&driver, &backup.name).await.unwrap();
        assert_eq!((restored.tables, restored.rows), (2, 504));
        assert_eq!(place.database.psql("SELECT count(*) FROM calls"), "0", "a restore does not touch the live one");
        let swapped = swap(&driver, &restored.database).await.unwrap();
        assert_eq!(place.content(), before, "{format:?}");
        assert_eq!(place.database.server.psql(&swapped.kept, "SELECT count(*) FROM calls"), "0");

        // And back again.
        let states = |databases: &[Made]| databases.iter().map(|made| made.state).collect::<Vec<_>>();
        let kept = made(&driver).await;
        assert_eq!((states(&kept), kept[0].name.as_str()), (vec![DatabaseState::Kept], swapped.kept.as_str()));
        // Perhaps in the same second, to which the name is dated.
        let again = swap(&driver, &swapped.kept).await.unwrap();
        assert_eq!(place.database.psql("SELECT count(*) FROM calls"), "0");
        change(&driver, Call::DropDatabase { database: again.kept.clone() }).await.unwrap();
        assert_eq!(made(&driver).await, []);
    }
}

/// Two applications that keep their backups in one folder.
#[tokio::test]
async fn a_backup_of_another_database_is_not_restored_into_this_one() {
    let (place, other) = (Place::new(), Place::new());
    let theirs = dump(&other.driver().await, Format::Custom, None).await.unwrap();
    for name in [theirs.name.clone(), format!("{}.json", theirs.name)] {
        fs::copy(other.path(&name), place.path(&name)).unwrap();
    }
    let driver = place.driver().await;
    // Neither does one whom somebody else has dumped.
    fs::copy(other.dumped_by_hand("theirs.dump", &["-Fc"]), place.path("theirs.dump")).unwrap();
    let line = format!("backups-of = [{:?}]", other.database.name);
    let words =
        format!("it is of the database {}, and this connection's is {}", other.database.name, place.database.name);
    for name in [theirs.name.as_str(), "theirs.dump"] {
        let problem = read(&driver, name).await.problem.unwrap();
        assert!(problem.starts_with(&words) && problem.ends_with(&line), "{problem}");
        assert_says(&restore(&driver, name).await.unwrap_err(), "permanent", &[&words, &line]);
        assert_eq!(made(&driver).await, []);
    }
    // What the line allows, and what ripcord itself has kept.
    let allowed = place.driver_with(&line).await;
    let contents = read(&allowed, "theirs.dump").await;
    assert_eq!((contents.problem, contents.backup.database), (None, Some(other.database.name.clone())));
    let restored = restore(&allowed, "theirs.dump").await.unwrap();
    let swapped = swap(&driver, &restored.database).await.unwrap();
    let kept = Command::new(place.database.server.program("pg_dump"))
        .args(["-Fc", "-U", "postgres", "-d", &swapped.kept, "-p", &place.database.server.port.to_string(), "-h"])
        .arg(place.database.server.folder())
        .output()
        .unwrap();
    fs::write(place.path("kept.dump"), kept.stdout).unwrap();
    let contents = read(&driver, "kept.dump").await;
    assert_eq!((contents.problem, contents.backup.database), (None, Some(swapped.kept)));
}

#[tokio::test]
async fn a_dump_without_owners_belongs_to_the_owner_of_the_live_one() {
    let place = Place::new();
    place.dumped_by_hand("nobody.sql", &["--no-owner", "--no-acl"]);
    let driver = place.driver().await;
    let restored = restore(&driver, "nobody.sql").await.unwrap();
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'calls'";
    assert_eq!(place.database.server.psql(&restored.database, owner), "owner");
    // Who logs in is a superuser, and the owner is none.
    place.database.psql("CREATE EXTENSION pageinspect");
    place.dumped_by_hand("nobody.sql", &["--no-owner", "--no-acl"]);
    let failure = restore(&driver, "nobody.sql").await.unwrap_err();
    assert_says(&failure, "permanent", &["made as owner", "extension pageinspect", "without --no-owner"]);
    // Where the operator says that the server allows it, the server has the last word.
    let failure = restore(&place.driver_with(r#"creates-extensions = ["pageinspect"]"#).await, "nobody.sql").await;
    assert_says(&failure.unwrap_err(), "permanent", &["permission denied to create extension"]);
}

/// With no more rights than `doctor` asks for.
#[tokio::test]
async fn an_owner_who_may_make_databases_can_restore_and_swap() {
    let place = Place::new();
    place.database.server.psql("postgres", "ALTER ROLE owner CREATEDB; GRANT pg_signal_backend TO owner");
    place.database.psql("SELECT lo_unlink(4711)");
    let driver = place.driver_as("owner", "owner", "").await;
    let backup = dump(&driver, Format::Custom, None).await.unwrap();
    let restored = restore(&driver, &backup.name).await.unwrap();
    let pool = Pool::new(&place.database, 1);
    swap(&driver, &restored.database).await.unwrap();
    pool.stop(&place.database);
    assert_eq!(place.database.psql("SELECT count(*) FROM calls"), "500");
}

#[tokio::test]
async fn only_what_ripcord_made_is_ever_dropped_or_deleted() {
    let place = Place::new();
    let driver = place.driver().await;
    place.dumped_by_hand("by-hand.dump", &["-Fc"]);
    let other = format!("{}_other", place.database.name);
    place.database.server.psql("postgres", &format!("CREATE DATABASE {other}"));
    for name in [&place.database.name, &other, "postgres", "no_such_database"] {
        for call in [Call::DropDatabase { database: name.to_owned() }, Call::Swap { database: name.to_owned() }] {
            let failure = change(&driver, call).await.unwrap_err();
            assert_says(&failure, "permanent", &[name]);
        }
    }
    let failure = change(&driver, Call::DeleteBackup { name: "by-hand.dump".into() }).await.unwrap_err();
    assert_says(&failure, "permanent", &["was not made by ripcord"]);
    let own = dump(&driver, Format::Plain, None).await.unwrap();
    change(&driver, Call::DeleteBackup { name: own.name.clone() }).await.unwrap();
    let left: Vec<_> = fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["by-hand.dump"]);
}

#[tokio::test]
async fn two_restores_at_once_have_a_database_each() {
    let place = Place::new();
    let driver = place.driver().await;
    place.dumped_by_hand("whole.dump", &["-Fc"]);
    let (first, second) = tokio::join!(restore(&driver, "whole.dump"), restore(&driver, "whole.dump"));
    let (first, second) = (first.unwrap().database, second.unwrap().database);
    assert_ne!(first, second);
    for database in [first, second] {
        assert_eq!(place.database.server.psql(&database, "SELECT count(*) FROM calls"), "500");
    }
}
