#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use super::*;
use crate::operator::Operator;
use crate::plan::Plan;

#[test]
fn each_starter_is_written_whole_and_sound_with_the_services_address_put_in() {
    for starter in STARTERS {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/folder");
        let written = starter.write(&folder, Some("http://127.0.0.1:3000/api")).unwrap();
        let further = starter.further.iter().map(|(name, _)| folder.join(name));
        let expected = [folder.join("ripcord.toml"), folder.join(starter.plan_file())].into_iter().chain(further);
        assert_eq!(written, expected.collect::<Vec<_>>());
        let operator = Operator::load(&written[0]).unwrap_or_else(|wrong| panic!("{wrong}"));
        let urls: Vec<_> = operator.connections.http.values().map(|http| http.url.url().as_str()).collect();
        assert!(urls.contains(&"http://127.0.0.1:3000/api"), "{}: {urls:?}", starter.name);
        let plan = std::fs::read_to_string(&written[1]).unwrap();
        assert_eq!(plan, starter.plan);
        let file = starter.plan_file();
        let plans = starter.further.iter().copied().chain([(file.as_str(), starter.plan)]);
        for (name, plan) in plans {
            Plan::parse(name, plan).unwrap_or_else(|wrong| panic!("{wrong}"));
        }
    }
}

#[test]
fn a_file_that_is_there_stays_as_it_is_and_nothing_is_written_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let starter = STARTERS[0];
    for (there, missing) in [(OPERATOR_FILE, starter.plan_file()), (&*starter.plan_file(), OPERATOR_FILE.to_owned())] {
        let path = folder.path().join(there);
        std::fs::write(&path, "mine").unwrap();
        let error = starter.write(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()) && error.contains("nothing was written"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        assert!(!folder.path().join(missing).exists());
        std::fs::remove_file(&path).unwrap();
    }
    // A link that leads nowhere is somebody's, too.
    std::os::unix::fs::symlink("nowhere", folder.path().join(OPERATOR_FILE)).unwrap();
    assert!(matches!(starter.write(folder.path(), None), Err(InitError::Exists(_))));
}

#[test]
fn what_is_no_address_of_a_service_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["localhost:3000", "ftp://x", "http://user:hunter2hunter2@x/", "https://x/?token=hunter2hunter2"] {
        let error = STARTERS[0].write(folder.path(), Some(url)).unwrap_err().to_string();
        assert!(error.contains("--url") && !error.contains("hunter2"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
