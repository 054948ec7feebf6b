//! Where the operator's file is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics};

const NAME: &str = "ripcord.toml";

/// The operator's file: what `--config` says, else `$RIPCORD_CONFIG`, else `ripcord.toml` in
/// `folder`, else `ripcord/ripcord.toml` in `$XDG_CONFIG_HOME` or `~/.config`.
///
/// A file that was named is taken even if there is another one; if it is missing, that is an error.
pub fn find(
    config: Option<&Path>,
    folder: &Path,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, Diagnostics> {
    let set = |name| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = config.map(|path| (path.to_owned(), "--config"));
    if let Some((path, by)) = named.or_else(|| Some((set("RIPCORD_CONFIG")?, "$RIPCORD_CONFIG"))) {
        let place = folder.join(&path);
        return if place.is_file() {
            Ok(place)
        } else {
            let problem = if place.exists() { "is not a file" } else { "is not there" };
            let message = format!("the operator's file {} {problem}; {by} names it", place.display());
            Err(Diagnostic::error(message).help("name another one; `ripcord init` writes one").into())
        };
    }
    let home = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
    let places = [Some(folder.join(NAME)), home.map(|home| home.join("ripcord").join(NAME))];
    let places: Vec<PathBuf> = places.into_iter().flatten().collect();
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| {
        let looked: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
        Diagnostic::error(format!("there is no operator's file; looked for {}", looked.join(" and ")))
            .help("write one with `ripcord init`, or name it with --config or $RIPCORD_CONFIG")
            .into()
    })
}
