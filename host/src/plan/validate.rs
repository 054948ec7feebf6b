//! A plan against the operator's file and the plugins' manifests.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::config::misfits;
use super::{Plan, Step, Uses};
use crate::capability::{Capability, sql};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, listed, nearest};
use crate::document::{Path, Segment, segments};
use crate::journal::OnFailure;
use crate::manifest::{Access, Kind, Manifest, Role};
use crate::operator::Operator;

/// Checks a plan against what there is: the operator's connections, and the manifest of each step's,
/// each check's, each trigger's, each follow-up's and each notice's plugin, by its id. What has no manifest is
/// not checked; whoever finds the plugins has said so already.
///
/// Returns warnings, or everything that is wrong, warnings among it.
pub fn validate(
    plan: &Plan,
    operator: &Operator,
    plugins: &BTreeMap<String, Arc<Manifest>>,
) -> Result<Vec<Diagnostic>, Diagnostics> {
    let mut validator = Validator { plan, operator, found: Vec::new() };
    for (index, step) in plan.steps.iter().enumerate() {
        if let Some(manifest) = plugins.get(&step.id) {
            let part =
                Part { at: segments!["step", index].to_vec(), uses: &step.uses, bind: &step.bind, with: &step.with };
            validator.part(&part, manifest, Kind::Action);
            validator.ends_before_its_restore(index, step, manifest);
            if step.on_failure == OnFailure::Undo && !manifest.can_undo {
                validator.undo_does_nothing(index, manifest);
            }
        }
    }
    for (index, check) in plan.verify.iter().enumerate() {
        if let Some(manifest) = plugins.get(&check.id) {
            let part = Part {
                at: segments!["verify", index].to_vec(),
                uses: &check.uses,
                bind: &check.bind,
                with: &check.with,
            };
            validator.part(&part, manifest, Kind::Check);
            if manifest.kind == Kind::Check {
                validator.probe(&part, manifest, check.probe);
            }
        }
    }
    for trigger in &plan.triggers {
        if let Some(manifest) = plugins.get(&trigger.id) {
            let part = Part {
                at: segments!["trigger", trigger.index].to_vec(),
                uses: &trigger.uses,
                bind: &trigger.bind,
                with: &trigger.with,
            };
            validator.part(&part, manifest, Kind::Check);
            if manifest.kind == Kind::Check {
                validator.probe(&part, manifest, trigger.probe);
            }
        }
    }
    for (index, item) in plan.follow_ups.iter().enumerate() {
        if let (Some(step), Some(manifest)) = (&item.step, plugins.get(&item.id)) {
            let at = segments!["follow-up", index].to_vec();
            let part = Part { at, uses: &step.uses, bind: &step.bind, with: &step.with };
            validator.part(&part, manifest, Kind::Action);
        }
    }
    for (index, notice) in plan.notices.iter().enumerate() {
        if let Some(manifest) = plugins.get(&notice.id) {
            let at = segments!["notice", index].to_vec();
            let part = Part { at, uses: &notice.uses, bind: &notice.bind, with: &notice.with };
            if validator.only_tells(&part, manifest) {
                validator.part(&part, manifest, Kind::Action);
            }
        }
    }
    if plan.verify.is_empty() {
        let warning = Diagnostic::warning("nothing verifies that the rollback worked");
        validator.found.push(warning.help("add a check: `[[verify]]`"));
    }
    if validator.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        Err(Diagnostics::sorted(validator.found))
    } else {
        Ok(Diagnostics::sorted(validator.found).0)
    }
}

/// What a step and a check have in common.
struct Part<'p> {
    at: Path,
    uses: &'p Uses,
    bind: &'p BTreeMap<String, String>,
    with: &'p Value,
}

impl Part<'_> {
    fn path(&self, inside: &[&str]) -> Path {
        self.at.iter().cloned().chain(inside.iter().map(|key| Segment::from(*key))).collect()
    }
}

struct Validator<'p> {
    plan: &'p Plan,
    operator: &'p Operator,
    found: Vec<Diagnostic>,
}

