//! `docker`.

use super::{wit, wit_docker};
use crate::capability::docker::{self, Changed, Container, Ending, Health, LogLine, LogTail, Output, State, Usage};
use crate::capability::{Call, Payload, Repeat, Reply};
use crate::component::guest::Guest;

type Answered<T> = wasmtime::Result<Result<T, wit::Failure>>;

impl Guest {
    async fn switch(
        &mut self,
        role: String,
        call: docker::Call,
        repeat: wit::Repeat,
        assume: Option<Vec<wit_docker::Changed>>,
    ) -> Answered<Vec<wit_docker::Changed>> {
        let assume = assume
            .map(|changed| Reply::Docker(docker::Reply::Changed(changed.into_iter().map(Changed::from).collect())));
        let take = |reply| match reply {
            Reply::Docker(docker::Reply::Changed(changed)) => Some(changed.into_iter().map(Into::into).collect()),
            _ => None,
        };
        self.make(role, Call::Docker(call), repeat.into(), assume, take).await
    }
}

impl wit_docker::Host for Guest {
    async fn list(
        &mut self,
        role: String,
        assume: Option<Vec<wit_docker::Container>>,
    ) -> Answered<Vec<wit_docker::Container>> {
        let assume = assume.map(|containers| {
            Reply::Docker(docker::Reply::Containers(containers.into_iter().map(Container::from).collect()))
        });
        let take = |reply| match reply {
            Reply::Docker(docker::Reply::Containers(containers)) => {
                Some(containers.into_iter().map(Into::into).collect())
            }
            _ => None,
        };
        self.make(role, Call::Docker(docker::Call::List), Repeat::Once, assume, take).await
    }

    async fn inspect(
        &mut self,
        role: String,
        container: String,
        assume: Option<wit_docker::Container>,
    ) -> Answered<wit_docker::Container> {
        let assume = assume.map(|container| Reply::Docker(docker::Reply::Container(Box::new(container.into()))));
        let take = |reply| match reply {
            Reply::Docker(docker::Reply::Container(container)) => Some((*container).into()),
            _ => None,
        };
        self.make(role, Call::Docker(docker::Call::Inspect { container }), Repeat::Once, assume, take).await
    }

    async fn logs(
        &mut self,
        role: String,
        container: String,
        tail: u32,
        since: Option<i64>,
    ) -> Answered<wit_docker::LogTail> {
        let take = |reply| match reply {
            Reply::Docker(docker::Reply::Logs(LogTail { lines, truncated })) => {
                let line = |LogLine { at, is_stderr, text }| wit_docker::LogLine { at, is_stderr, text };
                Some(wit_docker::LogTail { lines: lines.into_iter().map(line).collect(), truncated })
            }
            _ => None,
        };
        let call = docker::Call::Logs { container, tail, since };
        self.make(role, Call::Docker(call), Repeat::Once, None, take).await
    }

    async fn stats(&mut self, role: String, container: String) -> Answered<wit_docker::Usage> {
        let take = |reply| match reply {
            Reply::Docker(docker::Reply::Stats(Usage { cpu_percent, memory_bytes, memory_limit_bytes })) => {
                Some(wit_docker::Usage { cpu_percent, memory_bytes, memory_limit_bytes })
            }
            _ => None,
        };
        self.make(role, Call::Docker(docker::Call::Stats { container }), Repeat::Once, None, take).await
    }

    async fn stop(
        &mut self,
        role: String,
        containers: Vec<String>,
        grace: Option<u32>,
        repeat: wit::Repeat,
        assume: Option<Vec<wit_docker::Changed>>,
    ) -> Answered<Vec<wit_docker::Changed>> {
        self.switch(role, docker::Call::Stop { containers, grace }, repeat, assume).await
    }

    async fn start(
        &mut self,
        role: String,
        containers: Vec<String>,
        repeat: wit::Repeat,
        assume: Option<Vec<wit_docker::Changed>>,
    ) -> Answered<Vec<wit_docker::Changed>> {
        self.switch(role, docker::Call::Start { containers }, repeat, assume).await
    }

