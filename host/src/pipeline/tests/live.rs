//! New calls: what is retried, what is in doubt, what waits for a person, what is written when.

use super::*;
use crate::machine::Fate;

fn later() -> Told {
    Told::Fail(Failure::transient("later"))
}

#[tokio::test]
async fn a_call_is_retried_as_often_as_the_plan_says_and_never_when_it_may_have_happened() {
    let settled = "settled by Driver: DidNotHappen";
    let intended = "intended POST /deploy";
    let never = || Told::Fail(Failure::permanent("never"));
    let perhaps = || Told::Fail(Failure::unknown("perhaps"));
    let not_ready = || Told::NotReady(Failure::transient("not ready"));
    let table: Vec<(&str, Vec<Told>, Vec<&str>)> = vec![
        ("works at last", vec![later(), later()], vec![intended, settled, intended, settled, intended, "answered: ok"]),
        (
            "never works",
            vec![later(), later(), later()],
            vec![intended, settled, intended, settled, intended, "answered: transient"],
        ),
        ("will not work later either", vec![never()], vec![intended, "answered: permanent"]),
        ("may have happened", vec![perhaps()], vec![intended, "doubted"]),
        ("may have happened the second time", vec![later(), perhaps()], vec![intended, settled, intended, "doubted"]),
        ("gave no answer", vec![Told::Hang], vec![intended, "doubted"]),
        ("got ready at last", vec![not_ready(), not_ready()], vec![intended, "answered: ok"]),
        ("never got ready", vec![not_ready(), not_ready(), not_ready()], vec!["POST /deploy: transient"]),
        (
            "got ready once only",
            vec![later(), not_ready(), not_ready()],
            vec![intended, settled, intended, "answered: transient"],
        ),
    ];
    for (claim, told, journaled) in table {
        let mut bench = Bench::new(&["/deploy"]).await.told(told);
        bench.attempts = 3;
        let outcome = bench.live().await.call(post("/deploy")).await;
        assert_eq!(matches!(outcome, Err(Stop::Doubt(call)) if call == address(0)), journaled.contains(&"doubted"));
        bench.record.lock().await.flush().await.unwrap();
        assert_eq!(bench.journaled().await, journaled, "a call that {claim}");
    }
}

#[tokio::test]
async fn a_read_that_gives_no_answer_is_read_again_and_is_transient() {
    let mut bench = Bench::new(&[]).await.told([Told::Hang, later(), Told::Reply(status(200, "at last"))]);
    bench.attempts = 3;
    assert_eq!(bench.live().await.call(get("/version")).await.unwrap(), Ok(status(200, "at last")));

    let bench = Bench::new(&[]).await.told([Told::Hang]);
    let outcome = bench.live().await.call(get("/version")).await.unwrap();
    assert!(matches!(outcome, Err(Failure::Transient(_))), "{outcome:?}");
}

