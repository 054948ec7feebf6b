//! The pages for people: what stands in them is true, word for word.

use std::fs;
use std::path::Path;

use crate::world::Ripcord;

/// A page of the project.
fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The one example of a reference page.
fn example(name: &str) -> String {
    let page = page(name);
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (example, rest) = rest.split_once("\n```").unwrap();
    assert!(!rest.contains("```toml"), "{name} has a second example, which no test would read");
    format!("{example}\n")
}

#[test]
fn the_examples_of_the_reference_pages_are_sound_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ripcord.toml"), example("docs/operator-file.md")).unwrap();
    fs::write(folder.path().join("plan.toml"), example("docs/plan.md")).unwrap();
    Ripcord::new(folder.path(), &["check", "plan.toml", "-p", "connector=facebook"]).expect(0).says("is sound");
}
