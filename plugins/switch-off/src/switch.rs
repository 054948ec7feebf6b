//! The switch: two paths of the administration that a `POST` goes to, and one that tells how it stands.

use ripcord_plugin::{Call, Pending, Reconciliation, Reply, Result, http, log};
use serde_json::{Value, json};

const ADMIN: http::Service = http::Service::role("admin");

/// What switches a part off and on.
#[derive(Debug, Clone)]
pub struct Switch {
    /// What switching off is, as in `disabling connector facebook`.
    pub switching_off: String,
    /// What switching on is.
    pub switching_on: String,
    /// Where a `POST` switches it off.
    pub off: String,
    /// Where a `POST` switches it on.
    pub on: String,
    /// Where it can be seen. Without that, a request whose reply is lost is a question to a person.
    pub observed: Option<Observed>,
}

/// Where a service tells how a switch stands.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The path of a `GET`.
    pub path: String,
    /// The JSON pointer of a boolean in its answer.
    pub pointer: String,
    /// What that boolean is while the part is off.
    pub when_off: bool,
}

impl Switch {
    pub(crate) fn off(&self) -> Result<()> {
        log::info(self.switching_off.as_str());
        post(&self.off)
    }

    pub(crate) fn on(&self) -> Result<()> {
        log::info(self.switching_on.as_str());
        post(&self.on)
    }

    /// Whether it is off now; none if nobody can see it. A preview that has assumed what came before takes `assumed`
    /// for the answer.
    pub(crate) fn is_off(&self, assumed: bool) -> Result<Option<bool>> {
        let Some(observed) = &self.observed else { return Ok(None) };
        let response = ADMIN.get(&observed.path).assume(observed.response(assumed)).send()?.expect_success()?;
        match response.json::<Value>()?.pointer(&observed.pointer).and_then(Value::as_bool) {
            Some(seen) => Ok(Some(seen == observed.when_off)),
            None => Err(response.unexpected(&format!(", which has no boolean at `{}`", observed.pointer))),
        }
    }

    pub(crate) fn reconcile(&self, pending: &Pending) -> Reconciliation {
        let wants_off = match pending.call() {
            Ok(Call::Http(call)) if call.path == self.off => true,
            Ok(Call::Http(call)) if call.path == self.on => false,
            Ok(_) => return Reconciliation::Unknown("only the switch can be looked at".to_owned()),
            Err(failure) => return Reconciliation::Unknown(failure.message().to_owned()),
        };
        match self.is_off(wants_off) {
            Ok(Some(is_off)) if is_off == wants_off => Reconciliation::Happened(Reply::Http(http::Response::new(200))),
            Ok(Some(_)) => Reconciliation::DidNotHappen,
            Ok(None) => {
                let what = if wants_off { &self.switching_off } else { &self.switching_on };
                Reconciliation::Unknown(format!("`state` is not set, so nothing tells whether {what} worked"))
            }
            Err(failure) => Reconciliation::Unknown(failure.message().to_owned()),
        }
    }
}

impl Observed {
    /// What the service answers while the part is off, or on.
    fn response(&self, off: bool) -> http::Response {
        let nest = |inner, key: &str| json!({ (key.replace("~1", "/").replace("~0", "~")): inner });
        let keys: Vec<&str> = self.pointer.split('/').skip(1).collect();
        let body = keys.into_iter().rev().fold(json!(off == self.when_off), nest);
        http::Response::new(200).with_body(body.to_string().as_str())
    }
}

fn post(path: &str) -> Result<()> {
    ADMIN.post(path).assume(http::Response::new(200)).send()?.expect_success()?;
    Ok(())
}