    async fn restart(
        &mut self,
        role: String,
        containers: Vec<String>,
        grace: Option<u32>,
        repeat: wit::Repeat,
        assume: Option<Vec<wit_docker::Changed>>,
    ) -> Answered<Vec<wit_docker::Changed>> {
        self.switch(role, docker::Call::Restart { containers, grace }, repeat, assume).await
    }

    async fn exec(
        &mut self,
        role: String,
        container: String,
        argv: Vec<String>,
        assume: Option<wit_docker::Output>,
    ) -> Answered<wit_docker::Output> {
        let assume = assume.map(|output| {
            let ending = match output.ending {
                wit_docker::Ending::Exited(code) => Ending::Exited(code),
                wit_docker::Ending::Lost => Ending::Lost,
            };
            let (stdout, stderr) = (Payload(output.stdout), Payload(output.stderr));
            Reply::Docker(docker::Reply::Output(Output { ending, stdout, stderr, truncated: output.truncated }))
        });
        let take = |reply| match reply {
            Reply::Docker(docker::Reply::Output(Output { ending, stdout, stderr, truncated })) => {
                let ending = match ending {
                    Ending::Exited(code) => wit_docker::Ending::Exited(code),
                    Ending::Lost => wit_docker::Ending::Lost,
                };
                Some(wit_docker::Output { ending, stdout: stdout.0, stderr: stderr.0, truncated })
            }
            _ => None,
        };
        // Whether a program may be repeated, the operator alone declares.
        self.make(role, Call::Docker(docker::Call::Exec { container, argv }), Repeat::Once, assume, take).await
    }
}

/// Translates an enum whose cases have the same names on both sides.
macro_rules! alike {
    ($ours:ident = $theirs:ident { $($case:ident),+ }) => {
        impl From<$ours> for wit_docker::$theirs {
            fn from(value: $ours) -> Self {
                match value { $($ours::$case => Self::$case),+ }
            }
        }

        impl From<wit_docker::$theirs> for $ours {
            fn from(value: wit_docker::$theirs) -> Self {
                match value { $(wit_docker::$theirs::$case => Self::$case),+ }
            }
        }
    };
}

alike!(State = State { Created, Running, Paused, Restarting, Removing, Exited, Dead });
alike!(Health = Health { None, Starting, Healthy, Unhealthy });

impl From<Changed> for wit_docker::Changed {
    fn from(Changed { name, before, after, problem }: Changed) -> Self {
        Self { name, before: before.into(), after: after.into(), problem }
    }
}

impl From<wit_docker::Changed> for Changed {
    fn from(wit_docker::Changed { name, before, after, problem }: wit_docker::Changed) -> Self {
        Self { name, before: before.into(), after: after.into(), problem }
    }
}

impl From<Container> for wit_docker::Container {
    fn from(container: Container) -> Self {
        Self {
            id: container.id,
            name: container.name,
            service: container.service,
            image: container.image,
            image_id: container.image_id,
            state: container.state.into(),
            health: container.health.into(),
            restarts: container.restarts,
            exit_code: container.exit_code,
            out_of_memory: container.out_of_memory,
            started_at: container.started_at,
            finished_at: container.finished_at,
            labels: container.labels.into_iter().map(|(name, value)| wit_docker::Label { name, value }).collect(),
        }
    }
}

impl From<wit_docker::Container> for Container {
    fn from(container: wit_docker::Container) -> Self {
        Self {
            id: container.id,
            name: container.name,
            service: container.service,
            image: container.image,
            image_id: container.image_id,
            state: container.state.into(),
            health: container.health.into(),
            restarts: container.restarts,
            exit_code: container.exit_code,
            out_of_memory: container.out_of_memory,
            started_at: container.started_at,
            finished_at: container.finished_at,
            labels: container.labels.into_iter().map(|label| (label.name, label.value)).collect(),
        }
    }
}
