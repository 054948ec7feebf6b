//! What the plan says: `parameters.json` describes each of them.

use ripcord_plugin::http::{Response, segment};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) connector: String,
    pub(crate) version: String,
    path: Option<String>,
    disable: Option<String>,
    enable: Option<String>,
    state: Option<String>,
    #[serde(default = "enabled")]
    pub(crate) enabled: String,
    #[serde(default = "yes")]
    pub(crate) commit: bool,
    message: Option<String>,
    pub(crate) push: Option<String>,
    #[serde(default = "yes")]
    pub(crate) redeploy: bool,
}

impl Config {
    /// The connector's code.
    pub(crate) fn path(&self) -> String {
        self.path.as_deref().unwrap_or("src/lib/connectors/{connector}.ts").replace("{connector}", &self.connector)
    }

    /// Where a `POST` disables the connector.
    pub(crate) fn disable(&self) -> String {
        self.request_path(self.disable.as_deref().unwrap_or("/connectors/{connector}/disable"))
    }

    /// Where a `POST` enables it.
    pub(crate) fn enable(&self) -> String {
        self.request_path(self.enable.as_deref().unwrap_or("/connectors/{connector}/enable"))
    }

    /// Where a `GET` tells whether it is enabled.
    pub(crate) fn state(&self) -> Option<String> {
        self.state.as_deref().map(|path| self.request_path(path))
    }

    /// What such a `GET` answers.
    pub(crate) fn state_response(&self, enabled: bool) -> Response {
        let nest = |inner, key: &str| json!({ (key.replace("~1", "/").replace("~0", "~")): inner });
        let body = self.enabled.split('/').skip(1).collect::<Vec<_>>().into_iter().rev().fold(json!(enabled), nest);
        Response::new(200).with_body(body.to_string().as_str())
    }

    /// The commit's message.
    pub(crate) fn message(&self) -> String {
        let template = self.message.as_deref().unwrap_or("Roll connector {connector} back to {version}");
        template.replace("{connector}", &self.connector).replace("{version}", &self.version)
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
