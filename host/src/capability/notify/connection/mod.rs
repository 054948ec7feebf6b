//! What the operator says of a connection: `[notify.NAME]` in `ripcord.toml`.

mod mail;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::mail::{Address, Mail, Smtp, Tls};
use super::channel::{Deliver, NoticeDriver};
use super::file::FileDriver;
use super::smtp::SmtpDriver;
use super::webhook::{WebhookDriver, is_this_machine};
use super::{Call, Format, Reply, Template, doctor};
use crate::capability::http::AddressRange;
use crate::capability::{CapabilityConnection, Driver, Judgement, OpenError, Opening, Repeat};
use crate::doctor::Exam;
use crate::schema::{DurationText, text_schema};
use crate::secret::SecretRef;

/// How much longer than `timeout` the pipeline waits: the driver has to be the one that gives up,
/// because it knows whether the notice may be out.
const GRACE: Duration = Duration::from_secs(2);

/// Where notices go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Table", into = "Table")]
#[schemars(rename = "NotifyConnection")]
pub struct Connection {
    /// The way there.
    pub channel: Channel,
    /// How long the delivery of one notice may take, waiting for a service that has too much to do
    /// included.
    pub timeout: Duration,
    /// The operator's words.
    pub template: Template,
}

/// A way to people.
#[derive(Debug, Clone, PartialEq)]
pub enum Channel {
    /// By mail.
    Mail(Mail),
    /// By a service that takes messages at an address of its own.
    Webhook(Webhook),
    /// Into a file: a path, relative to the operator's file.
    File(PathBuf),
}

/// Notices to a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Where the service is.
    pub url: WebhookUrl,
    /// Which service it is.
    pub format: Format,
    /// What lets in beside the address.
    pub key: Option<SecretRef>,
    /// The page's id; empty but for Statuspage.
    pub page: String,
    /// Certificates, in PEM form, that are trusted besides the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Addresses that are reached although they are refused otherwise.
    pub allow_addresses: Vec<AddressRange>,
}

/// The keys of `[notify.NAME]`, of all channels.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["smtp", "from", "to"], "properties": {
        "webhook": false, "format": false, "key": false, "page": false, "ca-file": false, "allow-addresses": false,
        "file": false,
    } },
    { "required": ["format"], "properties": { "smtp": false, "from": false, "to": false, "file": false } },
    { "required": ["file"], "properties": {
        "webhook": false, "format": false, "key": false, "page": false, "ca-file": false, "allow-addresses": false,
        "smtp": false, "from": false, "to": false,
    } },
]))]
struct Table {
    /// By mail: the mail server that takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    smtp: Option<Smtp>,
    /// Who a mail comes from: `ripcord <ripcord@example.org>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Address>,
    /// Whom a mail goes to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    to: Vec<Address>,
    /// To a service: its address, which may be a secret (`secret:NAME`) or written here. PagerDuty and
    /// Statuspage have one already; for Cachet it is the page's own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<WebhookUrl>,
    /// Which service the address belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    /// What lets in beside the address: PagerDuty's routing key, Statuspage's and Cachet's API key, a
    /// bearer token for `json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<SecretRef>,
    /// The id of Statuspage's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// For a webhook: certificates, in PEM form, that are trusted besides the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// For a webhook: addresses that are reached although they are refused otherwise: link-local ones,
    /// multicast, the metadata services of clouds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow_addresses: Vec<AddressRange>,
    /// Into a file, one JSON object a line; it is created for its owner alone. Links, folders and pipes
    /// are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// How long the delivery of one notice may take; more than nothing.
    #[serde(default = "default_timeout", with = "crate::duration")]
    #[schemars(with = "DurationText")]
    timeout: Duration,
    /// The operator's words in place of the plugin's.
    #[serde(default, skip_serializing_if = "Template::is_empty")]
    template: Template,
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

/// A webhook's address: a secret, or written in the operator's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum WebhookUrl {
    /// Whoever knows it can post there.
    Secret(SecretRef),
    /// It lets nobody in by itself.
    Open(Url),
}

text_schema!(
    WebhookUrl,
    "WebhookUrl",
    r"^secret:.+$|^https?://[^#]+$",
    "An address that is a secret, `secret:NAME`, or an http:// or https:// URL."
);

