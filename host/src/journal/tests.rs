//! The events as a format: every kind reads back as it was written, in the words of the snapshot.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::capability::{Call, Payload, Repeat, Reply, command, git, http, notify};
use crate::failure::{Failure, Problem};
use crate::id::{CallId, ExecutionId};

/// At least one of each kind of event, and within them one of each kind of call, reply, failure, end
/// and verdict.
fn samples() -> Vec<Event> {
    let execution = ExecutionId(3);
    let call = CallId { execution, ordinal: 0 };
    let at: Timestamp = "2026-11-22T18:03:12.000000001Z".parse().unwrap();
    let binary = Payload(vec![0, 0xff]);
    let problem = Problem { message: "no route".into(), evidence: json!({ "seen": [1, -2.5e-7, null, "ü\u{0}"] }) };
    let request = |call| Request { role: "target".into(), connection: "http.coolify".into(), call };
    let post = http::Call {
        method: "POST".into(),
        path: "/deploy?uuid=u1".into(),
        headers: vec![("accept".into(), "*/*".into())],
        body: Some(binary.clone()),
    };
    let moved = git::Moved { head: "b".into(), previous: "a".into(), changed: vec!["src/x".into()] };
    let commit = git::Commit {
        id: "a".into(),
        parents: vec!["b".into()],
        author: "A <a@example.org>".into(),
        committed_at: -1,
        message: "m\n".into(),
    };
    let changed = git::ChangedPath { path: "x".into(), change: git::Change::Deleted };
    let push = git::Call::Push { revision: "HEAD".into(), branch: "main".into(), lease: None };
    let replies = [
        Reply::Http(http::Reply {
            status: 204,
            timing: http::Timing { first_byte_us: 1, total_us: 2 },
            ..http::Reply::default()
        }),
        Reply::Http(http::Reply {
            status: 500,
            headers: vec![("a".into(), "b".into())],
            body: binary.clone(),
            ..http::Reply::default()
        }),
        Reply::Git(git::Reply::Resolved("a".into())),
        Reply::Git(git::Reply::Commits(vec![commit])),
        Reply::Git(git::Reply::Difference { paths: vec![changed.clone()], patch: "-x".into() }),
        Reply::Git(git::Reply::Content("text".into())),
        Reply::Git(git::Reply::Status(vec![changed])),
        Reply::Git(git::Reply::RemoteHead(None)),
        Reply::Git(git::Reply::RemoteHead(Some("a".into()))),
        Reply::Git(git::Reply::Moved(moved.clone())),
        Reply::Git(git::Reply::Pushed(git::Pushed { branch: "main".into(), head: "b".into(), previous: None })),
        Reply::Command(command::Reply {
            ending: command::Ending::Signalled(9),
            stdout: "out".into(),
            stderr: binary,
            truncated: true,
        }),
        Reply::Notify(notify::Reply::Sent),
        Reply::Notify(notify::Reply::PerhapsSent("cut off".into())),
    ];
    let failures = [
        Failure::Denied(problem.clone()),
        Failure::transient("later"),
        Failure::permanent("never"),
        Failure::unknown("perhaps"),
    ];
    let outcomes = replies.into_iter().map(Ok).chain(failures.into_iter().map(Err));
    let called = |outcome| Event::Called {
        call,
        request: request(Call::Command(command::Call { arguments: vec![("n".into(), "v".into())] })),
        outcome,
        took_us: u64::MAX,
    };
    let intended = |(call_made, repeat, marker): (Call, Repeat, Option<Value>)| Event::Intended {
        call,
        request: request(call_made),
        repeat,
        marker,
        assume: Some(Reply::Notify(notify::Reply::Sent)),
    };
    let notice = notify::Call {
        subject: "s".into(),
        text: "t".into(),
        fields: vec![("k".into(), "v".into())],
        ..notify::Call::default()
    };
    let ends = [
        End::Returned(json!({ "version": 1.25 })),
        End::Returned(Value::Null),
        End::Failed(Failure::Permanent(problem)),
        End::Trapped("unreachable".into()),
        End::LimitExceeded("memory".into()),
        End::TimedOut("15m".into()),
        End::InDoubt,
        End::Refused,
        End::Abandoned,
    ];
    let settlements = [
        (Settler::Driver, Verdict::Happened(Reply::Git(git::Reply::Moved(moved)))),
        (Settler::Policy, Verdict::Repeat),
        (Settler::Plugin, Verdict::DidNotHappen),
        (Settler::Person("Andrea".into()), Verdict::Unknowable),
    ];
    let purposes = [
        Purpose::Apply("redeploy".into()),
        Purpose::Undo(execution),
        Purpose::Reconcile(call),
        Purpose::Check("health".into()),
    ];
    let gate = || GateId("redeploy".into());
    let gate_opened =
        |before, expires| Event::GateOpened(GateOpened { gate: gate(), before, ask: "Go on?".into(), expires });
    let answered = |answer| Event::GateAnswered { gate: gate(), answer, by: "Andrea".into() };

    let mut events = vec![Event::RunStarted(Box::new(run_started()))];
    events.extend([None, Some(41)].map(|taken_over_from| {
        let (machine, ripcord) = ("m".into(), "0.1.0".into());
        Event::HostAttached(HostAttached { pid: 42, machine, ripcord, taken_over_from })
    }));
    events.push(gate_opened(Behind::Step("redeploy".into()), Some(at)));
    events.push(gate_opened(Behind::Call(call), None));
    events.extend([None, Some("crash-loop".to_owned())].map(|trigger| gate_opened(Behind::Watch { trigger }, None)));
    events.extend([Answer::Yes, Answer::No, Answer::Expired].map(answered));
    events.extend(purposes.map(|purpose| Event::ExecutionBegan {
        execution,
        purpose,
        config: json!({ "application": "u1", "retries": 3 }),
    }));
    events.push(Event::ClockRead { call, now: at });
    events.push(Event::SleepBegan { call, until: at });
    events.extend(outcomes.map(called));
    events.extend(
        [
            (Call::Http(post), Repeat::Once, None),
            (Call::Git(push), Repeat::Idempotent, Some(json!({ "old": "a" }))),
            (Call::Notify(notice), Repeat::Keyed("k1".into()), Some(json!("m"))),
        ]
        .map(intended),
    );
    events.push(Event::Answered {
        call,
        outcome: Ok(Reply::Notify(notify::Reply::NotSent("full".into()))),
        took_us: 0,
    });
    events.push(Event::Doubted { call, seen: "the connection was cut".into() });
    events.extend(settlements.map(|(by, verdict)| Event::Settled { call, by, verdict }));
    events.push(Event::Unsettled { call, seen: "nothing".into() });
    events.push(Event::Logged { execution, level: Level::Warn, message: "line".into() });
    events.extend(ends.map(|end| Event::ExecutionEnded { execution, end }));
    events.push(Event::Judged { execution, outcome: CheckOutcome::Inconclusive, summary: "no data".into() });
    let alert = |status, triggers: &[&str]| Alert {
        status,
        group: "{}:{alertname=\"A\"}".into(),
        fingerprint: "0459280cffbb4f7e".into(),
        starts_at: Timestamp::UNIX_EPOCH,
        labels: BTreeMap::from([("alertname".into(), "A".into())]),
        annotations: BTreeMap::new(),
        triggers: triggers.iter().map(|&trigger| trigger.into()).collect(),
    };
    events.push(Event::AlertsReceived(AlertsReceived {
        alerts: vec![alert(AlertStatus::Firing, &["burning"]), alert(AlertStatus::Resolved, &[])],
        repeated: 3,
        left_out: 1,
    }));
    events.push(Event::Tripped { trigger: "burning".into(), cause: Cause::Alert(0) });
    events.push(Event::Tripped { trigger: "crash-loop".into(), cause: Cause::Measurement(execution) });
    events.push(Event::Halted { question: Question::DidItHappen { call, seen: "nothing".into() } });
    let alert = Alert {
        status: AlertStatus::Firing,
        group: "{}:{alertname=\"Down\"}".into(),
        fingerprint: "f00".into(),
        starts_at: at,
        labels: [("alertname".into(), "Down".into())].into(),
        annotations: [("summary".into(), "it is down".into())].into(),
        triggers: vec!["crash-loop".into()],
    };
    events.push(Event::AlertsReceived(AlertsReceived { alerts: vec![alert], repeated: 2, left_out: 1 }));
    events.push(Event::AbortRequested { by: "Andrea".into() });
    events.push(Event::UndoRequested { by: "Andrea".into() });
    events.push(Event::VerificationRequested { by: "Andrea".into() });
    events.push(Event::IncidentNoted(IncidentNoted {
        by: "Andrea".into(),
        symptoms: vec!["calls end without data".into()],
        severity: Some("SEV1".into()),
        scope: Some("all calls".into()),
        since: Some(at),
        coordinator: Some("Ana".into()),
        decided_by: Some("Marta".into()),
        scenario: Some("a connector fails".into()),
    }));
    events.push(Event::IncidentNoted(IncidentNoted { by: "Andrea".into(), ..IncidentNoted::default() }));
    events.push(Event::RunEnded { outcome: RunOutcome::Verified, why: "all checks passed".into() });
    let approval = Approval { by: "Andrea".into(), binding: "b".into(), listed: Vec::new() };
    events.push(Event::FollowUpRequested(FollowUpRequested { item: "reopen".into(), approval }));
    let outcomes = [FollowUpOutcome::Done, FollowUpOutcome::Failed, FollowUpOutcome::Refused];
    events.extend(outcomes.map(|outcome| Event::FollowUpEnded { item: "reopen".into(), outcome, why: "so".into() }));
    let noted = |done, note: Option<&str>| FollowUpNoted {
        item: "cause".into(),
        by: "Ana".into(),
        done,
        note: note.map(str::to_owned),
    };
    events.push(Event::FollowUpNoted(noted(true, Some("a migration"))));
    events.push(Event::FollowUpNoted(noted(false, None)));
    events.push(Event::DriftBegan(DriftBegan {
        by: "Ana".into(),
        until: at,
        interval_ms: 300_000,
        failure_limit: 1,
        checks: vec!["health".into()],
    }));
    let found = [
        DriftOutcome::Held,
        DriftOutcome::Drifted { check: "health".into(), first_failed: execution },
        DriftOutcome::Unknown { checks: vec!["health".into()] },
    ];
    events.extend(found.map(|found| Event::DriftEnded { found, why: "so".into() }));
    events
}

