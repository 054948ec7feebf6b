//! Coolify's API, with what its answers really mean.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use ripcord_plugin::http::{Request, Response, Service};
use ripcord_plugin::{Failure, Result, clock, http, log};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::application::Application;
use crate::config::Config;
use crate::history::{Deployment, History};
use crate::version::Version;

const COOLIFY: Service = Service::role("coolify");

/// What this plugin has to know of a change later, and what neither the change nor its answer says. It
/// travels with the request, and so is in the journal with it: `undo` and `reconcile` are handed no more
/// than that. Coolify ignores it.
const NOTE: &str = "x-ripcord";

/// How long to wait if Coolify does not say how long.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// How far back the history is read.
const PAGES_MAX: usize = 10;
const PAGE: usize = 10;

/// See [`NOTE`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The values that a `PATCH` takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<Value>,
    /// The newest deployment when another one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) behind: Option<String>,
    /// The commit that it is to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
}

impl Note {
    pub(crate) fn of(call: &http::Call) -> Option<Self> {
        let (_, note) = call.headers.iter().find(|(name, _)| name == NOTE)?;
        serde_json::from_str(note).ok()
    }
}

/// One application, as the API sees it.
pub(crate) struct Coolify<'a> {
    pub(crate) config: &'a Config,
    /// How much longer Coolify's own wishes to wait are followed.
    patience: Cell<Duration>,
    /// What has been changed, for whoever reads why it went no further.
    done: RefCell<Vec<String>>,
}

impl<'a> Coolify<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config, patience: Cell::new(config.waits_at_most.0), done: RefCell::default() }
    }

    pub(crate) fn path(&self) -> String {
        format!("/applications/{}", http::segment(&self.config.application))
    }

    /// Notes a change for [`Coolify::stopped`].
    pub(crate) fn did(&self, what: impl Into<String>) {
        self.done.borrow_mut().push(what.into());
    }

    /// Says what was changed before it went no further.
    pub(crate) fn stopped(&self, mut failure: Failure) -> Failure {
        let done = self.done.borrow();
        let stands = match done.as_slice() {
            [] => "nothing was changed in Coolify".to_owned(),
            done => format!("done in Coolify until then: {}", done.join("; ")),
        };
        let (Failure::Denied(problem)
        | Failure::Transient(problem)
        | Failure::Permanent(problem)
        | Failure::Unknown(problem)) = &mut failure;
        problem.message = format!("{} ({stands})", problem.message);
        failure
    }

    pub(crate) fn version(&self) -> Result<Version> {
        let response = self.read("/version", None)?;
        let response = well(response)?;
        Version::parse(&response.body.text()).ok_or_else(|| response.unexpected(", which is no version of Coolify"))
    }

    /// The application; behind an assumed reply, what a preview takes for it.
    pub(crate) fn application(&self, assume: Option<Value>) -> Result<Application> {
        let response = self.read(&self.path(), assume)?;
        if response.status == 404 {
            let uuid = &self.config.application;
            return Err(response.unexpected(&format!(
                ": it has no application {uuid}, or none that this token's team may see. Take the UUID from the last part \
                 of the application's address in Coolify"
            )));
        }
        well(response)?.json()
    }

    /// The newest deployments.
    pub(crate) fn newest(&self, assume: Option<Value>) -> Result<History> {
        self.page(0, assume).map(|(history, _)| history)
    }

    /// The deployments as far back as it takes.
    pub(crate) fn history(&self, is_enough: impl Fn(&History) -> bool) -> Result<History> {
        let mut history = History::default();
        for page in 0..PAGES_MAX {
            let (History(found), is_last) = self.page(page, None)?;
            history.0.extend(found);
            if is_last || is_enough(&history) {
                break;
            }
        }
        Ok(history)
    }

    fn page(&self, page: usize, assume: Option<Value>) -> Result<(History, bool)> {
        let uuid = http::segment(&self.config.application);
        let path = format!("/deployments/applications/{uuid}?skip={}&take={PAGE}", page * PAGE);
        let response = well(self.read(&path, assume)?)?;
        let history = History::parse(&response.json()?);
        let history = history.ok_or_else(|| response.unexpected(", which is no list of deployments"))?;
        let is_last = history.0.len() < PAGE;
        Ok((history, is_last))
    }

    /// A deployment; none if there is no such.
    pub(crate) fn deployment(&self, uuid: &str, assume: Option<Value>) -> Result<Option<Deployment>> {
        let response = self.read(&format!("/deployments/{}", http::segment(uuid)), assume)?;
        if response.status == 404 {
            return Ok(None);
        }
        well(response)?.json().map(Some)
    }

    /// The tag of the image that runs, if Coolify can tell. From 4.3.0.
    pub(crate) fn running_image(&self, assume: Value) -> Result<Option<String>> {
        let response = well(self.read(&format!("{}/rollback-images", self.path()), Some(assume))?)?;
        Ok(response.json::<Value>()?["current"].as_str().map(str::to_owned))
    }

    /// Changes settings of the application. `was` is what they take the place of.
    pub(crate) fn patch(&self, settings: &Value, was: Value) -> Result<()> {
        let note = Note { was: Some(was), ..Note::default() };
        let reply = json!({ "uuid": self.config.application });
        let response = self.change(|| {
            let request = COOLIFY.patch(self.path()).json(settings);
            // Twice the same settings are the same settings.
            noted(request, &note).idempotent().assume(answer(&reply))
        })?;
        well(response).map(drop)
    }

    /// Cancels a deployment. What came of it the deployment itself has to say: through 4.3.6 a 500 means
    /// that it was cancelled.
    pub(crate) fn cancel(&self, uuid: &str) -> Result<Response> {
        let path = format!("/deployments/{}/cancel", http::segment(uuid));
        let reply = json!({ "deployment_uuid": uuid, "status": "cancelled-by-user" });
        // A second one finds it cancelled.
        self.change(|| accepting(COOLIFY.post(&path)).idempotent().assume(answer(&reply)))
    }

    /// Asks for a deployment, with a body or without one. Never a second time: that is another one.
    pub(crate) fn deploy(&self, path: &str, body: Option<&Value>, note: &Note, assume: &Value) -> Result<Response> {
        self.change(|| {
            let request = COOLIFY.post(path);
            let request = body.iter().fold(request, |request, body| request.json(body));
            noted(request, note).assume(answer(assume))
        })
    }

    /// A change, sent again for as long as Coolify only asks to wait: its rate limit, or a full queue.
    fn change(&self, request: impl Fn() -> Request<'static>) -> Result<Response> {
        loop {
            let response = request().send()?;
            if !asks_to_wait(&response) {
                return Ok(response);
            }
            self.wait(&response)?;
        }
    }

    fn read(&self, path: &str, assume: Option<Value>) -> Result<Response> {
        loop {
            let request = accepting(COOLIFY.get(path));
            let request = assume.iter().fold(request, |request, assume| request.assume(answer(assume)));
            let response = request.send()?;
            if response.status != 429 {
                return Ok(response);
            }
            self.wait(&response)?;
        }
    }

    /// Waits as long as Coolify asks for, while there is patience left.
    fn wait(&self, response: &Response) -> Result<()> {
        let asked = response.header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
        let wait = asked.map_or(RETRY_AFTER, |seconds: u64| Duration::from_secs(seconds.max(1)));
        let patience = self.patience.get();
        if wait > patience {
            let why = format!(
                ": it asks to wait {} s, and of `waits-at-most` {} s are left",
                wait.as_secs(),
                patience.as_secs()
            );
            return Err(response.unexpected(&why));
        }
        self.patience.set(patience - wait);
        log::info(format!("Coolify asks to wait {} s", wait.as_secs()));
        clock::sleep(wait);
        Ok(())
    }
}

