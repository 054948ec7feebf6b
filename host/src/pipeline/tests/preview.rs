//! A preview touches nothing, and lists what a run would do.

use super::*;

/// Makes these calls in a preview; how far it came, and what it saw.
async fn previewed(bench: &Bench, calls: impl IntoIterator<Item = Invocation>) -> (Result<(), Stop>, Preview) {
    let preview = Arc::new(Mutex::new(Preview::default()));
    let mut pipeline = Pipeline::new(bench.setting(), Mode::Preview(preview.clone()), vec![]);
    let mut stopped = Ok(());
    for call in calls {
        if let Err(stop) = pipeline.call(call).await {
            stopped = Err(stop);
            break;
        }
    }
    let seen = preview.lock().await.clone();
    (stopped, seen)
}

fn assuming(call: Invocation, body: &str) -> Invocation {
    Invocation { assume: Some(status(200, body)), ..call }
}

fn targets(preview: &Preview) -> Vec<&str> {
    preview.calls.iter().filter_map(Previewed::listed).map(|listed| listed.target.as_str()).collect()
}

#[tokio::test]
async fn a_preview_never_gets_ready_for_a_mutation_and_ends_where_it_can_t_see_further() {
    let bench = Bench::new(&[]).await;
    let calls =
        [get("/version"), assuming(post("/stop"), ""), ask("DELETE", "/", None), post("/start"), post("/never")];
    let (stopped, preview) = previewed(&bench, calls).await;
    assert!(matches!(stopped, Err(Stop::PreviewEnds(_))), "{stopped:?}");
    assert_eq!(targets(&preview), ["/stop", "/start"]);
    assert!(matches!(preview.calls[2], Previewed::Denied { .. }));
    assert_eq!(bench.reached(), ["read GET /version"]);
    assert_eq!(bench.journaled().await, [""; 0]);
}

#[tokio::test]
async fn assumed_values_become_holes_and_known_ones_do_not() {
    let bench = Bench::new(&[]).await.told([Told::Reply(status(200, r#"{"uuid": "known-uuid"}"#))]);
    let reply = r#"{"uuid": "known-uuid", "deployment": "assumed-uuid", "ok": "yes"}"#;
    let calls = [
        get("/applications"),
        assuming(post("/applications/known-uuid/deploy"), reply),
        assuming(post("/deployments/assumed-uuid/of/known-uuid/yes"), ""),
    ];
    let (stopped, preview) = previewed(&bench, calls).await;
    stopped.unwrap();
    let listed: Vec<_> = preview.calls.iter().filter_map(Previewed::listed).cloned().collect();
    let hole = format!("/deployments/{HOLE}/of/known-uuid/yes");
    assert_eq!(targets(&preview), ["/applications/known-uuid/deploy", hole.as_str()]);

    // Live, the hole covers whatever the service really says, and nothing else does.
    let covers = |path: &str| {
        let request = Request { role: "target".into(), connection: "http.target".into(), call: post(path).call };
        listed.iter().any(|listed| listed.covers(&request))
    };
    assert!(covers("/deployments/real-uuid/of/known-uuid/yes"));
    assert!(!covers("/deployments/real-uuid/of/another-uuid/yes"));
}

#[tokio::test]
async fn after_an_assumed_reply_a_read_may_be_assumed_too_and_is_then_not_sent() {
    let bench = Bench::new(&[]).await;
    let calls = [
        assuming(get("/before"), "assumed"),
        assuming(post("/deploy"), "assumed"),
        assuming(get("/after"), "assumed"),
        get("/sent"),
    ];
    previewed(&bench, calls).await.0.unwrap();
    assert_eq!(bench.reached(), ["read GET /before", "read GET /sent"]);
}
