//! Runs a connection's program under a supervisor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::connection::{Connection, EnvValue, Settings};
use super::{Call, Reply};
use crate::capability::{At, Driver, Exactly, OpenError, Opening, Prepared, Settlement};
use crate::failure::Failure;
use crate::process::{self, Finished, Held, ProcessError, Recovered, Spec, Supervisors};
use crate::shell;

/// What a program gets of ripcord's own environment without being asked for.
pub(super) const ENV_ALWAYS: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"];

/// One program, found and ready to be run. Not `Debug`: it holds secrets.
pub(super) struct CommandDriver {
    connection: Connection,
    program: String,
    cwd: PathBuf,
    env: BTreeMap<String, String>,
    env_secret: BTreeMap<String, SecretString>,
    supervisors: Supervisors,
    spool: PathBuf,
}

impl CommandDriver {
    pub(super) async fn open(connection: Connection, opening: &Opening) -> Result<Self, OpenError> {
        let settings = connection.settings();
        let base = std::path::absolute(&opening.base).map_err(|error| OpenError::Unusable(error.to_string()))?;
        let cwd = settings.cwd.as_ref().map_or_else(|| base.clone(), |cwd| base.join(cwd));
        if !cwd.is_dir() {
            return Err(OpenError::Unusable(format!("cwd is {}, and there is no such folder", cwd.display())));
        }
        let (env, env_secret) = environment(settings, opening).await?;
        let program =
            find(&settings.argv[0], &base, env.get("PATH").map(String::as_str)).map_err(OpenError::Unusable)?;
        let supervisors = opening.supervisors.clone();
        let spool = opening.spool.clone();
        Ok(Self { program, cwd, env, env_secret, supervisors, spool, connection })
    }

    async fn hold(&self, at: &At, call: &Call) -> Result<Held, ProcessError> {
        let settings = self.connection.settings();
        let secrets = || self.env_secret.iter().map(|(name, secret)| (name.clone(), secret.expose_secret().to_owned()));
        let spec = Spec {
            argv: std::iter::once(self.program.clone()).chain(self.connection.arguments(call)).collect(),
            cwd: self.cwd.clone(),
            env: self.env.clone().into_iter().chain(secrets()).collect(),
            redact: secrets().map(|(_, secret)| secret).collect(),
            timeout: settings.timeout,
            output_bytes_max: settings.output_limit,
        };
        self.supervisors.prepare(&self.spool, &at.key(), &spec).await
    }
}

#[async_trait]
impl Driver for CommandDriver {
    type Call = Call;
    type Reply = Reply;

    fn place(&self) -> String {
        let argv = self.connection.settings().argv.iter().map(String::as_str);
        format!("{} in {}", shell::line(argv), self.cwd.display())
    }

    fn exactly(&self, call: &Call) -> Exactly {
        let arguments = self.connection.arguments(call);
        let argv = std::iter::once(self.program.as_str()).chain(arguments.iter().map(String::as_str));
        let exactly = Exactly::new(shell::line(argv)).with("in", self.cwd.display().to_string());
        // Values are left out: one of them may be a secret in the wrong place.
        let own = self.connection.settings().env.iter().map(|(name, value)| match value {
            EnvValue::Text(_) => name.clone(),
            EnvValue::Secret(secret) => format!("{name} (secret {})", secret.name()),
        });
        match own.collect::<Vec<_>>().join(", ") {
            own if own.is_empty() => exactly,
            own => exactly.with("env", own),
        }
    }

    fn expect_calls(&self) {
        self.supervisors.start_ahead();
    }

    async fn read(&self, at: &At, call: &Call) -> Result<Reply, Failure> {
        let read = async { self.hold(at, call).await?.run_unrecorded().await };
        match read.await {
            Ok(finished) => Ok(finished.into()),
            // It changes nothing, so to have lost it is no doubt.
            Err(ProcessError::Lost(problem)) => Err(Failure::transient(problem)),
            Err(error) => Err(error.into()),
        }
    }

    async fn prepare(&self, at: &At, call: &Call) -> Result<Box<dyn Prepared<Reply>>, Failure> {
        Ok(Box::new(Ready(self.hold(at, call).await?)))
    }

    async fn settle(&self, _at: &At, _call: &Call, marker: Option<&Value>) -> Settlement<Reply> {
        // The intent, with its marker, is durable before the supervisor is let go.
        let Some(marker) = marker else { return Settlement::DidNotHappen };
        match process::recover(&self.spool, marker).await {
            Recovered::Finished(finished) => Settlement::Happened(finished.into()),
            Recovered::NeverStarted => Settlement::DidNotHappen,
            Recovered::Lost(seen) => Settlement::Unknown(seen),
        }
    }
}

struct Ready(Held);

#[async_trait]
impl Prepared<Reply> for Ready {
    fn marker(&self) -> Option<Value> {
        Some(self.0.marker())
    }

    async fn perform(self: Box<Self>) -> Result<Reply, Failure> {
        Ok(self.0.run().await?.into())
    }
}

impl From<Finished> for Reply {
    fn from(finished: Finished) -> Self {
        let Finished { ending, stdout, stderr, truncated } = finished;
        Self { ending, stdout, stderr, truncated }
    }
}

type Environment = (BTreeMap<String, String>, BTreeMap<String, SecretString>);

/// The program's whole environment: what stands there for all to see, and the secrets.
async fn environment(settings: &Settings, opening: &Opening) -> Result<Environment, OpenError> {
    let mut env = BTreeMap::new();
    let mut env_secret = BTreeMap::new();
    for name in ENV_ALWAYS {
        if let Ok(value) = std::env::var(name) {
            env.insert((*name).to_owned(), value);
        }
    }
    for name in &settings.inherit_env {
        let value = std::env::var(name).map_err(|error| {
            OpenError::Unusable(format!("inherit-env names {name}, and ripcord was started without it: {error}"))
        })?;
        env.insert(name.clone(), value);
    }
    for (name, value) in &settings.env {
        match value {
            EnvValue::Text(text) => drop(env.insert(name.clone(), text.clone())),
            EnvValue::Secret(reference) => drop(env_secret.insert(name.clone(), opening.secrets.get(reference).await?)),
        }
    }
    Ok((env, env_secret))
}

/// The program's absolute path.
pub(super) fn find(program: &str, base: &Path, path: Option<&str>) -> Result<String, String> {
    let found = if program.contains('/') {
        let path = base.join(program);
        process::is_program(&path).then_some(path.clone()).ok_or_else(|| {
            format!("can't run `{program}`: {} is not there, or not executable (`chmod +x`)", path.display())
        })
    } else {
        let path = path.unwrap_or_default();
        process::program_in(path, program).ok_or_else(|| {
            format!("can't run `{program}`: no such program in PATH, which is `{path}`; write its absolute path in argv, or set env.PATH")
        })
    }?;
    found
        .into_os_string()
        .into_string()
        .map_err(|path| format!("the path of `{program}` is not UTF-8: {}", path.display()))
}
