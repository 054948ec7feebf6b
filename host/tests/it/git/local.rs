//! Reads, and the four mutations of the working copy.

use ripcord::capability::At;
use ripcord::capability::git::{Call, Change, ChangedPath, Moved, Reply};
use ripcord::failure::Failure;
use ripcord::id::{ExecutionId, RunId};

use super::lab::{Lab, at, commit, reset, restore, revert, strings};
use super::plant_hooks;

#[tokio::test]
async fn a_restored_path_is_what_it_is_in_the_revision_in_the_working_copy_and_in_the_index() {
    let lab = Lab::new();
    let (v1, v3) = (lab.id("v1"), lab.id("v3"));
    let paths = ["src/a.ts", "src/b.ts", "src/new/c.ts", "old/gone.ts", "run.sh", "link"];
    let moved = lab.moved(0, restore("v1", &paths)).await;
    // Neither b, which is the same in both, nor the order of the call.
    let changed = strings(&["link", "old/gone.ts", "run.sh", "src/a.ts", "src/new/c.ts"]);
    assert_eq!(moved, Moved { head: v3.clone(), previous: v3.clone(), changed });
    assert_eq!(lab.git(&["diff", "--cached", &v1, "--", "."]), "");
    assert_eq!(lab.git(&["diff", &v1, "--", "."]), "");
    assert!(!lab.root().join("src/new").exists(), "a folder goes with its last file");
    let (status, head, stage) = lab.seen();
    assert_eq!(status, "## main\nA  link\nA  old/gone.ts\nA  run.sh\nM  src/a.ts\nD  src/new/c.ts");
    assert_eq!(head, v3);
    assert!(stage.contains("100755") && stage.contains("120000"), "{stage}");

    // The old state can be had by hand, whole and by path.
    assert_eq!(lab.git(&["rev-parse", "refs/ripcord/20261122-180312-k7qm/3.0^"]), v3);
    assert_eq!(lab.git(&["show", "refs/ripcord/20261122-180312-k7qm/3.0:src/new/c.ts"]), "c two");

    // Nothing is left to do, and a run may replace what a run has staged: that is how it is undone.
    assert_eq!(lab.moved(1, restore("v1", &paths)).await.changed, strings(&[]));
    lab.moved(2, restore("v2", &["src/a.ts"])).await;
    lab.moved(3, restore("HEAD", &paths)).await;
    assert_eq!(lab.seen().0, "## main");
    lab.git(&["gc", "--quiet", "--prune=now"]);
    assert_eq!(lab.git(&["show", "refs/ripcord/20261122-180312-k7qm/3.2:src/a.ts"]), "a one");
}

#[tokio::test]
async fn reset_revert_and_commit_leave_what_git_itself_would() {
    for (call, by_git) in [
        (reset("v1"), &["reset", "--quiet", "--hard", "v1"][..]),
        (reset("HEAD~1"), &["reset", "--quiet", "--hard", "HEAD~1"]),
        (revert("HEAD"), &["revert", "--no-edit", "HEAD"]),
        (commit("a message", &["src/a.ts", "untracked.ts", "src/b.ts"]), &["commit", "--quiet", "--message=a message"]),
    ] {
        let (lab, twin) = (Lab::new(), Lab::new());
        if let Call::Commit { .. } = call {
            for lab in [&lab, &twin] {
                lab.write("src/a.ts", "edited\n");
                lab.write("untracked.ts", "new\n");
                std::fs::remove_file(lab.root().join("src/b.ts")).unwrap();
            }
            twin.git(&["add", "--all"]);
        }
        let previous = lab.id("HEAD");
        twin.git(by_git);
        let moved = lab.moved(0, call.clone()).await;
        let (seen, twins) = (lab.seen(), twin.seen());
        assert_eq!((&seen.0, &seen.2), (&twins.0, &twins.2), "{call:?}");
        assert_eq!(
            lab.git(&["log", "-1", "--format=%T %P %B"]),
            twin.git(&["log", "-1", "--format=%T %P %B"]),
            "{call:?}"
        );
        assert_eq!((moved.previous, moved.head), (previous.clone(), lab.id("HEAD")));
        let changed = lab.git(&["diff", "--name-only", "--no-renames", &previous, "HEAD"]);
        assert_eq!(moved.changed.join("\n"), changed, "{call:?}");
    }
}

