//! A guest that traps before anybody has asked it for anything.

use ripcord_plugin::{Check, Context, Failure, Manifest, Result, Verdict, export_check};

struct HostileDescribe;

impl Check for HostileDescribe {
    type Config = serde_json::Value;

    fn manifest() -> Manifest {
        std::process::abort()
    }

    fn check(_: &Context, _: serde_json::Value) -> Result<Verdict> {
        Err(Failure::permanent("nobody runs a plugin that can't describe itself"))
    }
}

export_check!(HostileDescribe);
