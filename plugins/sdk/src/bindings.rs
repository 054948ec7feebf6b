//! What wit-bindgen makes of the contract.
//!
//! `pub_export_macro` keeps the worlds apart: the section that says what a component exports stands
//! in the export macro, so a plugin carries that of the one world that it exports.
#![allow(unsafe_code, unreachable_pub, missing_docs, reason = "generated")]
#![allow(clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "generated")]

pub mod action {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "action-plugin",
        pub_export_macro: true,
        default_bindings_module: "ripcord_plugin::bindings::action",
        runtime_path: "::wit_bindgen::rt",
        additional_type_attributes: {
            "ripcord:plugin/docker@0.1.0/changed": [#[derive(PartialEq, Eq, serde::Serialize, serde::Deserialize)]],
            "ripcord:plugin/docker@0.1.0/state":
                [#[derive(serde::Serialize, serde::Deserialize)] #[serde(rename_all = "kebab-case")]],
            "ripcord:plugin/git@0.1.0/moved": [#[derive(PartialEq, Eq, serde::Serialize, serde::Deserialize)]],
            "ripcord:plugin/git@0.1.0/pushed": [#[derive(PartialEq, Eq, serde::Serialize, serde::Deserialize)]],
        },
    });
}

pub mod check {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "check-plugin",
        pub_export_macro: true,
        default_bindings_module: "ripcord_plugin::bindings::check",
        runtime_path: "::wit_bindgen::rt",
        with: {
            "ripcord:plugin/types@0.1.0": crate::bindings::action::ripcord::plugin::types,
            "ripcord:plugin/plugin@0.1.0": crate::bindings::action::ripcord::plugin::plugin,
            "ripcord:plugin/http@0.1.0": crate::bindings::action::ripcord::plugin::http,
            "ripcord:plugin/docker@0.1.0": crate::bindings::action::ripcord::plugin::docker,
            "ripcord:plugin/git@0.1.0": crate::bindings::action::ripcord::plugin::git,
            "ripcord:plugin/sql@0.1.0": crate::bindings::action::ripcord::plugin::sql,
            "ripcord:plugin/command@0.1.0": crate::bindings::action::ripcord::plugin::command,
            "ripcord:plugin/notify@0.1.0": crate::bindings::action::ripcord::plugin::notify,
            "ripcord:plugin/clock@0.1.0": crate::bindings::action::ripcord::plugin::clock,
            "ripcord:plugin/log@0.1.0": crate::bindings::action::ripcord::plugin::log,
        },
    });
}
