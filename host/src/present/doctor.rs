//! What `ripcord doctor` has found.

use serde_json::{Map, Value, json};

use crate::doctor::{Aspect, Finding, Grade};

use super::Style;
use super::page::{Page, Span};
use super::text::count;

/// Columns of the marks and of the aspects.
const MARK: usize = 10;
const ASPECT: usize = 12;

/// What was found about one subject: a heading and a line for each finding, with what to do below
/// those that need it.
pub fn examined(subject: &str, findings: &[Finding], style: &Style) -> String {
    let mut page = Page::new(style);
    page.line(0, &[Span::Title(subject)]);
    for finding in findings {
        let label = format!("{:MARK$}{:ASPECT$}", mark(&finding.grade), aspect(finding.aspect));
        let label = match finding.grade {
            Grade::Good => Span::Good(&label),
            Grade::Untried => Span::Dim(&label),
            Grade::Warning { .. } => Span::Change(&label),
            Grade::Fault { .. } => Span::Bad(&label),
        };
        page.labelled(2, label, &finding.seen);
        if let Grade::Warning { remedy } | Grade::Fault { remedy } = &finding.grade {
            page.labelled(2 + MARK + ASPECT, Span::Plain("→ "), remedy);
        }
    }
    page.finish()
}

/// What all of it comes to, in one sentence.
pub fn diagnosis(findings: &[Finding]) -> String {
    let number = |is: fn(&Grade) -> bool| findings.iter().filter(|finding| is(&finding.grade)).count();
    let faults = number(|grade| matches!(grade, Grade::Fault { .. }));
    let warnings = number(|grade| matches!(grade, Grade::Warning { .. }));
    let untried = number(|grade| matches!(grade, Grade::Untried));
    let mut also = Vec::new();
    if warnings > 0 {
        also.push(count(warnings, "warning", "warnings"));
    }
    if untried > 0 {
        also.push(format!("{untried} not tried"));
    }
    let also = if also.is_empty() { String::new() } else { format!(" ({})", also.join(", ")) };
    match faults {
        0 => format!("nothing stands in the way of a rollback{also}"),
        faults => format!("{} to put right before a rollback can work{also}", count(faults, "fault", "faults")),
    }
}

/// A finding for programs.
pub fn finding_json(finding: &Finding) -> Value {
    let mut object = Map::from_iter([("version".to_owned(), json!(1)), ("event".to_owned(), json!("finding"))]);
    // It is texts and names only, so there is nothing that could fail.
    if let Ok(Value::Object(fields)) = serde_json::to_value(finding) {
        object.extend(fields);
    }
    Value::Object(object)
}

fn mark(grade: &Grade) -> &'static str {
    match grade {
        Grade::Good => "ok",
        Grade::Untried => "not tried",
        Grade::Warning { .. } => "warning",
        Grade::Fault { .. } => "FAULT",
    }
}

fn aspect(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Settings => "settings",
        Aspect::Secret => "secret",
        Aspect::Name => "name",
        Aspect::Connection => "connection",
        Aspect::Encryption => "encryption",
        Aspect::Login => "login",
        Aspect::Answer => "answer",
        Aspect::Clock => "clock",
        Aspect::Program => "program",
        Aspect::Version => "version",
        Aspect::Folder => "folder",
        Aspect::State => "state",
        Aspect::Rules => "rules",
        Aspect::Remote => "remote",
        Aspect::Disk => "disk",
        Aspect::Journal => "journal",
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn what_to_do_stands_below_what_was_found_and_a_servers_words_stay_words() {
        let finding = |aspect, seen: &str, grade| Finding {
            subject: "http.coolify".to_owned(),
            aspect,
            seen: seen.to_owned(),
            grade,
        };
        let findings = [
            finding(Aspect::Name, "coolify.example.org is 192.0.2.7", Grade::Good),
            finding(
                Aspect::Clock,
                "this machine's clock is about 1h behind the service's",
                Grade::warning(
                    "see which is wrong (`timedatectl`): the times in the report will not fit the service's log",
                ),
            ),
            finding(Aspect::Answer, "GET /version answers 302, and sends to \u{1b}[2Jx", Grade::Untried),
            finding(
                Aspect::Login,
                "GET /version answers 401: it does not accept the credentials (secret `coolify`)",
                Grade::fault("get a new one from the service, and put it where `coolify` comes from"),
            ),
        ];
        let style = Style { colour: false, width: 80, zone: TimeZone::UTC };
        insta::assert_snapshot!(examined("http.coolify", &findings, &style), @r#"
        http.coolify
          ok        name        coolify.example.org is 192.0.2.7
          warning   clock       this machine's clock is about 1h behind the service's
                                → see which is wrong (`timedatectl`): the times in the
                                  report will not fit the service's log
          not tried answer      GET /version answers 302, and sends to \u{1b}[2Jx
          FAULT     login       GET /version answers 401: it does not accept the
                                credentials (secret `coolify`)
                                → get a new one from the service, and put it where
                                  `coolify` comes from
        "#);
        insta::assert_snapshot!(diagnosis(&findings), @"1 fault to put right before a rollback can work (1 warning, 1 not tried)");
        insta::assert_snapshot!(diagnosis(&findings[..1]), @"nothing stands in the way of a rollback");
        insta::assert_snapshot!(finding_json(&findings[3]), @r#"{"aspect":"login","event":"finding","grade":"fault","remedy":"get a new one from the service, and put it where `coolify` comes from","seen":"GET /version answers 401: it does not accept the credentials (secret `coolify`)","subject":"http.coolify","version":1}"#);
        // Colour only repeats what the words say.
        let coloured = examined("http.coolify", &findings, &Style { colour: true, ..style.clone() });
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), examined("http.coolify", &findings, &style));
    }
}
