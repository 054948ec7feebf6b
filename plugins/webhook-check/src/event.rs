//! What the providers send for the events of a call.

use std::time::{Duration, SystemTime};

use ripcord_plugin::{Context, clock, http};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The first digits of each name that a probe makes up: "test call", as far as hexadecimal digits go.
const MARK: &str = "7e57ca11";

/// Whose webhook it is.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Provider {
    Twilio,
    Telnyx,
    Plain,
}

/// A call that nobody makes.
pub(crate) struct Call<'a> {
    /// 32 hexadecimal digits, of which the first are the mark.
    name: String,
    run: &'a str,
    from: &'a str,
    to: &'a str,
    at: SystemTime,
}

impl<'a> Call<'a> {
    pub(crate) fn new(context: &'a Context, now: clock::Instant, from: &'a str, to: &'a str) -> Self {
        let at =
            SystemTime::UNIX_EPOCH + Duration::new(u64::try_from(now.seconds).unwrap_or_default(), now.nanoseconds);
        // Another one for each try: an application may know each call only once.
        let seed = format!("{} {} {}.{}", context.run, context.step, now.seconds, now.nanoseconds);
        let (high, low) = (fnv(&seed, 0), fnv(&seed, 1));
        let name = format!("{MARK}{high:016x}{:08x}", low as u32);
        Self { name, run: &context.run, from, to, at }
    }

    /// The name in the form of a UUID.
    fn uuid(&self) -> String {
        let name = &self.name;
        format!("{}-{}-{}-{}-{}", &name[..8], &name[8..12], &name[12..16], &name[16..20], &name[20..])
    }
}

/// FNV-1a. That two calls have different names is all that it is for.
fn fnv(text: &str, salt: u8) -> u64 {
    let bytes = std::iter::once(salt).chain(text.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Provider {
    /// What is sent for an incoming call first.
    pub(crate) fn first_event(self) -> &'static str {
        match self {
            Self::Twilio => "ringing",
            Self::Telnyx => "call.initiated",
            Self::Plain => "test",
        }
    }

    /// The call's name, as the application will know it.
    pub(crate) fn name_of(self, call: &Call<'_>) -> String {
        match self {
            Self::Twilio => format!("CA{}", call.name),
            Self::Telnyx | Self::Plain => call.uuid(),
        }
    }

    /// Content type and body of the request for an event; the plan's fields are added to the provider's own,
    /// or stand in their place.
    pub(crate) fn request(
        self,
        call: &Call<'_>,
        event: &str,
        index: usize,
        fields: &Map<String, Value>,
    ) -> (&'static str, String) {
        let name = self.name_of(call);
        match self {
            // https://www.twilio.com/docs/voice/twiml#request-parameters
            Self::Twilio => {
                let own = json!({
                    "CallSid": name, "AccountSid": format!("AC{}", call.name), "From": call.from, "To": call.to,
                    "CallStatus": event, "ApiVersion": "2010-04-01", "Direction": "inbound",
                });
                ("application/x-www-form-urlencoded", form(&with(own, fields)))
            }
            // https://developers.telnyx.com/api-reference/callbacks/call-initiated
            Self::Telnyx => {
                let payload = json!({
                    "call_control_id": format!("v3:{name}"), "call_leg_id": name, "call_session_id": name,
                    "connection_id": MARK, "direction": "incoming", "from": call.from, "to": call.to,
                });
                let id = format!("{}{index:04x}", &name[..name.len() - 4]);
                let data = json!({
                    "record_type": "event", "event_type": event, "id": id,
                    "occurred_at": humantime::format_rfc3339_millis(call.at).to_string(),
                    "payload": with(payload, fields),
                });
                ("application/json", json!({ "data": data, "meta": { "attempt": 1 } }).to_string())
            }
            Self::Plain => {
                let own = json!({ "event": event, "call": name, "run": call.run, "from": call.from, "to": call.to });
                ("application/json", with(own, fields).to_string())
            }
        }
    }
}

fn with(mut own: Value, fields: &Map<String, Value>) -> Value {
    for (name, value) in fields {
        own[name] = value.clone();
    }
    own
}

/// Everything but letters, digits and a few signs is percent-encoded, which is a form's encoding as well.
fn form(fields: &Value) -> String {
    let field = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}={}", http::segment(name), http::segment(&text))
    };
    fields.as_object().map(|fields| fields.iter().map(field).collect::<Vec<_>>().join("&")).unwrap_or_default()
}
