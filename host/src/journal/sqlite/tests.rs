//! Claims about the journal, each against a real file.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::id::ExecutionId;
use crate::journal::{Blob, Event, Level};

fn logged(message: impl Into<String>) -> Dated {
    let event = Event::Logged { execution: ExecutionId(1), level: Level::Info, message: message.into() };
    Dated { at: Timestamp::UNIX_EPOCH, event }
}

fn message(recorded: &Recorded) -> &str {
    match &recorded.event {
        Event::Logged { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

fn run(name: &str) -> RunId {
    name.to_owned().into()
}

fn beginning(name: &str, events: impl IntoIterator<Item = Dated>) -> Beginning {
    Beginning { run: run(name), events: events.into_iter().collect(), holds: vec![], blobs: vec![] }
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("journal.sqlite")
    }

    fn open(&self) -> SqliteJournal {
        SqliteJournal::open(self.path()).unwrap()
    }

    /// Somebody else's hands on the file.
    fn raw(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_each_appends_once_behind_the_head_that_it_saw() {
    const WRITERS: usize = 8;
    const APPENDS: usize = 25;
    let place = Place::new();
    let journals = [Arc::new(place.open()), Arc::new(place.open())];
    let begun = journals[0].begin(beginning("r", [])).await.unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let journal = journals[writer % 2].clone();
        tokio::spawn(async move {
            let mut head = begun;
            for number in 0..APPENDS {
                head = loop {
                    match journal.append(&run("r"), head, &[logged(format!("{writer}.{number}"))]).await {
                        Ok(head) => break head,
                        Err(AppendError::Moved { head: moved, .. }) => head = moved,
                        Err(error) => panic!("{error}"),
                    }
                };
            }
        })
    });
    join_all(writers).await.into_iter().for_each(|writer| writer.unwrap());

    let (events, head) = journals[0].read(&run("r"), None).await.unwrap();
    assert_eq!(head.sequence as usize, WRITERS * APPENDS);
    let messages: BTreeSet<_> = events.iter().map(message).collect();
    assert_eq!(messages.len(), WRITERS * APPENDS, "each is there once");
}

#[tokio::test]
async fn what_waits_shares_a_flush_and_a_refusal_spoils_nothing_for_the_others() {
    let place = Place::new();
    let journal = place.open();
    let mut heads = Vec::new();
    for number in 0..64 {
        heads.push(journal.begin(beginning(&format!("r{number}"), [logged("first")])).await.unwrap());
    }
    // An event that was slipped in behind the end makes the statement itself fail.
    let raw = place.raw();
    raw.execute("INSERT INTO events SELECT run, 2, at, event, hash FROM events WHERE run = 'r63'", []).unwrap();
    let commits = journal.commits();

    raw.execute_batch("BEGIN IMMEDIATE").unwrap();
    let appends = (0..64).map(|number| {
        let (journal, mut expected) = (&journal, heads[number]);
        async move {
            let events = ["second", "third"].map(logged);
            let name = if number == 0 { "none".to_owned() } else { format!("r{number}") };
            if number == 1 {
                expected.hash = Digest::of(b"another");
            }
            journal.append(&run(&name), expected, &events).await
        }
    });
    let release = async {
        // One turn each for the others to hand in their requests.
        tokio::task::yield_now().await;
        raw.execute_batch("COMMIT").unwrap();
    };
    let (appended, ()) = futures_util::join!(join_all(appends), release);

    assert!(matches!(appended[0], Err(AppendError::NoSuchRun(_))), "{:?}", appended[0]);
    assert!(matches!(appended[1], Err(AppendError::Moved { head, .. }) if head == heads[1]), "{:?}", appended[1]);
    assert!(matches!(appended[63], Err(AppendError::Storage(_))), "{:?}", appended[63]);
    for (number, head) in appended.iter().enumerate().take(63).skip(2) {
        let (events, end) = journal.read(&run(&format!("r{number}")), None).await.unwrap();
        assert_eq!((events.len(), Some(end)), (3, head.as_ref().ok().copied()));
    }
    assert_eq!(journal.read(&run("r1"), None).await.unwrap().1, heads[1]);
    // The first request may have gone ahead of the rest to wait for the lock.
    assert!(journal.commits() - commits <= 2, "{} flushes", journal.commits() - commits);
}

#[tokio::test]
async fn whatever_is_done_to_the_events_is_found_and_named() {
    let cases = [
        (
            "UPDATE events SET event = replace(event, 'three', 'drei') WHERE sequence = 3",
            "event 3 is not the one that was written",
        ),
        ("UPDATE events SET at = '1970-01-01T00:00:01Z' WHERE sequence = 2", "event 2 is not the one that was written"),
        ("UPDATE events SET hash = zeroblob(32) WHERE sequence = 5", "event 5 is not the one that was written"),
        ("UPDATE events SET event = CAST(x'ff' AS TEXT) WHERE sequence = 1", "event 1 is not the one that was written"),
        (
            "UPDATE events SET sequence = 9 WHERE sequence = 2;
             UPDATE events SET sequence = 2 WHERE sequence = 3;
             UPDATE events SET sequence = 3 WHERE sequence = 9",
            "event 2 is not the one that was written",
        ),
        ("DELETE FROM events WHERE sequence = 3", "event 3 is missing"),
        ("DELETE FROM events WHERE sequence = 5", "event 5 is missing"),
        ("DELETE FROM events", "event 1 is missing"),
        (
            "INSERT INTO events SELECT run, 6, at, event, hash FROM events WHERE sequence = 5",
            "the journal holds an event 6, but the run's last is 5",
        ),
        ("UPDATE runs SET hash = zeroblob(32)", "the hash of its last event, 5, is sha256:"),
    ];
    for (harm, found) in cases {
        let place = Place::new();
        let journal = place.open();
        journal.begin(beginning("r", ["one", "two", "three", "four", "five"].map(logged))).await.unwrap();
        place.raw().execute_batch(harm).unwrap();
        match journal.read(&run("r"), None).await {
            Err(ReadError::Altered(altered, _)) => assert!(altered.to_string().contains(found), "{harm}: {altered}"),
            other => panic!("{harm}: {other:?}"),
        }
    }
}

/// Cut off with its end put right, a chain is whole in itself: it shows against a head that is known.
#[tokio::test]
async fn a_run_that_was_cut_off_neatly_shows_against_a_head_known_from_before() {
    let place = Place::new();
    let journal = place.open();
    let begun = journal.begin(beginning("r", ["one", "two"].map(logged))).await.unwrap();
    let known = journal.append(&run("r"), begun, &["three", "four"].map(logged)).await.unwrap();
    assert_eq!(journal.read(&run("r"), Some(begun)).await.unwrap().0.len(), 2);
    assert_eq!(journal.read(&run("r"), Some(known)).await.unwrap(), (vec![], known));

    let cut = "DELETE FROM events WHERE sequence > 3;
               UPDATE runs SET sequence = 3, hash = (SELECT hash FROM events WHERE sequence = 3)";
    place.raw().execute_batch(cut).unwrap();
    assert_eq!(journal.read(&run("r"), None).await.unwrap().0.len(), 3);
    let taken_back = journal.read(&run("r"), Some(known)).await.unwrap_err().to_string();
    assert!(taken_back.contains("had reached event 4") && taken_back.contains("at event 3 now"), "{taken_back}");

    let (events, cut) = journal.read(&run("r"), Some(begun)).await.unwrap();
    assert_eq!(events.len(), 1);
    let other = journal.append(&run("r"), cut, &[logged("another fourth"), logged("fifth")]).await.unwrap();
    assert!(matches!(
        journal.read(&run("r"), Some(known)).await,
        Err(ReadError::Altered(altered, _)) if matches!(*altered, Altered::Changed { sequence: 5, .. })
    ));
    assert_eq!(journal.read(&run("r"), None).await.unwrap().1, other);
}

#[tokio::test]
async fn a_list_of_runs_shows_the_newest_first_and_is_not_stopped_by_a_damaged_one() {
    let place = Place::new();
    let journal = place.open();
    for name in ["b", "c", "a"] {
        journal.begin(beginning(name, ["first", name].map(logged))).await.unwrap();
    }
    place.raw().execute("DELETE FROM events WHERE run = 'c' AND sequence = 2", []).unwrap();
    let outlines = journal.outlines().await.unwrap();
    let shown: Vec<_> = outlines
        .iter()
        .map(|Outline { run, ends }| {
            let ends = ends.as_ref().map(|(first, last)| format!("{} {}", message(first), message(last)));
            (run.as_str(), ends.unwrap_or_else(|error| error.to_string()))
        })
        .collect();
    assert_eq!(shown[0], ("a", "first a".to_owned()));
    assert!(shown[1].0 == "c" && shown[1].1.contains("event 2 is missing"), "{:?}", shown[1]);
    assert_eq!(shown[2], ("b", "first b".to_owned()));
    assert_eq!(journal.runs().await.unwrap(), ["a", "c", "b"].map(run));
}

#[tokio::test]
async fn a_run_holds_all_that_it_wants_or_does_not_begin() {
    let place = Place::new();
    let journal = place.open();
    let begin = |name: &str, holds: &[&str]| {
        let holds = holds.iter().map(|&resource| resource.to_owned()).collect();
        journal.begin(Beginning {
            holds,
            blobs: vec![Blob::new(name.as_bytes().to_vec())],
            ..beginning(name, [logged(name)])
        })
    };
    begin("first", &["target", "git:/srv/app"]).await.unwrap();
    let refused = begin("second", &["other", "git:/srv/app"]).await.unwrap_err();
    assert_eq!(refused.to_string(), "git:/srv/app is held by run first");
    assert_eq!(journal.holder("other").await.unwrap(), None);
    assert_eq!(journal.runs().await.unwrap(), [run("first")]);
    let blob = journal.blob(Digest::of(b"second")).await;
    assert!(matches!(blob, Err(ReadError::NoSuchBlob(_))), "{blob:?}");

    begin("third", &["other"]).await.unwrap();
    let wanted = ["free", "git:/srv/app"].map(str::to_owned);
    assert!(matches!(
        journal.hold(&run("third"), &wanted).await,
        Err(BeginError::Held { holder, .. }) if holder == run("first")
    ));
    assert_eq!(journal.holder("free").await.unwrap(), None);
    journal.release(&run("first")).await.unwrap();
    journal.hold(&run("third"), &wanted).await.unwrap();
    journal.hold(&run("third"), &wanted).await.unwrap();
    assert_eq!(journal.holder("git:/srv/app").await.unwrap(), Some(run("third")));

    assert!(begin("third", &[]).await.unwrap_err().to_string().contains("already"));
    assert!(journal.hold(&run("none"), &wanted).await.unwrap_err().to_string().contains("no run none"));
}

#[tokio::test]
async fn kept_bytes_are_checked_and_a_damaged_copy_is_made_whole_by_the_next_run() {
    let place = Place::new();
    let journal = place.open();
    let bytes = b"\0asm component".to_vec();
    let begin = |name| journal.begin(Beginning { blobs: vec![Blob::new(bytes.clone())], ..beginning(name, []) });
    begin("first").await.unwrap();
    assert_eq!(journal.blob(Digest::of(&bytes)).await.unwrap(), bytes);
    place.raw().execute("UPDATE blobs SET bytes = x'00'", []).unwrap();
    let altered = journal.blob(Digest::of(&bytes)).await.unwrap_err();
    assert!(
        matches!(&altered, ReadError::Altered(altered, _) if matches!(**altered, Altered::Blob { .. })),
        "{altered}"
    );
    begin("second").await.unwrap();
    assert_eq!(journal.blob(Digest::of(&bytes)).await.unwrap(), bytes);
}

const APPEND_TO: &str = "RIPCORD_TEST_APPEND_TO";

/// Appends to four runs at once, and prints each append once it is acknowledged, until it is killed.
#[tokio::main]
async fn append_forever(path: PathBuf) {
    let journal = Arc::new(SqliteJournal::open(path).unwrap());
    let writers = (0..4).map(|writer| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let run = run(&format!("r{writer}"));
            let mut head = journal.begin(beginning(run.as_str(), [])).await.unwrap();
            loop {
                let event = logged(format!("{} of {run}", head.sequence + 1));
                head = journal.append(&run, head, &[event]).await.unwrap();
                std::io::stdout().write_all(format!("\nacknowledged {run} {}\n", head.sequence).as_bytes()).unwrap();
            }
        })
    });
    join_all(writers).await;
}

