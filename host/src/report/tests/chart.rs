use crate::report::chart::Chart;

use super::*;

/// `x` and width.
type Place = (f64, f64);

/// Where each bar is, and each call, and whether the axis is compressed.
fn drawn(report: &Report) -> (Vec<Place>, Vec<Place>, bool) {
    let chart = serde_json::to_value(Chart::of(report)).unwrap();
    let place = |value: &serde_json::Value| (value["x"].as_f64().unwrap(), value["width"].as_f64().unwrap());
    let (mut bars, mut marks) = (Vec::new(), Vec::new());
    for bar in chart["lanes"].as_array().unwrap().iter().flat_map(|lane| lane["bars"].as_array().unwrap()) {
        bars.push(place(bar));
        marks.extend(bar["marks"].as_array().unwrap().iter().map(place));
    }
    (bars, marks, chart["compressed"].as_bool().unwrap())
}

/// The build alone takes 99 % of the time: all else can be seen all the same, in its order.
#[test]
fn one_long_call_does_not_hide_the_others() {
    let mut report = report(&verified());
    let later = jiff::SignedDuration::from_hours(3);
    for execution in report.steps[0].executions.iter_mut() {
        execution.ended = execution.ended.map(|ended| ended + later);
        for call in &mut execution.calls[3..] {
            call.until = call.until.map(|until| until + later);
        }
        for call in &mut execution.calls[4..] {
            call.at += later;
        }
    }
    for execution in report.steps[1..].iter_mut().chain(&mut report.checks).flat_map(|unit| &mut unit.executions) {
        execution.began += later;
        execution.ended = execution.ended.map(|ended| ended + later);
        for call in &mut execution.calls {
            call.at += later;
            call.until = call.until.map(|until| until + later);
        }
    }
    for wait in &mut report.waits {
        wait.from += later;
        wait.to = wait.to.map(|to| to + later);
    }
    report.ended = report.ended.map(|ended| ended + later);

    let (bars, marks, compressed) = drawn(&report);
    assert!(compressed);
    for (x, width) in &bars {
        assert!(*x >= 0.0 && x + width <= 100.01, "{x} {width}");
        assert!(*width > 1.0, "a bar of {width} % can't be seen");
    }
    let widest = marks.iter().map(|(_, width)| *width).fold(0.0, f64::max);
    assert!((20.0..=46.0).contains(&widest), "the build takes {widest} %");
    assert!(marks.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{marks:?}");
}

#[test]
fn what_can_be_drawn_to_scale_is() {
    let mut report = report(&verified());
    let start = report.began;
    let at = |seconds: i64| start + jiff::SignedDuration::from_secs(seconds);
    report.waits.clear();
    report.ended = Some(at(10));
    for (unit, began) in report.steps.iter_mut().chain(&mut report.checks).zip([0, 2, 4, 6]) {
        for execution in &mut unit.executions {
            (execution.began, execution.ended) = (at(began), Some(at(began + 2)));
            execution.calls.clear();
        }
    }
    let (bars, _, compressed) = drawn(&report);
    assert!(!compressed);
    assert_eq!(bars[0], (0.0, 20.0));
}

/// A run that ended at once, and one that only began.
#[test]
fn nothing_is_drawn_beside_the_axis() {
    for (name, events) in runs() {
        for end in 1..=events.len() {
            let (bars, marks, _) = drawn(&report(&events[..end]));
            for (x, width) in bars.into_iter().chain(marks) {
                assert!(
                    x.is_finite() && width.is_finite() && x >= 0.0 && x + width <= 100.01,
                    "{name} {end}: {x} {width}"
                );
            }
        }
    }
}
