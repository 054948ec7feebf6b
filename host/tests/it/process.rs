//! Programs under a supervisor, with real processes: what holds when the host, the supervisor or the
//! program is killed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ripcord::process::{Ending, Finished, ProcessError, Recovered, Spec, Supervisors, recover, sweep};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::{Host, Place, SUPERVISOR, is_alive, pid, text, wait_for, wait_until};

impl Place {
    fn shell(&self, script: &str) -> Spec {
        shell(self.0.path(), script)
    }

    async fn run(&self, spec: &Spec) -> Result<Finished, ProcessError> {
        supervisors().prepare(&self.spool(), "test", spec).await?.run().await
    }

    fn wait_for(&self, name: &str) -> String {
        wait_for(&self.path(name))
    }

    fn record(&self) -> String {
        std::fs::read_to_string(self.spool().join("test.1")).unwrap()
    }
}

fn supervisors() -> Supervisors {
    Supervisors::new(SUPERVISOR)
}

fn shell(cwd: &Path, script: &str) -> Spec {
    Spec {
        argv: ["/bin/sh", "-c", script].map(String::from).into(),
        cwd: cwd.to_owned(),
        env: BTreeMap::from([("PATH".into(), std::env::var("PATH").unwrap())]),
        redact: Vec::new(),
        timeout: Duration::from_secs(60),
        output_bytes_max: 64 << 10,
    }
}

/// A host that holds a supervisor for the script, and lets it go if told so.
fn host(place: &Place, script: &str, timeout: Duration, go: bool) -> Host {
    Host::start(
        "process::as_host",
        &[
            ("TEST_PLACE", place.0.path().to_str().unwrap()),
            ("TEST_SCRIPT", script),
            ("TEST_TIMEOUT_MS", &timeout.as_millis().to_string()),
            ("TEST_GO", &go.to_string()),
        ],
    )
}

