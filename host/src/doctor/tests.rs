//! Against real servers on the loopback interface.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, DATE, LOCATION};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::lab::authority::Authority;
use crate::lab::mailbox::Mailbox;
use crate::state::StateDir;

const TOKEN: &str = "tok-Zq7XvKJw93-do-not-show";
const SECRETS: &str = "[secrets]\nright = { command = ['printf', 'tok-Zq7XvKJw93-do-not-show'] }\n\
                       wrong = { command = ['printf', 'tok-of-yesterday'] }\nabsent = { env = 'RIPCORD_TEST_ABSENT' }\n";

/// A service that knows one token.
async fn service() -> u16 {
    async fn answer(request: Request) -> Response {
        let is_known = request.headers().get(AUTHORIZATION).is_some_and(|found| found == &format!("Bearer {TOKEN}"));
        let date = |ahead: i64| {
            let date = Timestamp::now() + SignedDuration::from_hours(ahead);
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap()
        };
        match request.uri().path() {
            "/open" => "ok".into_response(),
            "/broken" => (axum::http::StatusCode::SERVICE_UNAVAILABLE, "no").into_response(),
            "/missing" => axum::http::StatusCode::NOT_FOUND.into_response(),
            "/forbidden" => axum::http::StatusCode::FORBIDDEN.into_response(),
            "/moved" => (axum::http::StatusCode::FOUND, [(LOCATION, format!("/login?token={TOKEN}"))]).into_response(),
            "/early" => ([(DATE, date(1))], "ok").into_response(),
            "/late" => ([(DATE, date(-1))], "ok").into_response(),
            "/slow" => std::future::pending().await,
            _ if is_known => "ok".into_response(),
            _ => axum::http::StatusCode::UNAUTHORIZED.into_response(),
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    port
}

/// A port at which nobody listens.
async fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn findings(folder: &Path, text: &str, deadline: Duration) -> Vec<Finding> {
    let file = folder.join("ripcord.toml");
    let operator = Operator::parse(&file.display().to_string(), text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let opening = crate::runner::opening(&operator, &folder.join("spool"), Path::new("ripcord"));
    let found = Mutex::new(Vec::new());
    let listen = |progress| {
        if let Progress::Found(finding) = progress {
            found.lock().unwrap().push(finding);
        }
    };
    examine(&operator, &operator.order, &opening, deadline, &listen).await;
    let found = found.into_inner().unwrap();
    assert!(!format!("{found:?}").contains(TOKEN), "a secret is shown: {found:?}");
    found
}

/// One table, its only finding that is not good, and that nothing after it was tried which needs it.
async fn expect(folder: &Path, table: &str, aspect: Aspect, grade: &str, seen: &str, remedy: &str) {
    let found = findings(folder, &format!("{table}\n{SECRETS}"), Duration::from_secs(10)).await;
    let bad: Vec<_> = found.iter().filter(|finding| finding.grade != Grade::Good).collect();
    let [bad] = bad.as_slice() else { panic!("{table}\n{found:#?}") };
    let (found_grade, found_remedy) = match &bad.grade {
        Grade::Good => ("good", ""),
        Grade::Untried => ("untried", ""),
        Grade::Warning { remedy } => ("warning", remedy.as_str()),
        Grade::Fault { remedy } => ("fault", remedy.as_str()),
    };
    assert_eq!((bad.aspect, found_grade), (aspect, grade), "{table}\n{bad:?}");
    assert!(bad.seen.contains(seen) && found_remedy.contains(remedy), "{table}\n{bad:?}");
    assert!(!found_remedy.contains('\n') && !bad.seen.contains('\n'), "{bad:?}");
}

#[tokio::test]
async fn each_fault_of_a_service_is_told_from_the_others() {
    use Aspect::{Answer, Clock, Connection, Encryption, Login, Name};
    let folder = tempfile::tempdir().unwrap();
    let (port, down) = (service().await, nobody().await);
    let table = |port: u16, rest: &str| format!("[http.x]\nurl = 'http://127.0.0.1:{port}'\n{rest}");
    let known = |secret: &str, path: &str| {
        table(port, &format!("auth = {{ bearer = 'secret:{secret}' }}\nread = ['GET {path}']"))
    };
    for (table, aspect, grade, seen, remedy) in [
        (table(down, ""), Connection, "fault", "nobody listens at 127.0.0.1", "start the service"),
        ("[http.x]\nurl = 'http://nowhere.invalid'".to_owned(), Name, "fault", "nowhere.invalid", "getent hosts"),
        (table(port, "").replace("http:", "https:"), Encryption, "fault", "does not answer with TLS", "port"),
        (known("wrong", "/version"), Login, "fault", "answers 401: it does not accept", "where `wrong` comes from"),
        (known("right", "/forbidden"), Login, "fault", "answers 403", "the right to read /forbidden"),
        (table(port, "read = ['GET /version']"), Login, "fault", "the connection has none", "add  auth ="),
        (known("right", "/open"), Login, "untried", "answers without a login too", ""),
        (table(port, ""), Login, "untried", "no `read` rule", ""),
        // What `write` says as well is no read, and is not sent.
        (table(port, "read = ['GET /open']\nwrite = ['GET /*']"), Login, "untried", "no `read` rule", ""),
        (table(port, "read = ['GET /broken']"), Answer, "warning", "answers 503", "log"),
        (table(port, "read = ['GET /missing']"), Answer, "warning", "no such path", "where `url` ends"),
        (known("right", "/moved"), Answer, "warning", "sends to /login?token=[redacted]", "url"),
        (table(port, "read = ['GET /early']"), Clock, "warning", "about 1h behind the service's", "timedatectl"),
        (table(port, "read = ['GET /late']"), Clock, "warning", "about 1h ahead of the service's", "timedatectl"),
        (table(port, "read = ['GET /slow']\ntimeout = '300ms'"), Answer, "fault", "no answer within 300ms", "log"),
    ] {
        expect(folder.path(), &table, aspect, grade, seen, remedy).await;
    }
}

#[tokio::test]
async fn a_sound_service_is_shown_to_let_ripcord_in_and_only_who_has_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let port = service().await;
    // Neither says anything of the token by itself: the first asks for none, the second is made up.
    let text = format!(
        "[http.x]\nurl = 'http://127.0.0.1:{port}'\nauth = {{ bearer = 'secret:right' }}\n\
         read = ['GET /things/*', 'GET /open', 'POST /search']\n{SECRETS}"
    );
    let found = findings(folder.path(), &text, Duration::from_secs(10)).await;
    assert!(found.iter().all(|finding| finding.grade == Grade::Good), "{found:#?}");
    let login = found.iter().find(|finding| finding.aspect == Aspect::Login).unwrap();
    assert!(login.seen.starts_with("GET /things/ripcord-doctor answers 200 with the credentials"), "{login:?}");
    assert!(found.iter().any(|finding| finding.aspect == Aspect::Clock));
}

#[tokio::test]
async fn a_missing_secret_is_said_once_and_what_needs_none_is_tried_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let port = service().await;
    let text = format!(
        "[http.x]\nurl = 'http://127.0.0.1:{port}'\nauth = {{ bearer = 'secret:absent' }}\nread = ['GET /x']\n{SECRETS}"
    );
    let found = findings(folder.path(), &text, Duration::from_secs(10)).await;
    let aspects: Vec<_> = found.iter().map(|finding| (finding.aspect, finding.is_fault())).collect();
    assert_eq!(aspects, [(Aspect::Secret, true), (Aspect::Connection, false), (Aspect::Login, false)], "{found:#?}");
    let Grade::Fault { remedy } = &found[0].grade else { panic!("{found:?}") };
    assert!(remedy.contains("export RIPCORD_TEST_ABSENT="), "{remedy}");
}

#[tokio::test]
async fn a_certificate_for_another_name_and_one_of_a_stranger_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let stranger = Authority::new();
    let acceptor = authority.localhost.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(stream).await.ok() });
        }
    });
    let table = |host: &str, authority: &Authority| {
        format!("[http.x]\nurl = 'https://{host}:{port}'\nca-file = '{}'", authority.file().display())
    };
    for (table, grade, aspect, seen, remedy) in [
        (table("127.0.0.1", &authority), "fault", Aspect::Encryption, "is for another name", "write the name"),
        (table("localhost", &stranger), "fault", Aspect::Encryption, "another key", "ca-file"),
        (table("localhost", &authority), "untried", Aspect::Login, "no `read` rule", ""),
    ] {
        expect(folder.path(), &table, aspect, grade, seen, remedy).await;
    }
    let missing = format!("[http.x]\nurl = 'https://localhost:{port}'\nca-file = 'absent.pem'");
    expect(folder.path(), &missing, Aspect::Encryption, "fault", "absent.pem", "correct it").await;
}

