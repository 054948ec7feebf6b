//! Probes a webhook: sends what Twilio or Telnyx would send, one request or a whole simulated call, and
//! looks whether the application answers as it has to. The connection signs (`auth = { twilio = … }`).
//!
//! It has an effect on the application, and is a probe for it: the application keeps the call as it keeps
//! any other. Each name that it makes up begins so that it can be found again: [`MARK`].

mod event;

use ripcord_plugin::expect::{FirstBytes, Limits, Statuses};
use ripcord_plugin::{Check, Context, Failure, Manifest, Result, Role, Span, Verdict, clock, export_check, http};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use event::{Call, Provider};

const WEBHOOK: http::Service = http::Service::role("webhook");

struct WebhookCheck;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    provider: Provider,
    path: String,
    #[serde(default = "Statuses::success")]
    status: Statuses,
    #[serde(default)]
    requests: Vec<Planned>,
    #[serde(default)]
    pause: Option<Span>,
    #[serde(default)]
    ttfb: Limits,
    #[serde(default = "test_number")]
    from: String,
    #[serde(default = "test_number")]
    to: String,
}

/// One request of the call.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Planned {
    event: Option<String>,
    path: Option<String>,
    fields: Map<String, Value>,
    status: Option<Statuses>,
    contains: Vec<String>,
    twiml: bool,
}

/// Twilio's own number for tests, which nobody has.
fn test_number() -> String {
    "+15005550006".to_owned()
}

impl Check for WebhookCheck {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Webhook check",
            description: "Sends the requests of one simulated call to a webhook, and compares statuses, bodies and the \
                          time to the first byte. The call's name begins with the mark 7e57ca11 (`CA7e57ca11…`), and \
                          each request has the run's name in the header x-ripcord-run. `response` (the last one), \
                          `responses`, `call` (its name) and `ttfb` (p50, p95, max, in ms) are evidence for the plan's \
                          `expect`.",
            parameters: include_str!("parameters.json"),
            roles: vec![Role::write("webhook", "http", "to send the test requests")],
            can_undo: false,
        }
    }

    fn check(context: &Context, mut config: Config) -> Result<Verdict> {
        if config.requests.is_empty() {
            config.requests.push(Planned::default());
        }
        let call = Call::new(context, clock::now(), &config.from, &config.to);
        let (mut times, mut responses) = (FirstBytes::default(), Vec::new());
        let (mut wrong, mut unobserved) = (Vec::new(), Vec::new());
        // All are sent, whatever comes back: the application hears of the call's end, too.
        for (index, planned) in config.requests.iter().enumerate() {
            if let (1.., Some(pause)) = (index, config.pause) {
                clock::sleep(pause.0);
            }
            let event = planned.event.as_deref().unwrap_or(config.provider.first_event());
            let path = planned.path.as_deref().unwrap_or(&config.path);
            let (kind, body) = config.provider.request(&call, event, index, &planned.fields);
            let request = WEBHOOK.post(path).header("content-type", kind).header("x-ripcord-run", &context.run);
            match request.body(body).assume(http::Response::new(200)).send() {
                Ok(response) => {
                    times.add(&response);
                    let about = |problem| format!("{event}: POST {path} {problem}");
                    wrong.extend(problem(planned, &config.status, &response).map(about));
                    let mut evidence = response.evidence();
                    evidence["event"] = json!(event);
                    responses.push(evidence);
                }
                // A file has to be changed before this can be observed at all.
                Err(denied @ Failure::Denied(_)) => return Err(denied),
                Err(failure) if failure.is_no_answer() => wrong.push(format!("{event}: {}", failure.message())),
                Err(failure) => unobserved.push(format!("{event}: {}", failure.message())),
            }
        }
        wrong.extend(times.over(&config.ttfb));
        let verdict = if !wrong.is_empty() {
            Verdict::fail(wrong.join("; "))
        } else if !unobserved.is_empty() {
            Verdict::inconclusive(unobserved.join("; "))
        } else {
            Verdict::pass(match config.requests.len() {
                1 => "the webhook answered as it should".to_owned(),
                all => format!("the webhook answered all {all} requests of the call as it should"),
            })
        };
        let last = responses.last().cloned().unwrap_or_default();
        let evidence = json!({ "response": last, "responses": responses, "call": config.provider.name_of(&call), "ttfb": times.evidence() });
        Ok(times.measured(verdict.evidence(evidence)))
    }
}

/// What is wrong with an answer.
fn problem(planned: &Planned, statuses: &Statuses, response: &http::Response) -> Option<String> {
    let statuses = planned.status.as_ref().unwrap_or(statuses);
    if !statuses.contain(response.status) {
        let meaning = match response.status {
            401 | 403 => {
                " (it may not accept the signature: is it the right secret, and the public-url that it knows?)"
            }
            _ => "",
        };
        return Some(format!("answered {}{meaning}, expected {statuses}", response.status));
    }
    let body = response.body.text();
    if let Some(missing) = planned.contains.iter().find(|text| !body.contains(text.as_str())) {
        return Some(format!("answered {} without `{missing}` in it", response.status));
    }
    if !planned.twiml {
        return None;
    }
    match roxmltree::Document::parse(&body) {
        Ok(document) if document.root_element().tag_name().name() == "Response" => None,
        Ok(_) => Some("answered no TwiML: its root is not <Response>".to_owned()),
        Err(error) => Some(format!("answered no TwiML: {error}")),
    }
}

export_check!(WebhookCheck);