#[tokio::test]
async fn a_commit_takes_nothing_but_its_paths_and_has_the_runs_date_and_the_operators_author() {
    let mut lab = Lab::new();
    lab.settings = r#"author = { name = "Rollback", email = "rollback@example.org" }"#.to_owned();
    lab.write("src/a.ts", "edited\n");
    lab.write("src/b.ts", "edited too\n");
    lab.git(&["add", "src/b.ts"]);
    let moved = lab.moved(0, commit("only a", &["src/a.ts"])).await;
    assert_eq!(moved.changed, strings(&["src/a.ts"]));
    assert_eq!(lab.seen().0, "## main\nM  src/b.ts");
    let format = "--format=%an <%ae> %aI / %cn <%ce> %cI / %s";
    let who = "Rollback <rollback@example.org> 2026-11-22T18:03:12";
    let log = lab.git(&["log", "-1", format]).replace("+00:00", "").replace('Z', "");
    assert_eq!(log, format!("{who} / {who} / only a"));

    // A repeat in another copy of the same state gives the same id; a repeat here has nothing to do.
    let twin = Lab { settings: lab.settings.clone(), ..Lab::new() };
    twin.write("src/a.ts", "edited\n");
    assert_eq!(twin.moved(0, commit("only a", &["src/a.ts"])).await, moved);
    let again = lab.moved(1, commit("only a", &["src/a.ts"])).await;
    assert_eq!(again, Moved { head: moved.head.clone(), previous: moved.head, changed: vec![] });
}

#[tokio::test]
async fn a_detached_head_is_moved_itself() {
    let lab = Lab::new();
    let main = lab.id("main");
    lab.git(&["checkout", "--quiet", "--detach"]);
    lab.moved(0, revert("HEAD")).await;
    assert_eq!(lab.moved(1, reset("v1")).await.head, lab.id("v1"));
    assert_eq!((lab.id("HEAD"), lab.id("main")), (lab.id("v1"), main));
    assert_eq!(lab.seen().0, "## HEAD (no branch)");
}

#[tokio::test]
async fn local_changes_are_never_lost() {
    struct Case {
        what: &'static str,
        prepare: fn(&Lab),
        call: Call,
        named: &'static str,
    }
    let cases = [
        Case {
            what: "an edited file",
            prepare: |lab| lab.write("src/a.ts", "mine\n"),
            call: restore("v1", &["src/a.ts"]),
            named: "src/a.ts",
        },
        Case {
            what: "a staged edit",
            prepare: |lab| {
                lab.write("src/a.ts", "mine\n");
                lab.git(&["add", "src/a.ts"]);
            },
            call: restore("v1", &["src/a.ts"]),
            named: "src/a.ts",
        },
        Case {
            what: "a staged edit that the file no longer has",
            prepare: |lab| {
                lab.write("src/a.ts", "mine\n");
                lab.git(&["add", "src/a.ts"]);
                lab.write("src/a.ts", "a one\n");
            },
            call: restore("v1", &["src/a.ts"]),
            named: "src/a.ts",
        },
        Case {
            what: "an untracked file in the way",
            prepare: |lab| lab.write("run.sh", "mine\n"),
            call: restore("v1", &["run.sh"]),
            named: "run.sh",
        },
        Case {
            what: "untracked files in a folder in the way",
            prepare: |lab| lab.write("run.sh/deep/mine", "mine\n"),
            call: reset("v1"),
            named: "run.sh/deep/mine",
        },
        Case {
            what: "a deleted file",
            prepare: |lab| std::fs::remove_file(lab.root().join("src/a.ts")).unwrap(),
            call: restore("v1", &["src/a.ts"]),
            named: "src/a.ts",
        },
        Case {
            what: "an edit anywhere, on reset",
            prepare: |lab| lab.write("src/b.ts", "mine\n"),
            call: reset("v2"),
            named: "src/b.ts",
        },
        Case {
            what: "an edit, on revert",
            prepare: |lab| lab.write("src/a.ts", "mine\n"),
            call: revert("HEAD"),
            named: "src/a.ts",
        },
        Case {
            what: "a staged edit, on revert",
            prepare: |lab| {
                lab.write("src/a.ts", "mine\n");
                lab.git(&["add", "src/a.ts"]);
            },
            call: revert("HEAD"),
            named: "src/a.ts",
        },
        Case {
            what: "an ignored file in the way",
            prepare: |lab| {
                lab.write(".git/info/exclude", "run.sh\n");
                lab.write("run.sh", "mine\n");
            },
            call: reset("v1"),
            named: "run.sh",
        },
    ];
    for Case { what, prepare, call, named } in cases {
        let lab = Lab::new();
        prepare(&lab);
        let (before, content) = (lab.seen(), lab.content(named));
        let failure = lab.mutate(0, call).await.expect_err(what);
        assert!(matches!(&failure, Failure::Permanent(_)), "{what}: {failure:?}");
        assert!(
            failure.to_string().contains(named) && failure.to_string().contains("git restore"),
            "{what}: {failure}"
        );
        assert_eq!((lab.seen(), lab.content(named)), (before, content), "{what}");
        assert_eq!(lab.git(&["for-each-ref", "refs/ripcord"]), "", "{what}");
    }
    // What is not touched may be as it likes.
    let lab = Lab::new();
    lab.write("src/b.ts", "mine\n");
    lab.write("notes", "mine\n");
    lab.moved(0, revert("v3")).await;
    lab.moved(1, restore("v1", &["src/a.ts"])).await;
    assert_eq!((lab.content("src/b.ts"), lab.content("notes")), ("mine\n".to_owned(), "mine\n".to_owned()));
}

