//! Tells people: the users, the dashboard, the administrators, the status page, each as far as the
//! plan has bound it. A notice that can't be sent never fails the step; the receipt says what
//! became of each.

use std::collections::BTreeMap;

use ripcord_plugin::notify::{Channel, Delivery, Notice, Severity, State};
use ripcord_plugin::{Action, Context, Effects, Manifest, Result, Role, export_action, log};
use serde::{Deserialize, Serialize};

struct NotifyPeople;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    subject: String,
    text: String,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    state: Option<State>,
    severity: Option<Severity>,
    #[serde(default)]
    to: BTreeMap<String, Words>,
}

/// What some people are told otherwise than the others.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    subject: Option<String>,
    text: Option<String>,
    fields: Option<BTreeMap<String, String>>,
    state: Option<State>,
    severity: Option<Severity>,
}

impl Config {
    /// What the people behind a role are told.
    fn notice(&mut self, role: &str) -> Notice {
        let own = self.to.remove(role).unwrap_or_default();
        Notice {
            subject: own.subject.unwrap_or_else(|| self.subject.clone()),
            text: own.text.unwrap_or_else(|| self.text.clone()),
            fields: own.fields.unwrap_or_else(|| self.fields.clone()).into_iter().collect(),
            state: own.state.or(self.state),
            severity: own.severity.or(self.severity),
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Receipt {
    /// Roles.
    sent: Vec<String>,
    /// Role and why it can't be known.
    perhaps_sent: BTreeMap<String, String>,
    /// Role and why.
    not_sent: BTreeMap<String, String>,
}

impl Action for NotifyPeople {
    type Config = Config;
    type Receipt = Receipt;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "Notify people",
            description: "Sends a notice to each channel that the plan binds: users, dashboard, administrators, \
                          status-page. `to` has words of their own for some. A notice that can't be sent never fails the step.",
            parameters: include_str!("parameters.json"),
            roles: vec![
                Role::write("users", "notify", "to tell the affected users").optional(),
                Role::write("dashboard", "notify", "to put a notice on the dashboard").optional(),
                Role::write("administrators", "notify", "to tell the administrators").optional(),
                Role::write("status-page", "notify", "to update the status page").optional(),
            ],
            can_undo: false,
        }
    }

    fn apply(context: &Context, mut config: Config) -> Result<Receipt> {
        let mut receipt = Receipt::default();
        for role in &context.roles {
            let delivery = Channel::role(role).send(&config.notice(role));
            match delivery.unwrap_or_else(|failure| Delivery::NotSent(failure.message().to_owned())) {
                Delivery::Sent => receipt.sent.push(role.clone()),
                Delivery::PerhapsSent(why) => {
                    log::warn(format!("the notice to {role} was perhaps not sent: {why}"));
                    receipt.perhaps_sent.insert(role.clone(), why);
                }
                Delivery::NotSent(why) => {
                    log::warn(format!("the notice to {role} was not sent: {why}"));
                    receipt.not_sent.insert(role.clone(), why);
                }
            }
        }
        Ok(receipt)
    }

    /// What people have read can't be taken back.
    fn undo(_: &Context, _: Config, _: Effects, _: Option<Receipt>) -> Result<()> {
        Ok(())
    }
}

export_action!(NotifyPeople);
