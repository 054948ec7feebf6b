//! Conditions: CEL, the expression language of Kubernetes.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use cel::common::ast::{Expr, IdedExpr};
use cel::{Context, Program, Value as Cel};
use serde_json::{Map, Value};

use crate::diagnostic::{listed, nearest};

/// The longest condition. It bounds what parsing costs, and with [`NESTING_MAX`] what evaluating
/// costs.
const TEXT_BYTES_MAX: usize = 2_000;

/// How many `all`, `exists`, `map` and `filter` may stand inside one another: each one multiplies
/// the work by the length of a list, which a guest may have made long.
const NESTING_MAX: usize = 2;

/// The longest part of an evaluation's error that is shown: it may hold a whole response.
const PROBLEM_CHARS_MAX: usize = 300;

/// A condition that was parsed.
#[derive(Clone)]
pub struct Condition {
    text: String,
    program: Arc<Program>,
}

/// A text that is no condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoCondition {
    pub(super) at: Range<usize>,
    pub(super) message: String,
}

/// Why a condition is neither true nor false. A check that ends like this is inconclusive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{condition}` is neither true nor false: {problem}")]
pub struct ConditionError {
    /// The condition.
    pub condition: String,
    /// What is missing or does not fit.
    pub problem: String,
}

impl Condition {
    /// Parses a condition: at most 2,000 bytes, at most two macros over lists inside one another.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        Self::parse_at(text)
            .map_err(|error| ConditionError { condition: text.chars().take(80).collect(), problem: error.message })
    }

    pub(super) fn parse_at(text: &str) -> Result<Self, NoCondition> {
        let whole = |message: String| NoCondition { at: 0..text.len(), message };
        if text.len() > TEXT_BYTES_MAX {
            return Err(whole(format!("it has {} bytes; {TEXT_BYTES_MAX} is the most", text.len())));
        }
        let program = Program::compile(text).map_err(|errors| match errors.errors.first() {
            Some(error) => {
                let at = offset(text, error.pos);
                let rest = text[at..].chars().next().map_or(0, char::len_utf8);
                NoCondition { at: at..at + rest, message: in_words(&error.msg) }
            }
            None => whole("it can't be parsed".to_owned()),
        })?;
        if nesting(program.expression()) > NESTING_MAX {
            return Err(whole(format!(
                "more than {NESTING_MAX} of `all`, `exists`, `map`, `filter` stand inside one another"
            )));
        }
        Ok(Self { text: text.to_owned(), program: Arc::new(program) })
    }

    /// The condition as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds for these variables.
    ///
    /// JSON's numbers compare by value, whole or not: `200 == 200.0` holds. Arithmetic keeps CEL's
    /// rules: a whole number is an `int` (a `uint` above 2⁶³), a number with a fraction or an
    /// exponent a `double`, and the two are not mixed without `int()` or `double()`.
    ///
    /// A field that is not there, a comparison of a number with a text by `<`, and a result that is
    /// neither true nor false are errors. `has(response.json.version)` asks whether a field is there.
    pub fn evaluate(&self, variables: &Map<String, Value>) -> Result<bool, ConditionError> {
        let error = |problem: String| ConditionError {
            condition: self.text.clone(),
            problem: problem.chars().take(PROBLEM_CHARS_MAX).collect(),
        };
        let mut context = Context::default();
        for (name, value) in variables {
            context.add_variable_from_value(name.as_str(), from_json(value));
        }
        match self.program.execute(&context) {
            Ok(Cel::Bool(holds)) => Ok(holds),
            Ok(other) => Err(error(format!("it gives a value of type {}", other.type_of()))),
            Err(cel::ExecutionError::NoSuchKey(key)) => Err(error(format!("there is no `{key}`"))),
            Err(cel::ExecutionError::UndeclaredReference(name)) => {
                let known = || variables.keys().map(String::as_str);
                Err(error(match nearest(&name, known()) {
                    Some(near) => format!("there is no `{name}`; did you mean `{near}`?"),
                    None => format!("there is no `{name}`; there are {}", listed(known(), "none")),
                }))
            }
            Err(cel::ExecutionError::NoSuchOverload(it)) => {
                // Operators are called `_<_` there.
                let function = it.function().replace('_', "");
                Err(error(format!("`{function}` does not take {}", it.argument_types().join(" and "))))
            }
            Err(other) => Err(error(other.to_string())),
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

/// The crate's own conversion makes every positive number a `uint`, and `n + 1` an error.
fn from_json(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Cel::Int(int),
            (None, Some(uint)) => Cel::UInt(uint),
            (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(array) => Cel::List(Arc::new(array.iter().map(from_json).collect())),
        Value::Object(object) => {
            let fields: std::collections::HashMap<String, Cel> =
                object.iter().map(|(key, value)| (key.clone(), from_json(value))).collect();
            Cel::from(fields)
        }
    }
}

/// Line and column from 1, in bytes, as an offset.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let lines = usize::try_from(line - 1).unwrap_or(0);
    let start: usize = text.split_inclusive('\n').take(lines).map(str::len).sum();
    let column = usize::try_from(column - 1).unwrap_or(0);
    text.floor_char_boundary((start + column).min(text.len()))
}

/// The parser's words, without the list of all tokens that there are.
fn in_words(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("Syntax error: ").unwrap_or(line);
    let quoted = || line.split('\'').nth(1).unwrap_or_default().trim();
    match line {
        _ if line.contains("'<EOF>'") => "it ends too early".to_owned(),
        _ if line.starts_with("token recognition error") => format!("`{}` means nothing here", quoted()),
        _ if line.contains(" expecting ") => format!("`{}` does not fit here", quoted()),
        _ => line.to_owned(),
    }
}

/// How deep macros over lists stand inside one another.
fn nesting(expression: &IdedExpr) -> usize {
    match &expression.expr {
        Expr::Comprehension(it) => {
            let inside = [&it.accu_init, &it.loop_cond, &it.loop_step, &it.result].map(nesting);
            let inside = inside.into_iter().max().unwrap_or(0);
            nesting(&it.iter_range).max(inside + 1)
        }
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).map(nesting).max().unwrap_or(0),
        Expr::Select(select) => nesting(&select.operand),
        Expr::List(list) => list.elements.iter().map(nesting).max().unwrap_or(0),
        Expr::Map(map) => map.entries.iter().map(|entry| of_entry(&entry.expr)).max().unwrap_or(0),
        Expr::Struct(it) => it.entries.iter().map(|entry| of_entry(&entry.expr)).max().unwrap_or(0),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => 0,
    }
}

fn of_entry(entry: &cel::common::ast::EntryExpr) -> usize {
    match entry {
        cel::common::ast::EntryExpr::StructField(field) => nesting(&field.value),
        cel::common::ast::EntryExpr::MapEntry(entry) => nesting(&entry.key).max(nesting(&entry.value)),
    }
}
