//! Calls and replies as the journal keeps them: what [`undo`](crate::Action::undo) and
//! [`reconcile`](crate::Action::reconcile) are handed.
//!
//! | JSON | |
//! |---|---|
//! | `{"http": {"method": "POST", "path": "/x", "headers": [["accept", "text/plain"]], "body": "…"}}` | call; no headers and no body are left out |
//! | `{"http": {"status": 200, "headers": [], "body": "…"}}` | reply |
//! | `{"git": {"restore": {"revision": "v1", "paths": ["src/a.ts"]}}}` | call; also `reset`, `revert`, `commit`, `push` and the reads |
//! | `{"git": {"moved": {"head": "…", "previous": "…", "changed": ["src/a.ts"]}}}` | reply of `restore`, `reset`, `revert`, `commit` |
//! | `{"git": {"pushed": {"branch": "main", "head": "…", "previous": "…"}}}` | reply of `push` |
//! | `{"docker": {"stop": {"containers": ["app"], "grace": null}}}` | call; also `start`, `restart`, `exec` and the reads |
//! | `{"docker": {"changed": [{"name": "app", "before": "running", "after": "exited"}]}}` | reply of `stop`, `start`, `restart` |
//! | `{"docker": {"output": {"ending": {"exited": 0}, "stdout": "…", "stderr": "…", "truncated": false}}}` | reply of `exec`; `"lost"` |
//! | `{"sql": {"execute": {"statement": "…", "parameters": [{"integer": 1}, "null"]}}}` | call; also `query` |
//! | `{"sql": {"restore": {"backup": "…", "sha256": "…"}}}` | call; also `dump`, `swap`, `drop-database`, `delete-backup` |
//! | `{"sql": {"restored": {"database": "…", "tables": 9, "rows": 900}}}` | reply of `restore` |
//! | `{"sql": {"swapped": {"live": "app", "kept": "…"}}}` | reply of `swap` |
//! | `{"sql": {"backup": {"name": "…", …}}}` | reply of `dump`; of the other two `{"dropped": "…"}`, `{"deleted": "…"}` |
//! | `{"sql": {"executed": {"affected": 1, "returned": {"columns": [], "rows": []}}}}` | reply of `execute` |
//! | `{"command": {"arguments": [["name", "value"]]}}` | call |
//! | `{"command": {"ending": {"exited": 0}, "stdout": "…", "stderr": "…", "truncated": false}}` | reply; `{"signalled": 9}`, `"timed-out"` |
//! | `{"notify": {"subject": "…", "text": "…", "fields": [["name", "value"]]}}` | call |
//! | `{"notify": "sent"}` | reply; `{"perhaps-sent": "why"}`, `{"not-sent": "why"}` |
//!
//! Bodies and outputs are strings if they are UTF-8, else `{"base64": "…"}`.

use serde::{Deserialize, Serialize};

use crate::{command, docker, git, http, notify, sql};

/// A call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Call {
    /// A request.
    Http(http::Call),
    /// Work on a working copy or its remote.
    Git(git::Call),
    /// Work on containers.
    Docker(docker::Call),
    /// A statement that changes a database.
    Sql(sql::Call),
    /// A program.
    Command(command::Call),
    /// A notice.
    Notify(notify::Notice),
}

