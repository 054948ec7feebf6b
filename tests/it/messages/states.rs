//! States of the world that a rollback runs into: servers, credentials, working copies, programs, disks.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;

use super::Messages;
use crate::world::{Ripcord, World, git};

const CONNECTOR: &[&str] = &["-p", "connector=facebook", "-p", "version=v1.4.2"];

/// A plan that reads, posts, and looks whether it worked.
const POST: &str = r#"[[step]]
id = "switch"
use = "steps"
bind = { service = "service" }
retry = { attempts = 2, backoff = "10ms" }

[[step.with.apply]]
call = { role = "service", http = { method = "POST", path = "/a1" }, assume = { http = { status = 200 } } }

[[verify]]
id = "works"
use = "http-check"
bind = { service = "service" }
with = { path = "/connectors/x" }
"#;

fn world() -> World {
    let world = World::new();
    world.allow(&world.service("[\"GET /**\"]", "[\"POST /**\"]"));
    world.plan("plan", POST);
    world.connector_plan();
    world
}

fn connector(world: &World) -> Ripcord {
    world.shipped(&[&["run", "connector.toml", "--yes"], CONNECTOR].concat())
}

fn post(world: &World) -> Ripcord {
    world.shipped(&["run", "plan.toml", "--yes"])
}

/// An HTTPS server whose certificate is for this name: its port, and the certificate in PEM.
fn encrypted(name: &str) -> (u16, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let Ok(mut connection) = rustls::ServerConnection::new(config.clone()) else { continue };
            // It does not come to more than a refused handshake.
            let _ = connection.complete_io(&mut stream);
        }
    });
    (port, cert.pem())
}

#[test]
fn a_service_that_can_not_be_reached_or_refuses() {
    let mut messages = Messages::about("services");
    let world = world();
    world.ledger.tell("down");
    // The read of the check is tried again, and nobody interrupts it.
    world.ripcord(&["preview", "plan.toml"]).expect(0).says("Connection refused");
    messages.shows(&world, "down", post(&world));
    world.ledger.tell("up");

    for (name, behaviour) in
        [("unauthorized", "401"), ("forbidden", "403"), ("rate-limited", "429"), ("failing", "500")]
    {
        world.ledger.tell(&format!("behave {behaviour} /admin/connectors/facebook"));
        messages.shows(&world, name, connector(&world));
        world.ledger.tell("behave answer /admin/connectors/facebook");
    }
    world.ledger.tell("behave 401 /admin/connectors/facebook/disable");
    messages.shows(&world, "unauthorized-to-write", connector(&world));
    world.ledger.tell("behave answer /admin/connectors/facebook/disable");

    world.ledger.tell("behave cut /admin/a1");
    messages.shows(&world, "cut", post(&world));
    world.ripcord(&["resolve", "last", "1.0", "--did-not-happen"]).expect(0);
    world.ledger.tell("behave answer /admin/a1");
    world.ripcord(&["resume", "last"]).run();

    world.ledger.tell("behave 404 /admin/connectors/x");
    messages.shows(&world, "verification-fails", post(&world));
    world.ledger.tell("behave answer /admin/connectors/x");
    world.plan("typo", &format!("{POST}expect = \"respons.json.enabled == true\"\n"));
    messages.shows(&world, "unknown-name-in-a-condition", world.shipped(&["run", "typo.toml", "--yes"]));

    let service = |url: &str, rest: &str| {
        world.write(
            "ripcord.toml",
            &format!("[http.service]\nurl = \"{url}\"\nread = [\"GET /**\"]\nwrite = [\"POST /**\"]\n{rest}\n"),
        );
    };
    service("http://nowhere.invalid/", "");
    messages.shows(&world, "name-unknown", post(&world));
    let (port, certificate) = encrypted("other.example");
    fs::write(world.path("ca.pem"), certificate).unwrap();
    service(&format!("https://localhost:{port}/"), "");
    messages.shows(&world, "certificate-of-nobody-trusted", post(&world));
    service(&format!("https://localhost:{port}/"), "ca-file = \"ca.pem\"");
    messages.shows(&world, "certificate-of-another-name", post(&world));
    service(&format!("https://127.0.0.1:{}/admin", world.ledger.port()), "");
    messages.shows(&world, "plain-http-behind-https", post(&world));
    service("http://127.0.0.1:9/", "");
    fs::write(
        world.path("ripcord.toml"),
        fs::read_to_string(world.path("ripcord.toml")).unwrap().replace("POST /**", "POST /b/*"),
    )
    .unwrap();
    messages.shows(&world, "not-allowed", post(&world));
    messages.end();
}

#[test]
fn code_that_can_not_be_taken_back() {
    let mut messages = Messages::about("repository");
    let world = world();
    let file = world.path("genia").join(crate::world::CONNECTOR);
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, "somebody's work\n").unwrap();
    messages.shows(&world, "dirty", connector(&world));
    fs::write(&file, before).unwrap();

    messages.shows(
        &world,
        "unknown-version",
        world.shipped(&["run", "connector.toml", "--yes", "-p", "connector=facebook", "-p", "version=v9.9.9"]),
    );

    world.repository.take_remote_away();
    messages.shows(&world, "remote-gone", connector(&world));
    world.repository.bring_remote_back();

    let other = World::new();
    other.connector_plan();
    git(&other.path(""), &["clone", "-q", &git(&other.path("genia"), &["remote", "get-url", "origin"]), "clone"]);
    git(
        &other.path("clone"),
        &["-c", "user.name=x", "-c", "user.email=x@x.example", "commit", "-q", "--allow-empty", "-m", "Hotfix"],
    );
    git(&other.path("clone"), &["push", "-q", "origin", "main"]);
    messages.shows(&other, "push-rejected", connector(&other));

    let gone = World::new();
    gone.connector_plan();
    fs::rename(gone.path("genia"), gone.path("genia.away")).unwrap();
    messages.shows(&gone, "working-copy-gone", connector(&gone));
    messages.end();
}

