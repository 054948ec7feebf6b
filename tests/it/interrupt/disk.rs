//! A disk that is full in the middle of a run: for the journal, for a supervisor's record, for git.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::world::copy;

/// A small file system, which is gone when this is, however the test ends.
struct SmallDisk {
    path: PathBuf,
    watcher: Child,
}

impl SmallDisk {
    fn mount(path: &Path, size: &str) -> Self {
        const SCRIPT: &str = r#"mount -t tmpfs -o "size=$1,mode=0700" none "$2" && echo mounted
            read -r _; umount -l "$2""#;
        fs::create_dir_all(path).unwrap();
        let mut watcher = Command::new("sh")
            .args(["-c", SCRIPT, "sh", size])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut stdout = std::io::BufReader::new(watcher.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut said).unwrap();
        assert_eq!(said.trim(), "mounted");
        Self { path: path.to_owned(), watcher }
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.path.join("filler")).unwrap();
        for block in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.path.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// What was answered can't be recorded, so the plugin does not see it and nothing more is sent.
#[test]
fn a_full_disk_under_the_journal_stops_the_run_and_says_what_is_unknown() {
    if !is_root("a full disk under the journal") {
        return;
    }
    let world = world(&step("a", "", &["POST /one", "POST /two"]));
    let kept = world.path("kept");
    fs::rename(world.path("state"), &kept).unwrap();
    let disk = SmallDisk::mount(&world.path("state"), "32m");
    copy(&kept.join("components"), &world.path("state/components"));

    hold(&world, "one");
    let running = world.ripcord(RUN).spawn();
    until_posted(&world, "one");
    disk.fill();
    answer(&world, "one");
    let ran = running.wait();
    assert_eq!(ran.code(), Some(3), "{ran}");
    ran.says("the disk is full").says("ripcord resume").says("POST /one on http.service");
    assert_eq!(posts(&world), ["one"]);

    // Nothing is sent as long as nothing can be recorded.
    let still_full = world.ripcord(&["resume", "last"]).run();
    assert_ne!(still_full.code(), Some(0), "{still_full}");
    still_full.says("disk");
    assert_eq!(posts(&world), ["one"]);

    disk.make_room();
    resumes(&world, 0);
    assert_eq!(posts(&world), ["one", "two"]);
}

/// Not started for want of a record, or ended without one: the first is a failure, the second a doubt.
#[test]
fn a_full_disk_under_a_supervisor_s_record_starts_nothing_and_loses_nothing_silently() {
    if !is_root("a full disk under a supervisor's record") {
        return;
    }
    let world = world(&step("a", "retry = { attempts = 1 }", &["run", "POST /one"]));
    let disk = SmallDisk::mount(&world.path("state/spool"), "64k");
    disk.fill();
    world.ripcord(RUN).expect(3).says("No space left on device");
    assert!(record(&world).is_empty(), "it was started");

    disk.make_room();
    let running = world.ripcord(RUN).spawn();
    until_begun(&world);
    disk.fill();
    let_go(&world);
    let ran = running.wait();
    assert_eq!(ran.code(), Some(3), "{ran}");
    ran.says("resolve").says("its end was not recorded");
    assert_eq!((record(&world), posts(&world)), (vec!["begins".to_owned(), "ends".to_owned()], vec![]));

    disk.make_room();
    let journal = world.journal();
    let asked = journal.state(&journal.last()).halted_on.expect("it asks about the program").to_string();
    world.ripcord(&["resolve", "last", &asked, "--happened"]).expect(0);
    resumes(&world, 0);
    assert_eq!((record(&world).len(), posts(&world)), (2, vec!["one".to_owned()]));
}

/// The working copy stays as it was, and the rollback can be done once there is room.
#[test]
fn a_full_disk_under_the_working_copy_leaves_it_as_it_was() {
    if !is_root("a full disk under the working copy") {
        return;
    }
    let world = World::new();
    world.connector_plan();
    let kept = world.path("kept");
    fs::rename(&world.repository.path, &kept).unwrap();
    let disk = SmallDisk::mount(&world.repository.path, "48m");
    copy(&kept.join("."), &world.repository.path);
    let before = world.repository.content();
    disk.fill();
    let run = ["run", "connector.toml", "-p", "connector=facebook", "-p", "version=v1.4.2", "--yes"];
    world.ripcord(&run).expect(3).says("No space left on device").says("ripcord show");
    disk.make_room();
    // What git could not finish has left no trace but objects that nobody names.
    assert_eq!(world.repository.content(), before);
    world.ripcord(&run).expect(0);
    assert_eq!(world.repository.content().connector, "export const facebook = 'good'\n");
}
