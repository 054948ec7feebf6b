//! The lines of a log: which should not be there, and how often; which have to be.

use std::time::Duration;

use regex_lite::Regex;
use serde_json::{Value, json};

use crate::{Failure, Result};

/// How much of a line stands in a message.
const QUOTED_CHARS_MAX: usize = 200;

/// What lines are expected, as a plan writes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expected {
    /// Regular expressions for lines that should not be there.
    pub deny: Vec<String>,
    /// How many such lines there may be. None if there are other limits, or none of them may be.
    pub max: Option<usize>,
    /// How many of them there may be a minute, on average over the period that is looked at.
    pub per_minute_max: Option<f64>,
    /// How many of 100 lines that count may be such lines.
    pub percent_max: Option<f64>,
    /// Regular expressions for the lines of which `percent_max` is counted; all lines if there is none.
    pub among: Vec<String>,
    /// Regular expressions for lines that have to be there, at least one each.
    pub require: Vec<String>,
}

/// [`Expected`], compiled.
#[derive(Debug)]
pub struct Patterns {
    deny: Vec<Regex>,
    among: Vec<Regex>,
    require: Vec<Regex>,
    max: Option<usize>,
    per_minute_max: Option<f64>,
    percent_max: Option<f64>,
}

/// Lines, sorted out.
#[derive(Debug)]
pub struct Seen {
    /// All of them, oldest first.
    pub lines: Vec<String>,
    /// Those that should not be there.
    pub denied: Vec<String>,
    /// How many of them count for a share,
    pub among: usize,
    /// and how many of those should not be there.
    pub denied_among: usize,
    missing: Vec<String>,
    period: Option<Duration>,
}

impl Expected {
    /// Compiles the expressions; `at` is where they stand in the configuration, as in `logs.`.
    ///
    /// # Errors
    /// [`Failure::Permanent`] names what is no regular expression.
    pub fn patterns(&self, at: &str) -> Result<Patterns> {
        let compiled = |key: &str, texts: &[String]| {
            let compile = |text: &String| {
                let why = |error| Failure::permanent(format!("{at}{key}: `{text}` is no regular expression: {error}"));
                Regex::new(text).map_err(why)
            };
            texts.iter().map(compile).collect::<Result<Vec<_>>>()
        };
        Ok(Patterns {
            deny: compiled("deny", &self.deny)?,
            among: compiled("among", &self.among)?,
            require: compiled("require", &self.require)?,
            max: self.max,
            per_minute_max: self.per_minute_max,
            percent_max: self.percent_max,
        })
    }
}

impl Patterns {
    /// Sorts lines out. The period is that in which they were written, where it is known.
    pub fn sort(&self, lines: Vec<String>, period: Option<Duration>) -> Seen {
        let matches = |patterns: &[Regex], line: &str| patterns.iter().any(|pattern| pattern.is_match(line));
        let counts = |line: &&String| self.among.is_empty() || matches(&self.among, line);
        let denied = lines.iter().filter(|line| matches(&self.deny, line)).cloned().collect();
        let among = lines.iter().filter(counts).count();
        let denied_among = lines.iter().filter(counts).filter(|line| matches(&self.deny, line)).count();
        let is_missing = |pattern: &&Regex| !lines.iter().any(|line| pattern.is_match(line));
        let missing = self.require.iter().filter(is_missing).map(|pattern| pattern.as_str().to_owned()).collect();
        Seen { lines, denied, among, denied_among, missing, period }
    }

    /// What is wrong with them, in words; `log` is what they are lines of.
    pub fn wrong(&self, log: &str, seen: &Seen) -> Vec<String> {
        let mut wrong = Vec::new();
        let count = seen.denied.len();
        let newest = seen.denied.last().map(|line| line.chars().take(QUOTED_CHARS_MAX).collect::<String>());
        let newest = newest.map(|line| format!("; the newest: {line}")).unwrap_or_default();
        let has_rates = self.per_minute_max.is_some() || self.percent_max.is_some();
        let max = self.max.or((!has_rates).then_some(0));
        if let Some(max) = max.filter(|max| count > *max) {
            let lines = if count == 1 { "line" } else { "lines" };
            wrong.push(format!("{log} has {count} {lines} that should not be there, expected at most {max}{newest}"));
        }
        if let Some((max, rate)) = self.per_minute_max.zip(seen.per_minute()).filter(|(max, rate)| rate > max) {
            wrong.push(format!(
                "{log} has {rate:.1} lines a minute that should not be there, expected at most {max}{newest}"
            ));
        }
        if let Some((max, percent)) = self.percent_max.zip(seen.percent()).filter(|(max, percent)| percent > max) {
            let among = seen.among;
            wrong.push(format!(
                "{percent:.0} % of {among} lines of {log} should not be there, expected at most {max} %{newest}"
            ));
        }
        if let Some(missing) = seen.missing.first() {
            wrong.push(format!("{log} has no line like `{missing}`"));
        }
        wrong
    }
}

impl Seen {
    /// How many lines a minute should not be there; none if the period is not known.
    pub fn per_minute(&self) -> Option<f64> {
        let minutes = self.period?.as_secs_f64() / 60.0;
        (minutes > 0.0).then(|| self.denied.len() as f64 / minutes)
    }

    /// How many of 100 lines that count should not be there; none if no line counts.
    pub fn percent(&self) -> Option<f64> {
        (self.among > 0).then(|| self.denied_among as f64 * 100.0 / self.among as f64)
    }

    /// For the plan's `expect`.
    pub fn evidence(&self, truncated: bool) -> Value {
        json!({
            "lines": self.lines,
            "denied": self.denied,
            "missing": self.missing,
            "per_minute": self.per_minute(),
            "percent": self.percent(),
            "truncated": truncated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_counts_rates_and_shares() {
        let lines: Vec<String> = ["call 1 ok", "noise", "call 2 failed", "call 3 failed"].map(str::to_owned).into();
        let wrong = |expected: Expected, period: Option<u64>| {
            let patterns = Expected { deny: vec!["failed".to_owned()], ..expected }.patterns("").unwrap();
            patterns.wrong("the log", &patterns.sort(lines.clone(), period.map(Duration::from_secs)))
        };
        let newest = "; the newest: call 3 failed";
        let none = Expected::default;
        assert_eq!(
            wrong(none(), None),
            [format!("the log has 2 lines that should not be there, expected at most 0{newest}")]
        );
        assert_eq!(wrong(Expected { max: Some(2), ..none() }, None), [""; 0]);
        let rate = |max| Expected { per_minute_max: Some(max), ..none() };
        assert_eq!(wrong(rate(4.0), Some(30)), [""; 0]);
        assert_eq!(
            wrong(rate(3.0), Some(30)),
            [format!("the log has 4.0 lines a minute that should not be there, expected at most 3{newest}")]
        );
        let share = |among: &str| Expected { percent_max: Some(50.0), among: vec![among.to_owned()], ..none() };
        assert_eq!(wrong(share(""), None), [""; 0]);
        assert_eq!(
            wrong(share("^call"), None),
            [format!("67 % of 3 lines of the log should not be there, expected at most 50 %{newest}")]
        );
        let missing = Expected { max: Some(9), require: vec!["^ready".to_owned()], ..none() };
        assert_eq!(wrong(missing, None), ["the log has no line like `^ready`"]);
    }

    #[test]
    fn what_is_no_expression_is_named() {
        let expected = Expected { deny: vec!["(".to_owned()], ..Expected::default() };
        let failure = expected.patterns("logs.").map(drop).unwrap_err();
        assert!(failure.message().starts_with("logs.deny: `(` is no regular expression"), "{failure:?}");
    }
}
