//! The pages for people: what stands in them is true, word for word.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::world::Ripcord;

/// A page of the project.
fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of a page, each with its language.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

/// The one example of a reference page.
fn example(name: &str) -> String {
    let page = page(name);
    let examples: Vec<_> = blocks(&page).into_iter().filter(|(language, _)| *language == "toml").collect();
    let [(_, example)] = examples.as_slice() else { panic!("{name} has {} examples", examples.len()) };
    format!("{example}\n")
}

#[test]
fn the_examples_of_the_reference_pages_are_sound_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ripcord.toml"), example("docs/operator-file.md")).unwrap();
    fs::write(folder.path().join("plan.toml"), example("docs/plan.md")).unwrap();
    Ripcord::new(folder.path(), &["check", "plan.toml", "-p", "connector=facebook"]).expect(0).says("is sound");
}

/// The schema is made of the types that read the file: a key that is added there has to be explained
/// here.
#[test]
fn the_reference_pages_leave_out_no_key() {
    let folder = tempfile::tempdir().unwrap();
    for (name, of) in [("docs/operator-file.md", "operator"), ("docs/plan.md", "plan")] {
        let page = example(name);
        let schema = Ripcord::new(folder.path(), &["schema", of]).expect(0).stdout;
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let mut keys = BTreeSet::new();
        keys_below(&schema, &mut keys);
        assert!(keys.len() > 10, "{keys:?}");
        let is_there = |key: &str| page.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == key);
        let missing: Vec<_> = keys.iter().filter(|key| !is_there(key)).collect();
        assert!(missing.is_empty(), "{name} says nothing of {missing:?}");
    }
}

fn keys_below(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| keys_below(value, keys));
        }
        Value::Array(array) => array.iter().for_each(|value| keys_below(value, keys)),
        _ => {}
    }
}

/// Somebody who does what the README says, in one shell, with another free port.
#[test]
fn the_readme_leads_to_a_plan_of_one_s_own_word_for_word() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let readme = page("README.md").replace("8080", &port);
    let (_, section) = readme.split_once("\n## Your first plan").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();

    let mut script = String::from("trap 'kill $(jobs -p)' EXIT; exec 2>&1\n");
    let mut steps: Vec<(&str, Vec<&str>)> = Vec::new();
    for (language, block) in blocks(section) {
        match language {
            "python" => fs::write(folder.path().join("service.py"), block).unwrap(),
            "console" => {
                for line in block.lines() {
                    match line.strip_prefix("$ ") {
                        Some(command) => steps.push((command, Vec::new())),
                        None => steps.last_mut().unwrap().1.push(line),
                    }
                }
            }
            other => panic!("nobody reads a block of {other}"),
        }
    }
    for (command, _) in &steps {
        script += &format!("{command}\nprintf '\\1%s\\1' $?\n");
        if command.ends_with('&') {
            // As long as somebody takes to type the next line.
            script += &format!("until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done\n");
        }
    }

    let programs = folder.path().join("bin");
    fs::create_dir(&programs).unwrap();
    symlink(env!("CARGO_BIN_EXE_ripcord-under-fault"), programs.join("ripcord")).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(folder.path()).env_clear();
    let said = shell.env("PATH", path).env("HOME", folder.path()).env("USER", "ana").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();

    let parts: Vec<&str> = said.split('\u{1}').collect();
    assert_eq!(parts.len(), 2 * steps.len() + 1, "{said}");
    for ((command, expected), answer) in steps.iter().zip(parts.chunks(2)) {
        let code = if command.starts_with("ripcord undo") { "1" } else { "0" };
        assert_eq!(answer[1], code, "{command}\n{}", answer[0]);
        let mut lines = answer[0].lines();
        for expected in expected {
            assert!(
                lines.any(|line| fits(line, expected)),
                "{command}\nshould print\n{expected}\nbut says\n{}",
                answer[0]
            );
        }
    }
}

/// Whether a line is as the README shows it, which leaves out what differs each time (`…`).
fn fits(line: &str, shown: &str) -> bool {
    let parts: Vec<&str> = shown.split('…').collect();
    let mut rest = line.trim_end();
    for (i, part) in parts.iter().enumerate() {
        let at = if i == 0 { rest.starts_with(part).then_some(0) } else { rest.find(part) };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || shown.ends_with('…')
}