/// A mail server that gives these answers, one for each line it is told.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, answers: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let mut told = Vec::new();
    for answer in answers {
        let _ = stream.write_all(format!("{answer}\r\n").as_bytes()).await;
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            break;
        }
        told.push(line.trim_end().to_owned());
    }
    told
}

#[tokio::test]
async fn a_mail_server_is_talked_to_up_to_the_login_and_gets_no_mail() {
    use Aspect::{Answer, Connection, Encryption, Login};
    let folder = tempfile::tempdir().unwrap();
    let mailbox = Mailbox::start().await.unwrap();
    let authority = Authority::new();
    let acceptor = authority.localhost.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let guarded = listener.local_addr().unwrap().port();
    let told = std::sync::Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let lines = converse(stream, &["220 x", "250-x\r\n250 AUTH PLAIN", "535 no such user", "221 bye"]).await;
            heard.lock().unwrap().extend(lines);
        }
    });
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let down = nobody().await;
    let table = |port: u16, rest: &str| {
        format!(
            "[notify.x]\nfrom = 'a@b.c'\nto = ['a@b.c']\ntimeout = '1s'\n\
             smtp = {{ host = 'localhost', port = {port}, {rest} }}"
        )
    };
    let login = format!(
        "tls = 'implicit', user = 'ops', password = 'secret:right', ca-file = '{}'",
        authority.file().display()
    );
    for (table, aspect, grade, seen, remedy) in [
        (table(down, "tls = 'none'"), Connection, "fault", "nobody listens", "port"),
        (table(guarded, &login), Login, "fault", "does not let ops in: 535 no such user", "what `right` holds"),
        (table(guarded, "tls = 'implicit'"), Encryption, "fault", "nobody here trusts", "smtp.ca-file"),
        (table(mailbox.addr().port(), "tls = 'starttls'"), Encryption, "fault", "takes no STARTTLS", "implicit"),
        (
            table(mailbox.addr().port(), "tls = 'none', user = 'ops', password = 'secret:right'"),
            Login,
            "fault",
            "offers no login",
            "take user and password out",
        ),
        (table(silent_port, "tls = 'none'"), Answer, "fault", "within 1s", "mail server's port"),
    ] {
        expect(folder.path(), &table, aspect, grade, seen, remedy).await;
    }
    assert!(told.lock().unwrap().iter().any(|line| line.starts_with("AUTH PLAIN")), "{told:?}");

    let good = findings(folder.path(), &table(mailbox.addr().port(), "tls = 'none'"), Duration::from_secs(10)).await;
    assert!(good.iter().any(|finding| finding.aspect == Answer && finding.grade == Grade::Good), "{good:?}");
    assert!(mailbox.messages().is_empty());
}

