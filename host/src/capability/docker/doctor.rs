//! Examines an engine: reached, let in, new enough, and whether the containers are there.

use super::connection::Connection;
use super::engine::{Engine, Trouble};
use crate::doctor::{Aspect, Exam};

pub(super) async fn examine(connection: &Connection, exam: &Exam<'_>) {
    let engine = Engine::new(connection.clone(), exam.opening.base.clone());
    exam.trying(Aspect::Connection, format!("the engine at {}", connection.settings.host));
    let client = match engine.client().await {
        Ok(client) => client,
        Err(Trouble::Unreachable(why, remedy)) => return exam.fault(Aspect::Connection, why, remedy),
        Err(Trouble::Unfit(why)) => {
            return exam.fault(Aspect::Encryption, format!("`tls`: {why}"), "correct the files' paths and contents");
        }
        Err(Trouble::Answered(status, message)) => {
            let seen = format!("it answers {status} when asked for its version: {message}");
            return exam.fault(Aspect::Answer, seen, "see what listens there; `docker version` has to work");
        }
        Err(Trouble::Lost(why)) => {
            let seen = format!("no whole answer came: {why}");
            return exam.fault(Aspect::Connection, seen, "see that `docker version` works there");
        }
    };
    let spoken = client.client_version();
    let version = match client.version().await {
        Ok(version) => version.version.unwrap_or_else(|| "an unknown version".to_owned()),
        Err(error) => {
            return exam.fault(Aspect::Answer, error.to_string(), "see that `docker version` works there");
        }
    };
    exam.good(Aspect::Version, format!("Docker {version}, spoken to in version {spoken} of its API"));
    let containers = match engine.containers().await {
        Ok(containers) => containers,
        Err(failure) => {
            return exam.fault(Aspect::Answer, failure.to_string(), "see that `docker ps` works there");
        }
    };
    let named = |wanted: &str| {
        let glob = super::rule::glob(wanted).ok();
        let fits = |name: &str| glob.as_ref().is_some_and(|glob| glob.is_match(name));
        containers.iter().any(|container| fits(&container.name) || container.service.as_deref().is_some_and(fits))
    };
    let listed: Vec<_> =
        containers.iter().map(|container| format!("{} ({})", container.name, container.state)).collect();
    if listed.is_empty() {
        let seen = format!("no container is in scope: {}", connection.scope());
        return exam.fault(
            Aspect::Rules,
            seen,
            "correct `containers`, `project` or `labels`; `docker ps -a` lists them",
        );
    }
    exam.good(Aspect::Rules, format!("in scope: {}", listed.join(", ")));
    let settings = &connection.settings;
    let patterns =
        settings.containers.iter().map(String::as_str).chain(settings.exec.iter().map(|rule| rule.container()));
    for missing in patterns.filter(|wanted| !named(wanted)) {
        let seen = format!("no container is called `{missing}` now");
        exam.warning(Aspect::Rules, seen, "correct the name, if the container should be there");
    }
}
