//! PostgreSQL's own tools, of the server's major version: on this machine or in the database's container.
//!
//! None of them changes a database. `pg_restore` turns an archive into SQL and reaches no server, and
//! `pg_dump` reads. So neither needs a supervisor: without its host a tool has nobody to write to, and
//! ends. The password goes to it in its environment.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::process;
use crate::shell;

/// How long a tool may take to say its version.
const VERSION_WITHIN: Duration = Duration::from_secs(20);
/// How much of a tool's complaints is kept.
const COMPLAINT_BYTES_MAX: u64 = 8 << 10;
/// Of a container's own.
const PORT_DEFAULT: u16 = 5432;

/// Where the tools are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "write a folder, like \"/usr/lib/postgresql/16/bin\", or { container = \"db\" }")]
pub enum ToolsSetting {
    /// The folder that they are in.
    Folder(PathBuf),
    /// A container, which the `docker` program of this machine reaches.
    Container(ContainerSetting),
}

/// The container of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerSetting {
    /// Its name or id.
    pub container: String,
    /// The engine's address, as in `DOCKER_HOST`; `docker`'s own default unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<String>,
    /// The port of the database inside of the container.
    #[serde(default = "port_default")]
    pub port: u16,
}

fn port_default() -> u16 {
    PORT_DEFAULT
}

/// The tools of one connection.
#[derive(Debug, Clone)]
pub(super) struct Tools(Option<ToolsSetting>);

/// A tool, found, and of the right version.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// What starts it.
    argv: Vec<String>,
    /// What a container's own is started by: the environment that is passed on goes before the last of it.
    is_contained: bool,
    name: String,
    /// `15.8`
    pub(super) version: String,
}

/// A tool that runs. Dropped, it is ended.
pub(super) struct Running {
    child: Child,
    complaint: JoinHandle<String>,
    name: String,
}

impl Tools {
    /// As the operator has said; a relative folder starts at `base`.
    pub(super) fn new(setting: Option<ToolsSetting>, base: &Path) -> Self {
        Self(setting.map(|setting| match setting {
            ToolsSetting::Folder(folder) => ToolsSetting::Folder(base.join(folder)),
            container => container,
        }))
    }

    /// The port of the server as a tool in a container sees it; none on this machine.
    pub(super) fn port_inside(&self) -> Option<u16> {
        match &self.0 {
            Some(ToolsSetting::Container(setting)) => Some(setting.port),
            _ => None,
        }
    }

    /// How a tool is started, for people.
    pub(super) fn line(&self, name: &str, arguments: &[&str]) -> String {
        let mut argv = match &self.0 {
            None => vec![name.to_owned()],
            Some(ToolsSetting::Folder(folder)) => vec![folder.join(name).display().to_string()],
            Some(ToolsSetting::Container(setting)) => {
                let mut argv = setting.exec("docker");
                argv.extend([setting.container.clone(), name.to_owned()]);
                argv
            }
        };
        argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        shell::line(argv.iter().map(String::as_str))
    }

    /// Finds a tool of the server's major version, before anything is touched.
    pub(super) async fn find(&self, name: &str, major: u32) -> Result<Program, Failure> {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut seen = Vec::new();
        match &self.0 {
            Some(ToolsSetting::Container(setting)) => {
                let docker = process::program_in(&path, "docker").ok_or_else(|| {
                    Failure::permanent(format!(
                        "there is no `docker` in PATH, which is `{path}`, and tools.container needs it: install Docker's \
                         client, or set tools to a folder of this machine"
                    ))
                })?;
                let mut argv = setting.exec(&docker.display().to_string());
                argv.extend([setting.container.clone(), name.to_owned()]);
                let program = Program { argv, is_contained: true, name: name.to_owned(), version: String::new() };
                match program.version().await {
                    Ok(version) if major_of(&version) == Some(major) => return Ok(Program { version, ..program }),
                    Ok(version) => seen.push(format!("{name} in container {} is {version}", setting.container)),
                    Err(problem) => seen.push(format!("{name} in container {}: {problem}", setting.container)),
                }
            }
            setting => {
                let folders = match setting {
                    Some(ToolsSetting::Folder(folder)) => vec![folder.clone()],
                    _ => [format!("/usr/lib/postgresql/{major}/bin"), format!("/usr/pgsql-{major}/bin")]
                        .into_iter()
                        .map(PathBuf::from)
                        .chain(std::env::split_paths(&path).filter(|folder| folder.is_absolute()))
                        .collect(),
                };
                for file in folders.iter().map(|folder| folder.join(name)).filter(|file| process::is_program(file)) {
                    let argv = vec![file.display().to_string()];
                    let program = Program { argv, is_contained: false, name: name.to_owned(), version: String::new() };
                    match program.version().await {
                        Ok(version) if major_of(&version) == Some(major) => return Ok(Program { version, ..program }),
                        Ok(version) => seen.push(format!("{} is {version}", file.display())),
                        Err(problem) => seen.push(format!("{}: {problem}", file.display())),
                    }
                }
                if seen.is_empty() {
                    let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
                    seen.push(format!("there is no {name} in {}", folders.join(", ")));
                }
            }
        }
        let remedy = match self.port_inside() {
            Some(_) => "set tools.container in ripcord.toml to the database's own container, running".to_owned(),
            None => format!(
                "`apt install postgresql-client-{major}`, or set tools in ripcord.toml to the folder or the container \
                 that has it"
            ),
        };
        Err(Failure::permanent(format!(
            "the server is PostgreSQL {major}, and needs {name} of that version: {}. Next: {remedy}",
            seen.join("; ")
        )))
    }
}

