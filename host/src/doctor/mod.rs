//! `ripcord doctor`: is everything that a rollback needs there, before it is needed.
//!
//! Each connection is examined by its own capability ([`CapabilityConnection::examine`]), beside all
//! others and with a deadline of its own; the folder of journal and locks is examined here.
//!
//! [`CapabilityConnection::examine`]: crate::capability::CapabilityConnection::examine

mod exam;
mod finding;
mod machine;
pub(crate) mod network;
#[cfg(test)]
mod tests;
use std::time::Duration;

use futures_util::future::join_all;

use crate::capability::{Capability, Opening};
use crate::operator::Operator;
use crate::secret::{SecretRef, SecretSource, Secrets};
use exam::Sheet;

pub use exam::{Exam, Listen, Progress};
pub use finding::{Aspect, Finding, Grade};
pub(crate) use machine::room_at;
pub use machine::{STATE, examine_state};

/// One connection: its capability and its name.
pub type Named = (Capability, String);

/// Examines these connections of an operator's file, all at once, each for at most `deadline`.
/// Nothing is changed anywhere. What is found goes to `listen`, in the order in which it is found;
/// what the file does not have is passed over.
pub async fn examine(
    operator: &Operator,
    connections: &[Named],
    opening: &Opening,
    deadline: Duration,
    listen: Listen<'_>,
) {
    join_all(connections.iter().map(|named| examine_one(operator, named, opening, deadline, listen))).await;
}

/// What the receiver of alerts is called in findings, and in the operator's file.
pub const ALERTMANAGER: &str = "alertmanager";

/// Examines what `watch --alertmanager` needs, if the operator's file lets alerts in at all: its token.
pub async fn examine_receiver(operator: &Operator, opening: &Opening, deadline: Duration, listen: Listen<'_>) {
    let Some(rules) = &operator.alertmanager else { return };
    let sheet = Sheet::new(ALERTMANAGER.to_owned(), opening.secrets.scrubber().clone(), listen);
    let tried = secrets(vec![rules.token.name().to_owned()], operator, &opening.secrets, &sheet);
    if tokio::time::timeout(deadline, tried).await.is_err() {
        sheet.broken_off(deadline);
    }
    sheet.ended();
}

async fn examine_one(
    operator: &Operator,
    (capability, name): &Named,
    opening: &Opening,
    deadline: Duration,
    listen: Listen<'_>,
) {
    let Some(connection) = operator.connections.get(*capability, name) else { return };
    let sheet = Sheet::new(format!("{capability}.{name}"), opening.secrets.scrubber().clone(), listen);
    let examined = async {
        let has_secrets = secrets(connection.secrets(), operator, &opening.secrets, &sheet).await;
        connection.examine(&Exam::new(opening, has_secrets, &sheet)).await;
    };
    if tokio::time::timeout(deadline, examined).await.is_err() {
        sheet.broken_off(deadline);
    }
    sheet.ended();
}

/// Tries each secret that a connection names, and says whether all of them can be had.
async fn secrets(mut names: Vec<String>, operator: &Operator, secrets: &Secrets, sheet: &Sheet<'_>) -> bool {
    names.sort();
    names.dedup();
    let mut all = true;
    for name in names {
        let reference = SecretRef::try_from(format!("secret:{name}"));
        let (Some(source), Ok(reference)) = (operator.secrets.get(&name), reference) else { continue };
        sheet.trying(Aspect::Secret, format!("secret `{name}` from {source}"));
        let problem = match secrets.get(&reference).await {
            Ok(_) => {
                sheet.found(Aspect::Secret, format!("`{name}` can be had from {source}"), Grade::Good);
                continue;
            }
            Err(error) => error.to_string(),
        };
        all = false;
        sheet.found(Aspect::Secret, problem, Grade::fault(remedy(source)));
    }
    all
}

/// How to put right that a source does not give its secret.
fn remedy(source: &SecretSource) -> String {
    match source {
        SecretSource::Env(variable) => format!("set it where ripcord is started: `export {variable}=…`"),
        SecretSource::File(path) => {
            format!("write it to {}, to be read by the user that runs ripcord alone", path.display())
        }
        SecretSource::Credential(name) => {
            format!("add `LoadCredential={name}:FILE` to the systemd unit that starts ripcord")
        }
        SecretSource::Command(argv) => {
            // Its arguments may say more than everybody should read.
            let program = argv.first().map_or("it", String::as_str);
            format!("run `{program}` with its arguments by hand, as the user that runs ripcord")
        }
    }
}
