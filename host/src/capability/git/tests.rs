//! A call that was cut off, at every point at which it can be. What needs no look inside is in
//! `host/tests/it/git`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../tests/it/git/lab.rs"]
mod lab;

use std::path::PathBuf;

use self::lab::{Lab, at, commit, reset, restore, revert};
use super::carry::Carrying;
use super::movement::Move;
use super::working_copy::WorkingCopy;
use super::{Call, Reply};
use crate as ripcord;
use crate::capability::{CapabilityCall, Settlement};
use crate::failure::Failure;

/// Local work needs none.
const SUPERVISOR: &str = "ripcord";

/// The steps of `carry.rs` after which a call may be killed.
const STEPS: usize = 6;

fn edited_lab() -> Lab {
    let lab = Lab::new();
    lab.write("src/b.ts", "edited\n");
    lab
}

/// `src` is a link where the call wants a folder, or the other way round.
fn swapped_lab(tag: &str) -> Lab {
    let lab = Lab::new();
    lab.swap_kinds(&lab.folder.path().join("outside"));
    lab.git(&["reset", "--quiet", "--hard", tag]);
    lab
}

fn cases() -> [(Call, fn() -> Lab); 8] {
    [
        (restore("v1", &["src/a.ts", "src/new/c.ts", "old/gone.ts", "run.sh", "link"]), Lab::new),
        (reset("v1"), Lab::new),
        (revert("v3"), Lab::new),
        (commit("m", &["src/b.ts"]), edited_lab),
        (reset("HEAD"), Lab::new),
        (reset("link"), || swapped_lab("v3")),
        (reset("v3"), || swapped_lab("link")),
        (reset("link"), || swapped_lab("file")),
    ]
}

/// Carries a call out up to a step and no further, as a killed host would: nothing is cleaned up.
async fn cut_off(lab: &Lab, call: &Call, steps: usize) -> serde_json::Value {
    let prepared = lab.driver().prepare(&at(0), call).await.unwrap();
    let marker = prepared.marker().unwrap();
    let record: Move = serde_json::from_value(marker.clone()).unwrap();
    if record.is_nothing() {
        return marker;
    }
    let copy = WorkingCopy::open(&lab.root().canonicalize().unwrap()).unwrap();
    let title = call.summary();
    let carrying = Carrying { copy: &copy, at: &at(0), record: &record, title: &title };
    let changes = record.changes(&copy).unwrap();
    let mut index = PathBuf::new();
    for step in 0..steps {
        match step {
            0 => std::mem::forget(carrying.lock(false).unwrap()),
            1 => carrying.keep().unwrap(),
            2 => index = carrying.write(&changes).unwrap(),
            3 => carrying.publish(&index).unwrap(),
            4 => carrying.advance().unwrap(),
            _ => std::fs::remove_file(lab.root().join(".git/index.lock")).unwrap(),
        }
    }
    marker
}

#[tokio::test]
async fn wherever_a_call_is_cut_off_it_is_settled_and_gone_on_with() {
    for (call, new_lab) in cases() {
        let twin = new_lab();
        let expected = twin.mutate(0, call.clone()).await.unwrap();
        for steps in 0..=STEPS {
            let lab = new_lab();
            let marker = cut_off(&lab, &call, steps).await;
            let settled = lab.driver().settle(&at(0), &call, Some(&marker)).await;
            match settled {
                Settlement::Happened(reply) => assert_eq!(reply, expected, "{call:?} after {steps}"),
                Settlement::DidNotHappen => {
                    assert!(steps < STEPS, "{call:?} was complete");
                    assert_eq!(lab.mutate(0, call.clone()).await, Ok(expected.clone()), "{call:?} after {steps}");
                }
                Settlement::Unknown(seen) => panic!("{call:?} after {steps}: {seen}"),
            }
            assert_eq!(lab.seen(), twin.seen(), "{call:?} after {steps}");
            let kept = ["for-each-ref", "--format=%(refname) %(objectname)", "refs/ripcord"];
            assert_eq!(lab.git(&kept), twin.git(&kept), "{call:?} after {steps}");
        }
    }
}

#[tokio::test]
async fn files_of_which_only_some_were_written_are_finished() {
    let write_some: [fn(&Lab); 3] = [
        |lab| lab.write("src/a.ts", "a one\n"),
        |lab| lab.write("old/gone.ts", "gone\n"),
        |lab| std::fs::remove_file(lab.root().join("src/new/c.ts")).unwrap(),
    ];
    let call = restore("v1", &["src/a.ts", "old/gone.ts", "src/new/c.ts"]);
    for (place, write_some) in write_some.into_iter().enumerate() {
        let (lab, twin) = (Lab::new(), Lab::new());
        let marker = cut_off(&lab, &call, 2).await;
        write_some(&lab);
        let settled = lab.driver().settle(&at(0), &call, Some(&marker)).await;
        assert_eq!(settled, Settlement::DidNotHappen, "{place}");
        assert_eq!(lab.mutate(0, call.clone()).await, twin.mutate(0, call.clone()).await, "{place}");
        assert_eq!(lab.seen(), twin.seen(), "{place}");
    }
}