/// A call's reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reply {
    /// A response, whatever its status.
    Http(http::Response),
    /// What the work left behind.
    Git(git::Reply),
    /// What became of the containers.
    Docker(docker::Reply),
    /// What the statement has changed.
    Sql(sql::Reply),
    /// What the program did.
    Command(command::Output),
    /// What became of the notice.
    Notify(notify::Delivery),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    /// Reads a value as `T` and writes it again.
    fn through<T: DeserializeOwned + Serialize>(value: &Value) -> Value {
        serde_json::to_value(serde_json::from_value::<T>(value.clone()).unwrap()).unwrap()
    }

    /// One of each kind.
    fn values() -> Value {
        json!([
            "null", { "boolean": true }, { "integer": 9007199254740993_i64 }, { "float": 0.1 }, { "float": "NaN" },
            { "numeric": "1.50" }, { "text": "é" }, { "bytes": { "base64": "/w==" } }, { "date": "2026-11-23" },
            { "timestamptz": "2026-11-23T13:05:00Z" }, { "uuid": "x" }, { "json": "{}" },
            { "array": [{ "text": "a" }, "null"] },
        ])
    }

    #[test]
    fn what_the_journal_holds_is_read_and_written_unchanged() {
        for call in [
            json!({ "http": { "method": "POST", "path": "/x", "headers": [["accept", "text/plain"]], "body": "é" } }),
            json!({ "http": { "method": "DELETE", "path": "/x", "body": { "base64": "/w==" } } }),
            json!({ "git": { "restore": { "revision": "v1", "paths": ["src/a.ts"] } } }),
            json!({ "git": { "reset": { "revision": "HEAD~1" } } }),
            json!({ "git": { "revert": { "revision": "HEAD" } } }),
            json!({ "git": { "commit": { "message": "m", "paths": [] } } }),
            json!({ "git": { "push": { "revision": "a", "branch": "main", "lease": null } } }),
            json!({ "sql": { "execute": { "statement": "DELETE FROM a WHERE b = $1", "parameters": values() } } }),
            json!({ "sql": { "dump": { "format": "plain-gzip", "version": "1.4.2" } } }),
            json!({ "sql": { "restore": { "backup": "app.dump", "sha256": null } } }),
            json!({ "sql": { "swap": { "database": "app_new" } } }),
            json!({ "sql": { "drop-database": { "database": "app_new" } } }),
            json!({ "sql": { "delete-backup": { "name": "app.dump" } } }),
            json!({ "docker": { "stop": { "containers": ["app"], "grace": 3 } } }),
            json!({ "docker": { "start": { "containers": ["app"] } } }),
            json!({ "docker": { "exec": { "container": "db", "argv": ["true"] } } }),
            json!({ "command": { "arguments": [["name", "value"]] } }),
            json!({ "notify": { "subject": "s", "text": "t", "fields": [["name", "value"]] } }),
        ] {
            assert_eq!(through::<Call>(&call), call);
        }
        for reply in [
            json!({ "http": { "status": 200, "headers": [["a", "b"]], "body": "" } }),
            json!({ "git": { "moved": { "head": "a", "previous": "b", "changed": ["src/a.ts"] } } }),
            json!({ "docker": { "changed": [
                { "name": "app", "before": "running", "after": "exited", "problem": null },
                { "name": "worker", "before": "restarting", "after": "dead", "problem": "why" },
            ] } }),
            json!({ "docker": { "output": {
                "ending": { "exited": 0 }, "stdout": "", "stderr": { "base64": "/w==" }, "truncated": true,
            } } }),
            json!({ "git": { "pushed": { "branch": "main", "head": "a", "previous": "b" } } }),
            json!({ "sql": { "executed": { "affected": 2, "returned": {
                "columns": [{ "name": "b", "type-name": "int4" }], "rows": [values()]
            } } } }),
            json!({ "sql": { "backup": { "name": "app.dump", "bytes": 1, "taken-at": "2026-11-23T00:00:00Z" } } }),
            json!({ "sql": { "restored": { "database": "app_new", "tables": 2, "rows": 3 } } }),
            json!({ "sql": { "swapped": { "live": "app", "kept": "app_before" } } }),
            json!({ "sql": { "dropped": "app_new" } }),
            json!({ "sql": { "deleted": "app.dump" } }),
            json!({ "command": { "ending": { "exited": 0 }, "stdout": "", "stderr": "", "truncated": false } }),
            json!({ "command": { "ending": "timed-out", "stdout": "", "stderr": "", "truncated": true } }),
            json!({ "notify": "sent" }),
            json!({ "notify": { "perhaps-sent": "why" } }),
        ] {
            assert_eq!(through::<Reply>(&reply), reply);
        }
    }
}