#[tokio::test]
async fn what_a_run_has_restored_it_takes_back_itself_and_no_other_run_touches() {
    let lab = Lab::new();
    let before = lab.seen();
    let paths = ["src/a.ts", "src/new/c.ts", "old/gone.ts"];
    let attempt = async |at: At, call: Call| lab.driver().prepare(&at, &call).await?.perform().await;
    let undo = At { execution: ExecutionId(4), ..at(0) };
    let other = At { run: RunId::from("20261123-090000-m3xz".to_owned()), ..at(0) };

    // What `connector-disable` does with `commit = false`, and its undo, an execution of its own.
    attempt(at(0), restore("v1", &paths)).await.unwrap();
    let restored = lab.seen();
    for call in [restore("HEAD", &paths), restore("v2", &["src/a.ts"]), reset("v2")] {
        match attempt(other.clone(), call.clone()).await {
            Err(Failure::Permanent(problem)) => assert!(problem.message.contains("src/a.ts"), "{problem}"),
            other => panic!("{call:?}: {other:?}"),
        }
        assert_eq!(lab.seen(), restored, "{call:?}");
    }
    // To say once more what is there already takes nothing from anybody.
    attempt(other, restore("v1", &paths)).await.unwrap();
    attempt(undo.clone(), restore("HEAD", &paths)).await.unwrap();
    assert_eq!(lab.seen(), before);

    // What somebody has done to a restored file since is theirs, staged or not.
    for stage in [false, true] {
        let lab = Lab::new();
        lab.moved(0, restore("v1", &paths)).await;
        lab.write("src/a.ts", "mine\n");
        if stage {
            lab.git(&["add", "src/a.ts"]);
        }
        let undone = lab.driver().prepare(&undo, &restore("HEAD", &paths)).await;
        assert!(matches!(undone.err(), Some(Failure::Permanent(_))), "staged: {stage}");
        assert_eq!(lab.content("src/a.ts"), "mine\n");
    }
}

