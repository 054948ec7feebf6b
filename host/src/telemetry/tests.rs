#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::trace::SpanData;

use super::*;
use crate::journal::{Event, Recorded};
use crate::present::fixture;

fn spans_of(events: &[Recorded]) -> Vec<SpanData> {
    let servers = BTreeMap::from([("http.genia-admin".to_owned(), ("api.genia.example".to_owned(), 443))]);
    let mut spans = Spans::new(fixture::run_id(), servers);
    events.iter().flat_map(|recorded| spans.event(recorded.at, &recorded.event)).collect()
}

/// Each span in a line, below its parent.
fn tree(spans: &[SpanData]) -> String {
    fn below(parent: SpanId, depth: usize, spans: &[SpanData], tree: &mut String) {
        for span in spans.iter().filter(|span| span.parent_span_id == parent) {
            let status = match &span.status {
                Status::Unset => String::new(),
                Status::Ok => " ok".to_owned(),
                Status::Error { description } => format!(" ERROR {}", crate::present::clean(description)),
            };
            let moments: Vec<_> = span.events.iter().map(|moment| moment.name.as_ref()).collect();
            let moments = if moments.is_empty() { String::new() } else { format!(" ({})", moments.join(", ")) };
            tree.push_str(&format!("{}{}{status}{moments}\n", "  ".repeat(depth), span.name));
            below(span.span_context.span_id(), depth + 1, spans, tree);
        }
    }
    let mut tree = String::new();
    below(SpanId::INVALID, 0, spans, &mut tree);
    tree
}

#[test]
fn a_run_is_one_trace_of_its_executions_and_their_calls() {
    let spans = spans_of(&fixture::undone());
    assert!(spans.iter().all(|span| span.span_context.trace_id() == trace_id(&fixture::run_id())));
    insta::assert_snapshot!(tree(&spans), @r##"
    run genia-connector ERROR verification staging-works: it exited with 1 instead of 0 (host attached, gate opened, gate answered)
      apply disable ok (log)
        show git.genia
        GET http.genia-admin
        reconcile disable ok
          GET http.genia-admin ERROR 503 \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK
        POST http.genia-admin (in doubt, settled)
        restore git.genia
        run command.genia-build
      apply tell ok
        send notify.genia-users
        send notify.genia-administrators ERROR NOT SENT: mail.example.org: 550 no such user
      check staging-works ERROR it exited with 1 instead of 0: \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK
        run command.genia-smoke ERROR exit 1 OK
      check staging-works ERROR it exited with 1 instead of 0: \u{1b}]0;pwned\u{7}\u{1b}[2Jconnector is `on` | *really*\u{202e}\r\nOK
        run command.genia-smoke ERROR exit 1 OK
      run taken up again ok (undo requested, host attached)
        undo disable ok
          restore git.genia
          POST http.genia-admin
    "##);
}

#[test]
fn a_call_has_the_attributes_that_other_tools_know() {
    let spans = spans_of(&fixture::undone());
    let post = spans.iter().find(|span| span.name == "POST http.genia-admin").unwrap();
    let attributes: Vec<_> =
        post.attributes.iter().map(|attribute| format!("{}={}", attribute.key, attribute.value)).collect();
    insta::assert_snapshot!(attributes.join("\n"), @r"
    ripcord.run=20261122-180312-k7qm
    ripcord.call=1.3
    ripcord.role=admin
    ripcord.connection=http.genia-admin
    ripcord.operation=POST
    ripcord.mutation=true
    http.request.method=POST
    url.path=/connectors/facebook/disable
    server.address=api.genia.example
    server.port=443
    http.response.status_code=200
    ");
}

/// Whoever carries the run from some point on exports what ends from there on, under the same names.
#[test]
fn a_span_has_one_name_in_all_processes_and_is_exported_by_the_one_that_sees_its_end() {
    let events = fixture::undone();
    let all: Vec<_> = spans_of(&events).iter().map(|span| span.span_context.clone()).collect();
    for cut in 0..events.len() {
        let mut first = Spans::new(fixture::run_id(), Servers::new());
        let mut second = Spans::new(fixture::run_id(), Servers::new());
        let exported = |spans: &mut Spans, events: &[Recorded]| -> Vec<_> {
            let spans = events.iter().flat_map(|recorded| spans.event(recorded.at, &recorded.event));
            spans.map(|span| span.span_context).collect()
        };
        let mut by_both = exported(&mut first, &events[..cut]);
        exported(&mut second, &events[..cut]);
        by_both.extend(exported(&mut second, &events[cut..]));
        assert_eq!(by_both, all, "cut at {cut}");
    }
}

#[test]
fn a_run_that_is_taken_up_after_its_end_goes_on_in_its_trace() {
    let mut events = fixture::halted();
    let at = events.last().unwrap().at;
    let mut add = |event| events.push(Recorded { sequence: 0, at, event });
    add(Event::RunEnded { outcome: crate::journal::RunOutcome::Halted, why: "so".into() });
    add(Event::UndoRequested { by: "ada".into() });
    add(Event::RunEnded { outcome: crate::journal::RunOutcome::Undone, why: "so".into() });
    let spans = spans_of(&events);
    let rounds: Vec<_> = spans.iter().filter(|span| span.name.starts_with("run ")).collect();
    assert_eq!(rounds.len(), 2, "{}", tree(&spans));
    assert_eq!(rounds[0].parent_span_id, SpanId::INVALID);
    assert_eq!(rounds[1].parent_span_id, rounds[0].span_context.span_id());
}