impl ContainerSetting {
    fn exec(&self, docker: &str) -> Vec<String> {
        let mut argv = vec![docker.to_owned()];
        argv.extend(self.docker.iter().flat_map(|address| ["-H".to_owned(), address.clone()]));
        argv.extend(["exec".to_owned(), "-i".to_owned()]);
        argv
    }
}

impl Program {
    /// Starts it. What it writes comes out of the file. `limit` is for a container, where it would
    /// outlive whoever has started it.
    pub(super) fn start(
        &self,
        arguments: &[&str],
        environment: &BTreeMap<String, String>,
        stdin: Stdio,
        limit: Duration,
    ) -> Result<(Running, File), Failure> {
        let failed = |error: std::io::Error| Failure::transient(format!("can't start {}: {error}", self.name));
        let mut command = self.command(environment, limit);
        command.args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C pauses the host, which waits for what was begun.
        command.process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        let stdout = File::from(stdout.into_owned_fd().map_err(failed)?);
        let stderr = child.stderr.take();
        let complaint = tokio::spawn(async move {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = (&mut stderr).take(COMPLAINT_BYTES_MAX).read_to_end(&mut text).await;
                let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
            String::from_utf8_lossy(&text).trim().to_owned()
        });
        Ok((Running { child, complaint, name: self.name.clone() }, stdout))
    }

    fn command(&self, environment: &BTreeMap<String, String>, limit: Duration) -> Command {
        let mut command = Command::new(&self.argv[0]);
        command.env_clear().envs(environment).env("LC_ALL", "C");
        for name in ["PATH", "TMPDIR"]
            .into_iter()
            .chain(self.is_contained.then_some(["HOME", "DOCKER_CONFIG"]).into_iter().flatten())
        {
            if let Ok(value) = std::env::var(name) {
                command.env(name, value);
            }
        }
        let (before, behind) = self.argv[1..].split_at(if self.is_contained { self.argv.len() - 3 } else { 0 });
        command.args(before);
        if self.is_contained {
            // Only names: the values go by the environment of `docker`, where nobody else sees them.
            environment.keys().for_each(|name| _ = command.args(["-e", name]));
            command.arg(&behind[0]);
            command.args(["timeout", "-k", "5", &limit.as_secs().max(1).to_string(), &self.name]);
        }
        command
    }

    async fn version(&self) -> Result<String, String> {
        let mut command = self.command(&BTreeMap::new(), VERSION_WITHIN);
        command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(VERSION_WITHIN, command.output());
        let output = output.await.map_err(|_| "it does not answer".to_owned())?.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        match text.split_once("(PostgreSQL) ").and_then(|(_, version)| version.split_whitespace().next()) {
            Some(version) if output.status.success() => Ok(version.to_owned()),
            _ => Err(format!("it says `{}`", format!("{text}{}", String::from_utf8_lossy(&output.stderr)).trim())),
        }
    }
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// It failed, and how.
    pub(super) async fn finish(mut self) -> Result<(), String> {
        let status = self.child.wait().await.map_err(|error| error.to_string())?;
        let complaint = (&mut self.complaint).await.unwrap_or_default();
        match status.success() {
            true => Ok(()),
            false if complaint.is_empty() => Err(format!("{} ended with {status}", self.name)),
            false => Err(format!("{} ended with {status}: {complaint}", self.name)),
        }
    }
}

fn major_of(version: &str) -> Option<u32> {
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}
