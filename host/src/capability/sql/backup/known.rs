//! What is known of a backup that was read to its end. A preview reads it, and then its run asks again: for
//! a large one, that is minutes of an outage.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

use super::facts::Facts;
use crate::id::Digest;

/// The backup that was read last, for as long as its file is the same.
#[derive(Default)]
pub(super) struct Known(Mutex<Option<(Stamp, Read)>>);

/// What was found in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read {
    pub(super) sha256: Digest,
    pub(super) facts: Facts,
}

/// What changes with a file's contents. The time of its last change is the kernel's: nobody sets it back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stamp {
    file: (u64, u64),
    bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            file: (metadata.dev(), metadata.ino()),
            bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Known {
    pub(super) fn get(&self, stamp: &Stamp) -> Option<Read> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(known, _)| known == stamp).map(|(_, read)| read.clone())
    }

    pub(super) fn keep(&self, stamp: Stamp, read: Read) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((stamp, read));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_read_counts_for_the_same_contents_of_the_same_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.dump");
        let stamp = || Stamp::of(&File::open(&path).unwrap()).unwrap();
        // Longer than the kernel's clock takes for a step.
        let later = || std::thread::sleep(Duration::from_millis(20));
        std::fs::write(&path, "good").unwrap();
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        let (known, read) = (Known::default(), Read { sha256: Digest::of(b"good"), facts: Facts::default() });
        assert_eq!(known.get(&stamp()), None);
        known.keep(stamp(), read.clone());
        assert_eq!(known.get(&stamp()), Some(read));

        later();
        std::fs::write(&path, "evil").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(known.get(&stamp()), None, "as long and as old as before, and another one");

        known.keep(stamp(), Read { sha256: Digest::of(b"evil"), facts: Facts::default() });
        later();
        std::fs::rename(&path, folder.path().join("b.dump")).unwrap();
        std::fs::write(&path, "evil").unwrap();
        assert_eq!(known.get(&stamp()), None, "another file of the same name");
    }
}