#[tokio::test]
async fn an_intent_is_on_the_disk_with_its_marker_before_the_call_leaves() {
    let bench = Bench::new(&["/deploy"]).await.told([Told::Hang]);
    let mut pipeline = bench.live().await;
    let cut = tokio::time::timeout(Duration::from_millis(100), pipeline.call(post("/deploy")));
    cut.await.expect_err("the driver hangs");
    assert_eq!(bench.reached(), ["prepare POST /deploy", "perform POST /deploy"]);
    let events = bench.events().await;
    let Some(Event::Intended { marker, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(marker, &Some(json!({ "of": "r-1-0" })));
}

#[tokio::test]
async fn a_secret_reaches_neither_journal_nor_guest() {
    let bench = Bench::new(&["/deploy"]).await.told([
        Told::Reply(status(200, "token s3cr3t-t0ken")),
        Told::Reply(status(200, "token s3cr3t-t0ken")),
        Told::Fail(Failure::unknown("sent s3cr3t-t0ken")),
    ]);
    bench.scrubber.add("s3cr3t-t0ken");
    let mut pipeline = bench.live().await;
    for invocation in [get("/version"), post("/deploy")] {
        assert_eq!(pipeline.call(invocation).await.unwrap(), Ok(status(200, "token [redacted]")));
    }
    pipeline.log(Level::Info, "I guessed s3cr3t-t0ken".into()).await.unwrap();
    pipeline.call(post("/deploy")).await.expect_err("a doubt");
    let journal = serde_json::to_string(&bench.events().await).unwrap();
    assert!(journal.contains("[redacted]") && !journal.contains("s3cr3t-t0ken"), "{journal}");
}

#[tokio::test]
async fn a_mutation_that_nobody_has_agreed_to_waits_at_a_gate() {
    let mut bench = Bench::new(&["/deploy"]).await;
    let stopped = bench.live().await.call(post("/delete")).await;
    assert!(matches!(stopped, Err(Stop::Gate(call)) if call == address(0)), "{stopped:?}");
    let asked = bench.live().await.call(post("/delete")).await;
    assert!(matches!(asked, Err(Stop::Gate(_))), "it is asked once: {asked:?}");
    assert_eq!(bench.journaled().await, ["gate call-1.0"]);
    assert_eq!(bench.reached(), [""; 0]);
    assert!(matches!(bench.state().await.next(), Next::AwaitGate(_)));

    let gate = GateId("call-1.0".into());
    bench.commit(Event::GateAnswered { gate, answer: Answer::Yes, by: "ada".into() }).await;
    bench.crash().await;
    bench.live().await.call(post("/delete")).await.unwrap().unwrap();
    assert_eq!(bench.reached(), ["prepare POST /delete", "perform POST /delete"]);
}

/// A bench whose first call is in doubt and may be repeated.
async fn in_doubt(told: impl IntoIterator<Item = Told>) -> (Bench, Invocation) {
    let perhaps = Told::Fail(Failure::unknown("perhaps"));
    let bench = Bench::new(&["/deploy"]).await.told([perhaps]).told(told);
    let call = Invocation { repeat: Repeat::Idempotent, assume: Some(status(204, "")), ..post("/deploy") };
    bench.live().await.call(call.clone()).await.expect_err("a doubt");
    bench.commit(Event::Settled { call: address(0), by: Settler::Policy, verdict: Verdict::Repeat }).await;
    bench.reached();
    (bench, call)
}

#[tokio::test]
async fn a_repetition_that_is_forbidden_today_or_fails_leaves_the_first_sending_in_doubt() {
    let never = Failure::permanent("never");
    let table: Vec<(&str, Option<Told>, Vec<&str>)> = vec![
        ("is forbidden", None, vec![]),
        ("fails", Some(Told::Fail(never.clone())), vec!["prepare POST /deploy", "perform POST /deploy"]),
        ("does not get ready", Some(Told::NotReady(never)), vec!["prepare POST /deploy"]),
    ];
    for (claim, told, reached) in table {
        let is_forbidden = told.is_none();
        let (mut bench, call) = in_doubt(told).await;
        bench.attempts = 2;
        if is_forbidden {
            bench.rules = bench.rules.replace("POST /**", "POST /other");
        }
        let outcome = bench.live().await.call(call).await;
        assert!(matches!(outcome, Err(Stop::Doubt(_))), "{claim}: {outcome:?}");
        assert_eq!(bench.reached(), reached, "{claim}");
        let state = bench.state().await;
        assert!(matches!(state.next(), Next::Halt(_)), "{claim}: {:?}", state.next());
        let mutation = state.mutation(address(0)).unwrap();
        assert_eq!((&mutation.fate, &mutation.assume), (&Fate::Open, &Some(status(204, ""))), "{claim}");
        assert!(mutation.marker.is_some(), "{claim}");
    }
}

#[tokio::test]
async fn a_repetition_is_retried_and_its_reply_is_the_call_s() {
    let not_ready = Told::NotReady(Failure::transient("not ready"));
    let (mut bench, call) = in_doubt([not_ready, later()]).await;
    bench.attempts = 3;
    assert_eq!(bench.live().await.call(call).await.unwrap(), Ok(status(200, "")));
    let journaled = bench.journaled().await;
    let repeated = ["intended POST /deploy", "settled by Policy: Repeat", "intended POST /deploy", "answered: ok"];
    assert_eq!(journaled[journaled.len() - 4..], repeated);
    assert!(bench.state().await.mutation(address(0)).unwrap().repeated);
}

#[tokio::test]
async fn a_call_that_did_not_happen_and_is_forbidden_today_is_denied() {
    let (mut bench, call) = in_doubt([]).await;
    bench.commit(Event::Settled { call: address(0), by: Settler::Driver, verdict: Verdict::DidNotHappen }).await;
    bench.rules = bench.rules.replace("POST /**", "POST /other");
    let outcome = bench.live().await.call(call.clone()).await.unwrap();
    assert!(matches!(outcome, Err(Failure::Denied(_))), "{outcome:?}");
    assert_eq!(bench.live().await.call(call).await.unwrap(), outcome);
    assert_eq!(bench.reached(), [""; 0]);
}

#[tokio::test]
async fn a_run_that_was_asked_to_stop_sends_nothing_more() {
    let bench = Bench::new(&["/deploy"]).await;
    let mut pipeline = bench.live().await;
    pipeline.call(get("/version")).await.unwrap().unwrap();
    let journal = bench.another();
    let (_, head) = journal.read(&bench.run, None).await.unwrap();
    let event = Event::AbortRequested { by: "ada".into() };
    journal.append(&bench.run, head, &[Dated { at: Timestamp::now(), event }]).await.unwrap();
    let outcome = pipeline.call(post("/deploy")).await;
    assert!(matches!(outcome, Err(Stop::Record(RecordError::Overtaken))), "{outcome:?}");
    assert_eq!(bench.reached(), ["read GET /version", "prepare POST /deploy"]);
    assert!(matches!(bench.state().await.next(), Next::Conclude(_, End::Abandoned)));
}

#[tokio::test]
async fn an_execution_makes_so_many_calls_and_no_more() {
    let mut bench = Bench::new(&[]).await;
    bench.limits.calls_max = 2;
    let mut pipeline = bench.live().await;
    pipeline.now().await.unwrap();
    pipeline.call(get("/version")).await.unwrap().unwrap();
    let over = pipeline.call(get("/version")).await;
    assert!(matches!(&over, Err(Stop::Limit(why)) if why.contains("calls-max")), "{over:?}");
}

#[tokio::test]
async fn an_execution_logs_so_much_and_says_that_the_rest_is_dropped() {
    let mut bench = Bench::new(&[]).await;
    bench.limits.log_lines_max = 2;
    let mut pipeline = bench.live().await;
    for line in ["one", "two", "three"] {
        pipeline.log(Level::Info, line.into()).await.unwrap();
    }
    bench.record.lock().await.flush().await.unwrap();
    let journaled = bench.journaled().await;
    assert_eq!(journaled.len(), 2);
    assert!(journaled[0] == "log one" && journaled[1].contains("the rest is dropped"), "{journaled:?}");
}
