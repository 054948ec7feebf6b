//! The story: a deploy goes wrong and is rolled back, and every sentence of it is checked.

use super::{Cli, Say};
use crate::lab::{ADMINISTRATORS, BAD, CONNECTOR, Condition, GOOD, Lab, LabError, Request, Snapshot, USERS};
use crate::shell::quoted;

/// Why the story could not be told to its end.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The lab itself failed.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// What ripcord did is not what the story says of it.
    #[error(
        "This should be so, and is not:\n{}\n\nPlease report it: it is a fault in ripcord or in its demo.",
        list(.0.clone())
    )]
    Wrong(Vec<String>),
}

/// Tells the story in a lab that was just started: breaks the deploy, previews, runs, reports.
///
/// # Errors
/// If anything that it claims turns out not to be so.
pub async fn story(lab: &Lab, cli: &dyn Cli, say: Say<'_>) -> Result<(), StoryError> {
    let teller = Teller { lab, cli, say };
    teller.healthy().await?;
    let broken = teller.broken().await?;
    teller.preview(&broken).await?;
    teller.run(&broken).await?;
    teller.record().await
}

/// What somebody knows of the incident when the rollback begins.
const KNOWN: &[&str] = &[
    "--symptom",
    "users get errors when they post to Facebook",
    "--severity",
    "SEV 2",
    "--scope",
    "everybody who posts to Facebook",
];

struct Teller<'a> {
    lab: &'a Lab,
    cli: &'a dyn Cli,
    say: Say<'a>,
}

