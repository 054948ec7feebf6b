//! The mails that have come.

use std::fs;
use std::path::Path;

/// Channel and subject of each mail to this world, sorted.
pub(crate) fn mails(mailbox: &Path, world: &str) -> Vec<String> {
    let folder = fs::read_dir(mailbox.join("new")).into_iter().flatten();
    let texts = folder.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
    let mut mails: Vec<String> = texts
        .filter_map(|text| {
            let header = |name: &str| {
                let line = text.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            };
            // Whose mail it is says the recipient; without that, two worlds' mails compare.
            let to = header("to")?;
            let (channel, _) = to.split_once(&format!("-{world}@"))?;
            Some(format!("{channel}: {}", header("subject").unwrap_or_default()))
        })
        .collect();
    mails.sort();
    mails
}