#[tokio::test]
async fn a_program_is_looked_for_and_not_run() {
    use Aspect::{Folder, Program, Settings};
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    script("fine", "#!/bin/sh\ntouch ran", 0o755);
    script("closed", "#!/bin/sh", 0o644);
    script("orphan", "#!/no/such/interpreter -x\n", 0o755);
    for (table, aspect, seen, remedy) in [
        ("argv = ['no-such-program']", Program, "no such program in PATH", "install it"),
        ("argv = ['./closed']", Program, "chmod +x", "install it"),
        ("argv = ['./orphan']", Program, "a script for /no/such/interpreter", "install /no/such/interpreter"),
        ("argv = ['./fine']\ncwd = 'absent'", Folder, "no such folder", "correct cwd"),
        ("argv = ['./fine']\ninherit-env = ['RIPCORD_TEST_ABSENT']", Settings, "RIPCORD_TEST_ABSENT", "export"),
    ] {
        expect(folder.path(), &format!("[command.x]\n{table}"), aspect, "fault", seen, remedy).await;
    }
    let found = findings(folder.path(), "[command.x]\nargv = ['./fine']", Duration::from_secs(10)).await;
    assert!(found.iter().all(|finding| finding.grade == Grade::Good), "{found:?}");
    assert!(!folder.path().join("ran").exists());
}

