//! What holds of every run, whatever the world does.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::{Left, World};
use super::*;
use crate::machine::Next;

/// Up to five steps, some of which stand in for an earlier one, and up to two checks.
/// In every second run up to three triggers are watched first.
fn shapes() -> impl Strategy<Value = Shape> {
    (plans(), prop::option::of(watches()), follow_ups(), notices())
        .prop_map(|(shape, watch, follow_ups, notices)| Shape { watch, follow_ups, notices, ..shape })
}

/// Up to three notices, each on some occasions.
fn notices() -> impl Strategy<Value = Vec<NoticeShape>> {
    let on = prop::sample::subsequence(Occasion::ALL.to_vec(), 1..=Occasion::ALL.len());
    prop::collection::vec(on, 0..=3).prop_map(|notices| {
        let shape = |(index, on)| NoticeShape { id: format!("n{index}"), on };
        notices.into_iter().enumerate().map(shape).collect()
    })
}

/// Up to two things that stay to be done, by people or by ripcord.
fn follow_ups() -> impl Strategy<Value = Vec<FollowUpShape>> {
    let item = prop::option::weighted(0.8, (any::<bool>(), any::<bool>()));
    prop::collection::vec(item, 0..=2).prop_map(|items| {
        let shape = |(index, step): (usize, Option<(bool, bool)>)| {
            let step = step.map(|(gate, ends)| {
                let ends = if ends { vec!["c0".to_owned()] } else { Vec::new() };
                FollowUpStep { gate, ends }
            });
            FollowUpShape { id: format!("f{index}"), what: "so".into(), owner: None, due_ms: None, step }
        };
        items.into_iter().enumerate().map(shape).collect()
    })
}

fn watches() -> impl Strategy<Value = WatchShape> {
    let trigger = (0..3_u64, 0..3_u64, prop::option::of(1..4_u32), (0..3_u32, 0..3_u32, 0..3_u32));
    let trigger = trigger.prop_map(|(interval, delay, count, (failures, inconclusive, errors))| TriggerShape {
        id: String::new(),
        title: "so".into(),
        severity: None,
        interval_ms: interval * 4_000,
        initial_delay_ms: delay * 9_000,
        count,
        failure_limit: failures,
        inconclusive_limit: inconclusive,
        consecutive_error_limit: errors,
    });
    let triggers = prop::collection::vec(trigger, 1..=3);
    (1..8_u64, any::<bool>(), triggers).prop_map(|(window, runs, mut triggers)| {
        for (index, trigger) in triggers.iter_mut().enumerate() {
            trigger.id = format!("t{index}");
        }
        let then = if runs { Then::Run } else { Then::Ask };
        WatchShape { window_ms: window * 10_000, then, expires_ms: None, triggers, alerts: vec![], listen: None }
    })
}

fn plans() -> impl Strategy<Value = Shape> {
    let step = (any::<u8>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.8));
    let check = (0..3_u64, 0..3_u64);
    (prop::collection::vec(step, 1..=5), prop::collection::vec(check, 0..=2)).prop_map(|(steps, checks)| {
        let mut shape = Shape::default();
        for (index, (replaced, gate, undoes, can_undo)) in steps.into_iter().enumerate() {
            let replaced = (replaced % 2 == 1 && index > 0).then(|| format!("s{}", usize::from(replaced / 2) % index));
            let is_taken = shape.steps.iter().any(|other| other.fallback.is_some() && other.fallback == replaced);
            let on_failure = if undoes { OnFailure::Undo } else { OnFailure::Halt };
            let fallback = replaced.filter(|_| !is_taken);
            shape.steps.push(StepShape { id: format!("s{index}"), fallback, gate, on_failure, can_undo });
        }
        for (index, (within, every)) in checks.into_iter().enumerate() {
            shape.verify.push(CheckShape {
                id: format!("c{index}"),
                within_ms: within * 9_000,
                every_ms: every * 4_000,
            });
        }
        shape
    })
}

