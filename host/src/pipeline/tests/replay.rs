//! What is known is delivered again, whatever has changed since.

use super::*;

#[tokio::test]
async fn what_is_known_is_delivered_without_policy_or_driver() {
    let mut bench =
        Bench::new(&["/deploy"]).await.told([Told::Reply(status(200, "read")), Told::Reply(status(500, "written"))]);
    let mut first = bench.live().await;
    let read = first.call(get("/version")).await.unwrap();
    let now = first.now().await.unwrap();
    let written = first.call(post("/deploy")).await.unwrap();
    bench.reached();

    // Today's rules allow nothing at all.
    bench.rules = "url = \"http://127.0.0.1:9\"".to_owned();
    bench.crash().await;
    let known = bench.state().await.executions[&ExecutionId(1)].calls.clone();
    for mode in [Mode::Live(bench.record.clone()), Mode::Replay] {
        let mut again = Pipeline::new(bench.setting(), mode, known.clone());
        assert_eq!(again.call(get("/version")).await.unwrap(), read);
        assert_eq!(again.now().await.unwrap(), now);
        assert_eq!(again.call(post("/deploy")).await.unwrap(), written);
        again.finish().unwrap();
    }
    assert_eq!(bench.reached(), [""; 0]);
}

#[tokio::test]
async fn a_divergence_shows_both_calls_whole() {
    let bench = Bench::new(&["/deploy"]).await;
    let mut first = bench.live().await;
    first.call(get("/version")).await.unwrap().unwrap();
    first.call(ask("POST", "/deploy", Some("blue"))).await.unwrap().unwrap();

    let mut another_body = bench.live().await;
    another_body.call(get("/version")).await.unwrap().unwrap();
    let Err(Stop::Diverged(divergence)) = another_body.call(ask("POST", "/deploy", Some("green"))).await else {
        panic!("it went on")
    };
    assert_eq!(divergence.call, address(1));
    assert!(divergence.recorded.contains("blue") && divergence.now.contains("green"), "{divergence}");

    let another_kind = bench.live().await.now().await;
    assert!(matches!(another_kind, Err(Stop::Diverged(_))), "{another_kind:?}");
    let an_early_end = bench.live().await.finish();
    assert!(matches!(an_early_end, Err(Stop::Diverged(_))), "{an_early_end:?}");
    assert_eq!(bench.reached(), ["read GET /version", "prepare POST /deploy", "perform POST /deploy"]);
}

#[tokio::test]
async fn a_denial_is_a_reply_that_stays_one_when_the_rules_have_changed() {
    let mut bench = Bench::new(&[]).await;
    let denied = bench.live().await.call(ask("DELETE", "/", None)).await.unwrap();
    assert!(matches!(denied, Err(Failure::Denied(_))), "{denied:?}");
    bench.record.lock().await.flush().await.unwrap();

    bench.rules = bench.rules.replace("POST /**", "DELETE /**");
    bench.crash().await;
    assert_eq!(bench.live().await.call(ask("DELETE", "/", None)).await.unwrap(), denied);
    assert_eq!(bench.reached(), [""; 0]);
}

#[tokio::test]
async fn reads_become_durable_with_the_next_intent_and_a_lost_tail_of_them_is_read_again() {
    let mut bench = Bench::new(&["/deploy"]).await.told([
        Told::Reply(status(200, "before")),
        Told::Reply(status(200, "done")),
        Told::Reply(status(200, "lost")),
        Told::Reply(status(200, "read again")),
    ]);
    let mut first = bench.live().await;
    first.call(get("/version")).await.unwrap().unwrap();
    assert_eq!(bench.journaled().await, [""; 0]);
    first.call(post("/deploy")).await.unwrap().unwrap();
    first.call(get("/version")).await.unwrap().unwrap();
    assert_eq!(bench.journaled().await, ["GET /version: ok", "intended POST /deploy", "answered: ok"]);

    bench.crash().await;
    bench.reached();
    let mut again = bench.live().await;
    assert_eq!(again.call(get("/version")).await.unwrap(), Ok(status(200, "before")));
    assert_eq!(again.call(post("/deploy")).await.unwrap(), Ok(status(200, "done")));
    assert_eq!(again.call(get("/version")).await.unwrap(), Ok(status(200, "read again")));
    assert_eq!(bench.reached(), ["read GET /version"]);
}

#[tokio::test]
async fn a_sleep_wakes_when_it_said_whatever_happens_in_between() {
    let mut bench = Bench::new(&[]).await;
    let began = Timestamp::now();
    let cut = tokio::time::timeout(Duration::from_millis(20), async {
        bench.live().await.sleep(Duration::from_millis(600)).await
    });
    cut.await.expect_err("it sleeps");
    bench.crash().await;
    bench.live().await.sleep(Duration::from_millis(600)).await.unwrap();
    let slept = Timestamp::now().duration_since(began).as_millis();
    assert!(slept >= 600, "{slept} ms");
    assert_eq!(bench.journaled().await, ["sleep", "attached"]);

    // It is over, and so it is delivered at once, even to a run that is to pause.
    bench.interrupt.send_replace(true);
    let again = tokio::time::Instant::now();
    bench.live().await.sleep(Duration::from_millis(600)).await.unwrap();
    assert!(again.elapsed() < Duration::from_millis(300), "{:?}", again.elapsed());
}

#[tokio::test]
async fn a_wish_to_pause_stops_new_calls_only() {
    let bench = Bench::new(&["/deploy"]).await;
    bench.live().await.call(post("/deploy")).await.unwrap().unwrap();
    bench.interrupt.send_replace(true);
    let mut again = bench.live().await;
    again.call(post("/deploy")).await.unwrap().unwrap();
    for new in [again.call(get("/version")).await.map(drop), again.sleep(Duration::from_secs(9)).await] {
        assert!(matches!(new, Err(Stop::Interrupted)), "{new:?}");
    }
    assert_eq!(bench.reached(), ["prepare POST /deploy", "perform POST /deploy"]);
}