#[tokio::test]
#[ignore = "not a test: the others start it as a host of its own"]
async fn as_host() {
    let var = |name| std::env::var(name).unwrap();
    let place = PathBuf::from(var("TEST_PLACE"));
    let mut spec = shell(&place, &var("TEST_SCRIPT"));
    spec.timeout = Duration::from_millis(var("TEST_TIMEOUT_MS").parse().unwrap());
    let held = supervisors().prepare(&place.join("spool"), "test", &spec).await.unwrap();
    println!("\nmarker {}", held.marker());
    if var("TEST_GO") == "true" {
        held.run().await.unwrap();
    } else {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn how_a_program_ended_and_what_it_printed_is_reported() {
    for (script, ending, stdout, stderr) in [
        ("echo out; echo err >&2", Ending::Exited(0), "out\n", "err\n"),
        ("printf '\\303\\261'; exit 7", Ending::Exited(7), "ñ", ""),
        ("kill -SEGV $$", Ending::Signalled(11), "", ""),
        ("read line || echo nothing to read", Ending::Exited(0), "nothing to read\n", ""),
        // What ends a service is no reason for its supervisor not to see how the program takes it.
        ("kill -TERM $PPID; kill -INT $PPID; kill -HUP $PPID; echo seen", Ending::Exited(0), "seen\n", ""),
        ("pwd | grep -c /", Ending::Exited(0), "1\n", ""),
    ] {
        let place = Place::new();
        let finished = place.run(&place.shell(script)).await.unwrap();
        assert_eq!((finished.ending, text(&finished.stdout), text(&finished.stderr)), (ending, stdout, stderr));
        assert!(!finished.truncated);
    }
}

#[tokio::test]
async fn a_supervisor_that_was_started_ahead_is_used_and_one_that_has_died_is_not_missed() {
    let place = Place::new();
    let (program, starts) = (place.path("supervisor"), place.path("starts"));
    let script = format!(
        "#!/bin/sh\necho start >> {0}\n[ \"$(wc -l < {0})\" -eq 1 ] && exit 1\nexec {SUPERVISOR} \"$@\"\n",
        starts.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let supervisors = Supervisors::new(&program);
    let started = || std::fs::read_to_string(&starts).map_or(0, |starts| starts.lines().count());
    // The first to be started dies at once; the third waits.
    for (ahead, then) in [(1, 2), (3, 3)] {
        supervisors.start_ahead();
        while started() < ahead {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let held = supervisors.prepare(&place.spool(), "test", &place.shell("echo well")).await.unwrap();
        assert_eq!(text(&held.run().await.unwrap().stdout), "well\n");
        assert_eq!(started(), then);
    }
}

#[tokio::test]
async fn what_can_not_be_started_has_certainly_not_happened() {
    let place = Place::new();
    std::fs::write(place.path("no-program"), "").unwrap();
    for program in ["/no/such/program", place.path("no-program").to_str().unwrap()] {
        let mut spec = place.shell("");
        spec.argv = vec![program.to_owned()];
        let held = supervisors().prepare(&place.spool(), "test", &spec).await.unwrap();
        let marker = held.marker();
        let error = held.run().await.expect_err(program);
        assert!(matches!(&error, ProcessError::NotStarted(why) if why.contains(program)), "{error}");
        assert_eq!(recover(&place.spool(), &marker).await, Recovered::NeverStarted);
    }
    let error = Supervisors::new("/no/ripcord").prepare(&place.spool(), "test", &place.shell("")).await.err().unwrap();
    assert!(error.to_string().starts_with("can't start `/no/ripcord supervise` with a record in "), "{error}");
    let error = Supervisors::new("/bin/false").prepare(&place.spool(), "test", &place.shell("")).await.err().unwrap();
    assert!(matches!(error, ProcessError::Unsupervised(_)), "{error}");
}

#[tokio::test]
async fn the_environment_is_what_was_said_and_secrets_reach_no_disk() {
    let place = Place::new();
    let mut spec = place.shell("env; echo token is $TOKEN; exec grep SigIgn /proc/self/status");
    spec.env.insert("TOKEN".into(), "hunter2hunter2".into());
    spec.redact.push("hunter2hunter2".into());
    let finished = place.run(&spec).await.unwrap();
    let mut names: Vec<_> = text(&finished.stdout).lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    // PWD, SHLVL and _ are the shell's own.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    assert_eq!(names, ["PATH", "TOKEN"]);
    assert!(text(&finished.stdout).contains("token is [redacted]\n"));
    // What the supervisor does with signals is not handed down. Above 31 are the C library's own.
    let ignored = text(&finished.stdout).trim().rsplit('\t').next().unwrap();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 0x7fff_ffff, 0, "{finished:?}");
    assert!(!place.record().contains("hunter2"), "{}", place.record());
}

#[tokio::test]
async fn at_its_deadline_a_program_ends_with_all_of_its_group() {
    let place = Place::new();
    // A grandchild that does not care about SIGTERM, and a child that does not either.
    let deaf = "trap '' TERM; (trap '' TERM; sleep 60 & echo $! > grandchild; wait) & echo begun; wait";
    let mut spec = place.shell(deaf);
    spec.timeout = Duration::from_secs(1);
    let begin = Instant::now();
    let finished = place.run(&spec).await.unwrap();
    assert_eq!((finished.ending, text(&finished.stdout)), (Ending::TimedOut, "begun\n"));
    assert!(begin.elapsed() < Duration::from_secs(10));
    let grandchild = pid(&place.wait_for("grandchild"));
    wait_until(|| (!is_alive(grandchild)).then_some(()));
}

#[tokio::test]
async fn a_program_may_clean_up_at_its_deadline() {
    let place = Place::new();
    let mut spec = place.shell("trap 'echo cleaned up; exit 0' TERM; while :; do sleep 0.05; done");
    spec.timeout = Duration::from_secs(1);
    let finished = place.run(&spec).await.unwrap();
    assert_eq!((finished.ending, text(&finished.stdout)), (Ending::TimedOut, "cleaned up\n"));
}

#[tokio::test]
async fn what_is_left_in_the_background_hangs_nothing() {
    let place = Place::new();
    let begin = Instant::now();
    // The first stays in the group and ends with it; the second is a daemon of its own and holds on
    // to stdout.
    let script = "sleep 61 & echo $! > left; setsid sh -c 'echo $$ > daemon; exec sleep 60' & \
                  while ! [ -s daemon ]; do sleep 0.01; done; echo done";
    let finished = place.run(&place.shell(script)).await.unwrap();
    assert_eq!((finished.ending, text(&finished.stdout)), (Ending::Exited(0), "done\n"));
    assert!(begin.elapsed() < Duration::from_secs(10));
    let left = pid(&place.wait_for("left"));
    wait_until(|| (!is_alive(left)).then_some(()));
    let daemon = pid(&place.wait_for("daemon"));
    assert!(is_alive(daemon), "what left the group on purpose is not ours to end");
    kill_process(daemon, Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_never_blocks_the_program() {
    let place = Place::new();
    let script = "echo first; yes flood | head -c 99999996; echo last; grep VmHWM /proc/$PPID/status >&2; exit 3";
    let finished = place.run(&place.shell(script)).await.unwrap();
    assert_eq!(finished.ending, Ending::Exited(3));
    assert!(finished.truncated);
    let stdout = text(&finished.stdout);
    assert!(stdout.starts_with("first\nflood\n") && stdout.ends_with("flood\nlast\n"));
    assert!(stdout.contains(" bytes left out here …]\n") && stdout.len() < (64 << 10) + 100, "{}", stdout.len());
    let peak_kb: u64 = text(&finished.stderr).split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak_kb < 60_000, "the supervisor took {peak_kb} kB");
}

#[tokio::test]
async fn after_the_host_was_killed_a_program_lives_on_and_its_end_is_found() {
    let place = Place::new();
    let script = "echo $$ > begun; while ! [ -e may-end ]; do sleep 0.01; done; echo well; exit 5";
    let host = host(&place, script, Duration::from_secs(60), true);
    let program = pid(&place.wait_for("begun"));
    let marker = host.kill();
    assert!(is_alive(program));

    let spool = place.spool();
    let found = tokio::spawn({
        let (spool, marker) = (spool.clone(), marker.clone());
        async move { recover(&spool, &marker).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!found.is_finished(), "no answer while it may still run");
    assert_eq!(sweep(&spool, Duration::ZERO).unwrap(), 0, "what is held is not swept");
    std::fs::write(place.path("may-end"), "").unwrap();

    let Recovered::Finished(finished) = found.await.unwrap() else { panic!("its end was recorded") };
    assert_eq!((finished.ending, text(&finished.stdout)), (Ending::Exited(5), "well\n"));
    assert_eq!(recover(&spool, &marker).await, Recovered::Finished(finished), "and the answer stays");
}

#[tokio::test]
async fn after_the_host_was_killed_a_deadline_still_holds() {
    let place = Place::new();
    let host = host(&place, "echo $$ > begun; sleep 60", Duration::from_millis(1500), true);
    let program = pid(&place.wait_for("begun"));
    let marker = host.kill();
    // Nobody looks, and it ends all the same.
    wait_until(|| (!is_alive(program)).then_some(()));
    let Recovered::Finished(finished) = recover(&place.spool(), &marker).await else { panic!("recorded") };
    assert_eq!(finished.ending, Ending::TimedOut);
}

#[tokio::test]
async fn a_host_that_dies_before_it_said_go_leaves_nothing_behind() {
    let place = Place::new();
    let other = Place::new();
    // Two hosts and two supervisors of one: nobody else holds the pipe that a death has to close.
    let beside = supervisors().prepare(&other.spool(), "test", &other.shell("echo beside")).await.unwrap();
    let host = host(&place, "echo x > ran", Duration::from_secs(60), false);
    let late = supervisors().prepare(&other.spool(), "test", &other.shell("echo late")).await.unwrap();
    let beside_marker = beside.marker();
    let marker = host.kill();
    let never = |spool: PathBuf, marker: Value| async move {
        tokio::time::timeout(Duration::from_secs(10), recover(&spool, &marker)).await.expect("its supervisor has ended")
    };
    assert_eq!(never(place.spool(), marker).await, Recovered::NeverStarted);
    assert!(!place.path("ran").exists());
    // To drop one of two is to take it back, though the other was started from the same process later.
    drop(beside);
    assert_eq!(never(other.spool(), beside_marker).await, Recovered::NeverStarted);
    assert_eq!(text(&late.run().await.unwrap().stdout), "late\n");
}

#[tokio::test]
async fn a_program_whose_supervisor_was_killed_is_lost_but_never_left_running() {
    const WAIT: &str = "echo $PPID > begun; while ! [ -e killed ]; do sleep 0.01; done";
    for (timeout_ms, script, says) in [
        (60_000, format!("echo $$ > program; {WAIT}"), "nothing of it runs any more"),
        (1_000, format!("echo $$ > program; {WAIT}; exec sleep 60"), "was ended at its deadline"),
        // The program itself ends, and what it left behind in its group does not.
        (1_000, format!("sleep 60 & echo $! > program; {WAIT}"), "was ended at its deadline"),
    ] {
        let place = Place::new();
        let host = host(&place, &script, Duration::from_millis(timeout_ms), true);
        let supervisor = pid(&place.wait_for("begun"));
        let marker = host.kill();
        kill_process(supervisor, Signal::KILL).unwrap();
        std::fs::write(place.path("killed"), "").unwrap();
        let Recovered::Lost(seen) = recover(&place.spool(), &marker).await else { panic!("nothing was recorded") };
        assert!(seen.contains("/bin/sh was started at 2") && seen.contains(says), "{seen}");
        let program = pid(&place.wait_for("program"));
        wait_until(|| (!is_alive(program)).then_some(()));
    }
}

#[tokio::test]
async fn a_lost_program_is_lost_for_its_own_host_too() {
    let place = Place::new();
    let error = place.run(&place.shell("kill -9 $PPID")).await.expect_err("its end was not recorded");
    assert!(matches!(&error, ProcessError::Lost(seen) if seen.contains("signal: 9")), "{error}");
}

#[tokio::test]
async fn a_record_is_believed_as_far_as_it_is_whole() {
    let place = Place::new();
    let started = |realm: &str| {
        format!(
            r#"{{"started":{{"program":"x","at":"2026-11-22T18:03:12Z","deadline":"2026-11-22T18:13:14Z","session":1,"realm":"{realm}"}}}}"#
        )
    };
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = boot.trim();
    let here = format!("{boot} {}", std::fs::read_link("/proc/self/ns/pid").unwrap().display());
    let down = Some("the machine, or the container it ran in, went down");
    std::fs::create_dir(place.spool()).unwrap();
    for (record, since, lost) in [
        // Nothing was written before the start, so nothing was started.
        (String::new(), boot, None),
        (started(&here), boot, None),
        // What was written before the machine went down may be lost.
        (String::new(), "another boot", Some("the machine went down about when it was to be started")),
        (started("b"), "another boot", Some("the machine went down about when it was to be started")),
        (format!("{}\n", started("b")), "another boot", down),
        // The end was not durable, so it is not known.
        (format!("{}\n{{\"ended\":{{\"ending\"", started("b")), "another boot", down),
        // On this boot, but nobody knows which process it was; session 1 is somebody else's.
        (format!("{}\n", started(&here)), boot, Some("its supervisor (process 1) was killed")),
        ("nonsense\n".to_owned(), boot, Some("can't be read")),
    ] {
        std::fs::write(place.spool().join("test.1"), &record).unwrap();
        let found = recover(&place.spool(), &serde_json::json!({ "record": "test.1", "boot": since })).await;
        match (found, lost) {
            (Recovered::NeverStarted, None) => {}
            (Recovered::Lost(seen), Some(says)) => assert!(seen.contains(says), "{seen}"),
            (found, _) => panic!("{record}: {found:?}"),
        }
    }
    assert_eq!(sweep(&place.spool(), Duration::from_secs(60)).unwrap(), 0);
    assert_eq!(sweep(&place.spool(), Duration::ZERO).unwrap(), 1);
    for name in ["test.1", "../test.1", ""] {
        let found = recover(&place.spool(), &serde_json::json!({ "record": name })).await;
        assert!(matches!(found, Recovered::Lost(_)), "what is gone is not taken for what never was: {name}");
    }
}

#[tokio::test]
async fn two_programs_at_once_do_not_wait_for_each_other() {
    let place = Place::new();
    // Each waits for what the other one does.
    let (one, two) = (
        place.shell("echo > one; while ! [ -e two ]; do sleep 0.01; done; echo 1"),
        place.shell("echo > two; while ! [ -e one ]; do sleep 0.01; done; echo 2"),
    );
    let (one, two) = tokio::join!(place.run(&one), place.run(&two));
    assert_eq!((text(&one.unwrap().stdout), text(&two.unwrap().stdout)), ("1\n", "2\n"));
}
