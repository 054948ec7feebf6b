//! `command`.

use super::{wit, wit_command};
use crate::capability::{Call, Payload, Repeat, Reply, command};
use crate::component::guest::Guest;

impl wit_command::Host for Guest {
    async fn run(
        &mut self,
        role: String,
        arguments: Vec<wit_command::Argument>,
        assume: Option<wit_command::Output>,
    ) -> wasmtime::Result<Result<wit_command::Output, wit::Failure>> {
        let arguments = arguments.into_iter().map(|argument| (argument.name, argument.value)).collect();
        let assume = assume.map(|output| {
            let ending = match output.ending {
                wit_command::Ending::Exited(code) => command::Ending::Exited(code),
                wit_command::Ending::Signalled(signal) => command::Ending::Signalled(signal),
                wit_command::Ending::TimedOut => command::Ending::TimedOut,
            };
            let (stdout, stderr) = (Payload(output.stdout), Payload(output.stderr));
            Reply::Command(command::Reply { ending, stdout, stderr, truncated: output.truncated })
        });
        let take = |reply| match reply {
            Reply::Command(command::Reply { ending, stdout, stderr, truncated }) => {
                let ending = match ending {
                    command::Ending::Exited(code) => wit_command::Ending::Exited(code),
                    command::Ending::Signalled(signal) => wit_command::Ending::Signalled(signal),
                    command::Ending::TimedOut => wit_command::Ending::TimedOut,
                };
                Some(wit_command::Output { ending, stdout: stdout.0, stderr: stderr.0, truncated })
            }
            _ => None,
        };
        // Whether a command may be repeated, the operator alone declares.
        self.make(role, Call::Command(command::Call { arguments }), Repeat::Once, assume, take).await
    }
}
