//! The plugin that does and undoes.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::action::exports::ripcord::plugin::action as wit;
use crate::bindings::action::ripcord::plugin::plugin as wit_plugin;
use crate::failure::{parse, parse_config};
use crate::{Call, Context, Failure, Manifest, Reply, Result};

/// A plugin that does something and can take it back. Each function runs on a fresh instance: what
/// is to be remembered is in the receipt.
pub trait Action {
    /// What the plan's `with` holds, as [`Manifest::parameters`] describes it.
    type Config: DeserializeOwned;
    /// What later steps, the verification and `undo` may need. It serialises to a JSON object;
    /// `serde_json::Map` is one.
    type Receipt: Serialize + DeserializeOwned;

    /// What the plugin is. No call is allowed here.
    fn manifest() -> Manifest;

    /// Does the rollback. With no mutation made, success means that there was nothing to roll back.
    fn apply(context: &Context, config: Self::Config) -> Result<Self::Receipt>;

    /// Takes back what `apply` did, from the newest effect to the oldest. It copes with any prefix of
    /// the effects: `apply` has a receipt only if it ended well.
    fn undo(context: &Context, config: Self::Config, effects: Effects, receipt: Option<Self::Receipt>) -> Result<()>;

    /// Finds out, by reads, what became of a mutation whose reply was lost.
    fn reconcile(context: &Context, config: Self::Config, pending: Pending) -> Reconciliation {
        let _ = (context, config, pending);
        Reconciliation::Unknown(format!("{} can't tell", Self::manifest().name))
    }
}

/// The mutations that an `apply` made, oldest first.
#[derive(Debug)]
pub struct Effects(Vec<Effect>);

impl Effects {
    /// Oldest first; `.rev()` gives the order in which an undo goes.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Effect> {
        self.0.iter()
    }

    /// Whether `apply` has made none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A mutation that `apply` made.
#[derive(Debug)]
pub struct Effect(wit::Effect);

impl Effect {
    /// Its place among the execution's calls, from 0.
    pub fn ordinal(&self) -> u32 {
        self.0.ordinal
    }

    /// The role that it was made through.
    pub fn role(&self) -> &str {
        &self.0.role
    }

    /// What was asked.
    pub fn call(&self) -> Result<Call> {
        parse("a journaled call", &self.0.call)
    }

    /// What came back; none if nobody could find out whether it happened.
    pub fn reply(&self) -> Result<Option<Reply>> {
        self.0.reply.as_deref().map(|reply| parse("a journaled reply", reply)).transpose()
    }
}

/// A mutation of which only the intent is known.
#[derive(Debug)]
pub struct Pending(wit::Pending);

impl Pending {
    /// The role that it was made through.
    pub fn role(&self) -> &str {
        &self.0.role
    }

    /// What was asked.
    pub fn call(&self) -> Result<Call> {
        parse("a journaled call", &self.0.call)
    }
}

/// What became of a pending mutation.
#[derive(Debug, Clone, PartialEq)]
pub enum Reconciliation {
    /// It happened, and this is the reply that it must have had.
    Happened(Reply),
    /// It did not happen.
    DidNotHappen,
    /// It can't be told from the target; what was seen.
    Unknown(String),
}

/// What [`export_action!`](crate::export_action) exports.
#[doc(hidden)]
#[derive(Debug)]
pub struct ExportedAction<A>(PhantomData<A>);

impl<A: Action> wit::Guest for ExportedAction<A> {
    fn describe() -> wit_plugin::Manifest {
        A::manifest().into()
    }

    fn apply(context: Context, config: String) -> Result<String> {
        let receipt = A::apply(&context, parse_config(&config)?)?;
        serde_json::to_string(&receipt).map_err(|error| Failure::permanent(format!("the receipt is no JSON: {error}")))
    }

    fn undo(context: Context, config: String, effects: Vec<wit::Effect>, receipt: Option<String>) -> Result<()> {
        let effects = Effects(effects.into_iter().map(Effect).collect());
        let receipt = receipt.map(|receipt| parse("the receipt", &receipt)).transpose()?;
        A::undo(&context, parse_config(&config)?, effects, receipt)
    }

    fn reconcile(context: Context, config: String, call: wit::Pending) -> wit::Reconciliation {
        let reconciliation = match parse_config(&config) {
            Ok(config) => A::reconcile(&context, config, Pending(call)),
            Err(failure) => Reconciliation::Unknown(failure.message().to_owned()),
        };
        match reconciliation {
            Reconciliation::Happened(reply) => match serde_json::to_string(&reply) {
                Ok(reply) => wit::Reconciliation::Happened(reply),
                Err(error) => wit::Reconciliation::Unknown(format!("it happened, but its reply is no JSON: {error}")),
            },
            Reconciliation::DidNotHappen => wit::Reconciliation::DidNotHappen,
            Reconciliation::Unknown(seen) => wit::Reconciliation::Unknown(seen),
        }
    }
}
