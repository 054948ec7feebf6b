//! Bytes that are no component, and components that are no plugin: what they are instead, in words.

use super::cache::Unfit;
use crate::capability::Capability;
use crate::diagnostic::listed;

/// The contract's version, without the part that changes nothing for a plugin.
const CONTRACT: &str = "0.1";

/// What else the contract has for plugins to import, besides the capabilities.
const INTERFACES: [&str; 4] = ["types", "plugin", "clock", "log"];

/// How much of what is no WebAssembly is shown.
const SHOWN_CHARS_MAX: usize = 24;

/// Checks that the bytes begin as a component does.
pub(super) fn check_header(bytes: &[u8]) -> Result<(), Unfit> {
    match bytes {
        [] => Err(unfit("its file is empty", "copy or download it again")),
        // The binary format's version, then its layer: 0 for modules, 1 for components.
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => Err(unfit(
            "it is a WebAssembly module, and not a component",
            "build it with  cargo build --target wasm32-wasip2,  or make it one with  wasm-tools component new",
        )),
        [0, b'a', b's', b'm', ..] => Ok(()),
        _ => Err(unfit(
            format!("it is no WebAssembly: it begins with {}", beginning(bytes)),
            "is it the right file? What was downloaded may be an error page",
        )),
    }
}

/// What the compiler says of bytes that begin as a component does.
pub(super) fn damaged(error: &wasmtime::Error) -> Unfit {
    let words = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
    let words = words.strip_prefix("failed to parse WebAssembly module: ").unwrap_or(&words);
    unfit(
        format!("it is damaged, cut short, or needs what this ripcord can't run: {words}"),
        "copy or download it again, and compare its digest with its author's",
    )
}

/// Checks that a component imports nothing but what the contract offers, and exports what makes it a
/// plugin.
pub(super) fn check_contract<'a>(
    imports: impl Iterator<Item = &'a str>,
    exports: impl Iterator<Item = &'a str>,
) -> Result<(), Unfit> {
    for import in imports {
        check_import(import)?;
    }
    let exports: Vec<_> = exports.filter_map(in_contract).collect();
    let kinds = || exports.iter().filter(|(interface, _)| ["action", "check"].contains(interface));
    match kinds().next() {
        Some((_, version)) if kinds().all(|(_, version)| !is_offered(version)) => Err(of_another_contract(version)),
        Some(_) => Ok(()),
        None => Err(unfit(
            format!(
                "it is a component, but no plugin: it exports neither `ripcord:plugin/action@{CONTRACT}` nor \
                 `ripcord:plugin/check@{CONTRACT}`"
            ),
            "is it the right file?",
        )),
    }
}

fn check_import(import: &str) -> Result<(), Unfit> {
    let Some((interface, version)) = in_contract(import) else {
        if import.starts_with("wasi:") {
            return Ok(());
        }
        return Err(unfit(
            format!("it imports `{import}`, and a plugin gets nothing but `ripcord:plugin` and WASI"),
            format!("its author has to build it against `ripcord:plugin@{CONTRACT}`"),
        ));
    };
    if !is_offered(version) {
        return Err(of_another_contract(version));
    }
    let capabilities = Capability::ALL.iter().map(|capability| capability.name());
    let offered: Vec<&str> = capabilities.chain(INTERFACES).collect();
    if !offered.contains(&interface) {
        return Err(unfit(
            format!("it imports `{interface}`, which this ripcord does not have"),
            format!("this one has {}; a newer one may have more", listed(offered, "nothing")),
        ));
    }
    Ok(())
}

/// Interface and version of a name like `ripcord:plugin/http@0.1.0`.
fn in_contract(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix("ripcord:plugin/")?;
    Some(rest.split_once('@').unwrap_or((rest, "")))
}

fn is_offered(version: &str) -> bool {
    version.strip_prefix(CONTRACT).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn of_another_contract(version: &str) -> Unfit {
    unfit(
        format!("it was made for version {version} of ripcord's contract, and this ripcord offers {CONTRACT}"),
        format!("use a ripcord that offers {version}, or the plugin's release for {CONTRACT}"),
    )
}

/// The first of some bytes, for people.
fn beginning(bytes: &[u8]) -> String {
    let first = &bytes[..bytes.len().min(4 * SHOWN_CHARS_MAX)];
    let text = String::from_utf8_lossy(first);
    let line: String = text.lines().next().unwrap_or_default().chars().take(SHOWN_CHARS_MAX).collect();
    let is_readable =
        !line.trim().is_empty() && !line.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER);
    if is_readable { format!("`{line}`") } else { format!("the bytes {}", hex::encode(&first[..first.len().min(8)])) }
}

fn unfit(problem: impl Into<String>, remedy: impl Into<String>) -> Unfit {
    Unfit { problem: problem.into(), remedy: remedy.into() }
}
