//! What a check of an HTTP service expects: statuses and times, as a plan writes them.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::http::Response;
use crate::{Span, Verdict};

/// The statuses that are expected: `200`, `"200-299"`, or a list of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// 200 to 299.
    pub fn success() -> Self {
        Self(vec![200..=299])
    }

    /// This one.
    pub fn only(status: u16) -> Self {
        Self(vec![status..=status])
    }

    /// Whether a status is one of them.
    pub fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " or " };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{separator}{first}")?,
                (first, last) => write!(f, "{separator}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusesVisitor)
    }
}

/// By hand, because an untagged enum would double a small plugin's size.
struct StatusesVisitor;

impl<'de> Visitor<'de> for StatusesVisitor {
    type Value = Statuses;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status, a range like \"200-299\", or a list of them")
    }

    fn visit_u64<E: Error>(self, status: u64) -> Result<Statuses, E> {
        u16::try_from(status).map(Statuses::only).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Statuses, E> {
        let range = text.split_once('-').and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
        range.map(|range| Statuses(vec![range])).ok_or_else(|| E::custom("a range is written \"200-299\""))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Statuses, A::Error> {
        let mut statuses = Vec::new();
        while let Some(Statuses(ranges)) = items.next_element()? {
            statuses.extend(ranges);
        }
        Ok(Statuses(statuses))
    }
}

/// The longest that it may take until the first byte of an answer is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Of the half of the answers that come first.
    pub p50: Option<Span>,
    /// Of 95 in 100.
    pub p95: Option<Span>,
    /// Of all.
    pub max: Option<Span>,
}

/// How long it took until the first byte of each answer was there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirstBytes {
    sorted_us: Vec<u64>,
}

impl FirstBytes {
    /// One answer more.
    pub fn add(&mut self, response: &Response) {
        let took = response.timing.first_byte_us;
        let place = self.sorted_us.partition_point(|other| *other <= took);
        self.sorted_us.insert(place, took);
    }

    /// For the plan's `expect`: `{"p50", "p95", "max"}` in milliseconds; none if nothing has answered.
    pub fn evidence(&self) -> Value {
        match self.figures() {
            Some([p50, p95, max]) => json!({ "p50": ms(p50), "p95": ms(p95), "max": ms(max) }),
            None => Value::Null,
        }
    }

    /// The verdict with the same as measurements.
    pub fn measured(&self, verdict: Verdict) -> Verdict {
        let Some(figures) = self.figures() else { return verdict };
        let named = ["ttfb-p50", "ttfb-p95", "ttfb-max"].into_iter().zip(figures);
        named.fold(verdict, |verdict, (name, took)| verdict.measurement(name, ms(took), "ms"))
    }

    /// The first limit that was not kept, in words.
    pub fn over(&self, limits: &Limits) -> Option<String> {
        let figures = self.figures()?;
        let mut limits = ["p50", "p95", "max"].into_iter().zip([limits.p50, limits.p95, limits.max]).zip(figures);
        limits.find_map(|((name, limit), took)| {
            let limit = limit?;
            let over = u128::from(took) > limit.0.as_micros();
            over.then(|| format!("the first byte took {} ms ({name}), at most {limit} expected", ms(took)))
        })
    }

    /// p50, p95 and the longest, by nearest rank.
    fn figures(&self) -> Option<[u64; 3]> {
        let max = *self.sorted_us.last()?;
        let rank = |percent: usize| {
            let rank = (self.sorted_us.len() * percent).div_ceil(100).max(1);
            self.sorted_us.get(rank - 1).copied().unwrap_or(max)
        };
        Some([rank(50), rank(95), max])
    }
}

/// In milliseconds, to the tenth.
fn ms(micros: u64) -> f64 {
    (micros as f64 / 100.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_written_as_one_a_range_or_a_list() {
        for (text, fits, words) in [
            ("200", &[200][..], "200"),
            (r#""200-299""#, &[200, 204, 299], "200-299"),
            (r#"[200, "300-302"]"#, &[200, 300, 302], "200 or 300-302"),
        ] {
            let statuses: Statuses = serde_json::from_str(text).unwrap_or(Statuses(Vec::new()));
            assert!(fits.iter().all(|status| statuses.contain(*status)), "{text}");
            assert!([100, 199, 303, 500].iter().all(|status| !statuses.contain(*status)), "{text}");
            assert_eq!(statuses.to_string(), words);
        }
        for wrong in ["70000", r#""2xx""#, r#""-""#, "{}"] {
            assert!(serde_json::from_str::<Statuses>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn percentiles_are_by_nearest_rank_and_a_limit_is_kept_by_what_is_equal_to_it() {
        let mut times = FirstBytes::default();
        assert_eq!((times.evidence(), times.over(&Limits::default())), (Value::Null, None));
        for number in (1..=20).rev() {
            let mut response = Response::new(200);
            response.timing.first_byte_us = number * 1_000;
            times.add(&response);
        }
        assert_eq!(times.evidence(), json!({ "p50": 10.0, "p95": 19.0, "max": 20.0 }));
        let over = |limits: &str| serde_json::from_str(limits).ok().and_then(|limits: Limits| times.over(&limits));
        assert_eq!(over(r#"{ "p50": "10ms", "p95": "19ms", "max": "20ms" }"#), None);
        let words = "the first byte took 19 ms (p95), at most 18ms expected";
        assert_eq!(over(r#"{ "p95": "18ms", "max": "1s" }"#).as_deref(), Some(words));
    }
}
