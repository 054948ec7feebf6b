//! The code's part of the manual restore, where a mistake loses other people's work: both ways back, what stands in their
//! way, and their undo. Containers and database are tried with it in `andrea`.

use ripcord_tests::fault::Window;

use crate::world::repository::{CONNECTOR, Content, git};
use crate::world::{Ripcord, World, in_parallel};

struct Place {
    world: World,
    before: Content,
}

impl Place {
    /// `main` is one commit ahead of `v1.4.2`, here and in the remote.
    fn new(by: &str) -> Self {
        let world = World::new();
        let rules = ["\"restore src/**\", \"commit src/**\"", "\"restore **\", \"commit **\", \"reset\""];
        let operator = world.operator();
        assert!(operator.contains(rules[0]));
        world.write("ripcord.toml", &operator.replace(rules[0], rules[1]));
        let step = format!(
            "[[step]]\nid = \"restore\"\nuse = \"manual-restore\"\nbind = {{ code = \"genia\" }}\n\
             with = {{ database = false, code = {{ to = \"v1.4.2\", by = \"{by}\", push = \"main\" }} }}\n"
        );
        world.plan("restore", &step);
        let before = world.repository.content();
        Self { world, before }
    }

    fn roll_back(&self) -> Ripcord {
        self.world.ripcord(&["run", "restore.toml", "--yes"])
    }

    /// Somebody else pushes a commit that is not known here.
    fn colleague_pushes(&self) -> String {
        let (world, code) = (&self.world, &self.world.repository.path);
        let colleague = world.path("colleague");
        let url = git(code, &["remote", "get-url", "origin"]);
        git(&world.path(""), &["clone", "-q", &url, colleague.to_str().unwrap()]);
        std::fs::write(colleague.join("fix.ts"), "export const fixed = true\n").unwrap();
        git(&colleague, &["add", "-A"]);
        let author = ["-c", "user.name=Eva", "-c", "user.email=eva@genia.example"];
        git(&colleague, &[&author[..], &["commit", "-q", "-m", "A fix"]].concat());
        git(&colleague, &["push", "-q", "origin", "main"]);
        "Eva: A fix".to_owned()
    }

    /// The good code is here and in the remote, by this many commits.
    fn assert_restored(&self, by: &str, ran: &str) {
        let now = self.world.repository.content();
        let commits: &[&str] = match by {
            "reset" => &["Dev: First version"],
            _ => &["Rollback: Roll back to v1.4.2", "Dev: Improve the facebook connector", "Dev: First version"],
        };
        assert_eq!([&now.commits[..], &now.remote_commits[..]], [commits, commits], "{ran}");
        assert_eq!((now.connector.as_str(), now.status.as_str()), ("export const facebook = 'good'\n", ""), "{ran}");
        assert_eq!(now.tree, now.remote_tree, "{ran}");
    }

    /// The code is that of before, and no commit is lost.
    fn assert_taken_back(&self, by: &str, ran: &str) {
        let now = self.world.repository.content();
        assert_eq!((&now.tree, &now.remote_tree), (&self.before.tree, &self.before.remote_tree), "{by}: {ran}");
        let undo = "Rollback: Undo: Roll back to ";
        match by {
            "reset" => assert_eq!(now, self.before, "{ran}"),
            _ => assert!(now.remote_commits[0].starts_with(undo) && now.commits.len() == 4, "{:?}", now.commits),
        }
    }
}

#[test]
fn the_code_goes_back_by_a_commit_or_by_moving_the_branch_and_can_be_taken_forward_again() {
    in_parallel(vec!["revert", "reset"], |by| {
        let place = Place::new(by);
        let ran = place.roll_back().expect(0).to_string();
        place.assert_restored(by, &ran);
        let run = place.world.journal().last();
        // There is nothing left to do.
        place.roll_back().expect(4);
        place.assert_restored(by, &ran);
        let undone = place.world.ripcord(&["undo", run.as_str(), "--yes"]).expect(1).to_string();
        place.assert_taken_back(by, &undone);
    });
}

#[test]
fn what_others_have_pushed_or_not_yet_committed_is_never_lost() {
    in_parallel(vec!["revert", "reset"], |by| {
        let place = Place::new(by);
        let (world, code) = (&place.world, &place.world.repository.path);
        // Not committed: the rollback would write over it.
        std::fs::write(code.join(CONNECTOR), "export const facebook = 'in work'\n").unwrap();
        let ran = place.roll_back().expect(3).to_string();
        assert!(ran.contains(CONNECTOR), "{ran}");
        assert_eq!(std::fs::read_to_string(code.join(CONNECTOR)).unwrap(), "export const facebook = 'in work'\n");
        git(code, &["checkout", "-q", CONNECTOR]);

        // Pushed by somebody else, and not known here.
        place.colleague_pushes();
        let ran = place.roll_back().expect(3).to_string();
        assert!(ran.contains("somebody has pushed what is not here"), "{ran}");
        let now = world.repository.content();
        assert_eq!(now.remote_commits[0], "Eva: A fix");
        assert_eq!(
            (&now.commits, &now.connector, &now.status),
            (&place.before.commits, &place.before.connector, &place.before.status)
        );
    });
}

/// The undo looks before it touches anything, too.
#[test]
fn an_undo_does_not_begin_where_somebody_has_pushed_since() {
    in_parallel(vec!["revert", "reset"], |by| {
        let place = Place::new(by);
        place.roll_back().expect(0);
        let restored = place.world.repository.content();
        let colleague = place.colleague_pushes();
        let undone = place.world.ripcord(&["undo", "last", "--yes"]).expect(3).to_string();
        assert!(undone.contains("somebody has pushed what is not here"), "{undone}");
        let now = place.world.repository.content();
        assert_eq!((&now.commits, &now.tree, &now.status), (&restored.commits, &restored.tree, &restored.status));
        assert_eq!(now.remote_commits[0], colleague);
    });
}

#[test]
fn a_reset_that_is_killed_in_any_window_ends_as_if_it_had_not_been() {
    let cases: Vec<_> = Window::ALL.into_iter().flat_map(|window| [(window, 1), (window, 2)]).collect();
    in_parallel(cases, |(window, mutation)| {
        let place = Place::new("reset");
        place.roll_back().killed(window, mutation).expect_killed();
        let ran = place.world.ripcord(&["resume", "last"]).expect(0).to_string();
        place.assert_restored("reset", &ran);
        place.world.ripcord(&["replay", "last"]).expect(0);
    });
}
