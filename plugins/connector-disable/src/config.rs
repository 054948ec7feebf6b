//! What the plan says: `parameters.json` describes each of them.

use ripcord_plugin::http::segment;
use serde::Deserialize;
use switch_off::{Code, Observed, Part, Switch};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    connector: String,
    version: String,
    path: Option<String>,
    disable: Option<String>,
    enable: Option<String>,
    state: Option<String>,
    #[serde(default = "enabled")]
    enabled: String,
    #[serde(default = "yes")]
    commit: bool,
    message: Option<String>,
    push: Option<String>,
    #[serde(default = "yes")]
    redeploy: bool,
}

impl Config {
    /// The connector.
    pub(crate) fn part(&self) -> Part {
        let name = &self.connector;
        let path = self.path.as_deref().unwrap_or("src/lib/connectors/{connector}.ts");
        let message = self.message.as_deref().unwrap_or("Roll connector {connector} back to {version}");
        let observed =
            |path: &str| Observed { path: self.request_path(path), pointer: self.enabled.clone(), when_off: false };
        Part {
            switch: Switch {
                switching_off: format!("disabling connector {name}"),
                switching_on: format!("enabling connector {name}"),
                off: self.request_path(self.disable.as_deref().unwrap_or("/connectors/{connector}/disable")),
                on: self.request_path(self.enable.as_deref().unwrap_or("/connectors/{connector}/enable")),
                observed: self.state.as_deref().map(observed),
            },
            code: Code {
                paths: vec![path.replace("{connector}", name)],
                version: self.version.clone(),
                commit: self.commit.then(|| message.replace("{connector}", name).replace("{version}", &self.version)),
                push: self.push.clone(),
            },
            redeploy: self.redeploy,
        }
    }

    fn request_path(&self, template: &str) -> String {
        template.replace("{connector}", &segment(&self.connector))
    }
}

fn enabled() -> String {
    "/enabled".to_owned()
}

fn yes() -> bool {
    true
}
