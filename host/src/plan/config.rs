//! A plugin's configuration against the JSON Schema of its manifest.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::template::has_template;
use crate::diagnostic::listed;
use crate::document::instead_of;
use crate::manifest::Manifest;

/// Checks a configuration whose templates are filled in. The error names each value that does not
/// fit, and what would.
pub fn check_config(manifest: &Manifest, config: &Value) -> Result<(), String> {
    let misfits = misfits(manifest, config)?;
    if misfits.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = misfits
        .iter()
        .map(|misfit| match misfit.pointer.as_str() {
            "" => format!("{} ({})", misfit.message, misfit.help),
            pointer => format!("{pointer}: {} ({})", misfit.message, misfit.help),
        })
        .collect();
    Err(format!("the configuration does not fit plugin `{}`: {}", manifest.name, lines.join("; ")))
}

/// A value that does not fit.
pub(super) struct Misfit {
    /// Which, as a JSON pointer.
    pub(super) pointer: String,
    /// Whether it is the key that is wrong, not what it holds.
    pub(super) key: bool,
    pub(super) message: String,
    pub(super) help: String,
}

/// What does not fit. A value that is still to be filled in is taken to fit; the keys around it are
/// checked. An error says that the schema itself is wrong.
pub(super) fn misfits(manifest: &Manifest, config: &Value) -> Result<Vec<Misfit>, String> {
    let schema = validator(&manifest.parameters)
        .map_err(|error| format!("the schema of plugin `{}`'s configuration is wrong: {error}", manifest.name))?;
    let errors = schema.iter_errors(config);
    Ok(errors.filter(is_certain).flat_map(|error| in_words(&manifest.parameters, &error)).collect())
}

/// The schema is a guest's: nothing is fetched for it, and its patterns run in linear time. It is of
/// the draft that the contract names.
fn validator(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    let options = jsonschema::options().with_draft(Draft::Draft202012);
    options.with_pattern_options(PatternOptions::regex()).offline().build(schema)
}

/// Compiles the schema of all schemas.
pub(super) fn compile() {
    let _ = jsonschema::draft202012::meta::is_valid(&serde_json::json!({ "type": "object" }));
}

/// Whether the error stays whatever the templates become.
fn is_certain(error: &ValidationError<'_>) -> bool {
    let about_keys = matches!(
        error.kind(),
        ValidationErrorKind::Required { .. }
            | ValidationErrorKind::AdditionalProperties { .. }
            | ValidationErrorKind::UnevaluatedProperties { .. }
            | ValidationErrorKind::Type { .. }
    );
    let instance: &Value = error.instance();
    !contains_template(instance) || (about_keys && !instance.is_string())
}

fn contains_template(value: &Value) -> bool {
    match value {
        Value::String(text) => has_template(text),
        Value::Array(items) => items.iter().any(contains_template),
        Value::Object(fields) => fields.values().any(contains_template),
        _ => false,
    }
}

fn in_words(schema: &Value, error: &ValidationError<'_>) -> Vec<Misfit> {
    let pointer = error.instance_path().to_string();
    let described = |key: &str| {
        let description =
            properties(schema, error).and_then(|properties| properties.get(key)?.get("description")?.as_str());
        description.map_or_else(|| format!("add `{key} = …`"), |description| format!("add `{key} = …`: {description}"))
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let known: Vec<&str> = properties(schema, error)
                .into_iter()
                .flat_map(|properties| properties.keys().map(String::as_str))
                .collect();
            let misfit = |key: &String| Misfit {
                pointer: format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
                key: true,
                message: format!("unknown key `{key}`"),
                help: instead_of(key, &known),
            };
            unexpected.iter().map(misfit).collect()
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            vec![Misfit { pointer, key: false, message: format!("`{key}` is missing"), help: described(key) }]
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(Value::to_string).collect();
            let help = format!("write one of {}", listed(options.iter().map(String::as_str), "nothing"));
            vec![Misfit { pointer, key: false, message: "this is not one of the known values".to_owned(), help }]
        }
        _ => {
            let field = error.schema_path().to_string();
            let parent = field.rsplit_once('/').map_or("", |(parent, _)| parent);
            let description = schema.pointer(parent).and_then(|schema| schema.get("description")?.as_str());
            let asked = || {
                let keyword = error.kind().keyword();
                let value = schema.pointer(&field).map(Value::to_string).unwrap_or_default();
                format!("the plugin asks for  \"{keyword}\": {value}")
            };
            let help = description.map_or_else(asked, str::to_owned);
            // The text stands under the message; repeated, a long value would hide what is wrong with it.
            vec![Misfit { pointer, key: false, message: error.masked_with("this").to_string(), help }]
        }
    }
}

/// The properties that the part of the schema that an error speaks of knows.
fn properties<'s>(schema: &'s Value, error: &ValidationError<'_>) -> Option<&'s serde_json::Map<String, Value>> {
    let path = error.schema_path().to_string();
    let (parent, _) = path.rsplit_once('/')?;
    schema.pointer(parent)?.get("properties")?.as_object()
}