/// A measurement of a run that went back once, and was verified all the same: it went on for ever.
#[test]
fn what_is_looked_at_after_the_end_goes_on_whichever_way_the_run_had_gone() {
    let choices = [28, 41, 78, 18, 6, 2, 2, 206, 88, 17, 33, 6, 2, 2, 96, 2, 2, 26, 0, 1, 26, 22, 69];
    let mut shape = Shape::default();
    let step = StepShape { id: "s0".into(), fallback: None, gate: false, on_failure: OnFailure::Halt, can_undo: false };
    shape.steps.push(step);
    shape.verify.push(CheckShape { id: "c0".into(), within_ms: 0, every_ms: 0 });
    let mut world = World::new(shape, choices.into_iter().chain([0; 40]).collect());
    world.carry();
    assert!(world.journal().iter().any(|(_, event)| matches!(event, Event::DriftBegan(_))), "{:#?}", world.journal());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_in_a_known_state_or_asks_a_person(
        shape in shapes(),
        choices in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut world = World::new(shape.clone(), choices);
        match world.carry() {
            Left::Ended => prop_assert!(world.state().ended.is_some()),
            Left::WaitingForAPerson => {
                prop_assert!(matches!(world.state().next(), Next::AwaitGate(_) | Next::AwaitAnswer(_)));
            }
        }
        prop_assert_eq!(world.repeated_against_policy(), []);
        let events: Vec<_> = world.journal().iter().map(|(_, event)| event).collect();
        each_intent_follows_on_a_settled_one(&events);
        steps_begin_in_order_and_once(&shape, &events);
        nothing_is_begun_after_an_abort(&events);
        what_was_done_last_is_taken_back_first(&events);
        nobody_is_asked_about_a_probe(&events);
        what_is_done_after_the_end_is_asked_for_and_changes_no_end(&shape, &events);
        people_are_told_once_and_in_time(&shape, &events);
        if let Some(watch) = &shape.watch {
            nothing_is_done_before_a_trigger_trips_or_a_person_says_yes(watch, &events);
            nothing_is_measured_when_that_is_decided(watch, &events);
            a_trigger_trips_with_one_failure_too_many(watch, &events);
        }
    }
}

/// Each notice is sent once for what it tells of, before the run goes on from there, and never beside
/// anything else.
fn people_are_told_once_and_in_time(shape: &Shape, events: &[&Event]) {
    let (mut told, mut open, mut ended, mut goes_back) = (BTreeSet::new(), None, None, false);
    let ends = [Occasion::Verified, Occasion::Unchanged, Occasion::Undone, Occasion::Halted];
    let wanted = |on: Occasion| shape.notices.iter().filter(move |notice| notice.on.contains(&on));
    for event in events {
        match event {
            Event::ExecutionBegan { execution, purpose: Purpose::Notice(Sending { notice, on, call }), .. } => {
                assert_eq!(open, None, "{notice} is sent beside another one");
                assert!(told.insert((*on, notice.as_str(), *call)), "{notice} is sent twice on {on}");
                assert!(wanted(*on).any(|shape| shape.id == *notice), "{notice} is not for {on}");
                open = Some(*execution);
            }
            Event::ExecutionBegan { purpose, .. } => {
                assert_eq!(open, None, "{purpose:?} begins while people are being told");
                if let Purpose::Apply(step) = purpose {
                    let missing =
                        wanted(Occasion::Begun).find(|notice| !told.contains(&(Occasion::Begun, &notice.id, None)));
                    assert_eq!(missing, None, "{step} begins, and nobody was told");
                }
            }
            Event::ExecutionEnded { execution, .. } => _ = open.take_if(|open| open == execution),
            Event::RunEnded { outcome, .. } => {
                assert_eq!(open, None, "it ends while people are being told");
                let on = match outcome {
                    RunOutcome::Verified => Occasion::Verified,
                    RunOutcome::Unchanged => Occasion::Unchanged,
                    RunOutcome::Undone => Occasion::Undone,
                    RunOutcome::Halted => Occasion::Halted,
                };
                let missing = wanted(on).find(|notice| !told.contains(&(on, notice.id.as_str(), None)));
                assert_eq!(missing, None, "it ends, and nobody was told");
                ended = Some(*outcome);
            }
            // It ends once more, which is another end.
            Event::UndoRequested { .. } if ended.take_if(|outcome| *outcome != RunOutcome::Undone).is_some() => {
                goes_back = true;
                told.retain(|(on, _, call)| call.is_some() || !ends.contains(on));
            }
            // So is the one of the way back, whatever people were being told of the way there.
            Event::AbortRequested { .. } if ended.is_none() && !goes_back => {
                goes_back = true;
                told.retain(|(on, _, call)| call.is_some() || !ends.contains(on));
            }
            // Sent again, and lost again, it is another question.
            Event::Intended { call: again, .. } => told.retain(|(.., call)| *call != Some(*again)),
            Event::VerificationRequested { .. }
                if ended.take_if(|outcome| *outcome == RunOutcome::Halted).is_some() =>
            {
                told.retain(|(on, _, call)| call.is_some() || !ends.contains(on));
            }
            Event::DriftBegan(_) => told.retain(|(on, ..)| *on != Occasion::Drifted),
            _ => {}
        }
    }
}

