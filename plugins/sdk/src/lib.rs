//! Writes a ripcord plugin in Rust.
//!
//! A plugin is an [`Action`], which does and undoes, or a [`Check`], which observes. It is built for
//! `wasm32-wasip2` as a `cdylib`, holds no credentials, and reaches the world only through *roles*
//! that the plan binds to the operator's connections:
//!
//! ```no_run
//! use ripcord_plugin::{Action, Context, Effects, Manifest, Result, Role, export_action, http};
//! use serde::{Deserialize, Serialize};
//!
//! const ADMIN: http::Service = http::Service::role("admin");
//!
//! struct ReadOnly;
//!
//! #[derive(Deserialize)]
//! struct Config {
//!     scope: String,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Receipt {
//!     scope: String,
//! }
//!
//! impl Action for ReadOnly {
//!     type Config = Config;
//!     type Receipt = Receipt;
//!
//!     fn manifest() -> Manifest {
//!         Manifest {
//!             name: "read-only",
//!             version: "1.0.0",
//!             title: "Read-only mode",
//!             description: "Turns the read-only mode of a scope on; undo turns it off.",
//!             parameters: r#"{
//!                 "type": "object",
//!                 "properties": { "scope": { "type": "string" } },
//!                 "required": ["scope"],
//!                 "additionalProperties": false
//!             }"#,
//!             roles: vec![Role::write("admin", "http", "to turn the mode on and off")],
//!             can_undo: true,
//!         }
//!     }
//!
//!     fn apply(_: &Context, config: Config) -> Result<Receipt> {
//!         let path = format!("/scopes/{}/read-only", http::segment(&config.scope));
//!         ADMIN.put(path).idempotent().assume(http::Response::new(204)).send()?.expect_success()?;
//!         Ok(Receipt { scope: config.scope })
//!     }
//!
//!     fn undo(_: &Context, config: Config, effects: Effects, _: Option<Receipt>) -> Result<()> {
//!         if !effects.is_empty() {
//!             let path = format!("/scopes/{}/read-only", http::segment(&config.scope));
//!             ADMIN.delete(path).idempotent().assume(http::Response::new(204)).send()?.expect_success()?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! export_action!(ReadOnly);
//! # fn main() {}
//! ```
//!
//! Three habits make a plugin good:
//!
//! - **Look first.** Read what is there before the first mutation, and leave out what is already as
//!   it should be. An `apply` without a mutation says that there was nothing to roll back.
//! - **Assume.** Give each mutation the reply that it will plausibly have (`assume`). A preview
//!   answers with it, and so can list the calls behind it too.
//! - **Undo any prefix.** `undo` is told which mutations were made ([`Effects`]); `apply` may have
//!   ended after each of them.

#[doc(hidden)]
pub mod bindings;

mod action;
mod check;
mod failure;
mod journaled;
mod manifest;
mod payload;
mod span;

pub mod clock;
pub mod command;
pub mod docker;
pub mod expect;
pub mod git;
pub mod http;
pub mod lines;
pub mod log;
pub mod notify;
pub mod sql;

pub use action::{Action, Effect, Effects, Pending, Reconciliation};
pub use bindings::action::ripcord::plugin::plugin::Context;
pub use bindings::action::ripcord::plugin::types::Repeat;
pub use check::{Check, Measurement, Outcome, Verdict};
pub use failure::{Failure, Problem, Result};
pub use journaled::{Call, Reply};
pub use manifest::{Access, GoodState, Manifest, Role};
pub use payload::Payload;
pub use span::Span;

#[doc(hidden)]
pub mod exported {
    pub use crate::action::ExportedAction;
    pub use crate::check::ExportedCheck;
}

/// Makes an [`Action`] the component's export. Once a crate, and not together with
/// [`export_check!`].
#[macro_export]
macro_rules! export_action {
    ($action:ty) => {
        #[doc(hidden)]
        type RipcordExport = $crate::exported::ExportedAction<$action>;
        $crate::bindings::action::export!(RipcordExport with_types_in $crate::bindings::action);
    };
}

/// Makes a [`Check`] the component's export. Once a crate, and not together with
/// [`export_action!`].
#[macro_export]
macro_rules! export_check {
    ($check:ty) => {
        #[doc(hidden)]
        type RipcordExport = $crate::exported::ExportedCheck<$check>;
        $crate::bindings::check::export!(RipcordExport with_types_in $crate::bindings::check);
    };
}