fn run_started() -> RunStarted {
    let trigger = TriggerShape {
        id: "crash-loop".into(),
        title: "Crash Loop".into(),
        severity: Some("SEV1".into()),
        interval_ms: 30_000,
        initial_delay_ms: 60_000,
        count: Some(10),
        failure_limit: 1,
        inconclusive_limit: 2,
        consecutive_error_limit: 4,
    };
    let watch = WatchShape {
        window_ms: 1_800_000,
        then: Then::Ask,
        expires_ms: Some(600_000),
        triggers: vec![trigger],
        alerts: vec![],
        listen: None,
    };
    let step = |id: &str| StepShape {
        id: id.into(),
        fallback: None,
        gate: false,
        on_failure: OnFailure::Halt,
        can_undo: true,
    };
    let guarded =
        StepShape { fallback: Some("redeploy".into()), gate: true, on_failure: OnFailure::Undo, ..step("restore") };
    let listed = Listed { connection: "http.coolify".into(), operation: "POST".into(), target: "/deploy".into() };
    RunStarted {
        run: "20261122-180312-k7qm".to_owned().into(),
        ripcord: "0.1.0".into(),
        plan_name: "asistente".into(),
        plan_path: "plan.toml".into(),
        plan: Digest::of(b"plan"),
        params: BTreeMap::from([("application".into(), "u1".into())]),
        people: BTreeMap::from([("coordinator".into(), "Ana".into())]),
        language: crate::language::Language::Es,
        scenario: Some("a connector fails".into()),
        target: "coolify/asistente".into(),
        operator_path: "ripcord.toml".into(),
        plugins: BTreeMap::from([("redeploy".into(), Digest::of(b"plugin"))]),
        shape: Shape {
            steps: vec![step("redeploy"), guarded],
            verify: vec![CheckShape { id: "health".into(), within_ms: 1, every_ms: 2 }],
            notices: vec![NoticeShape { id: "tell".into(), on: vec![Occasion::Begun, Occasion::Verified] }],
            watch: Some(watch),
            follow_ups: vec![
                FollowUpShape {
                    id: "cause".into(),
                    what: "Find the cause".into(),
                    owner: Some(Owner { role: Some("analysis".into()), name: Some("Ana".into()) }),
                    due_ms: Some(259_200_000),
                    step: None,
                },
                FollowUpShape {
                    id: "reopen".into(),
                    what: "Switch it on again".into(),
                    owner: None,
                    due_ms: None,
                    step: Some(FollowUpStep { gate: true, ends: vec!["health".into()] }),
                },
            ],
            timeouts_ms: BTreeMap::from([("redeploy".into(), 60_000)]),
        },
        limits: Limits::default(),
        approval: Approval { by: "Andrea".into(), binding: "b".into(), listed: vec![listed] },
        good_states: vec![GoodState {
            run: "20261120-100000-a1b2".to_owned().into(),
            step: "backup".into(),
            at: Timestamp::UNIX_EPOCH,
            state: json!({ "version": "1.4.1" }),
        }],
    }
}

