//! What takes host and supervisor at once, and clocks that are put back.

use std::process::Command;

use super::*;

fn kill(pid: &str) {
    assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success(), "kill -9 {pid}");
}

/// The supervisor's process id, from its record.
fn supervisor(world: &World) -> String {
    let spool = fs::read_dir(world.path("state/spool")).unwrap();
    let records = spool.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let started = records.filter_map(|record| serde_json::from_str::<serde_json::Value>(record.lines().next()?).ok());
    let sessions: Vec<_> = started.map(|line| line["started"]["session"].to_string()).collect();
    assert_eq!(sessions.len(), 1);
    sessions[0].clone()
}

/// With the supervisor goes the only one who could know how the program ended; that is said, and asked.
#[test]
fn a_host_and_its_supervisor_killed_together_leave_a_question_and_no_second_start() {
    let world = world(&step("a", "", &["run", "POST /one"]));
    let running = world.ripcord(RUN).spawn();
    until_begun(&world);
    running.kill();
    kill(&supervisor(&world));
    let_go(&world);
    world.until("the program's end", || record(&world).len() == 2);
    world.ripcord(&["resume", "last"]).expect(3).says("its supervisor").says("ripcord resolve");
    let journal = world.journal();
    let asked = journal.state(&journal.last()).halted_on.expect("it asks about the program").to_string();
    world.ripcord(&["resolve", "last", &asked, "--happened"]).expect(0);
    resumes(&world, 0);
    assert_eq!((record(&world), posts(&world)), (vec!["begins".to_owned(), "ends".to_owned()], vec!["one".to_owned()]));
}

/// The machine's clock is put back, or forth, by a day while the run is paused.
#[test]
fn a_clock_that_is_put_back_between_pause_and_resume_makes_nothing_wait_for_ever() {
    let verify = "[[verify]]\nid = \"on\"\nuse = \"http-check\"\nbind = { service = \"service\" }\n\
                  with = { path = \"/switch\" }\nexpect = \"response.body == 'on'\"\nwithin = \"40s\"\nevery = \"1s\"\n";
    for shift in ["-1d", "+1d"] {
        let world = world(&(step("a", "", &["POST /one", "sleep 2000", "POST /two"]) + verify));
        world.ledger.tell("switch-on-after 2");
        let running = world.ripcord(RUN).spawn();
        running.until_says("waits until");
        running.interrupt();
        paused(running);
        let resumed = world.ripcord(&["resume", "last"]).through("faketime", &["-f", shift]).spawn();
        let ran = resumed.wait();
        assert_eq!(ran.code(), Some(0), "{shift}: {ran}");
        assert_eq!(posts(&world), ["one", "two"]);
        // With the clock right again it can still be read, checked and executed again.
        for look in ["show", "report", "audit", "replay"] {
            world.ripcord(&[look, "last"]).expect(0);
        }
    }
}