impl Validator<'_> {
    fn part(&mut self, part: &Part<'_>, manifest: &Manifest, expected: Kind) {
        let document = &self.plan.document;
        if manifest.kind != expected {
            let (is, stands, belongs) = match manifest.kind {
                Kind::Check => ("only observes", "in a step", "[[verify]]"),
                Kind::Action => ("changes things", "as a check", "[[step]]"),
            };
            let name = match part.uses {
                Uses::Bundled(name) => name.clone(),
                Uses::File { path, .. } => path.display().to_string(),
            };
            let message = format!("plugin `{name}` {is} and can't be used {stands}");
            let diagnostic = Diagnostic::error(message).at(document.value(&part.path(&["use"])));
            self.found.push(diagnostic.help(format!("use it below `{belongs}`")));
            return;
        }
        for role in &manifest.roles {
            match part.bind.get(&role.name) {
                Some(connection) => self.binding(part, manifest, role, connection),
                None if role.required => self.unbound(part, manifest, role),
                None => {}
            }
        }
        for name in part.bind.keys().filter(|name| !manifest.roles.iter().any(|role| role.name == **name)) {
            let known = || manifest.roles.iter().map(|role| role.name.as_str());
            let help = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its roles: {}", listed(known(), "none")),
            };
            let diagnostic = Diagnostic::error(format!("plugin `{}` has no role `{name}`", manifest.name));
            self.found.push(diagnostic.at(document.key(&part.path(&["bind", name]))).help(help));
        }
        self.config(part, manifest);
    }

    /// A check that asks for more than to look is one that the plan has to want.
    fn probe(&mut self, part: &Part<'_>, manifest: &Manifest, is_probe: bool) {
        let document = &self.plan.document;
        let write = |role: &&Role| role.access == Access::Write && part.bind.contains_key(&role.name);
        match (manifest.roles.iter().find(write), is_probe) {
            (Some(role), false) => {
                let message = format!("check `{}` is a probe: it does more than look", manifest.name);
                let diagnostic = Diagnostic::error(message)
                    .at(document.value(&part.path(&["use"])))
                    .label(format!("it asks for role `{}` with write access: {}", role.name, role.reason))
                    .help("if that is meant, write  probe = true  below it; a preview lists its calls and makes none");
                self.found.push(diagnostic);
            }
            (None, true) => {
                let message =
                    format!("check `{}` is no probe: no role of it is bound with write access", manifest.name);
                let diagnostic = Diagnostic::error(message).at(document.value(&part.path(&["probe"])));
                self.found.push(diagnostic.help("take `probe = true` out"));
            }
            (Some(_), true) | (None, false) => {}
        }
    }

    /// A notice is sent wherever the run has got to, and never waited for: it may do nothing but tell.
    fn only_tells(&mut self, part: &Part<'_>, manifest: &Manifest) -> bool {
        let does_more = |role: &&Role| role.capability != Capability::Notify.name();
        let (Kind::Action, Some(role)) = (manifest.kind, manifest.roles.iter().find(does_more)) else { return true };
        let message = format!("plugin `{}` does more than tell people something", manifest.name);
        let diagnostic = Diagnostic::error(message)
            .at(self.plan.document.value(&part.path(&["use"])))
            .label(format!("it asks for role `{}` of {}: {}", role.name, role.capability, role.reason));
        self.found.push(diagnostic.help("use it below `[[step]]`; a notice may only have roles of notify"));
        false
    }

    fn binding(&mut self, part: &Part<'_>, manifest: &Manifest, role: &Role, connection: &str) {
        let at = part.path(&["bind", &role.name]);
        let document = &self.plan.document;
        let Some(capability) = capability(&role.capability) else {
            self.no_such_capability(role, document.value(&at));
            return;
        };
        if !manifest.imports.contains(&role.capability) {
            let message = format!(
                "plugin `{}` names the role `{}` but does not import `{capability}`: it can't use it",
                manifest.name, role.name
            );
            let warning = Diagnostic::warning(message).at(document.key(&at));
            self.found.push(warning.help("take the binding out, or ask the plugin's author"));
        }
        let names = self.operator.connections.names(capability);
        if names.contains(&connection) {
            return;
        }
        let file = self.operator.path.display();
        let mut diagnostic = Diagnostic::error(format!("there is no {capability} connection `{connection}`"))
            .at(document.value(&at))
            .label(role.reason.as_str());
        if let Some(near) = nearest(connection, names.iter().copied()) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if !names.is_empty() {
            diagnostic = diagnostic.help(format!("{file} has {}", listed(names, "none")));
        }
        let elsewhere =
            Capability::ALL.iter().find(|other| self.operator.connections.names(**other).contains(&connection));
        if let Some(other) = elsewhere {
            let message = format!("`{connection}` is a connection of {other}; role `{}` needs {capability}", role.name);
            diagnostic = diagnostic.help(message);
        }
        self.found.push(diagnostic.help(format!("or add `[{capability}.{connection}]` to {file}")));
    }

    /// A step that runs out of time is stopped: it can't start what it has stopped for a restore, nor say how things
    /// stand, as it does where the restore itself runs out of time.
    fn ends_before_its_restore(&mut self, index: usize, step: &Step, manifest: &Manifest) {
        let timeout = step.timeout.unwrap_or(self.plan.timeout);
        let restores = manifest.roles.iter().filter(|role| role.capability == "sql" && role.access == Access::Write);
        for (role, name) in restores.filter_map(|role| Some((role, step.bind.get(&role.name)?))) {
            let connection =
                self.operator.connections.sql.get(name).filter(|found| found.access == sql::Access::Restore);
            let Some(longer) = connection.map(|found| found.backup_timeout).filter(|longer| timeout < *longer) else {
                continue;
            };
            let at = segments!["step", index, "bind", role.name.as_str()];
            let [timeout, longer] = [timeout, longer].map(|time| humantime::format_duration(time).to_string());
            let message = format!(
                "step `{}` is stopped after {timeout}, before a restore through `sql.{name}`, which may take {longer}, is",
                step.id
            );
            let warning = Diagnostic::warning(message).at(self.plan.document.value(&at));
            let file = self.operator.path.display();
            self.found.push(warning.help(format!(
                "write a shorter  backup-timeout  below [sql.{name}] in {file}, or a longer  timeout  here: else nothing \
                 starts again what the step has stopped"
            )));
        }
    }

    fn unbound(&mut self, part: &Part<'_>, manifest: &Manifest, role: &Role) {
        let place = self.plan.document.value(&part.path(&["bind"]));
        let Some(capability) = capability(&role.capability) else {
            self.no_such_capability(role, place);
            return;
        };
        let names = self.operator.connections.names(capability);
        let file = self.operator.path.display();
        let diagnostic = Diagnostic::error(format!("role `{}` of plugin `{}` is not bound", role.name, manifest.name))
            .at(place)
            .label(role.reason.as_str())
            .help(format!("write  bind = {{ {} = \"CONNECTION\" }}", role.name));
        self.found.push(match names.as_slice() {
            [] => diagnostic.help(format!("{file} has no connection for it: add `[{capability}.NAME]`")),
            names => diagnostic.help(format!("{file} has {}", listed(names.iter().copied(), "none"))),
        });
    }

    fn no_such_capability(&mut self, role: &Role, place: crate::diagnostic::Place) {
        let known = listed(Capability::ALL.iter().map(|capability| capability.name()), "none");
        let message = format!("role `{}` needs `{}`, which this ripcord does not have", role.name, role.capability);
        self.found.push(Diagnostic::error(message).at(place).help(format!("it has {known}")));
    }

    fn config(&mut self, part: &Part<'_>, manifest: &Manifest) {
        let document = &self.plan.document;
        match misfits(manifest, part.with) {
            Ok(misfits) => {
                for misfit in misfits {
                    let at = into_value(part.path(&["with"]), part.with, &misfit.pointer);
                    let place = if misfit.key { document.key(&at) } else { document.value(&at) };
                    self.found.push(Diagnostic::error(misfit.message).at(place).help(misfit.help));
                }
            }
            Err(message) => {
                let diagnostic = Diagnostic::error(message).at(document.value(&part.path(&["use"])));
                self.found.push(diagnostic.help("the plugin has to be put right by its author"));
            }
        }
    }

    fn undo_does_nothing(&mut self, index: usize, manifest: &Manifest) {
        let message = format!(
            "plugin `{}` can't take back what it did: `on-failure = \"undo\"` will leave it for a person",
            manifest.name
        );
        let place = self.plan.document.value(&segments!["step", index, "on-failure"]);
        let help = "write `on-failure = \"halt\"` for this step, or be ready to undo it by hand";
        self.found.push(Diagnostic::warning(message).at(place).help(help));
    }
}

fn capability(name: &str) -> Option<Capability> {
    Capability::ALL.iter().copied().find(|capability| capability.name() == name)
}

/// Extends a way by a JSON pointer into a value, which tells an array's index from a table's key.
fn into_value(mut at: Path, mut value: &Value, pointer: &str) -> Path {
    for token in pointer.split('/').skip(1) {
        let key = token.replace("~1", "/").replace("~0", "~");
        let (segment, next) = match value {
            Value::Array(items) => match key.parse::<usize>() {
                Ok(index) => (Segment::Index(index), items.get(index)),
                Err(_) => break,
            },
            _ => (Segment::Key(key.clone()), value.get(&key)),
        };
        at.push(segment);
        match next {
            Some(next) => value = next,
            None => break,
        }
    }
    at
}
