//! `ripcord plugin inspect`: what a plugin says of itself, and what it can reach at all.

use serde_json::Value;

use crate::id::Digest;
use crate::manifest::{Access, Kind, Manifest};

use super::Style;
use super::page::{Page, Span};
use super::text::{clean, pad, width};

/// A plugin for the person who is about to use it.
pub fn manifest(manifest: &Manifest, digest: &Digest, style: &Style) -> String {
    let mut page = Page::new(style);
    page.line(0, &[Span::Title(&format!("{} {}: {}", manifest.name, manifest.version, manifest.title))]);
    let kind = match (manifest.kind, manifest.can_undo) {
        (Kind::Check, _) => "a check: it observes and can change nothing",
        (Kind::Action, true) => "an action that can take back what it did",
        (Kind::Action, false) => "an action that can NOT take back what it did",
    };
    page.line(0, &[Span::Plain(kind)]);
    page.line(0, &[Span::Dim(&digest.to_string())]);
    page.gap();
    // Indented: its lines must not look like those below.
    page.prose(2, &manifest.description);
    page.gap();
    let mut imports = manifest.imports.clone();
    imports.sort();
    let reach = match imports.is_empty() {
        true => "nothing: it imports no capability".to_owned(),
        false => {
            format!("{}. Whatever a plan or your ripcord.toml says, it can't reach anything else.", imports.join(", "))
        }
    };
    page.labelled(0, Span::Title("Can reach "), &reach);
    roles(&mut page, manifest);
    parameters(&mut page, &manifest.parameters);
    page.finish()
}

fn roles(page: &mut Page<'_>, manifest: &Manifest) {
    page.gap();
    if manifest.roles.is_empty() {
        page.line(0, &[Span::Title("Roles: none")]);
        return;
    }
    page.line(0, &[Span::Title("Roles"), Span::Plain(", to bind to connections of your ripcord.toml")]);
    let rows = manifest.roles.iter().map(|role| {
        let access = match role.access {
            Access::Read => "reads",
            Access::Write => "reads and CHANGES",
        };
        let needed = if role.required { "" } else { " (may be left out)" };
        ([role.name.clone(), role.capability.clone(), access.to_owned()], format!("{}{needed}", role.reason))
    });
    table(page, &rows.collect::<Vec<_>>());
}

fn parameters(page: &mut Page<'_>, schema: &Value) {
    page.gap();
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
        page.line(0, &[Span::Title("Parameters: none that are named")]);
        return;
    };
    page.line(0, &[Span::Title("Parameters"), Span::Plain(", for `with`")]);
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // What has to be given comes first; else the order of the names.
    let mut sorted: Vec<_> = properties.iter().collect();
    sorted.sort_by_key(|(name, _)| (!required.contains(&name.as_str()), name.as_str()));
    let rows = sorted.into_iter().map(|(name, property)| {
        let given = match (&property["default"], required.contains(&name.as_str())) {
            (_, true) => "required".to_owned(),
            (Value::Null, false) => "optional".to_owned(),
            (default, false) => format!("default {default}"),
        };
        let mut description = property["description"].as_str().unwrap_or_default().to_owned();
        for rule in rules(property) {
            description.push_str(&format!(" {rule}."));
        }
        ([name.clone(), kind(property), String::new()], format!("{given}. {description}"))
    });
    table(page, &rows.collect::<Vec<_>>());
}

/// `text`, `number`, `true or false`, …
fn kind(schema: &Value) -> String {
    let word = |kind: &str| match kind {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => match schema["items"].is_object() {
            true => format!("list of {}", kind_of_items(schema)),
            false => "list".to_owned(),
        },
        "object" => "table".to_owned(),
        "null" => "nothing".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => word(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

fn kind_of_items(schema: &Value) -> String {
    kind(&schema["items"])
}

fn rules(schema: &Value) -> Vec<String> {
    let mut rules = Vec::new();
    if let Some(values) = schema["enum"].as_array() {
        rules.push(format!("One of {}", values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")));
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        rules.push(format!("Has to match {pattern}"));
    }
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, Value::Null) => {}
        (least, Value::Null) => rules.push(format!("At least {least}")),
        (Value::Null, most) => rules.push(format!("At most {most}")),
        (least, most) => rules.push(format!("From {least} to {most}")),
    }
    rules
}

/// Short cells in columns, and sentences behind them.
fn table(page: &mut Page<'_>, rows: &[([String; 3], String)]) {
    let mut columns = [0; 3];
    for (cells, _) in rows {
        for (column, cell) in columns.iter_mut().zip(cells) {
            *column = (*column).max(width(&clean(cell)));
        }
    }
    for (cells, sentences) in rows {
        let cells = cells.iter().zip(columns).filter(|(_, columns)| *columns > 0);
        let label: String = cells.map(|(cell, columns)| pad(&clean(cell), columns) + "  ").collect();
        page.labelled(2, Span::Plain(&label), sentences);
    }
}
