//! Policy: imports ∩ operator ∩ plan, for one execution.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::capability::{Call, Connection, Driver, Judgement, Repeat, Reply};
use crate::failure::Failure;
use crate::journal::Purpose;
use crate::manifest::Access;

/// A driver of any capability.
pub type DynDriver = Arc<dyn Driver<Call = Call, Reply = Reply>>;

/// What one execution may do.
#[derive(Clone)]
pub struct Policy {
    /// The capabilities that the component imports.
    pub imports: BTreeSet<String>,
    /// The roles that the plugin has asked for.
    pub roles: BTreeMap<String, Grant>,
    /// A reconciliation only observes, and so does a check that is no probe.
    pub observes_only: Option<&'static str>,
}

/// A role, and what the plan binds it to.
#[derive(Clone)]
pub struct Grant {
    /// The capability that the plugin asked for.
    pub capability: String,
    /// The most that the plugin asked for.
    pub access: Access,
    /// What the plan binds it to; an optional role may be left open.
    pub bound: Option<Bound>,
}

/// A connection that a role is bound to.
#[derive(Clone)]
pub struct Bound {
    /// `http.coolify`
    pub name: String,
    /// None in a replay, which reaches nothing.
    pub open: Option<Open>,
}

/// A connection that is open.
#[derive(Clone)]
pub struct Open {
    /// The operator's rules for it.
    pub connection: Arc<Connection>,
    /// What carries its calls out.
    pub driver: DynDriver,
}

impl Open {
    /// The longest that an attempt of a mutation may take that was sent with this marker.
    pub fn deadline(&self, call: &Call, marker: Option<&Value>) -> Duration {
        self.connection.deadline(call).saturating_add(self.driver.overtime(call, marker))
    }
}

/// What policy has decided of a call.
pub(super) struct Granted {
    pub open: Open,
    pub mutates: bool,
    pub repeat: Repeat,
}

impl Policy {
    /// The policy of an execution with this purpose; `probe` says whether the plan lets a check change
    /// something.
    pub fn for_purpose(
        purpose: &Purpose,
        imports: BTreeSet<String>,
        roles: BTreeMap<String, Grant>,
        probe: bool,
    ) -> Self {
        let observes_only = match purpose {
            Purpose::Apply(_) | Purpose::FollowUp(_) | Purpose::Undo(_) | Purpose::Notice(_) => None,
            Purpose::Reconcile(_) => Some("a reconciliation"),
            Purpose::Check(_) | Purpose::Drift(_) if probe => None,
            Purpose::Check(_) | Purpose::Drift(_) => Some("a check that is no probe"),
        };
        Self { imports, roles, observes_only }
    }

    /// The name of the connection behind a role; empty if there is none.
    pub(super) fn connection_name(&self, role: &str) -> String {
        self.roles.get(role).and_then(|grant| grant.bound.as_ref()).map(|bound| bound.name.clone()).unwrap_or_default()
    }

    /// The three bounds, one after the other. What is denied says who would have to allow it, and how.
    pub(super) fn judge(&self, role: &str, call: &Call, repeat: Repeat) -> Result<Granted, Failure> {
        let capability = call.capability().name();
        if !self.imports.contains(capability) {
            return Err(Failure::denied(format!("the component does not import {capability}")));
        }
        let grant = self.roles.get(role).ok_or_else(|| {
            Failure::denied(format!("the plugin's manifest names no role `{role}`: it has to say there what it needs"))
        })?;
        if grant.capability != capability {
            return Err(Failure::denied(format!("role `{role}` is one of {}, not of {capability}", grant.capability)));
        }
        let bound = grant.bound.as_ref().ok_or_else(|| {
            Failure::denied(format!("the plan does not bind role `{role}`: write  bind = {{ {role} = \"…\" }}  with the name of a [{capability}.…] connection"))
        })?;
        let Bound { name, open } = bound;
        let open = open.as_ref().ok_or_else(|| {
            Failure::denied(format!("{name} is not open: it could not be opened, or this is a replay"))
        })?;
        let mutates = match open.connection.judge(name, call) {
            Judgement::Read => false,
            Judgement::Mutation => true,
            Judgement::Denied(denial) => {
                let remedy = if denial.remedy.is_empty() {
                    String::new()
                } else {
                    format!("; to allow it, in ripcord.toml:  {}", denial.remedy)
                };
                return Err(Failure::denied(format!("{name}: {}{remedy}", denial.reason)));
            }
        };
        if mutates && grant.access == Access::Read {
            let message = format!(
                "the plugin asked for role `{role}` with read access only, and `{}` changes something",
                call.summary()
            );
            return Err(Failure::denied(message));
        }
        if let (true, Some(what)) = (mutates, self.observes_only) {
            return Err(Failure::denied(format!("`{}` changes something, and {what} only observes", call.summary())));
        }
        let repeat = open.connection.repeat(call, repeat);
        Ok(Granted { open: open.clone(), mutates, repeat })
    }
}