fn nobody_is_asked_about_a_probe(events: &[&Event]) {
    let mut checks = BTreeSet::new();
    for event in events {
        match event {
            Event::ExecutionBegan { execution, purpose: Purpose::Check(_) | Purpose::Drift(_), .. } => {
                checks.insert(*execution);
            }
            Event::Halted { question: Question::DidItHappen { call, .. } } => {
                assert!(!checks.contains(&call.execution), "{call} is a probe's, and a person is asked about it");
            }
            _ => {}
        }
    }
}

/// A follow-up is carried out when somebody has asked for it, behind a verified end and its own gate, and
/// not a second time once it is done; and a run that has ended stays so unless somebody takes it up.
fn what_is_done_after_the_end_is_asked_for_and_changes_no_end(shape: &Shape, events: &[&Event]) {
    let (mut ended, mut carried, mut is_watched) = (None, None, false);
    let (mut done, mut agreed) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        match event {
            Event::RunEnded { outcome, .. } => {
                assert_eq!(ended, None, "it ends although it has ended");
                ended = Some(*outcome);
            }
            Event::UndoRequested { .. } if ended.take_if(|outcome| *outcome != RunOutcome::Undone).is_some() => {
                (carried, is_watched) = (None, false);
            }
            Event::VerificationRequested { .. } => _ = ended.take_if(|outcome| *outcome == RunOutcome::Halted),
            Event::FollowUpRequested(request) => {
                assert_eq!(ended, Some(RunOutcome::Verified));
                agreed.remove(request.item.as_str());
                carried = Some(request.item.as_str());
            }
            Event::GateAnswered { gate, answer: Answer::Yes, .. } => _ = agreed.insert(gate.0.as_str()),
            Event::FollowUpEnded { item, outcome, .. } => {
                assert_eq!(carried.take(), Some(item.as_str()));
                if *outcome == FollowUpOutcome::Done {
                    assert!(done.insert(item), "{item} is done twice");
                }
            }
            Event::DriftBegan(_) => is_watched = true,
            Event::DriftEnded { .. } => is_watched = false,
            Event::ExecutionBegan { purpose: Purpose::FollowUp(item), .. } => {
                assert_eq!(carried, Some(item.as_str()), "nobody has asked for it");
                let shape = shape.follow_ups.iter().find(|shape| shape.id == *item).unwrap();
                let has_gate = shape.step.as_ref().unwrap().gate;
                assert!(!has_gate || agreed.contains(item.as_str()), "{item} begins before its gate");
            }
            Event::ExecutionBegan { purpose: Purpose::Drift(check), .. } => {
                assert!(is_watched, "{check} is looked at, and nobody has asked for it");
            }
            _ => {}
        }
    }
}

