//! How it is done.

use std::time::Duration;

use ripcord_plugin::command::Program;
use ripcord_plugin::docker::{self, Engine};
use ripcord_plugin::git::{self, WorkingCopy};
use ripcord_plugin::http::Service;
use ripcord_plugin::notify::Channel;
use ripcord_plugin::sql::{self, Database};
use ripcord_plugin::{Call, Failure, Reply, Result, clock, command, http, log};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::operation::{Named, Operation};

#[derive(Default)]
pub(crate) struct Execution {
    pub(crate) replies: Vec<Value>,
}

impl Execution {
    pub(crate) fn perform(&mut self, operations: &[Operation]) -> Result<()> {
        for operation in operations {
            let reply = match operation {
                Operation::Call(named) => self.call(named)?,
                Operation::SleepMs(milliseconds) => {
                    clock::sleep(Duration::from_millis(*milliseconds));
                    Value::Null
                }
                Operation::Now => json!(clock::now().seconds),
                Operation::Log(message) => {
                    log::info(message);
                    Value::Null
                }
                Operation::Fail(fail) => return Err(fail.into()),
                Operation::Trap => std::process::abort(),
                Operation::If(condition) => {
                    self.replies.push(Value::Null);
                    if fill(&json!(condition.value), &self.replies) == json!(condition.is) {
                        self.perform(&condition.then)?;
                    }
                    continue;
                }
            };
            self.replies.push(reply);
        }
        Ok(())
    }

    fn call(&self, named: &Named) -> Result<Value> {
        match send(named, fill(&named.call, &self.replies)) {
            Err(failure) if named.catch => Ok(json!({ "failure": { kind(&failure): failure.message() } })),
            outcome => outcome,
        }
    }
}

fn kind(failure: &Failure) -> &'static str {
    match failure {
        Failure::Denied(_) => "denied",
        Failure::Transient(_) => "transient",
        Failure::Permanent(_) => "permanent",
        Failure::Unknown(_) => "unknown",
    }
}

/// Fills `{N:POINTER}` in, in each string of a value.
pub(crate) fn fill(value: &Value, replies: &[Value]) -> Value {
    match value {
        Value::String(text) => Value::String(fill_text(text, replies)),
        Value::Array(values) => values.iter().map(|value| fill(value, replies)).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), fill(value, replies))).collect(),
        other => other.clone(),
    }
}

/// Whether a value may be this template, filled in: an undo without a receipt has no replies to fill
/// in. What stands before the first hole and behind the last one decides.
pub(crate) fn may_become(template: &Value, value: &Value) -> bool {
    match (template, value) {
        (Value::String(template), Value::String(text)) => match (template.split_once('{'), template.rsplit_once('}')) {
            (Some((before, _)), Some((_, behind))) => text.starts_with(before) && text.ends_with(behind),
            _ => template == text,
        },
        (Value::Array(templates), Value::Array(values)) => {
            templates.len() == values.len()
                && templates.iter().zip(values).all(|(template, value)| may_become(template, value))
        }
        // The journal leaves out what is empty, and a configuration may have it.
        (Value::Object(templates), Value::Object(values)) => {
            values.iter().all(|(name, value)| templates.get(name).is_some_and(|template| may_become(template, value)))
        }
        (template, value) => template == value,
    }
}

