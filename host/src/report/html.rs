//! The report as one HTML file that asks for nothing: no script, no font, no picture, and a policy that
//! would turn away whatever got into it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, HtmlEscape, context};
use sha2::Digest as _;

use super::chart::Chart;
use super::template::{environment, pieces, safe};
use super::{Report, WriteError};
use crate::present::clean;

const TEMPLATE: &str = include_str!("report.html.jinja");
const STYLE: &str = include_str!("report.css");

pub(super) fn html(report: &Report, zone: &TimeZone) -> Result<String, WriteError> {
    let language = report.language;
    let mut environment = environment(report, zone)?;
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // Whatever is not marked as safe is escaped, wherever it stands; what would reorder or hide the
    // text around it is written out, as on a terminal.
    environment.set_formatter(|out, _, value| {
        let text = value.to_string();
        Ok(out.write_str(if value.is_safe() { text } else { escape(&text) }.as_str())?)
    });
    environment.add_filter("sentence", move |said: Serde<serde_json::Value>, group: String| -> Value {
        let pieces = pieces(language, &group, &said.0).into_iter();
        let pieces = pieces.map(|(is_command, piece)| {
            let piece = escape(&piece);
            if is_command { format!("<code>{piece}</code>") } else { piece }
        });
        safe(pieces.collect())
    });
    // A long path breaks where its parts do.
    environment
        .add_filter("breakable", |text: String| safe(text.split('/').map(escape).collect::<Vec<_>>().join("/<wbr>")));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'", digest(STYLE));
    let marks: Vec<_> = report.units().map(|unit| (unit.standing.mark(), unit.standing.mark().text())).collect();
    let given = context! {
        r => Serde(report),
        chart => Serde(Chart::of(report)),
        marks => Serde(marks),
        tag => language.tag(),
        policy => policy,
        style => safe(STYLE.to_owned()),
    };
    Ok(environment.render_named_str("report.html", TEMPLATE, given)?)
}

fn escape(text: &str) -> String {
    // New lines are the one control character that a text has for good reason.
    let lines: Vec<_> = text.split('\n').map(|line| clean(line.strip_suffix('\r').unwrap_or(line))).collect();
    HtmlEscape(&lines.join("\n")).to_string()
}

fn digest(text: &str) -> String {
    STANDARD.encode(sha2::Sha256::digest(text.as_bytes()))
}