fn each_intent_follows_on_a_settled_one(events: &[&Event]) {
    let mut open = BTreeSet::new();
    let mut failed_undos = BTreeSet::new();
    let mut undos = BTreeSet::new();
    // So does a follow-up.
    let mut follow_ups = BTreeSet::new();
    for event in events {
        match event {
            Event::Intended { call, .. } => assert!(open.insert(*call), "{call} is intended twice"),
            Event::Settled { call, .. } => _ = open.remove(call),
            Event::ExecutionBegan { execution, purpose: Purpose::Undo(_), .. } => _ = undos.insert(*execution),
            Event::ExecutionEnded { execution, end }
                if undos.contains(execution) && !matches!(end, End::Returned(_)) =>
            {
                failed_undos.insert(*execution);
            }
            // A failed undo that is asked for again makes its failed calls again.
            Event::UndoRequested { .. } => open.retain(|call: &CallId| !failed_undos.contains(&call.execution)),
            Event::ExecutionBegan { execution, purpose: Purpose::FollowUp(_), .. } => _ = follow_ups.insert(*execution),
            Event::FollowUpRequested(_) => open.retain(|call: &CallId| !follow_ups.contains(&call.execution)),
            _ => {}
        }
    }
}

fn steps_begin_in_order_and_once(shape: &Shape, events: &[&Event]) {
    let mut executions = BTreeMap::new();
    let mut ends: BTreeMap<&str, Option<&End>> = BTreeMap::new();
    let mut refused = BTreeSet::new();
    for event in events {
        match event {
            Event::ExecutionBegan { execution, purpose: Purpose::Apply(id), .. } => {
                assert!(!refused.contains(&id.as_str()), "{id} begins although its gate was refused");
                let step = shape.steps.iter().find(|step| step.id == *id).unwrap();
                match &step.fallback {
                    Some(replaced) => assert!(
                        matches!(ends.get(replaced.as_str()), Some(Some(end)) if !matches!(end, End::Returned(_) | End::Refused)),
                        "{id} begins, and {replaced} has not failed"
                    ),
                    None => {
                        let before = shape.steps.iter().take_while(|step| step.id != *id);
                        for other in before.filter(|step| step.fallback.is_none()) {
                            assert!(has_succeeded(shape, &other.id, &ends), "{id} begins before {} is done", other.id);
                        }
                    }
                }
                executions.insert(*execution, id.as_str());
                assert!(ends.insert(id, None).is_none(), "{id} begins twice");
            }
            Event::ExecutionEnded { execution, end } => {
                if let Some(id) = executions.get(execution) {
                    ends.insert(id, Some(end));
                }
            }
            Event::GateAnswered { gate, answer: Answer::No | Answer::Expired, .. } => {
                // Somebody else's later yes or no changes nothing; an earlier yes has begun the step.
                let was_asked =
                    events.iter().any(|event| matches!(event, Event::GateOpened(opened) if opened.gate == *gate));
                if was_asked && first_answer(events, gate) != Some(Answer::Yes) {
                    refused.insert(gate.0.as_str());
                }
            }
            _ => {}
        }
    }
}

fn first_answer(events: &[&Event], gate: &GateId) -> Option<Answer> {
    let since_opened =
        events.iter().skip_while(|event| !matches!(event, Event::GateOpened(opened) if opened.gate == *gate));
    since_opened
        .filter_map(|event| match event {
            Event::GateAnswered { gate: answered, answer, .. } if answered == gate => Some(*answer),
            _ => None,
        })
        .next()
}

fn has_succeeded(shape: &Shape, id: &str, ends: &BTreeMap<&str, Option<&End>>) -> bool {
    let stand_in = shape.steps.iter().find(|step| step.fallback.as_deref() == Some(id));
    matches!(ends.get(id), Some(Some(End::Returned(_))))
        || stand_in.is_some_and(|stand_in| has_succeeded(shape, &stand_in.id, ends))
}

