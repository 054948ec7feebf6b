//! What Coolify says that is not so, by version. Each line is a fact of its own code; a server tells those of its
//! version unless it is told otherwise.

use std::collections::BTreeMap;
use std::str::FromStr;

/// A version of Coolify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = text.split('.').map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Ok(Self(major, minor, patch)),
            _ => Err(format!("`{text}` is no version")),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Lie {
    /// Its name.
    pub name: &'static str,
    /// Whether a server of this version tells it without being asked to.
    pub is_told_by: fn(Version) -> bool,
    /// What is known of it.
    pub fact: &'static str,
}

const fn never(_: Version) -> bool {
    false
}

/// All of them.
pub const LIES: &[Lie] = &[
    Lie {
        name: "api-disabled",
        is_told_by: never,
        fact: "403 with {\"success\": true, \"message\": \"API is disabled.\"}",
    },
    Lie {
        name: "deploy-phantom",
        is_told_by: |_| true,
        fact: "/deploy that is already queued for this commit: 200 with a deployment UUID that does not exist",
    },
    Lie { name: "deploy-unauthorised", is_told_by: never, fact: "/deploy unauthorised: 200 with no deployment_uuid" },
    Lie {
        name: "queue-full",
        is_told_by: never,
        fact: "queue full: /deploy 429 with Retry-After: 60; /rollback 400; /start and /restart 200 with a UUID that \
               was never created",
    },
    Lie {
        name: "force-false-is-true",
        is_told_by: |version| version == Version(4, 1, 2),
        fact: "force=false as a query parameter is true in 4.1.2",
    },
    Lie { name: "deployments-are-an-object", is_told_by: never, fact: "GET /deployments can be a JSON object" },
    Lie { name: "current-is-null", is_told_by: never, fact: "`current` in rollback-images can be null" },
    Lie {
        name: "no-images",
        is_told_by: never,
        fact: "rollback-images is empty also when the server is unreachable, so empty does not mean none",
    },
    Lie {
        name: "auto-deploy-not-shown",
        is_told_by: |version| version <= Version(4, 1, 2),
        fact: "4.1.2 does not show whether auto-deploy is on",
    },
    Lie {
        name: "image-rollback-redeploys",
        is_told_by: |version| version <= Version(4, 3, 11),
        fact: "for an image, /rollback reports success and redeploys the configured tag through 4.3.11-dev",
    },
    Lie {
        name: "cancel-answers-500",
        is_told_by: |version| version <= Version(4, 3, 6),
        fact: "through 4.3.6 cancel answers 500 after having cancelled, and starts nothing that waits: a forgotten \
               queued deployment runs after the next one and can undo the rollback",
    },
    Lie {
        name: "head-overwrites-pin",
        is_told_by: |version| version <= Version(4, 1, 2),
        fact: "4.0.0-beta.464 to 4.1.2 overwrite pins and webhook commits with the branch's head",
    },
    Lie {
        name: "pin-forces-rebuild",
        is_told_by: |version| version >= Version(4, 3, 0),
        fact: "the pin counts as build configuration, so a pin before /rollback forces a rebuild where the kept image \
               would have been reused",
    },
    Lie {
        name: "unhealthy-for-a-moment",
        is_told_by: never,
        fact: "`finished` is not healthy: with a health check it shows running:unhealthy for a moment",
    },
    Lie { name: "finished-but-old", is_told_by: never, fact: "`finished`, and another version runs all the same" },
    Lie {
        name: "cancelled-serves-both",
        is_told_by: never,
        fact: "cancelling during the health wait leaves both versions serving",
    },
    Lie {
        name: "html-errors",
        is_told_by: |_| true,
        fact: "without `Accept: application/json` 429 and 500 are HTML and a bad `take` redirects",
    },
];

/// Which of them a server tells.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<String, bool>);

impl Told {
    /// Whether this one is told.
    pub fn tells(&self, version: Version, name: &str) -> bool {
        let by_itself = || LIES.iter().any(|lie| lie.name == name && (lie.is_told_by)(version));
        self.0.get(name).copied().unwrap_or_else(by_itself)
    }

    /// From now on it is told, or not.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn set(&mut self, name: &str, on: bool) -> Result<(), String> {
        if !LIES.iter().any(|lie| lie.name == name) {
            return Err(format!("there is no lie `{name}`"));
        }
        self.0.insert(name.to_owned(), on);
        Ok(())
    }
}
