//! Switches something over with one HTTP request: a connector on again, read-only mode off. It looks
//! whether that is needed, and afterwards whether it is so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ripcord_plugin::{
    Action, Call, Context, Effects, Failure, Manifest, Pending, Reconciliation, Reply, Result, Role, Span, clock,
    export_action, http, log,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const SERVICE: http::Service = http::Service::role("service");

/// How long to wait between two looks at what was switched.
const LOOK_EVERY: Duration = Duration::from_millis(500);

struct HttpSwitch;

/// `parameters.json` describes each of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    send: Switch,
    back: Option<Switch>,
    state: Option<State>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    #[serde(default = "post")]
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    json: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    path: String,
    #[serde(default)]
    at: String,
    is: Value,
    #[serde(default = "some_seconds")]
    within: Span,
}

fn post() -> String {
    "POST".to_owned()
}

fn some_seconds() -> Span {
    Span(Duration::from_secs(10))
}

#[derive(Serialize, Deserialize)]
struct Receipt {
    /// Whether this run switched it; false if it was so already.
    switched: bool,
}

impl Action for HttpSwitch {
    type Config = Config;
    type Receipt = Receipt;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Switch something over",
            description: "Sends one request that switches something over: a connector on again, read-only mode off. With \
                          `state` it looks first whether that is needed, and afterwards whether it is so. Undo sends \
                          `back`.",
            parameters: include_str!("parameters.json"),
            roles: vec![Role::write("service", "http", "to switch it, and to look how it stands")],
            can_undo: true,
        }
    }

    fn apply(_: &Context, config: Config) -> Result<Receipt> {
        if let Some(state) = &config.state
            && state.look()? == state.is
        {
            log::info(format!("{} is {} already", state.place(), state.is));
            return Ok(Receipt { switched: false });
        }
        config.send.send()?;
        if let Some(state) = &config.state {
            state.confirm(&config.send)?;
        }
        Ok(Receipt { switched: true })
    }

    /// There is one effect at most, and one way back.
    fn undo(_: &Context, config: Config, effects: Effects, _: Option<Receipt>) -> Result<()> {
        let mut sent = false;
        for effect in effects.iter() {
            sent |= !matches!(effect.reply()?, Some(Reply::Http(response)) if !response.is_success());
        }
        match &config.back {
            _ if !sent => Ok(()),
            Some(back) => back.send(),
            None => Err(Failure::permanent("the plan does not say how to switch it back: it has no `back`")),
        }
    }

    /// Asks the service whether it is as the lost request wanted it to be.
    fn reconcile(_: &Context, config: Config, pending: Pending) -> Reconciliation {
        let is_back = match pending.call() {
            Ok(Call::Http(call)) => {
                match (config.send.is(&call), config.back.as_ref().is_some_and(|back| back.is(&call))) {
                    (is_send, is_back) if is_send != is_back => is_back,
                    _ => {
                        let message = "`send` and `back` are one request, so nothing tells which of them was lost";
                        return Reconciliation::Unknown(message.to_owned());
                    }
                }
            }
            Ok(_) => return Reconciliation::Unknown("only an HTTP service can be asked".to_owned()),
            Err(failure) => return Reconciliation::Unknown(failure.message().to_owned()),
        };
        let Some(state) = &config.state else {
            return Reconciliation::Unknown("`state` is not set, so nothing tells how it stands".to_owned());
        };
        match state.look() {
            Ok(found) if (found == state.is) != is_back => {
                Reconciliation::Happened(Reply::Http(http::Response::new(200)))
            }
            Ok(_) => Reconciliation::DidNotHappen,
            Err(failure) => Reconciliation::Unknown(failure.message().to_owned()),
        }
    }
}

impl Switch {
    fn send(&self) -> Result<()> {
        let mut request = SERVICE.request(&self.method, &self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(json) = &self.json {
            request = request.json(json);
        }
        request.assume(http::Response::new(200)).send()?.expect_success()?;
        Ok(())
    }

    /// A toggle's two ways may differ by their bodies only.
    fn is(&self, call: &http::Call) -> bool {
        let body = call.body.as_ref().and_then(|body| serde_json::from_slice(&body.0).ok());
        let has = |(name, value): (&String, &String)| {
            call.headers.iter().any(|(sent, with)| sent.eq_ignore_ascii_case(name) && with == value)
        };
        (&self.method, &self.path, &self.json) == (&call.method, &call.path, &body) && self.headers.iter().all(has)
    }
}

impl State {
    fn place(&self) -> String {
        if self.at.is_empty() { self.path.clone() } else { format!("`{}` of {}", self.at, self.path) }
    }

    /// What the service says now. A preview that has assumed the request before takes what is wanted for it.
    fn look(&self) -> Result<Value> {
        let response = SERVICE.get(&self.path).assume(self.assumed()).send()?.expect_success()?;
        match response.json::<Value>()?.pointer(&self.at) {
            Some(found) => Ok(found.clone()),
            None => Err(response.unexpected(&format!(", which has nothing at `{}`", self.at))),
        }
    }

    fn assumed(&self) -> http::Response {
        let nest = |inner, key: &str| json!({ (key.replace("~1", "/").replace("~0", "~")): inner });
        let body = self.at.split('/').skip(1).collect::<Vec<_>>().into_iter().rev().fold(self.is.clone(), nest);
        http::Response::new(200).with_body(body.to_string().as_str())
    }

    /// A service may need a moment, and may not even answer while it starts anew.
    fn confirm(&self, sent: &Switch) -> Result<()> {
        let began = Instant::now();
        loop {
            let found = match self.look() {
                Ok(found) if found == self.is => return Ok(()),
                Ok(found) => format!("{} is {found} and not {}", self.place(), self.is),
                Err(failure) => format!("{} can't be seen: {}", self.place(), failure.message()),
            };
            if began.elapsed() >= self.within.0 {
                let Switch { method, path, .. } = sent;
                let message = format!("{method} {path} was answered well, but after {} {found}", self.within);
                return Err(Failure::permanent(message));
            }
            clock::sleep(LOOK_EVERY);
        }
    }
}

export_action!(HttpSwitch);