impl TryFrom<String> for WebhookUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with("secret:") {
            return SecretRef::try_from(text).map(Self::Secret);
        }
        // What is wrong may be a secret: nothing of it is repeated.
        let url = Url::parse(&text).map_err(|error| {
            format!(
                "this is no URL ({error}): write \"secret:NAME\", or an address like \"https://status.example.org\""
            )
        })?;
        check_url(&url)?;
        Ok(Self::Open(url))
    }
}

impl From<WebhookUrl> for String {
    fn from(url: WebhookUrl) -> Self {
        match url {
            WebhookUrl::Secret(reference) => reference.into(),
            WebhookUrl::Open(url) => url.into(),
        }
    }
}

/// What no webhook's address has. The error repeats nothing of it.
pub(super) fn check_url(url: &Url) -> Result<(), String> {
    let wrong = if !matches!(url.scheme(), "http" | "https") {
        "begins with neither http:// nor https://"
    } else if !url.username().is_empty() || url.password().is_some() {
        "has a user's name or password in it: a key is written as  key = \"secret:NAME\""
    } else if url.fragment().is_some() {
        "has a fragment (#…), which is never sent"
    } else {
        return Ok(());
    };
    Err(format!("the webhook's URL {wrong}"))
}

impl Connection {
    /// The same, but that the delivery of a notice is waited for no longer than this.
    pub(crate) fn within(&self, share: Duration) -> Self {
        let most = share.saturating_sub(GRACE).max(share / 2);
        Self { timeout: self.timeout.min(most), ..self.clone() }
    }
}

impl TryFrom<Table> for Connection {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        if table.timeout.is_zero() {
            return Err("timeout has to be more than nothing".to_owned());
        }
        let (timeout, template) = (table.timeout, table.template.clone());
        Ok(Self { channel: table.channel()?, timeout, template })
    }
}

impl Table {
    fn channel(self) -> Result<Channel, String> {
        let Self { smtp, from, to, webhook, format, key, page, ca_file, allow_addresses, file, .. } = self;
        let of_mail = [("from", from.is_some()), ("to", !to.is_empty())];
        let of_webhook = [
            ("format", format.is_some()),
            ("key", key.is_some()),
            ("page", page.is_some()),
            ("ca-file", ca_file.is_some()),
            ("allow-addresses", !allow_addresses.is_empty()),
        ];
        let is_webhook = webhook.is_some() || (format.is_some() && smtp.is_none() && file.is_none());
        match (smtp, is_webhook, file) {
            (Some(smtp), false, None) => {
                none_of(&of_webhook, "smtp")?;
                smtp.check()?;
                let from = from.ok_or("nobody sends the notices: write  from = \"ripcord@example.org\"")?;
                if to.is_empty() {
                    return Err("nobody would get the notices: write  to = [\"ops@example.org\"]".to_owned());
                }
                Ok(Channel::Mail(Mail { smtp, from, to }))
            }
            (None, true, None) => {
                none_of(&of_mail, "a webhook")?;
                let format = format.ok_or(
                    "`format` is missing: write  format = \"slack\", \"discord\", \"teams\", \"pagerduty\", \
                     \"statuspage\", \"cachet\" (version 3), \"cachet-2\" or \"json\"",
                )?;
                let page = page.unwrap_or_default();
                let webhook = Webhook { url: address(webhook, format)?, format, key, page, ca_file, allow_addresses };
                webhook.check()?;
                Ok(Channel::Webhook(webhook))
            }
            (None, false, Some(path)) => {
                none_of(&of_mail, "a file")?;
                none_of(&of_webhook, "a file")?;
                if path.file_name().is_none() {
                    return Err("`file` names no file".to_owned());
                }
                Ok(Channel::File(path))
            }
            (None, false, None) => Err("there is no way to anybody: write  smtp = { host = \"…\" },  \
                                        webhook = \"secret:…\" with format = \"…\", or  file = \"…\""
                .to_owned()),
            _ => Err("a connection has one way to people: keep one of  smtp,  webhook  and  file".to_owned()),
        }
    }
}

