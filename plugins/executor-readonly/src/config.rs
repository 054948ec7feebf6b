//! What the plan says: `parameters.json` describes each of them.

use serde::Deserialize;
use switch_off::{Code, Observed, Part, Switch};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    version: String,
    paths: Option<Vec<String>>,
    enter: Option<String>,
    leave: Option<String>,
    state: Option<String>,
    readonly: Option<String>,
    #[serde(default = "yes")]
    commit: bool,
    message: Option<String>,
    push: Option<String>,
    #[serde(default = "yes")]
    redeploy: bool,
}

impl Config {
    /// The executor, with read-only mode for its switch.
    pub(crate) fn part(&self) -> Part {
        let or = |given: &Option<String>, default: &str| given.as_deref().unwrap_or(default).to_owned();
        let observed =
            |path: &String| Observed { path: path.clone(), pointer: or(&self.readonly, "/readonly"), when_off: true };
        let message = or(&self.message, "Roll the executor back to {version}");
        Part {
            switch: Switch {
                switching_off: "putting all connectors into read-only mode".to_owned(),
                switching_on: "taking all connectors out of read-only mode".to_owned(),
                off: or(&self.enter, "/connectors/readonly"),
                on: or(&self.leave, "/connectors/readwrite"),
                observed: self.state.as_ref().map(observed),
            },
            code: Code {
                paths: self.paths.clone().unwrap_or_else(|| vec!["src/lib/mcp/executor.ts".to_owned()]),
                version: self.version.clone(),
                commit: self.commit.then(|| message.replace("{version}", &self.version)),
                push: self.push.clone(),
            },
            redeploy: self.redeploy,
        }
    }
}

fn yes() -> bool {
    true
}
