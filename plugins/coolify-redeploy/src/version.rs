//! What a version of Coolify can be trusted with.

use std::fmt;

/// A version of Coolify. What stands behind the three numbers (`-beta.464`, `-dev`) tells nothing that
/// matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

/// How an application that is built from git gets back to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By `/rollback`, which takes the image that was kept, and a pin afterwards: a pin before it counts
    /// as a change of the build, and Coolify would build anew.
    Rollback,
    /// By a pin and a deployment.
    Pin,
    /// Not at all: a deployment goes to the branch's head, whatever is pinned.
    None,
}

impl Version {
    /// Reads what `GET /version` answers.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_matches('"').trim_start_matches('v');
        let numbers = text.split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse().ok());
        let version = Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }

    /// How to get an application back that is built from git.
    pub(crate) fn way(self) -> Way {
        match (self.major, self.minor) {
            (4, 3..) | (5.., _) => Way::Rollback,
            (4, 2) => Way::Pin,
            _ => Way::None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_way() {
        for (text, shown, way) in [
            ("4.0.0-beta.464", "4.0.0", Way::None),
            ("4.1.2", "4.1.2", Way::None),
            ("v4.2.0\n", "4.2.0", Way::Pin),
            ("4.2.11", "4.2.11", Way::Pin),
            ("4.3.0", "4.3.0", Way::Rollback),
            ("\"4.3.11-dev\"", "4.3.11", Way::Rollback),
            ("5.0.0", "5.0.0", Way::Rollback),
        ] {
            let version = Version::parse(text);
            assert_eq!(version.map(|version| (version.to_string(), version.way())), Some((shown.to_owned(), way)));
        }
        for text in ["", "4.3", "4.3.x", "4.3.1.2", "<html>", "OK"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
