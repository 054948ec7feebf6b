//! What a preview is told of a mutation: it comes true, and to find it out leaves no trace.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use ::ripcord;
use ripcord::capability::Detail;
use ripcord::capability::git::{Call, Reply};

use super::lab::{Lab, at, reset, restore, revert};
use super::push;

/// Every file below a folder, `.git` included: its bytes, and when they were written.
fn all_of(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let mut files = BTreeMap::new();
    for found in std::fs::read_dir(folder).unwrap() {
        let path = found.unwrap().path();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        // A folder's time tells of files that came and went.
        files.insert(path.display().to_string(), (Vec::new(), meta.modified().unwrap()));
        if meta.is_dir() {
            files.extend(all_of(&path));
        } else if meta.is_file() {
            files.insert(path.display().to_string(), (std::fs::read(&path).unwrap(), meta.modified().unwrap()));
        }
    }
    files
}

/// The detail, with proof that nothing was written for it.
async fn foreseen(lab: &Lab, call: &Call) -> Option<Detail> {
    let before = all_of(&lab.root());
    let driver = lab.driver();
    let (place, exactly) = (driver.place(), driver.exactly(call));
    assert!(place.starts_with(&lab.root().canonicalize().unwrap().display().to_string()), "{place}");
    assert!(!exactly.line.is_empty());
    let detail = driver.detail(&at(0), call).await;
    assert_eq!(all_of(&lab.root()), before, "{call:?}");
    detail
}

fn in_words(detail: &Detail) -> String {
    let version = |version: &ripcord::capability::Version| {
        format!("{} \"{}\" {} {}", version.name, version.title, version.by, version.at.unwrap())
    };
    let mut lines: Vec<_> = detail.restores.iter().map(|past| format!("restores {}", version(past))).collect();
    lines.extend(detail.notes.iter().cloned());
    lines.extend(detail.changes.first.iter().map(|it| format!("{} {} {:?}", it.change, it.name, it.counts)));
    lines.extend(detail.takes_back.first.iter().map(|past| format!("takes back {}", version(past))));
    lines.push(format!("more: {} {}", detail.changes.more, detail.takes_back.more));
    lines.extend(detail.obstacle.clone());
    lines.join("\n")
}

#[tokio::test]
async fn a_restore_tells_the_age_of_what_comes_back_and_what_goes_with_it() {
    let lab = Lab::new();
    let detail = foreseen(&lab, &restore("v1", &["src/a.ts", "run.sh", "src/new/c.ts"])).await.unwrap();
    let told = in_words(&detail).replace(&lab.id("v1")[..12], "ONE").replace(&lab.id("v2")[..12], "TWO");
    insta::assert_snapshot!(told.replace(&lab.id("v3")[..12], "THREE"), @r#"
    restores commit ONE (v1) "v1" Ops 2023-11-14T22:13:20Z
    2 commits behind HEAD (main)
    added run.sh Some((1, 0))
    modified src/a.ts Some((1, 1))
    deleted src/new/c.ts Some((0, 1))
    takes back commit THREE (v3) "v3" Ops 2023-11-14T22:13:20Z
    takes back commit TWO (v2) "v2" Ops 2023-11-14T22:13:20Z
    more: 0 0
    "#);
}

#[tokio::test]
async fn what_is_foretold_comes_true() {
    for (what, prepare, call) in [
        ("a path", (|_| {}) as fn(&Lab), (|_| restore("v1", &["src/a.ts"])) as fn(&Lab) -> Call),
        ("a path that comes, one that goes", |_| {}, |_| restore("v1", &["run.sh", "src/new/c.ts", "link"])),
        ("what already is so", |_| {}, |_| restore("v3", &["src/a.ts"])),
        ("everything", |_| {}, |_| reset("v1")),
        ("one commit", |_| {}, |_| revert("v3")),
        ("from another branch", |lab| drop(lab.git(&["checkout", "--quiet", "--detach", "v1"])), |_| reset("v3")),
        ("over local changes", |lab| lab.write("src/a.ts", "mine\n"), |_| restore("v1", &["src/a.ts"])),
        ("beside local changes", |lab| lab.write("src/b.ts", "mine\n"), |_| restore("v1", &["src/a.ts"])),
        (
            "over what is staged",
            |lab| {
                lab.write("src/a.ts", "mine\n");
                lab.git(&["add", "src/a.ts"]);
            },
            |_| reset("v1"),
        ),
    ] {
        let lab = Lab::new();
        prepare(&lab);
        let call = call(&lab);
        let detail = foreseen(&lab, &call).await.unwrap();
        let names: Vec<_> = detail.changes.first.iter().map(|changed| changed.name.clone()).collect();
        match lab.mutate(0, call).await {
            Ok(Reply::Moved(moved)) => {
                assert_eq!(names, moved.changed, "{what}");
                assert_eq!(detail.obstacle, None, "{what}");
            }
            Ok(other) => panic!("{what}: {other:?}"),
            Err(failure) => assert!(detail.obstacle.is_some(), "{what}: {failure}"),
        }
    }
}

#[tokio::test]
async fn a_long_list_is_cut_and_says_so() {
    let lab = Lab::new();
    for number in 0..13 {
        lab.write("src/a.ts", &format!("{number}\n"));
        for file in 0..25 {
            lab.write(&format!("many/{file}"), &format!("{number}\n"));
        }
        lab.record(&format!("n{number}"));
    }
    let detail = foreseen(&lab, &reset("v3")).await.unwrap();
    assert_eq!((detail.changes.first.len(), detail.changes.more), (20, 6));
    assert_eq!((detail.takes_back.first.len(), detail.takes_back.more), (10, 3));
    assert!(detail.takes_back.first[0].name.ends_with("(n12)"), "{:?}", detail.takes_back.first);
}

#[tokio::test]
async fn a_push_tells_what_the_branch_gets_and_what_it_loses() {
    let lab = Lab::new();
    let (old, new) = (lab.id("v1"), lab.id("v3"));
    let forward = foreseen(&lab, &push("v3", "main", Some(&old))).await.unwrap();
    assert_eq!(forward.notes, ["2 commits that the branch does not have yet"]);
    let back = foreseen(&lab, &push("v1", "main", Some(&new))).await.unwrap();
    assert_eq!(back.notes.last().unwrap(), "2 commits that the branch has, and will not have any more");
    assert_eq!(back.takes_back.first.len(), 2);
}

/// A preview asks about calls of its own making, too: of what does not exist there is nothing to say.
#[tokio::test]
async fn of_what_is_not_there_nothing_is_said() {
    let lab = Lab::new();
    let unknown = "0".repeat(40);
    for call in [restore(&unknown, &["src/a.ts"]), reset("nowhere"), push(&unknown, "main", Some(&unknown))] {
        assert_eq!(foreseen(&lab, &call).await, None, "{call:?}");
    }
}