#[tokio::test]
async fn what_can_not_be_done_is_said_and_changes_nothing() {
    struct Case {
        what: &'static str,
        prepare: fn(&Lab),
        call: Call,
        said: &'static str,
    }
    let nothing: fn(&Lab) = |_| {};
    let cases = [
        Case {
            what: "no such revision",
            prepare: nothing,
            call: restore("v9", &["src/a.ts"]),
            said: "no revision `v9`",
        },
        Case {
            what: "a revision that is no commit",
            prepare: |lab| {
                lab.git(&["tag", "blob", "HEAD^{tree}"]);
            },
            call: reset("blob"),
            said: "names a tree",
        },
        Case {
            what: "a path in neither",
            prepare: nothing,
            call: restore("v1", &["src/typo.ts"]),
            said: "no src/typo.ts to restore",
        },
        Case { what: "a folder", prepare: nothing, call: restore("v1", &["src"]), said: "src is a folder" },
        Case { what: "a folder to commit", prepare: nothing, call: commit("m", &["src"]), said: "src is a folder" },
        Case {
            what: "nothing to commit there",
            prepare: nothing,
            call: commit("m", &["src/typo.ts"]),
            said: "no src/typo.ts to commit",
        },
        Case {
            what: "a conflict",
            prepare: nothing,
            call: revert("v2"),
            said: "later commits have changed the same lines in src/a.ts",
        },
        Case {
            what: "a merge",
            prepare: |lab| {
                lab.git(&["checkout", "--quiet", "-b", "side", "v2"]);
                lab.write("side", "x\n");
                lab.record("side-1");
                lab.git(&["checkout", "--quiet", "main"]);
                lab.git(&["merge", "--quiet", "--no-edit", "side-1"]);
            },
            call: revert("HEAD"),
            said: "is a merge",
        },
        Case {
            what: "an unfinished merge",
            prepare: |lab| {
                lab.git(&["checkout", "--quiet", "-b", "side", "v2"]);
                lab.write("src/a.ts", "x\n");
                lab.record("side-1");
                lab.git(&["checkout", "--quiet", "main"]);
                assert!(!lab.try_git(&["merge", "--quiet", "side-1"]).0);
            },
            call: restore("v1", &["src/b.ts"]),
            said: "unfinished",
        },
        Case {
            what: "a link that leads outside",
            prepare: |lab| {
                std::fs::remove_dir_all(lab.root().join("src")).unwrap();
                std::fs::create_dir(lab.folder.path().join("outside")).unwrap();
                std::os::unix::fs::symlink("../outside", lab.root().join("src")).unwrap();
            },
            call: restore("v1", &["src/a.ts"]),
            said: "behind the symbolic link src",
        },
        Case {
            what: "a filter",
            prepare: |lab| {
                lab.write(".gitattributes", "*.ts filter=lfs\n");
                lab.git(&["add", ".gitattributes"]);
                lab.git(&["commit", "--quiet", "--message=lfs"]);
            },
            call: restore("v1", &["src/a.ts"]),
            said: "`filter=lfs`",
        },
        Case {
            what: "a submodule",
            prepare: |lab| {
                let head = lab.id("HEAD");
                lab.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},module")]);
                lab.git(&["commit", "--quiet", "--message=module"]);
            },
            call: restore("v1", &["module"]),
            said: "module is a submodule",
        },
        Case {
            what: "nobody to commit",
            prepare: |lab| {
                lab.git(&["config", "user.name", ""]);
                lab.write("src/a.ts", "mine\n");
            },
            call: commit("m", &["src/a.ts"]),
            said: "author = {",
        },
        Case {
            what: "no commit yet",
            prepare: |lab| {
                lab.git(&["checkout", "--quiet", "--orphan", "fresh"]);
            },
            call: reset("v1"),
            said: "has no commit yet",
        },
    ];
    for Case { what, prepare, call, said } in cases {
        let lab = Lab::new();
        prepare(&lab);
        let before = (lab.git(&["status", "--porcelain"]), lab.try_git(&["rev-parse", "HEAD"]));
        match lab.mutate(0, call).await {
            Err(Failure::Permanent(problem)) => assert!(problem.message.contains(said), "{what}: {problem}"),
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!((lab.git(&["status", "--porcelain"]), lab.try_git(&["rev-parse", "HEAD"])), before, "{what}");
    }
}