/// The names of all kinds of events, from the one place that knows them: serde's own complaint.
fn kinds() -> BTreeSet<String> {
    let complaint = serde_json::from_value::<Event>(json!({ "event": "?" })).unwrap_err().to_string();
    complaint.split('`').skip(1).step_by(2).filter(|name| *name != "?").map(str::to_owned).collect()
}

#[test]
fn every_kind_of_event_reads_back_as_it_was_written() {
    let sampled: BTreeSet<String> = samples()
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sampled, kinds(), "each kind of event has a sample");
    for (event, sequence) in samples().into_iter().zip(1..) {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).expect(&text), event);

        // `show --json` prints events in their place.
        let recorded = Recorded { sequence, at: Timestamp::UNIX_EPOCH, event };
        let text = serde_json::to_string(&recorded).unwrap();
        assert_eq!(serde_json::from_str::<Recorded>(&text).expect(&text), recorded);
    }
}

/// Old runs are stored in these words. A change here that is not an addition loses them.
#[test]
fn the_words_of_the_events_stay() {
    let lines: Vec<_> = samples().iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    insta::assert_snapshot!("events", lines.join("\n"));
}

proptest::proptest! {
    /// A replay compares with what the journal says: numbers come back to the last bit (which is a
    /// feature of serde_json that somebody has to turn on).
    #[test]
    fn numbers_come_back_to_the_last_bit(number: f64) {
        let text = serde_json::to_string(&number).unwrap();
        let back: f64 = serde_json::from_str(&text).unwrap();
        proptest::prop_assert_eq!(back.to_bits(), number.to_bits(), "{}", text);
    }
}
