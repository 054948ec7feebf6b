//! The values of a run's parameters.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Plan, Scope, render};
use crate::diagnostic::{Diagnostic, Diagnostics, listed, nearest};
use crate::document::segments;

/// The value of each parameter: what was given, else its default. All that is wrong with what was
/// given is said in one go.
pub fn resolve_params(plan: &Plan, given: &[(String, String)]) -> Result<BTreeMap<String, String>, Diagnostics> {
    let mut values = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, value) in given {
        let Some(param) = plan.params.get(name) else {
            let known = || plan.params.keys().map(String::as_str);
            let help = match nearest(name, known()) {
                Some(near) => format!("did you mean `-p {near}=…`?"),
                None => format!("its parameters: {}", listed(known(), "none")),
            };
            wrong.push(Diagnostic::error(format!("plan `{}` has no parameter `{name}`", plan.name)).help(help));
            continue;
        };
        if values.contains_key(name) {
            let diagnostic = Diagnostic::error(format!("parameter `{name}` is given twice"));
            wrong.push(diagnostic.help(format!("give `-p {name}=…` once")));
            continue;
        }
        if let Some(pattern) = param.pattern.as_ref().filter(|pattern| !pattern.matches(value)) {
            let message = format!("parameter `{name}` can't be `{value}`: it has to match {}", pattern.as_str());
            let diagnostic = Diagnostic::error(message).at(plan.document.value(&segments!["params", name, "pattern"]));
            wrong.push(with_description(diagnostic, name, &param.description));
        }
        values.insert(name.clone(), value.clone());
    }
    for (name, param) in plan.params.iter().filter(|(name, _)| !given.iter().any(|(given, _)| given == *name)) {
        match &param.default {
            Some(default) => {
                values.insert(name.clone(), default.clone());
            }
            None => {
                let diagnostic = Diagnostic::error(format!("plan `{}` needs the parameter `{name}`", plan.name))
                    .help(format!("add  -p {name}=VALUE"));
                wrong.push(with_description(diagnostic, name, &param.description));
            }
        }
    }
    if wrong.is_empty() { Ok(values) } else { Err(Diagnostics(wrong)) }
}

impl Plan {
    /// What a run with these parameters rolls back: one line that is not empty.
    pub fn target_for(&self, params: &BTreeMap<String, String>) -> Result<String, Diagnostics> {
        let scope = Scope { params: params.clone(), people: self.people.clone(), ..Scope::default() };
        let place = || self.document.value(&segments!["target"]);
        match render(&Value::String(self.target.clone()), &scope) {
            Ok(Value::String(target)) if !target.trim().is_empty() && !target.contains(char::is_control) => Ok(target),
            Ok(target) => Err(Diagnostic::error(format!("the target becomes {target}, which is not one line of text"))
                .at(place())
                .help("put some text around what is filled in")
                .into()),
            Err(error) => Err(Diagnostic::error(error.to_string()).at(place()).into()),
        }
    }
}

fn with_description(diagnostic: Diagnostic, name: &str, description: &str) -> Diagnostic {
    if description.is_empty() { diagnostic } else { diagnostic.help(format!("{name}: {description}")) }
}