fn nothing_is_begun_after_an_abort(events: &[&Event]) {
    let (mut has_ended, mut is_aborted, mut applications) = (false, false, BTreeSet::new());
    for event in events {
        match event {
            Event::RunEnded { outcome, .. } => {
                assert!(!is_aborted || *outcome != RunOutcome::Verified, "verified after an abort");
                has_ended = true;
            }
            Event::UndoRequested { .. } | Event::VerificationRequested { .. } => {}
            Event::AbortRequested { .. } => is_aborted |= !has_ended,
            Event::ExecutionBegan { execution, purpose: Purpose::Apply(id), .. } => {
                assert!(!is_aborted, "{id} begins after an abort");
                applications.insert(*execution);
            }
            Event::Intended { call, .. } => {
                assert!(!is_aborted || !applications.contains(&call.execution), "{call} is sent after an abort");
            }
            _ => {}
        }
    }
}

fn what_was_done_last_is_taken_back_first(events: &[&Event]) {
    let taken_back: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::ExecutionBegan { purpose: Purpose::Undo(of), .. } => Some(*of),
            _ => None,
        })
        .collect();
    assert!(taken_back.is_sorted_by(|newer, older| newer > older), "taken back in the order {taken_back:?}");
}

/// A person's first word at the gate of a watch, wherever it stands: nobody has to wait for a trigger.
fn said_of_the_watch(event: &Event) -> Option<Answer> {
    match event {
        Event::GateAnswered { gate, answer, .. } if *gate == GateId::watch() => Some(*answer),
        _ => None,
    }
}

fn nothing_is_done_before_a_trigger_trips_or_a_person_says_yes(watch: &WatchShape, events: &[&Event]) {
    let Some(first) =
        events.iter().position(|event| matches!(event, Event::ExecutionBegan { purpose: Purpose::Apply(_), .. }))
    else {
        return;
    };
    let before = &events[..first];
    let has_tripped = before.iter().any(|event| matches!(event, Event::Tripped { .. }));
    let may = match before.iter().find_map(|event| said_of_the_watch(event)) {
        Some(Answer::Yes) => true,
        // Too late: the trigger had decided.
        said => has_tripped && watch.then == Then::Run && said != Some(Answer::Expired),
    };
    assert!(may, "a step begins, and nobody has decided so");
}

fn nothing_is_measured_when_that_is_decided(watch: &WatchShape, events: &[&Event]) {
    let is_trigger = |id: &str| watch.triggers.iter().any(|trigger| trigger.id == id);
    let mut is_decided = false;
    for event in events {
        match event {
            Event::Tripped { .. } => is_decided = true,
            Event::ExecutionBegan { purpose: Purpose::Apply(_), .. } => is_decided = true,
            Event::ExecutionBegan { purpose: Purpose::Check(id), .. } if is_trigger(id) => {
                assert!(!is_decided, "{id} is measured, and that is decided");
            }
            _ => is_decided |= said_of_the_watch(event).is_some(),
        }
    }
}

fn a_trigger_trips_with_one_failure_too_many(watch: &WatchShape, events: &[&Event]) {
    let mut of = BTreeMap::new();
    let mut failed: BTreeMap<&str, u32> = BTreeMap::new();
    let mut tripped = 0;
    for event in events {
        match event {
            Event::ExecutionBegan { execution, purpose: Purpose::Check(id), .. } => {
                _ = of.insert(*execution, id.as_str())
            }
            Event::Judged { execution, outcome: CheckOutcome::Fail, .. } => {
                // What a watch after the end finds is no measurement of a trigger's.
                if let Some(id) = of.get(execution) {
                    *failed.entry(id).or_default() += 1;
                }
            }
            Event::Tripped { trigger, .. } => {
                tripped += 1;
                let limit = watch.triggers.iter().find(|known| known.id == *trigger).unwrap().failure_limit;
                assert_eq!(failed[trigger.as_str()], limit + 1, "{trigger}");
            }
            _ => {}
        }
    }
    assert!(tripped <= 1, "a second trigger trips");
}