fn fill_text(text: &str, replies: &[Value]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let hole = after.split_once('}').and_then(|(hole, behind)| {
            let (place, pointer) = hole.split_once(':')?;
            Some((replies.get(place.parse::<usize>().ok()?)?.pointer(pointer)?, behind))
        });
        filled.push_str(before);
        match hole {
            Some((value, behind)) => {
                match value {
                    Value::String(text) => filled.push_str(text),
                    other => filled.push_str(&other.to_string()),
                }
                rest = behind;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

/// A read of a working copy, in the journal's form. The SDK's [`git::Call`] has the mutations.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum GitRead {
    Resolve { revision: String },
    Log { revision: String, paths: Vec<String>, limit: u32 },
    Diff { from: String, to: Option<String>, paths: Vec<String> },
    Show { revision: String, path: String },
    Status { paths: Vec<String> },
    RemoteHead { branch: String },
}

/// A query, in the journal's form. The SDK's [`sql::Call`] has the mutations.
#[derive(Deserialize)]
struct SqlQuery {
    statement: String,
    parameters: Vec<sql::Value>,
}

/// A look at containers, in the journal's form. The SDK's [`docker::Call`] has what is not only that.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DockerRead {
    List,
    Inspect { container: String },
    Logs { container: String, tail: u32, since: Option<i64> },
    Stats { container: String },
}

fn send(named: &Named, call: Value) -> Result<Value> {
    if let Ok(read) = DockerRead::deserialize(&call["docker"]) {
        return docker_read(Engine::role(&named.role), read).map(|reply| json!({ "docker": reply }));
    }
    if let Ok(query) = SqlQuery::deserialize(&call["sql"]["query"]) {
        let asked = Database::role(&named.role).query(query.statement);
        let rows = query.parameters.into_iter().fold(asked, sql::Query::parameter).send()?;
        return Ok(json!({ "sql": { "rows": rows } }));
    }
    if let Ok(read) = GitRead::deserialize(&call["git"]) {
        return git_read(WorkingCopy::role(&named.role), read).map(|reply| json!({ "git": reply }));
    }
    let call = serde_json::from_value(call.clone())
        .map_err(|error| Failure::permanent(format!("{call} is no call: {error}")))?;
    let reply = match call {
        Call::Http(call) => Reply::Http(http(named, call)?),
        Call::Git(call) => Reply::Git(git_mutation(named, call)?),
        Call::Sql(call) => Reply::Sql(sql_mutation(named, call)?),
        Call::Docker(call) => Reply::Docker(docker_call(named, call)?),
        Call::Command(call) => Reply::Command(command(named, call)?),
        Call::Notify(notice) => Reply::Notify(Channel::role(&named.role).send(&notice)?),
        call => return Err(Failure::permanent(format!("{call:?} is not known here"))),
    };
    serde_json::to_value(reply).map_err(|error| Failure::permanent(error.to_string()))
}

fn http(named: &Named, call: http::Call) -> Result<http::Response> {
    let mut request = Service::role(&named.role).request(&call.method, call.path).repeat((&named.repeat).into());
    for (name, value) in call.headers {
        request = request.header(name, value);
    }
    if let Some(body) = call.body {
        request = request.body(body);
    }
    if let Some(Reply::Http(response)) = &named.assume {
        request = request.assume(response.clone());
    }
    request.send()
}

fn git_read(code: WorkingCopy, read: GitRead) -> Result<Value> {
    let path = |changed: &git::ChangedPath| json!({ "path": changed.path, "change": format!("{:?}", changed.change) });
    Ok(match read {
        GitRead::Resolve { revision } => json!({ "resolved": code.resolve(&revision)? }),
        GitRead::Log { revision, paths, limit } => {
            let commits = code.log(&revision, &paths, limit)?;
            json!({ "commits": commits.iter().map(|commit| json!({ "id": commit.id, "message": commit.message })).collect::<Vec<_>>() })
        }
        GitRead::Diff { from, to, paths } => {
            let difference = code.diff(&from, to.as_deref(), &paths)?;
            json!({ "difference": {
                "paths": difference.paths.iter().map(path).collect::<Vec<_>>(),
                "patch": difference.patch,
            } })
        }
        GitRead::Show { revision, path } => {
            json!({ "content": String::from_utf8_lossy(&code.show(&revision, &path)?) })
        }
        GitRead::Status { paths } => {
            json!({ "status": code.status(&paths)?.iter().map(path).collect::<Vec<_>>() })
        }
        GitRead::RemoteHead { branch } => json!({ "remote-head": code.remote_head(&branch)? }),
    })
}

fn git_mutation(named: &Named, call: git::Call) -> Result<git::Reply> {
    let code = WorkingCopy::role(&named.role);
    let moving = match call {
        git::Call::Restore { revision, paths } => code.restore(&revision, &paths),
        git::Call::Reset { revision } => code.reset(&revision),
        git::Call::Revert { revision } => code.revert(&revision),
        git::Call::Commit { message, paths } => code.commit(&message, &paths),
        git::Call::Push { revision, branch, lease } => {
            let mut push = code.push(&revision, &branch, lease.as_deref()).repeat((&named.repeat).into());
            if let Some(Reply::Git(git::Reply::Pushed(pushed))) = &named.assume {
                push = push.assume(pushed.clone());
            }
            return push.send().map(git::Reply::Pushed);
        }
    };
    let mut moving = moving.repeat((&named.repeat).into());
    if let Some(Reply::Git(git::Reply::Moved(moved))) = &named.assume {
        moving = moving.assume(moved.clone());
    }
    moving.send().map(git::Reply::Moved)
}

fn sql_mutation(named: &Named, call: sql::Call) -> Result<sql::Reply> {
    let (database, repeat) = (Database::role(&named.role), (&named.repeat).into());
    let (statement, parameters) = match call {
        sql::Call::Execute { statement, parameters } => (statement, parameters),
        sql::Call::Restore { backup, sha256 } => {
            let mut restore = database.restore(backup, sha256.as_deref()).repeat(repeat);
            if let Some(Reply::Sql(sql::Reply::Restored(restored))) = &named.assume {
                restore = restore.assume(restored.clone());
            }
            return restore.send().map(sql::Reply::Restored);
        }
        sql::Call::Swap { database: new } => {
            let mut swap = database.swap(new).repeat(repeat);
            if let Some(Reply::Sql(sql::Reply::Swapped(swapped))) = &named.assume {
                swap = swap.assume(swapped.clone());
            }
            return swap.send().map(sql::Reply::Swapped);
        }
        sql::Call::DropDatabase { database: name } => {
            return database.drop_database(&name).repeat(repeat).send().map(|()| sql::Reply::Dropped(name));
        }
        sql::Call::DeleteBackup { name } => {
            return database.delete_backup(&name).repeat(repeat).send().map(|()| sql::Reply::Deleted(name));
        }
        // What makes dumps is `backup-before-deploy`.
        sql::Call::Dump { .. } => return Err(Failure::permanent("this guest makes no dumps")),
    };
    let execute = database.execute(statement).repeat(repeat);
    let mut execute = parameters.into_iter().fold(execute, sql::Execute::parameter);
    if let Some(Reply::Sql(sql::Reply::Executed(executed))) = &named.assume {
        execute = execute.assume(executed.clone());
    }
    execute.send().map(sql::Reply::Executed)
}

fn docker_read(engine: Engine, read: DockerRead) -> Result<Value> {
    let shown = |container: &docker::Container| {
        json!({
            "name": container.name,
            "service": container.service,
            "image": container.image,
            "state": container.state,
            "health": format!("{:?}", container.health),
            "restarts": container.restarts,
            "exit-code": container.exit_code,
            "started-at": container.started_at,
            "labels": container.labels.iter().map(|label| (label.name.clone(), json!(label.value))).collect::<Map<_, _>>(),
        })
    };
    Ok(match read {
        DockerRead::List => {
            json!({ "containers": engine.list(None)?.iter().map(shown).collect::<Vec<_>>() })
        }
        DockerRead::Inspect { container } => json!({ "container": shown(&engine.inspect(&container, None)?) }),
        DockerRead::Logs { container, tail, since } => {
            let logs = engine.logs(&container, tail, since)?;
            let line =
                |line: &docker::LogLine| json!({ "at": line.at, "is-stderr": line.is_stderr, "text": line.text });
            json!({ "lines": logs.lines.iter().map(line).collect::<Vec<_>>(), "truncated": logs.truncated })
        }
        DockerRead::Stats { container } => {
            let usage = engine.stats(&container)?;
            json!({ "cpu-percent": usage.cpu_percent, "memory-bytes": usage.memory_bytes })
        }
    })
}

fn docker_call(named: &Named, call: docker::Call) -> Result<docker::Reply> {
    let engine = Engine::role(&named.role);
    let switch = match call {
        docker::Call::Stop { containers, grace } => match grace {
            Some(grace) => engine.stop(&containers).grace(grace),
            None => engine.stop(&containers),
        },
        docker::Call::Start { containers } => engine.start(&containers),
        docker::Call::Restart { containers, grace } => match grace {
            Some(grace) => engine.restart(&containers).grace(grace),
            None => engine.restart(&containers),
        },
        docker::Call::Exec { container, argv } => {
            let mut exec = engine.exec(&container, &argv);
            if let Some(Reply::Docker(docker::Reply::Output(output))) = &named.assume {
                exec = exec.assume(output.clone());
            }
            return exec.send().map(docker::Reply::Output);
        }
    };
    let mut switch = switch.repeat((&named.repeat).into());
    if let Some(Reply::Docker(docker::Reply::Changed(changed))) = &named.assume {
        switch = switch.assume(changed.clone());
    }
    switch.send().map(docker::Reply::Changed)
}

fn command(named: &Named, call: command::Call) -> Result<command::Output> {
    let mut run = Program::role(&named.role).run();
    for (name, value) in call.arguments {
        run = run.argument(name, value);
    }
    if let Some(Reply::Command(output)) = &named.assume {
        run = run.assume(output.clone());
    }
    run.send()
}