#[test]
fn a_program_that_fails() {
    let mut messages = Messages::about("programs");
    for (name, argv, rest) in [
        ("missing", "[\"no-such-program\", \"build\"]", ""),
        (
            "fails",
            "[\"sh\", \"-c\", \"echo building; echo 'src/app.ts(3): error TS2304: cannot find name x' >&2; exit 3\"]",
            "",
        ),
        ("too-slow", "[\"sh\", \"-c\", \"echo compiling; exec sleep 60\"]", "timeout = \"1s\""),
        ("folder-missing", "[\"true\"]", "cwd = \"nowhere\""),
    ] {
        let world = World::new();
        world.connector_plan();
        let (before, after) =
            world.operator().split_once("[command.genia-build]").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let after = after.split_once("\n\n").unwrap().1.to_owned();
        world.write("ripcord.toml", &format!("{before}[command.genia-build]\nargv = {argv}\n{rest}\n\n{after}"));
        messages.shows(&world, name, connector(&world));
    }
    messages.end();
}

/// Channels that are down never hold a rollback up.
#[test]
fn a_notice_that_is_not_sent() {
    let mut messages = Messages::about("notices");
    let world = World::new();
    world.plan(
        "plan",
        "[[step]]\nid = \"tell\"\nuse = \"notify-people\"\nbind = { users = \"genia-users\" }\n\
         with = { subject = \"Off\", text = \"We are looking into it.\" }\n",
    );
    let operator = world.operator();
    let port = operator.split_once("127.0.0.1\", port = ").unwrap().1.split_once(',').unwrap().0.to_owned();
    world.write("ripcord.toml", &operator.replace(&format!("port = {port}"), "port = 9"));
    let ran = messages.shows(&world, "mail-server-down", world.shipped(&["run", "plan.toml", "--yes"]));
    assert_ne!(ran.code(), Some(3), "{ran}");
    world.write("ripcord.toml", &operator.replace("host = \"127.0.0.1\"", "host = \"mail.invalid\""));
    messages.shows(&world, "mail-server-unknown", world.shipped(&["run", "plan.toml", "--yes"]));
    messages.end();
}

#[test]
fn a_state_folder_that_can_not_be_used() {
    let mut messages = Messages::about("state");
    let world = world();
    let state = |name: &str, mode: u32| {
        let path = world.path(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let run = &["run", "plan.toml", "--yes"];

    let open = state("open", 0o777);
    messages.shows(&world, "others-can-write", world.shipped(run).env("RIPCORD_STATE", open.to_str().unwrap()));
    let readable = state("readable", 0o755);
    std::os::unix::fs::symlink(world.path("state/components"), readable.join("components")).unwrap();
    let runs = world.shipped(&["runs"]).env("RIPCORD_STATE", readable.to_str().unwrap());
    messages.shows(&world, "others-can-read", runs);
    fs::set_permissions(readable.join("journal.sqlite"), fs::Permissions::from_mode(0o644)).unwrap();
    let runs = world.shipped(&["runs"]).env("RIPCORD_STATE", readable.to_str().unwrap());
    messages.shows(&world, "others-can-read-the-journal", runs);

    let closed = state("closed", 0o500);
    let bound = super::without_roots_rights;
    messages.shows(&world, "not-writable", bound(world.shipped(run).env("RIPCORD_STATE", closed.to_str().unwrap())));
    let closed = readable.join("journal.sqlite");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o400)).unwrap();
    messages.shows(
        &world,
        "journal-not-writable",
        bound(world.shipped(run).env("RIPCORD_STATE", readable.to_str().unwrap())),
    );
    let beneath_a_file = world.path("plan.toml").join("state");
    messages.shows(
        &world,
        "file-in-the-way",
        world.shipped(run).env("RIPCORD_STATE", beneath_a_file.to_str().unwrap()),
    );
    messages.shows(&world, "nowhere", world.shipped(run).without_env("RIPCORD_STATE").without_env("HOME"));
    if rustix::process::geteuid().is_root() {
        let foreign = state("foreign", 0o700);
        chown(&foreign, Some(12345), None).unwrap();
        messages.shows(&world, "of-another-user", world.shipped(run).env("RIPCORD_STATE", foreign.to_str().unwrap()));
    } else {
        messages.can_not_show("of-another-user");
    }

    // A file system as small as this one is soon full: the first without room for compiled plugins,
    // the second without room for the plan and its plugins in the journal.
    let full = |name: &str, kilobytes: u32, prepare: &str| {
        let mount = world.path(name);
        fs::create_dir(&mount).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={kilobytes}k,mode=700 none {0} && mkdir {0}/state && chmod 700 {0}/state && {prepare} \
             RIPCORD_STATE={0}/state exec \"$@\"",
            mount.display()
        );
        world.shipped(run).through("unshare", &["-rm", "sh", "-c", &script, "sh"])
    };
    let ran = messages.shows(&world, "disk-full-for-plugins", full("small", 512, ""));
    assert_eq!(ran.code(), Some(2), "{ran}");
    let compiled = format!(
        "ln -s {} {}/state/components &&",
        world.path("state/components").display(),
        world.path("full").display()
    );
    let ran = messages.shows(&world, "disk-full-for-the-journal", full("full", 256, &compiled));
    assert_eq!(ran.code(), Some(2), "{ran}");
    let ran = messages.shows(&world, "disk-full-from-the-start", full("tiny", 8, ""));
    assert_eq!(ran.code(), Some(2), "{ran}");

    assert_eq!(world.ledger.mutations(), [""; 0]);
    messages.end();
}