fn accepting(request: Request<'static>) -> Request<'static> {
    // Without it 429 and 500 are web pages, and some mistakes are redirects.
    request.header("accept", "application/json")
}

fn noted(request: Request<'static>, note: &Note) -> Request<'static> {
    // Headers are ASCII; JSON can be.
    let note = serde_json::to_string(note).unwrap_or_default();
    let ascii = note.chars().map(|character| match character {
        ' '..='~' => character.to_string(),
        other => {
            let mut units = [0; 2];
            other.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }
    });
    accepting(request).header(NOTE, ascii.collect::<String>())
}

fn answer(json: &Value) -> Response {
    Response::new(200).with_body(json.to_string())
}

/// Whether it says that the queue is full, or that there were too many requests. Nothing was done then.
fn asks_to_wait(response: &Response) -> bool {
    // `/rollback` says with a 400 what `/deploy` says with a 429.
    response.status == 429 || (response.status == 400 && message(response).to_lowercase().contains("queue"))
}

/// What Coolify itself says.
pub(crate) fn message(response: &Response) -> String {
    let json = response.json::<Value>().unwrap_or_default();
    json["message"].as_str().unwrap_or_default().to_owned()
}

/// The response, if it is one that Coolify gives when all is well; else what it means.
pub(crate) fn well(response: Response) -> Result<Response> {
    if response.status == 403 && message(&response).contains("API is disabled") {
        return Err(Failure::permanent(
            "Coolify's API is switched off: it answers 403, whatever `success` in it claims. Switch it on in Coolify under \
             Settings, Advanced, API Access",
        ));
    }
    let means = match response.status {
        200..300 => return Ok(response),
        401 => ": the token is not one of this Coolify's, or has expired. Make one under Keys & Tokens",
        403 => ": this may be the token's abilities (read, write, deploy) or Coolify's list of allowed addresses",
        422 => ": it does not take these settings",
        500..600 => ": Coolify itself is in trouble",
        _ => "",
    };
    Err(response.unexpected(means))
}
