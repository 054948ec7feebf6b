//! The timeline as something to look at: a lane for each step and check, bars for what was executed,
//! marks for calls, bands for waits. All places are percent of the width.
//!
//! The axis is not linear where that would show nothing: if one stretch between two events took most
//! of the time, all others would be thinner than a hair. [`Axis`] then widens the short ones, and the
//! chart says so.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::model::{Access, Execution, Purpose, Report, Unit, WaitedFor};
use crate::present::time;

/// No stretch between two events takes more percent of the width than this, if there are others.
const STRETCH_MAX: f64 = 45.0;
/// Each execution takes at least so many percent, while there are not too many.
const EXECUTION_MIN: f64 = 1.5;
/// What all executions together take at least, in percent, if each is as narrow as can be.
const EXECUTIONS_MIN: f64 = 30.0;
/// The most that lengths are evened out: less than this, and an hour would look like a minute.
const EXPONENT_MIN: f64 = 0.25;
/// How many calls are drawn in one bar: more would not be told apart.
const MARKS_MAX: usize = 400;

/// The timeline, laid out.
#[derive(Serialize)]
pub(super) struct Chart {
    lanes: Vec<Lane>,
    bands: Vec<Band>,
    ticks: Vec<Tick>,
    /// The axis is not linear.
    compressed: bool,
}

/// A step, a check or a trigger.
#[derive(Serialize)]
struct Lane {
    bars: Vec<Bar>,
    gates: Vec<Band>,
}

/// An execution.
#[derive(Serialize)]
struct Bar {
    x: f64,
    width: f64,
    end: f64,
    purpose: Purpose,
    /// `good`, `bad`, `back` or `open`.
    tone: &'static str,
    began: Timestamp,
    took_ms: Option<u64>,
    marks: Vec<Mark>,
}

/// A call, or a time that a plugin has let pass.
#[derive(Serialize)]
struct Mark {
    x: f64,
    width: f64,
    access: Access,
    is_good: bool,
    was_in_doubt: bool,
    /// Its place in the execution.
    index: usize,
}

/// A time in which nothing could go on.
#[derive(Serialize)]
struct Band {
    x: f64,
    width: f64,
    /// Its place in the report.
    index: usize,
}

/// A place of the axis.
#[derive(Serialize)]
struct Tick {
    x: f64,
    /// How long after the beginning: `+1.2 s`.
    text: String,
    /// `start`, `middle` or `end`: where the text is held.
    anchor: &'static str,
    /// Left out where there is little room.
    minor: bool,
}

impl Chart {
    pub(super) fn of(report: &Report) -> Self {
        let until = last(report);
        let axis = Axis::of(report, until);
        let units = report.units();
        let band = |index: usize, from: Timestamp, to: Option<Timestamp>| {
            let (x, width) = axis.span(from, to.unwrap_or(until));
            Band { x, width, index }
        };
        let waits = || report.waits.iter().enumerate();
        let lanes = units.map(|unit| Lane {
            bars: unit.executions.iter().map(|execution| bar(&axis, execution, until)).collect(),
            gates: waits()
                .filter(|(_, wait)| matches!(&wait.why, WaitedFor::Gate { unit: gated, .. } if *gated == unit.id))
                .map(|(index, wait)| band(index, wait.from, wait.to))
                .collect(),
        });
        let bands = waits().filter(|(_, wait)| !matches!(wait.why, WaitedFor::Gate { .. }));
        Self {
            lanes: lanes.collect(),
            bands: bands.map(|(index, wait)| band(index, wait.from, wait.to)).collect(),
            ticks: ticks(&axis),
            compressed: axis.exponent < 1.0,
        }
    }
}

fn bar(axis: &Axis, execution: &Execution, until: Timestamp) -> Bar {
    let (x, width) = axis.span(execution.began, execution.ended.unwrap_or(until));
    let marks = execution.calls.iter().take(MARKS_MAX).enumerate().map(|(index, call)| {
        let ended = call.until.or(execution.ended).unwrap_or(until);
        let (x, width) = axis.span(call.at, ended);
        Mark { x, width, access: call.access, is_good: call.is_good, was_in_doubt: call.was_in_doubt, index }
    });
    Bar {
        x,
        width,
        end: x + width,
        purpose: execution.purpose,
        tone: match (execution.purpose, execution.is_good) {
            (_, None) => "open",
            (_, Some(false)) => "bad",
            (Purpose::Undo, Some(true)) => "back",
            (_, Some(true)) => "good",
        },
        began: execution.began,
        took_ms: execution.took_ms,
        marks: marks.collect(),
    }
}

fn ticks(axis: &Axis) -> Vec<Tick> {
    let tick = |quarter: u32| {
        let x = f64::from(quarter) * 25.0;
        let text = match quarter {
            0 => "0".to_owned(),
            _ => format!("+{}", time::duration(Duration::from_secs_f64(axis.seconds_at(x)))),
        };
        let anchor = match quarter {
            0 => "start",
            4 => "end",
            _ => "middle",
        };
        Tick { x, text, anchor, minor: quarter % 2 == 1 }
    };
    (0..=4).map(tick).collect()
}