fn none_of(keys: &[(&str, bool)], channel: &str) -> Result<(), String> {
    match keys.iter().find(|(_, is_there)| *is_there) {
        Some((key, _)) => Err(format!("`{key}` has no use with {channel}: leave it out")),
        None => Ok(()),
    }
}

fn address(written: Option<WebhookUrl>, format: Format) -> Result<WebhookUrl, String> {
    match (written, format.address()) {
        (Some(url), _) => Ok(url),
        (None, Some(address)) => WebhookUrl::try_from(address.to_owned()),
        (None, None) => Err(format!("`webhook` is missing: where is {}?", format.service())),
    }
}

impl Webhook {
    fn check(&self) -> Result<(), String> {
        let service = self.format.service();
        if let (WebhookUrl::Open(url), None) = (&self.url, self.format.key_place())
            && !is_this_machine(url)
        {
            return Err(format!(
                "whoever knows this address can post to {service}, so it is a secret: write  webhook = \"secret:NAME\", \
                 and under [secrets] where NAME comes from"
            ));
        }
        match (&self.key, self.format.key_place()) {
            (None, Some(_)) if self.format.needs_key() => {
                return Err(format!("{service} lets nobody in without a key: write  key = \"secret:…\""));
            }
            (Some(_), None) => {
                return Err(format!("{service} has no key beside the webhook's own address: leave `key` out"));
            }
            _ => {}
        }
        let is_plain =
            |page: &str| page.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        match (self.format, self.page.as_str()) {
            (Format::Statuspage, "") => {
                Err("`page` is missing: the id in the address of your page at manage.statuspage.io".to_owned())
            }
            (Format::Statuspage, page) if !is_plain(page) => {
                Err("`page` is an id of letters and digits, not an address".to_owned())
            }
            (Format::Statuspage, _) | (_, "") => Ok(()),
            _ => Err(format!("`page` has no use with {service}: leave it out")),
        }
    }
}

impl From<Connection> for Table {
    fn from(connection: Connection) -> Self {
        let Connection { channel, timeout, template } = connection;
        let table = Self { timeout, template, ..Self::default() };
        match channel {
            Channel::Mail(Mail { smtp, from, to }) => Self { smtp: Some(smtp), from: Some(from), to, ..table },
            Channel::Webhook(Webhook { url, format, key, page, ca_file, allow_addresses }) => Self {
                webhook: Some(url),
                format: Some(format),
                key,
                page: Some(page).filter(|page| !page.is_empty()),
                ca_file,
                allow_addresses,
                ..table
            },
            Channel::File(path) => Self { file: Some(path), ..table },
        }
    }
}

#[async_trait]
impl CapabilityConnection for Connection {
    type Call = Call;
    type Reply = Reply;

    /// A connection that is there may be written to, and a notice always is a mutation.
    fn judge(&self, _name: &str, _call: &Call) -> Judgement {
        Judgement::Mutation
    }

    /// A notice is never sent a second time, whatever a plugin claims.
    fn repeat(&self, _call: &Call, _claim: Repeat) -> Repeat {
        Repeat::Once
    }

    fn deadline(&self, _call: &Call) -> Duration {
        self.timeout + GRACE.min(self.timeout)
    }

    fn server(&self) -> Option<(String, u16)> {
        let url = match &self.channel {
            Channel::Mail(mail) => return Some((mail.smtp.host.clone(), mail.smtp.port())),
            Channel::Webhook(Webhook { url: WebhookUrl::Open(url), .. }) => url,
            // An address that is a secret is told to nobody.
            Channel::Webhook(_) | Channel::File(_) => return None,
        };
        Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
    }

    async fn open(&self, opening: &Opening) -> Result<Arc<dyn Driver<Call = Call, Reply = Reply>>, OpenError> {
        let channel: Arc<dyn Deliver> = match &self.channel {
            Channel::Mail(mail) => Arc::new(SmtpDriver::open(mail, self.timeout, opening).await?),
            Channel::Webhook(webhook) => Arc::new(WebhookDriver::open(webhook, self.timeout, opening).await?),
            Channel::File(path) => Arc::new(FileDriver::open(path, self.timeout, opening)),
        };
        Ok(Arc::new(NoticeDriver { template: self.template.clone(), channel }))
    }

    async fn examine(&self, exam: &Exam<'_>) {
        doctor::examine(self, exam).await;
    }
}
