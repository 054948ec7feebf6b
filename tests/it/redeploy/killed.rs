//! A `SIGKILL` in every window of every change: the run that is taken up again ends as if nothing had been.

use ripcord::journal::Settler;
use ripcord_tests::fault::Window;

use super::scene::{Kind, RUN, Scene};
use crate::world::in_parallel;

/// A scene with a deployment that has to be cancelled, so that each kind of change is there.
fn scene(version: &str, kind: Kind) -> Scene {
    let scene = Scene::new(version, kind);
    scene.deployment("waits", kind.bad(), "queued");
    scene
}

#[test]
fn a_rollback_that_is_killed_anywhere_ends_as_if_it_had_not_been() {
    // Cancel, freeze, rollback, pin; and the deployments of the other ways: all else is the same there.
    let way = |version: &'static str, kind, changes: std::ops::RangeInclusive<u32>| {
        changes.flat_map(move |change| Window::ALL.map(|window| (version, kind, window, change)))
    };
    let cases =
        way("4.3.10", Kind::Git, 1..=4).chain(way("4.2.0", Kind::Git, 4..=4)).chain(way("4.3.10", Kind::Image, 3..=3));
    in_parallel(cases.collect(), |(version, kind, window, change)| {
        let scene = scene(version, kind);
        scene.ripcord(RUN).killed(window, change).expect_killed();
        scene.ripcord(&["resume", "last"]).expect(0);
        assert_eq!(scene.stands(), scene.rolled_back());
        // One deployment, and one only.
        assert_eq!(scene.statuses(), ["finished", "finished", "cancelled-by-user", "finished"]);
        assert_nobody_was_asked(&scene);
        if window == Window::DuringDelivery {
            scene.ripcord(&["replay", "last"]).expect(0);
        }
    });
}

#[test]
fn an_undo_that_is_killed_anywhere_ends_as_if_it_had_not_been() {
    let cases = (1..=2).flat_map(|change| Window::ALL.map(|window| (window, change)));
    in_parallel(cases.collect(), |(window, change): (Window, u32)| {
        let scene = scene("4.3.10", Kind::Git);
        scene.ripcord(RUN).expect(0);
        scene.ripcord(&["undo", "last", "--yes"]).killed(window, change).expect_killed();
        scene.ripcord(&["resume", "last"]).expect(1);
        let (_, pin, auto_deploy) = scene.untouched();
        assert_eq!(scene.stands(), (scene.kind.good().to_owned(), pin, auto_deploy));
        assert_nobody_was_asked(&scene);
    });
}

/// Stopped after any of its changes, a rollback can be taken back.
#[test]
fn any_part_of_a_rollback_can_be_taken_back() {
    in_parallel((1..=4).collect(), |change: u32| {
        let scene = scene("4.3.10", Kind::Git);
        scene.ripcord(RUN).killed(Window::AfterEffect, change).expect_killed();
        scene.ripcord(&["abort", "last"]).expect(1);
        let (_, pin, auto_deploy) = scene.untouched();
        let (_, now_pin, now_auto_deploy) = scene.stands();
        assert_eq!((now_pin, now_auto_deploy), (pin, auto_deploy));
        assert_nobody_was_asked(&scene);
    });
}

fn assert_nobody_was_asked(scene: &Scene) {
    let journal = scene.journal();
    let settlers = journal.settlers(&journal.last());
    assert!(!settlers.iter().any(|settler| matches!(settler, Settler::Person(_))), "{settlers:?}");
}
