//! Components that are none, or not the ones that they should be.

use std::fs;

use ripcord::id::Digest;

use super::Messages;
use crate::world::{World, guest};

/// The component with these bytes in the place of those, wherever they stand.
fn altered(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "the component's own lengths stay");
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "it has no `{from}`");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[test]
fn a_component_that_can_not_be_used() {
    let world = World::new();
    let mut messages = Messages::about("components");
    let steps = guest("steps");
    let check = ripcord::component::bundled("http-check").unwrap();
    let cases: [(&str, Vec<u8>); 12] = [
        ("empty", Vec::new()),
        ("text", b"<!DOCTYPE html>\n<title>404 Not Found</title>\n".to_vec()),
        ("core-module", b"\0asm\x01\0\0\0".to_vec()),
        ("cut-short", steps[..steps.len() / 2].to_vec()),
        ("not-a-plugin", b"\0asm\x0d\0\x01\0".to_vec()),
        ("imports-what-is-not-there", altered(&steps, "ripcord:plugin/git@0.1", "ripcord:plugin/ssh@0.1")),
        ("of-another-contract", altered(&steps, "ripcord:plugin/", "ripcord:plogin/")),
        ("of-a-newer-contract", altered(&steps, "@0.1.0", "@0.9.0")),
        ("can-not-describe-itself", guest("hostile-describe")),
        ("parameters-are-no-json", altered(check, "\"minimum\": 100", "\"minimum\"; 100")),
        ("parameters-are-no-schema", altered(check, "\"minimum\": 100", "\"minimum\": \"1\"")),
        ("too-big", vec![0; 65 << 20]),
    ];
    for (name, bytes) in cases {
        let file = format!("{name}.wasm");
        let digest = Digest::of(&bytes);
        fs::write(world.path(&file), &bytes).unwrap();
        let plan = format!(
            "name = \"x\"\ntarget = \"x\"\n[[step]]\nid = \"a\"\nuse = \"notify-people\"\n\
             with = {{ subject = \"x\", text = \"x\" }}\n[[verify]]\nid = \"b\"\nuse = \"{file}@{digest}\"\n\
             with = {{ path = \"/\" }}\n",
        );
        world.write("plan.toml", &plan);
        let ran = messages.shows(&world, name, world.shipped(&["check", "plan.toml"]));
        assert_eq!(ran.code(), Some(2), "{ran}");
    }

    let file = world.path("steps.wasm");
    fs::write(&file, &steps).unwrap();
    let other = Digest::of(b"what it was");
    world.write(
        "plan.toml",
        &format!("name = \"x\"\ntarget = \"x\"\n[[step]]\nid = \"a\"\nuse = \"steps.wasm@{other}\"\n"),
    );
    messages.shows(&world, "another-digest", world.shipped(&["check", "plan.toml"]));
    let text = fs::read_to_string(world.path("plan.toml")).unwrap().replace("steps.wasm", "stps.wasm");
    world.write("plan.toml", &text);
    messages.shows(&world, "missing", world.shipped(&["check", "plan.toml"]));
    messages.shows(&world, "inspect-unknown", world.shipped(&["plugin", "inspect", "http-chek"]));
    fs::write(world.path("page.wasm"), "<!DOCTYPE html>").unwrap();
    messages.shows(&world, "inspect-text", world.shipped(&["plugin", "inspect", "page.wasm"]));
    messages.end();
}
