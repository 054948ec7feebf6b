//! What the plan says: `parameters.json` describes each of them.

use serde::Deserialize;
use switch_off::{Code, Observed, Part, Switch};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    version: String,
    paths: Option<Vec<String>>,
    disable: Option<String>,
    enable: Option<String>,
    state: Option<String>,
    enabled: Option<String>,
    #[serde(default = "yes")]
    commit: bool,
    message: Option<String>,
    push: Option<String>,
    #[serde(default = "yes")]
    redeploy: bool,
}

impl Config {
    /// The panel.
    pub(crate) fn part(&self) -> Part {
        let or = |given: &Option<String>, default: &str| given.as_deref().unwrap_or(default).to_owned();
        let observed =
            |path: &String| Observed { path: path.clone(), pointer: or(&self.enabled, "/enabled"), when_off: false };
        let message = or(&self.message, "Roll the administration panel back to {version}");
        Part {
            switch: Switch {
                switching_off: "closing the administration panel".to_owned(),
                switching_on: "opening the administration panel".to_owned(),
                off: or(&self.disable, "/panel/disable"),
                on: or(&self.enable, "/panel/enable"),
                observed: self.state.as_ref().map(observed),
            },
            code: Code {
                paths: self.paths.clone().unwrap_or_else(|| vec!["src/admin/".to_owned()]),
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
