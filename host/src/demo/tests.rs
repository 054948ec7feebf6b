#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::process::Command;
use std::sync::Mutex;

use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::capability::notify::{Channel, Mail};
use crate::lab::{ADMINISTRATORS, USERS};
use crate::operator::Operator;

/// Somebody who does the rollback by hand, with the same services as ripcord, and not always well.
struct ByHand<'a> {
    lab: &'a Lab,
    mistake: Mistake,
    commands: Mutex<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mistake {
    None,
    DisablesInThePreview,
    OnlySaysSo,
    DisablesTwice,
    DoesNotPush,
    DoesNotDeploy,
    TellsNobody,
    HasNoReport,
}

#[async_trait(?Send)]
impl Cli for ByHand<'_> {
    async fn ripcord(&self, arguments: &[String]) -> u8 {
        let [_, _, _, _, command, ..] = arguments else { panic!("{arguments:?}") };
        let folder = format!("{}/", self.lab.folder().display());
        self.commands.lock().unwrap().push(arguments.join(" ").replace(&folder, ""));
        match (command.as_str(), self.mistake) {
            ("preview", Mistake::DisablesInThePreview) => self.disable().await,
            ("run", Mistake::OnlySaysSo) => {}
            ("run", _) => self.roll_back().await,
            ("report", Mistake::HasNoReport) => return 3,
            _ => {}
        }
        0
    }
}

impl ByHand<'_> {
    async fn roll_back(&self) {
        self.disable().await;
        if self.mistake == Mistake::DisablesTwice {
            self.disable().await;
        }
        let file = "src/lib/connectors/facebook.ts";
        self.shell("genia", &["git", "checkout", "--quiet", GOOD, "--", file]);
        let who = ["-c", "user.name=Ana", "-c", "user.email=ana@genia.example", "-c", "commit.gpgsign=false"];
        self.shell("genia", &[&["git"], &who[..], &["commit", "--quiet", "-m", "Revert facebook"]].concat());
        if self.mistake != Mistake::DoesNotPush {
            self.shell("genia", &["git", "push", "--quiet", "origin", "main"]);
        }
        if self.mistake != Mistake::DoesNotDeploy {
            self.shell(".", &["cp", "genia/src/lib/connectors/facebook.ts", "deployed/facebook.ts"]);
        }
        if self.mistake != Mistake::TellsNobody {
            self.tell(USERS).await;
            self.tell(ADMINISTRATORS).await;
        }
    }

    async fn disable(&self) {
        let token = std::fs::read_to_string(self.lab.folder().join("secrets/genia-admin")).unwrap();
        let mut stream = TcpStream::connect(self.lab.url().strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!("Host: genia\r\nAuthorization: Bearer {}\r\nConnection: close", token.trim_end());
        let request = format!("POST /admin/connectors/facebook/disable HTTP/1.1\r\n{head}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    async fn tell(&self, address: &str) {
        let operator = Operator::load(&self.lab.operator()).unwrap();
        let Channel::Mail(Mail { smtp, .. }) = &operator.connections.notify["genia-users"].channel else {
            panic!("the lab's users are told by mail")
        };
        let server =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host).port(smtp.port.unwrap()).build();
        let mailbox = |address: &str| address.parse::<Mailbox>().unwrap();
        let mail = Message::builder().from(mailbox("ana@genia.example")).to(mailbox(address));
        let mail = mail.subject("Conector facebook desactivado").body("Lo sentimos.".to_owned()).unwrap();
        server.send(mail).await.unwrap();
    }

    fn shell(&self, folder: &str, argv: &[&str]) {
        let status = Command::new(argv[0]).args(&argv[1..]).current_dir(self.lab.folder().join(folder)).status();
        assert!(status.unwrap().success(), "{argv:?}");
    }
}

/// What the story comes to, with what was said and which commands were called.
async fn told(mistake: Mistake) -> (Result<(), StoryError>, String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(folder.path()).await.unwrap();
    let cli = ByHand { lab: &lab, mistake, commands: Mutex::default() };
    let said = Mutex::new(String::new());
    let result = story(&lab, &cli, &|paragraph| said.lock().unwrap().extend([paragraph, "\n\n"])).await;
    (result, said.into_inner().unwrap(), cli.commands.into_inner().unwrap())
}

#[tokio::test]
async fn a_rollback_that_is_one_ends_the_story_well() {
    let (result, said, commands) = told(Mistake::None).await;
    result.unwrap_or_else(|error| panic!("{error}\n{said}"));
    assert_eq!(
        commands,
        [
            "preview plan.toml -p connector=facebook -p version=v1.4.2",
            "run plan.toml -p connector=facebook -p version=v1.4.2 --yes --symptom users get errors when they post to \
             Facebook --severity SEV 2 --scope everybody who posts to Facebook",
            "report last",
            "audit last",
        ]
        .map(|command| format!("--config ripcord.toml --state state {command}"))
    );
    for seen in [
        "\"facebook\":\"failing\"",
        "\"facebook\":\"disabled\"",
        "never how it is and never to change anything",
        "to users@genia.example: Conector",
    ] {
        assert!(said.contains(seen), "{seen} is not in:\n{said}");
    }
}

#[tokio::test]
async fn the_story_believes_no_exit_code() {
    const UNTOUCHED: &str = "Nothing was touched";
    const BACK: &str = "v1.4.2 is back";
    for (mistake, wrong, never_said) in [
        (Mistake::DisablesInThePreview, "the preview touches nothing", UNTOUCHED),
        (Mistake::OnlySaysSo, "GENIA is healthy again", BACK),
        (Mistake::DisablesTwice, "GENIA is asked once", BACK),
        (Mistake::DoesNotPush, "the commit is pushed", BACK),
        (Mistake::DoesNotDeploy, "v1.4.2 is deployed; it is \"v1.5.0\"", BACK),
        (Mistake::TellsNobody, "one mail each", BACK),
        (Mistake::HasNoReport, "the report exits with 0; it exited with 3", "Each entry of the journal"),
    ] {
        let (result, said, _) = told(mistake).await;
        let error = result.expect_err("a mistake").to_string();
        assert!(error.contains(wrong), "{mistake:?}: {error}");
        assert!(!said.contains(never_said), "{mistake:?}: {said}");
    }
}

#[tokio::test]
async fn the_commands_to_try_are_those_of_a_shell_even_where_names_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(&folder.path().join("it's mine")).await.unwrap();
    let text = things_to_try(&lab, "/opt/my tools/ripcord");
    assert!(text.contains(r"/it'\''s mine'"), "{text}");
    assert!(text.contains("'/opt/my tools/ripcord' resume last"), "{text}");
}