impl Teller<'_> {
    async fn healthy(&self) -> Result<(), StoryError> {
        (self.say)(&format!(
            "GENIA posts to social networks for its users. A small one now runs on this machine: a git\n\
             repository with its remote, the service at {}, a mailbox. All of it is in\n\
             {}.",
            self.lab.url(),
            self.lab.folder().display()
        ));
        let before = self.lab.snapshot().await?;
        Claims::default()
            .that(before.health.healthy && before.health.version == GOOD, || format!("{GOOD} is deployed and healthy"))
            .hold()?;
        (self.say)(&format!("{GOOD} is deployed, and all is well.\n\n{}", health(&before)?));
        Ok(())
    }

    async fn broken(&self) -> Result<Snapshot, StoryError> {
        self.lab.break_deploy().await?;
        let broken = self.lab.snapshot().await?;
        let connector = broken.health.connectors.get(CONNECTOR);
        Claims::default()
            .that(broken.health.version == BAD, || format!("{BAD} is deployed"))
            .that(connector == Some(&Condition::Failing), || format!("the connector {CONNECTOR} is failing"))
            .hold()?;
        (self.say)(&format!(
            "{BAD} goes out. Its Facebook connector leaves out the access token, so nothing is posted any\n\
             more and users get errors.\n\n{}",
            health(&broken)?
        ));
        Ok(broken)
    }

    async fn preview(&self, broken: &Snapshot) -> Result<(), StoryError> {
        (self.say)(
            "It is 3 a.m. What would a rollback do? A preview runs the real plugins and lets them look, and\n\
             turns away everything that would change something.",
        );
        let asked = self.lab.ledger().len();
        let code = self.rehearsed("preview", &[]).await;
        let after = self.lab.snapshot().await?;
        let looked = self.lab.ledger().len() - asked;
        Claims::default()
            .that(code == 0, || format!("the preview exits with 0; it exited with {code}"))
            .that(after == *broken, || format!("the preview touches nothing; before: {broken:?}; after: {after:?}"))
            .hold()?;
        (self.say)(&format!(
            "Nothing was touched. GENIA was asked {} how it is and {} to change anything; commits, remote,\n\
             deployed files and mailbox are what they were.",
            times(looked),
            times(after.changes.len())
        ));
        Ok(())
    }

    async fn run(&self, broken: &Snapshot) -> Result<(), StoryError> {
        (self.say)("That is what is wanted. So it is done, and what is known of the incident goes into its record.");
        let code = self.rehearsed("run", &[&["--yes"], KNOWN].concat()).await;
        let after = self.lab.snapshot().await?;
        let mails = self.lab.mails();

        let got = |address: &str| {
            let notices = mails.iter().filter(|mail| mail.to == [address] && subject(&mail.data).contains(CONNECTOR));
            notices.count() == 1
        };
        let disable = Request { method: "POST".to_owned(), path: format!("/admin/connectors/{CONNECTOR}/disable") };
        let connector = after.health.connectors.get(CONNECTOR);
        Claims::default()
            .that(code == 0, || format!("the run exits with 0, verified; it exited with {code}"))
            .that(after.health.healthy, || "GENIA is healthy again".to_owned())
            .that(after.health.version == GOOD, || format!("{GOOD} is deployed; it is {:?}", after.health.version))
            .that(connector == Some(&Condition::Disabled), || format!("the connector {CONNECTOR} is off"))
            .that(after.changes == [disable], || {
                format!("GENIA is asked once to disable it; it was asked: {:?}", after.changes)
            })
            .that(after.head != broken.head && after.uncommitted.is_empty(), || "the old code is committed".to_owned())
            .that(after.head == after.remote_head, || "the commit is pushed".to_owned())
            .that(got(USERS) && got(ADMINISTRATORS), || "users and administrators get one mail each".to_owned())
            .that(after.mails == 2, || format!("two mails are sent; {} came", after.mails))
            .hold()?;

        (self.say)(&format!(
            "{GOOD} is back. The connector is off until somebody has corrected it and switches it on; all\n\
             else works.\n\n{}",
            health(&after)?
        ));
        let commits = self.lab.log(2).await?;
        let done = after.changes.iter().map(Request::to_string).chain(commits.lines().map(str::to_owned));
        (self.say)(&format!("What GENIA was asked to change, and the newest commits of the remote:\n{}", list(done)));
        let arrived = mails.iter().map(|mail| format!("to {}: {}", mail.to.join(", "), subject(&mail.data)));
        (self.say)(&format!("Mails that arrived:\n{}", list(arrived)));
        Ok(())
    }

    async fn record(&self) -> Result<(), StoryError> {
        (self.say)("The next morning: what happened? The run wrote its journal as it went. From it comes the report.");
        let report = self.ripcord(&["report", "last"]).await;
        Claims::default().that(report == 0, || format!("the report exits with 0; it exited with {report}")).hold()?;
        (self.say)(
            "Each entry of the journal carries the digest of the one before, so nobody can change one later\n\
             without being found out.",
        );
        let audit = self.ripcord(&["audit", "last"]).await;
        Claims::default().that(audit == 0, || format!("the audit finds no fault; it exited with {audit}")).hold()
    }

    /// A command that takes the plan and its parameters.
    async fn rehearsed(&self, command: &str, more: &[&str]) -> u8 {
        let plan = self.lab.plan().display().to_string();
        let parameters = [format!("connector={CONNECTOR}"), format!("version={GOOD}")];
        let fixed = [command, &plan, "-p", &parameters[0], "-p", &parameters[1]];
        self.ripcord(&[&fixed, more].concat()).await
    }

    async fn ripcord(&self, arguments: &[&str]) -> u8 {
        let shown = arguments
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" ")
            .replace(&format!("{}/", self.lab.folder().display()), "");
        (self.say)(&format!("$ ripcord {shown}"));
        let (operator, state) = (self.lab.operator().display().to_string(), self.lab.state().display().to_string());
        let whose = ["--config", &operator, "--state", &state];
        let arguments: Vec<String> = [&whose, arguments].concat().into_iter().map(str::to_owned).collect();
        self.cli.ripcord(&arguments).await
    }
}

/// What has to be so, and was not.
#[derive(Default)]
struct Claims {
    wrong: Vec<String>,
}

impl Claims {
    fn that(mut self, holds: bool, claim: impl FnOnce() -> String) -> Self {
        if !holds {
            self.wrong.push(claim());
        }
        self
    }

    fn hold(self) -> Result<(), StoryError> {
        if self.wrong.is_empty() { Ok(()) } else { Err(StoryError::Wrong(self.wrong)) }
    }
}

fn health(snapshot: &Snapshot) -> Result<String, LabError> {
    let answer = serde_json::to_string(&snapshot.health);
    let answer =
        answer.map_err(|error| LabError::Service { service: "service of GENIA", problem: error.to_string() })?;
    Ok(format!("    GET /health  {answer}"))
}

fn times(count: usize) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

fn subject(mail: &str) -> &str {
    mail.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default().trim_end()
}

fn list(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("\n    {line}")).collect()
}