/// When the last thing happened that is drawn.
fn last(report: &Report) -> Timestamp {
    moments(report).into_iter().max().unwrap_or(report.began)
}

/// Every point in time at which something drawn begins or ends.
fn moments(report: &Report) -> Vec<Timestamp> {
    let of_unit = |unit: &Unit| unit.executions.iter().flat_map(of_execution).collect::<Vec<_>>();
    let mut moments: Vec<_> = report.units().flat_map(of_unit).collect();
    moments.push(report.began);
    moments.extend(report.ended);
    moments.extend(report.waits.iter().flat_map(|wait| [Some(wait.from), wait.to]).flatten());
    moments.extend(report.doubts.iter().map(|doubt| doubt.at));
    let is_drawn = |moment: &Timestamp| *moment >= report.began && report.ended.is_none_or(|ended| *moment <= ended);
    moments.retain(is_drawn);
    moments
}

fn of_execution(execution: &Execution) -> Vec<Timestamp> {
    let calls = execution.calls.iter().take(MARKS_MAX).flat_map(|call| [Some(call.at), call.until]).flatten();
    calls.chain([execution.began]).chain(execution.ended).collect()
}

/// Points in time as places, piece by piece between the moments at which something happened.
struct Axis {
    began: Timestamp,
    /// Seconds after the beginning, and percent of the width; both ascending.
    knots: Vec<(f64, f64)>,
    exponent: f64,
}

impl Axis {
    /// As much to scale as can be looked at.
    fn of(report: &Report, until: Timestamp) -> Self {
        let mut seconds: Vec<f64> = moments(report).iter().map(|moment| since(report.began, *moment)).collect();
        seconds.extend([0.0, since(report.began, until)]);
        seconds.sort_by(f64::total_cmp);
        // Moments that nobody could tell apart are one.
        seconds.dedup_by(|later, earlier| *later - *earlier < 1e-6);
        let executions: Vec<_> = report.units().flat_map(|unit| &unit.executions).collect();
        let narrowest = EXECUTION_MIN.min(EXECUTIONS_MIN / executions.len().max(1) as f64);
        let is_legible = |axis: &Self| {
            let mut stretches = axis.knots.windows(2).map(|ends| ends[1].1 - ends[0].1);
            let mut widths =
                executions.iter().map(|execution| axis.span(execution.began, execution.ended.unwrap_or(until)).1);
            (seconds.len() <= 3 || stretches.all(|stretch| stretch <= STRETCH_MAX))
                && widths.all(|width| width >= narrowest)
        };
        let mut axis = Self::with_exponent(report.began, &seconds, 1.0);
        while !is_legible(&axis) && axis.exponent > EXPONENT_MIN {
            axis = Self::with_exponent(report.began, &seconds, axis.exponent - 0.05);
        }
        axis
    }

    /// With each stretch as wide as its length to this power: 1 is to scale, 0 gives all the same width.
    fn with_exponent(began: Timestamp, seconds: &[f64], exponent: f64) -> Self {
        let widths: Vec<f64> = seconds.windows(2).map(|ends| (ends[1] - ends[0]).powf(exponent)).collect();
        let total: f64 = widths.iter().sum();
        let mut knots = vec![(0.0, 0.0)];
        let mut x = 0.0;
        for (second, width) in seconds.iter().skip(1).zip(&widths) {
            x += width / total * 100.0;
            knots.push((*second, x));
        }
        Self { began, knots, exponent }
    }

    /// Where a time begins, and how wide it is.
    fn span(&self, from: Timestamp, to: Timestamp) -> (f64, f64) {
        let (from, to) = (self.x_at(since(self.began, from)), self.x_at(since(self.began, to)));
        (round(from), round((to - from).max(0.0)))
    }

    fn x_at(&self, seconds: f64) -> f64 {
        interpolate(&self.knots, seconds, |knot| knot)
    }

    fn seconds_at(&self, x: f64) -> f64 {
        interpolate(&self.knots, x, |(seconds, x)| (x, seconds))
    }
}

fn interpolate(knots: &[(f64, f64)], at: f64, oriented: impl Fn((f64, f64)) -> (f64, f64)) -> f64 {
    let mut before = oriented(knots.first().copied().unwrap_or_default());
    for knot in knots {
        let (key, value) = oriented(*knot);
        if at <= key {
            let width = key - before.0;
            return if width <= 0.0 {
                value
            } else {
                before.1 + (value - before.1) * ((at - before.0) / width).max(0.0)
            };
        }
        before = (key, value);
    }
    before.1
}

fn since(began: Timestamp, at: Timestamp) -> f64 {
    time::between(began, at).as_secs_f64()
}

fn round(percent: f64) -> f64 {
    (percent * 1e3).round() / 1e3
}