#[tokio::test]
async fn a_folder_that_is_no_working_copy_is_refused_when_it_is_opened() {
    for (prepare, said) in [
        ((|_| {}) as fn(&Lab), "the working copy"),
        (|lab| std::fs::create_dir(lab.root()).unwrap(), "has to be the root of a working copy"),
        (
            |lab| {
                std::fs::create_dir(lab.root()).unwrap();
                lab.git(&["init", "--quiet", "--bare"]);
            },
            "is a bare repository",
        ),
    ] {
        let lab = Lab { folder: tempfile::tempdir().unwrap(), settings: String::new() };
        prepare(&lab);
        let error = lab.open().err().expect(said).to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_lock_of_somebody_elses_is_waited_for() {
    let lab = Lab::new();
    for lock in ["index.lock", "refs/heads/main.lock"] {
        let path = lab.root().join(".git").join(lock);
        std::fs::write(&path, "").unwrap();
        match lab.mutate(0, reset("v1")).await {
            Err(Failure::Transient(problem)) => assert!(problem.message.contains(lock), "{problem}"),
            other => panic!("{lock}: {other:?}"),
        }
        std::fs::remove_file(&path).expect("it is still there");
        assert_eq!(lab.seen().0, "## main");
    }
    lab.moved(0, reset("v1")).await;
}

#[tokio::test]
async fn line_ends_are_those_of_the_platform_as_git_writes_them() {
    let lab = Lab::new();
    lab.git(&["config", "core.autocrlf", "true"]);
    lab.moved(0, restore("v1", &["src/a.ts"])).await;
    assert_eq!(lab.content("src/a.ts"), "a one\r\n");
    assert_eq!(lab.seen().0, "## main\nM  src/a.ts");
    lab.moved(1, commit("m", &["src/a.ts"])).await;
    assert_eq!(lab.seen().0, "## main");
    assert_eq!(lab.git(&["rev-parse", "HEAD:src/a.ts"]), lab.git(&["rev-parse", "v1:src/a.ts"]));
}

#[tokio::test]
async fn a_reset_turns_files_into_folders_and_links_and_back() {
    let lab = Lab::new();
    let outside = lab.folder.path().join("outside");
    lab.swap_kinds(&outside);
    for (ordinal, revision) in ["v3", "link", "file", "v1", "file", "link", "v2"].into_iter().enumerate() {
        lab.moved(u32::try_from(ordinal).unwrap(), reset(revision)).await;
        assert_eq!(lab.seen().0, "## main", "{revision}");
        assert_eq!(lab.id("HEAD"), lab.id(revision));
        assert_eq!(std::fs::read_to_string(outside.join("a.ts")).unwrap(), "not ours\n");
    }
}

#[tokio::test]
async fn hooks_never_run() {
    let lab = Lab::new();
    let witness = lab.folder.path().join("witness");
    plant_hooks(&lab.root().join(".git/hooks"), &witness);
    lab.write("src/b.ts", "edited\n");
    lab.moved(0, commit("m", &["src/b.ts"])).await;
    lab.moved(1, restore("v1", &["src/a.ts"])).await;
    lab.moved(2, restore("HEAD", &["src/a.ts"])).await;
    lab.moved(3, revert("HEAD")).await;
    lab.moved(4, reset("v1")).await;
    assert!(!witness.exists(), "{}", std::fs::read_to_string(&witness).unwrap());
    lab.git(&["commit", "--quiet", "--allow-empty", "--message=x"]);
    assert!(witness.exists(), "the hooks are able to run");
}

#[tokio::test]
async fn reads_answer_what_git_does() {
    let lab = Lab::new();
    lab.write("src/b.ts", "edited\n");
    lab.write("notes/x", "new\n");
    lab.git(&["rm", "--quiet", "--cached", "src/new/c.ts"]);
    std::fs::remove_file(lab.root().join("src/new/c.ts")).unwrap();

    assert_eq!(lab.read(Call::Resolve { revision: "HEAD~1".into() }).await, Ok(Reply::Resolved(lab.id("v2"))));
    let changed = |path: &str, change| ChangedPath { path: path.to_owned(), change };
    let all = vec![
        changed("notes/x", Change::Added),
        changed("src/b.ts", Change::Modified),
        changed("src/new/c.ts", Change::Deleted),
    ];
    assert_eq!(lab.read(Call::Status { paths: vec![] }).await, Ok(Reply::Status(all.clone())));
    assert_eq!(lab.read(Call::Status { paths: strings(&["src"]) }).await, Ok(Reply::Status(all[1..].to_vec())));
    assert_eq!(lab.read(Call::Status { paths: strings(&["*"]) }).await, Ok(Reply::Status(vec![])));

    let show = |revision: &str, path: &str| Call::Show { revision: revision.to_owned(), path: path.to_owned() };
    assert_eq!(lab.read(show("v1", "src/a.ts")).await, Ok(Reply::Content("a one\n".into())));
    assert_eq!(lab.read(show("v1", "link")).await, Ok(Reply::Content("src/a.ts".into())));
    for (path, said) in [("src", "is a folder"), ("typo", "no typo in v1")] {
        let failure = lab.read(show("v1", path)).await.unwrap_err();
        assert!(failure.to_string().contains(said), "{failure}");
    }

    for (paths, limit) in
        [(&[][..], 10), (&[], 2), (&["src/a.ts"], 10), (&["src/b.ts"], 10), (&["src/new"], 10), (&["typo"], 10)]
    {
        let call = Call::Log { revision: "HEAD".into(), paths: strings(paths), limit };
        let Ok(Reply::Commits(commits)) = lab.read(call).await else { panic!("{paths:?}") };
        let count = limit.to_string();
        let by_git = lab.git(&[&["log", "--format=%H", "-n", &count, "--"], paths].concat());
        assert_eq!(commits.iter().map(|commit| commit.id.as_str()).collect::<Vec<_>>().join("\n"), by_git, "{paths:?}");
    }

    for (from, to, paths) in [("v1", Some("v3"), &["src"][..]), ("v1", Some("v2"), &[]), ("HEAD", None, &["src/b.ts"])]
    {
        let call = Call::Diff { from: from.into(), to: to.map(str::to_owned), paths: strings(paths) };
        let Ok(Reply::Difference { patch, .. }) = lab.read(call).await else { panic!("{from} {to:?}") };
        let revisions: Vec<&str> = std::iter::once(from).chain(to).collect();
        let by_git = lab.git(&[&["diff", "--no-renames"][..], &revisions, &["--"], paths].concat());
        assert_eq!(patch.trim_end(), by_git, "{from} {to:?} {paths:?}");
    }
}
