//! The `command` capability, from the operator's table to the reply.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ripcord::capability::command::{Call, Connection, Ending, Reply};
use ripcord::capability::{At, CapabilityConnection, Driver, OpenError, Opening, Settlement};
use ripcord::failure::Failure;
use ripcord::id::{ExecutionId, RunId};
use ripcord::process::Supervisors;
use ripcord::secret::{SecretSource, Secrets};

use crate::{Place, SUPERVISOR, text};

type CommandDriver = Arc<dyn Driver<Call = Call, Reply = Reply>>;

fn open(place: &Place, table: &str) -> Result<CommandDriver, OpenError> {
    std::fs::write(place.path("token"), "hunter2hunter2").unwrap();
    let sources = BTreeMap::from([("token".to_owned(), SecretSource::File("token".into()))]);
    let connection: Connection = toml::from_str(table).unwrap();
    let opening = Opening {
        secrets: Arc::new(Secrets::new(sources, place.0.path())),
        spool: place.spool(),
        base: place.0.path().to_owned(),
        supervisors: Supervisors::new(SUPERVISOR),
    };
    connection.open(&opening).now_or_never().expect("nothing to wait for")
}

fn at(ordinal: u32) -> At {
    let began = jiff::Timestamp::UNIX_EPOCH;
    let run = RunId::from("20261122-180312-k7qm".to_owned());
    At { run, execution: ExecutionId(3), ordinal, began, deadline: Duration::from_secs(60), idempotency_key: None }
}

fn call(arguments: &[(&str, &str)]) -> Call {
    Call { arguments: arguments.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect() }
}

fn records(place: &Place) -> Vec<String> {
    let mut names: Vec<_> =
        place.spool().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_command_is_what_the_operator_wrote_with_the_values_that_were_given() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("app")).unwrap();
    std::fs::write(place.path("deploy.sh"), "#!/bin/sh\necho \"$0|$1|$2|${PWD##*/}|$STAGE|$TOKEN\"\n").unwrap();
    std::fs::set_permissions(place.path("deploy.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let driver = open(
        &place,
        "argv = ['./deploy.sh', 'to', 'v{version}']\nparams.version = '.*'\ncwd = 'app'\n\
         env = { STAGE = 'staging', TOKEN = 'secret:token' }",
    )
    .unwrap();
    let call = call(&[("version", "1; $(id)")]);

    let prepared = driver.prepare(&at(0), &call).await.unwrap();
    let marker = prepared.marker();
    let reply = prepared.perform().await.unwrap();
    assert_eq!(reply.ending, Ending::Exited(0));
    let program = place.path("./deploy.sh");
    assert_eq!(text(&reply.stdout), format!("{}|to|v1; $(id)|app|staging|[redacted]\n", program.display()));
    assert_eq!(driver.settle(&at(0), &call, marker.as_ref()).await, Settlement::Happened(reply));
}

#[tokio::test]
async fn each_attempt_has_its_own_record_and_a_read_leaves_none() {
    let place = Place::new();
    let driver = open(&place, "argv = ['sh', '-c', 'exit 4']").unwrap();
    assert_eq!(driver.read(&at(7), &call(&[])).await.unwrap().ending, Ending::Exited(4));
    assert_eq!(records(&place), Vec::<String>::new());

    let taken_back = driver.prepare(&at(7), &call(&[])).await.unwrap().marker();
    let again = driver.prepare(&at(7), &call(&[])).await.unwrap();
    let marker = again.marker();
    again.perform().await.unwrap();
    assert_eq!(records(&place), ["20261122-180312-k7qm-3-7.1", "20261122-180312-k7qm-3-7.2"]);
    for marker in [None, taken_back.as_ref()] {
        assert_eq!(driver.settle(&at(7), &call(&[]), marker).await, Settlement::DidNotHappen);
    }
    let settled = driver.settle(&at(7), &call(&[]), marker.as_ref()).await;
    assert!(matches!(settled, Settlement::Happened(Reply { ending: Ending::Exited(4), .. })), "{settled:?}");
}

#[tokio::test]
async fn a_call_that_is_given_up_is_settled_when_it_has_ended() {
    let place = Place::new();
    let driver = open(&place, "argv = ['sleep', '60']\ntimeout = '500ms'").unwrap();
    let prepared = driver.prepare(&at(0), &call(&[])).await.unwrap();
    let marker = prepared.marker();
    tokio::time::timeout(Duration::from_millis(50), prepared.perform()).await.expect_err("given up");
    let settled = driver.settle(&at(0), &call(&[]), marker.as_ref()).await;
    assert!(matches!(settled, Settlement::Happened(Reply { ending: Ending::TimedOut, .. })), "{settled:?}");
}

#[tokio::test]
async fn a_program_that_vanished_is_a_permanent_failure() {
    let place = Place::new();
    let program = place.path("tool");
    std::fs::copy("/bin/true", &program).unwrap();
    let driver = open(&place, "argv = ['./tool']").unwrap();
    std::fs::remove_file(program).unwrap();
    let error = driver.prepare(&at(0), &call(&[])).await.unwrap().perform().await.expect_err("it is gone");
    assert!(matches!(error, Failure::Permanent(_)), "{error}");
}

#[test]
fn what_does_not_fit_the_machine_is_said_when_the_connection_is_opened() {
    let place = Place::new();
    for (table, says) in [
        ("argv = ['no-such-program']", "no such program in PATH, which is `/"),
        ("argv = ['no-such-program']\nenv.PATH = '/one:/two'", "no such program in PATH, which is `/one:/two`"),
        ("argv = ['./token']", "is not there, or not executable (`chmod +x`)"),
        ("argv = ['true']\ncwd = 'nowhere'", "there is no such folder"),
        ("argv = ['true']\ninherit-env = ['RIPCORD_TEST_ABSENT']", "inherit-env names RIPCORD_TEST_ABSENT"),
        ("argv = ['true']\nenv.A = 'secret:b'", "no secret `b` under [secrets]"),
    ] {
        let error = open(&place, table).err().expect(table).to_string();
        assert!(error.contains(says), "{table}: {error}");
    }
}