#[test]
fn what_was_acknowledged_survives_a_killed_process() {
    if let Some(path) = std::env::var_os(APPEND_TO) {
        return append_forever(path.into());
    }
    for kill_after in [1, 57, 400] {
        let place = Place::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::sqlite::tests::what_was_acknowledged_survives_a_killed_process"])
            .arg("--nocapture")
            .env(APPEND_TO, place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut acknowledged = BTreeMap::new();
        let mut lines = 0;
        for line in stdout.lines().map(Result::unwrap) {
            let Some((name, sequence)) = line.strip_prefix("acknowledged ").and_then(|rest| rest.split_once(' '))
            else {
                continue;
            };
            acknowledged.insert(name.to_owned(), sequence.parse::<u64>().unwrap());
            lines += 1;
            if lines == kill_after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(lines >= kill_after, "the child ended by itself");

        let journal = place.open();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (name, acknowledged) in acknowledged {
            let (events, head) = runtime.block_on(journal.read(&run(&name), None)).unwrap();
            // One append more may have been on its way.
            assert!((acknowledged..=acknowledged + 1).contains(&head.sequence), "{name}: {acknowledged}, {head:?}");
            for (event, sequence) in events.iter().zip(1..) {
                assert_eq!(message(event), format!("{sequence} of {name}"));
            }
        }
    }
}

#[test]
fn a_file_that_is_no_journal_of_this_version_is_left_alone_and_the_message_says_what_to_do() {
    let sql = |sql: &'static str| move |path: &Path| Connection::open(path).unwrap().execute_batch(sql).unwrap();
    let of_a_newer = |path: &Path| {
        drop(SqliteJournal::open(path).unwrap());
        sql("PRAGMA user_version = 7")(path);
    };
    let damaged = |path: &Path| {
        drop(SqliteJournal::open(path).unwrap());
        // Folds the log into the file.
        drop(Connection::open(path).unwrap().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        let mut bytes = std::fs::read(path).unwrap();
        bytes[100..].fill(0xff);
        std::fs::write(path, bytes).unwrap();
    };
    let text = |path: &Path| std::fs::write(path, "not a database, but long enough to look at: ".repeat(20)).unwrap();
    let folder = |path: &Path| std::fs::create_dir(path).unwrap();
    type Make<'a> = &'a dyn Fn(&Path);
    let cases: [(Make<'_>, &str); 5] = [
        (&text, "no SQLite database"),
        (&sql("CREATE TABLE theirs (x)"), "another program"),
        (&of_a_newer, "has format 7"),
        (&damaged, "damaged"),
        (&folder, "a folder is in the journal's place"),
    ];
    for (make, said) in cases {
        let place = Place::new();
        make(&place.path());
        let before = std::fs::read(place.path()).ok();
        let error = SqliteJournal::open(place.path()).map(drop).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("journal.sqlite"), "{said}: {error}");
        assert_eq!(std::fs::read(place.path()).ok(), before, "{said}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = SqliteJournal::open(file.path().join("journal.sqlite")).map(drop).unwrap_err().to_string();
    assert!(error.contains("RIPCORD_STATE"), "{error}");
}

#[tokio::test]
async fn all_files_of_a_journal_are_its_users_alone_and_are_made_once_by_whoever_comes_first() {
    let place = Place::new();
    let path = place.0.path().join("deep/er/journal.sqlite");
    let open = || SqliteJournal::open(path.clone()).unwrap();
    let journals: Vec<_> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        opening.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (journal, number) in journals.iter().zip(0..) {
        journal.begin(beginning(&format!("r{number}"), [logged("x")])).await.unwrap();
    }
    assert_eq!(journals[0].runs().await.unwrap().len(), 8);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let folder = path.parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "the database, its log and its index: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_full_disk_is_told_to_everybody_and_leaves_the_journal_as_it_was() {
    let place = Place::new();
    let journal = place.open();
    let begun = journal.begin(beginning("r", [logged("x")])).await.unwrap();
    let file::Opened { writer, .. } = file::open(&place.path()).unwrap();
    let pages: i64 = writer.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    writer.pragma_update(None, "max_page_count", pages).unwrap();
    let full = SqliteJournal { writer: Writer::start(writer, &place.path()).unwrap(), ..place.open() };
    let (run, event) = (run("r"), [logged("x".repeat(100_000))]);
    let appends = (0..3).map(|_| full.append(&run, begun, &event));
    for appended in join_all(appends).await {
        let error = appended.unwrap_err();
        assert!(
            matches!(&error, AppendError::Storage(StorageError { problem, .. }) if problem.contains("disk is full"))
        );
        assert!(error.to_string().contains("make room"), "{error}");
    }
    assert_eq!(full.read(&run, None).await.unwrap().1, begun);
    assert_eq!(full.commits(), 0);
    journal.append(&run, begun, &event).await.unwrap();
}