#[tokio::test]
async fn a_working_copy_is_looked_at_as_a_rollback_would_find_it() {
    use Aspect::{Folder, Remote, Rules, Settings, State};
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("app");
    let repository = git2::Repository::init(&root).unwrap();
    let mut config = repository.config().unwrap();
    config.set_str("user.name", "").unwrap();
    config.set_str("user.email", "").unwrap();
    let table = |rest: &str| format!("[git.x]\npath = 'app'\n{rest}");
    expect(folder.path(), "[git.x]\npath = 'absent'", Folder, "fault", "no folder", "clone").await;
    std::fs::create_dir(folder.path().join("plain")).unwrap();
    expect(folder.path(), "[git.x]\npath = 'plain'", Folder, "fault", "has `.git`", "git -C").await;

    let found = findings(folder.path(), &table(""), Duration::from_secs(10)).await;
    assert!(found.iter().any(|f| f.aspect == State && f.is_fault() && f.seen.contains("no commit yet")), "{found:?}");

    std::fs::write(root.join("a.ts"), "1").unwrap();
    let mut index = repository.index().unwrap();
    index.add_path(Path::new("a.ts")).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let signature = git2::Signature::now("x", "x@example.org").unwrap();
    repository.commit(Some("HEAD"), &signature, &signature, "one", &tree, &[]).unwrap();

    let quiet = |rest: &str| table(rest);
    expect(folder.path(), &quiet("write = ['restore *.ts']"), Remote, "untried", "no remote `origin`", "").await;
    expect(folder.path(), &quiet("write = ['push main']"), Remote, "fault", "no remote `origin`", "git -C").await;
    let not_untried = async |rest: &str, aspect: Aspect, grade: fn(&Grade) -> bool, seen: &str| {
        let found = findings(folder.path(), &table(rest), Duration::from_secs(10)).await;
        let hit = found.iter().find(|finding| finding.aspect == aspect && grade(&finding.grade));
        assert!(hit.is_some_and(|finding| finding.seen.contains(seen)), "{rest}: {found:#?}");
    };
    let warns: fn(&Grade) -> bool = |grade| matches!(grade, Grade::Warning { .. });
    let fails: fn(&Grade) -> bool = |grade| matches!(grade, Grade::Fault { .. });
    not_untried("write = ['restore src/**']", Rules, warns, "no file that git knows fits `restore src/**`").await;
    not_untried("write = ['commit *.ts']", Settings, fails, "nobody is configured to commit").await;

    std::fs::write(root.join("a.ts"), "2").unwrap();
    std::fs::write(root.join("b.md"), "2").unwrap();
    not_untried("write = ['restore *.ts']", State, warns, "uncommitted: a.ts; a rollback of these is refused").await;
    not_untried("write = ['restore *.js']", State, |grade| *grade == Grade::Good, "nothing is uncommitted").await;
    not_untried("write = ['reset']", State, warns, "a.ts, b.md").await;

    std::fs::write(root.join(".git/index.lock"), "").unwrap();
    not_untried("", State, fails, "another git is at work").await;
    std::fs::remove_file(root.join(".git/index.lock")).unwrap();
    std::fs::write(root.join(".git/MERGE_HEAD"), format!("{}\n", repository.head().unwrap().target().unwrap()))
        .unwrap();
    not_untried("", State, fails, "unfinished").await;
}

#[tokio::test]
async fn what_hangs_is_given_up_at_the_deadline_with_what_was_found_before() {
    let folder = tempfile::tempdir().unwrap();
    let port = service().await;
    let text = format!(
        "[http.slow]\nurl = 'http://127.0.0.1:{port}'\nread = ['GET /slow']\n\
         [http.fast]\nurl = 'http://127.0.0.1:{port}'\nread = ['GET /open']\n"
    );
    let found = findings(folder.path(), &text, Duration::from_millis(500)).await;
    let slow: Vec<_> = found.iter().filter(|finding| finding.subject == "http.slow").collect();
    assert_eq!(slow.len(), 2, "{slow:?}");
    assert_eq!((slow[0].aspect, &slow[0].grade), (Aspect::Connection, &Grade::Good));
    assert!(slow[1].is_fault() && slow[1].seen == "gave up after 500ms at: GET /slow", "{slow:?}");
    assert!(found.iter().any(|finding| finding.subject == "http.fast" && finding.aspect == Aspect::Answer));
}

#[tokio::test]
async fn the_state_directory_is_looked_at_whatever_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let look = async |path: &Path| {
        let found = Mutex::new(Vec::new());
        let listen = |progress| {
            if let Progress::Found(finding) = progress {
                found.lock().unwrap().push(finding);
            }
        };
        examine_state(StateDir::open(path).as_ref(), &listen).await;
        found.into_inner().unwrap()
    };
    let sound = look(&folder.path().join("state")).await;
    let aspects: Vec<_> = sound.iter().map(|finding| (finding.aspect, finding.is_fault())).collect();
    let all = [Aspect::Folder, Aspect::Disk, Aspect::Disk, Aspect::Journal];
    assert_eq!(aspects, all.map(|aspect| (aspect, false)), "{sound:?}");

    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let found = look(&open).await;
    let [Finding { aspect: Aspect::Folder, grade: Grade::Fault { remedy }, .. }] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(*remedy, format!("`chmod go-w {}`", open.display()));

    let state = StateDir::open(folder.path().join("state")).unwrap();
    let journal = rusqlite::Connection::open(state.journal()).unwrap();
    journal.pragma_update(None, "user_version", 99).unwrap();
    let found = look(state.path()).await;
    let journal = found.iter().find(|finding| finding.aspect == Aspect::Journal).unwrap();
    assert!(journal.is_fault() && journal.seen.contains("format 99"), "{journal:?}");
}