#[tokio::test]
async fn what_somebody_else_did_in_between_is_shown_and_left_alone() {
    type Meddle = fn(&Lab);
    let meddle: [(Meddle, &str); 3] = [
        (|lab| lab.write("src/a.ts", "somebody else's\n"), "src/a.ts"),
        (|lab| drop(lab.git(&["update-ref", "refs/heads/main", "v1"])), "refs/heads/main is at"),
        (|lab| drop(lab.git(&["symbolic-ref", "HEAD", "refs/heads/other"])), "refs/heads/other"),
    ];
    for (meddle, shown) in meddle {
        let (lab, call) = (Lab::new(), reset("v2"));
        lab.git(&["branch", "other"]);
        let marker = cut_off(&lab, &call, 3).await;
        meddle(&lab);
        let content = lab.content("src/a.ts");
        match lab.driver().settle(&at(0), &call, Some(&marker)).await {
            Settlement::Unknown(seen) => {
                assert!(seen.contains(shown) && seen.contains("refs/ripcord/20261122-180312-k7qm/3.0"), "{seen}");
            }
            other => panic!("{shown}: {other:?}"),
        }
        assert!(matches!(lab.mutate(0, call).await, Err(Failure::Permanent(_))), "{shown}");
        assert_eq!(lab.content("src/a.ts"), content);
    }
}

#[tokio::test]
async fn only_a_lock_that_is_provably_the_dead_attempts_is_removed() {
    let call = reset("v1");
    let lab = Lab::new();
    let v1 = lab.id("v1");
    let branch = lab.root().join(".git/refs/heads/main.lock");
    let index = lab.root().join(".git/index.lock");
    let key = at(0).key();
    cut_off(&lab, &call, 4).await;
    std::fs::remove_file(&index).unwrap();
    let foreign = "0123456789012345678901234567890123456789\n".to_owned();
    for (path, content, is_ours) in [
        (&branch, foreign, false),
        (&index, String::new(), false),
        (&index, "ripcord 20261122-180312-k7qm-3-1\n".to_owned(), false),
        (&index, format!("ripcord {key}\n"), true),
        (&branch, String::new(), true),
        (&branch, format!("{v1}\n"), true),
    ] {
        std::fs::write(path, &content).unwrap();
        let result = lab.mutate(0, call.clone()).await;
        assert_eq!(path.exists(), !is_ours, "{path:?} {content:?}: {result:?}");
        if is_ours {
            assert!(matches!(result, Ok(Reply::Moved(_))), "{content:?}: {result:?}");
            cut_off_again(&lab).await;
        } else {
            // The first attempt has begun, so this is a doubt and not a failure.
            assert!(matches!(result, Err(Failure::Unknown(_))), "{content:?}: {result:?}");
            std::fs::remove_file(path).unwrap();
        }
    }

    // A git that deletes a branch holds an empty lock, and holds it open.
    let _open = std::fs::File::create(&branch).unwrap();
    assert!(matches!(lab.mutate(0, call.clone()).await, Err(Failure::Unknown(_))));
    assert!(branch.exists());
}

/// Takes the branch back, so that the same call has its last step to do once more.
async fn cut_off_again(lab: &Lab) {
    lab.git(&["update-ref", "refs/heads/main", "v3"]);
}

#[tokio::test]
async fn a_failure_in_the_middle_puts_back_what_was_there() {
    let (lab, call) = (Lab::new(), reset("v1"));
    let before = lab.seen();
    let record: Move = {
        let prepared = lab.driver().prepare(&at(0), &call).await.unwrap();
        serde_json::from_value(prepared.marker().unwrap()).unwrap()
    };
    let copy = WorkingCopy::open(&lab.root().canonicalize().unwrap()).unwrap();
    let carrying = Carrying { copy: &copy, at: &at(0), record: &record, title: "reset v1" };
    let lock = carrying.lock(false).unwrap();
    carrying.keep().unwrap();
    // Somebody is quicker than the look that was just taken. By then, other files have been written.
    lab.write("run.sh/mine", "mine\n");
    let failure = carrying.finish(&record.changes(&copy).unwrap()).unwrap_err();
    assert!(matches!(&failure, Failure::Permanent(problem) if problem.message.contains("run.sh")), "{failure:?}");
    drop(lock);
    assert_eq!(lab.content("run.sh/mine"), "mine\n");
    std::fs::remove_dir_all(lab.root().join("run.sh")).unwrap();
    assert_eq!(lab.seen(), before);
    assert_eq!(lab.git(&["for-each-ref", "refs/ripcord"]), "");

    // Objects that are gone by the time they are needed stop it before anything is written.
    let prepared = lab.driver().prepare(&at(0), &call).await.unwrap();
    let blob = lab.git(&["rev-parse", "v1:src/a.ts"]);
    let object = lab.root().join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    let bytes = std::fs::read(&object).unwrap();
    std::fs::remove_file(&object).unwrap();
    assert!(matches!(prepared.perform().await, Err(Failure::Permanent(_))));
    std::fs::write(&object, bytes).unwrap();
    assert_eq!(lab.seen(), before);
    lab.moved(0, call).await;
}
