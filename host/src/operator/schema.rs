//! The shape of the operator's file, put together of the types that read its tables.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::AlertmanagerRules;
use crate::capability::Connections;
use crate::journal::Limits;
use crate::secret::SecretSource;

/// The operator's file, for its JSON Schema alone: the file is read table by table, so that one
/// mistake does not hide the next.
pub(crate) struct OperatorFile;

impl JsonSchema for OperatorFile {
    fn schema_name() -> Cow<'static, str> {
        "OperatorFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Connections::json_schema(generator);
        let secrets = generator.subschema_for::<BTreeMap<String, SecretSource>>();
        let alertmanager = generator.subschema_for::<AlertmanagerRules>();
        let limits = generator.subschema_for::<Limits>();
        schema.insert("title".to_owned(), json!("ripcord.toml"));
        let description = "ripcord's file for the operator: what there is to work on, what may be done to it at most, \
                           and where the secrets come from.";
        schema.insert("description".to_owned(), json!(description));
        if let Some(Value::Object(tables)) = schema.get_mut("properties") {
            // As `is_name` has it.
            tables
                .values_mut()
                .for_each(|table| table["propertyNames"] = json!({ "pattern": "^[A-Za-z][A-Za-z0-9_-]*$" }));
            let described = |mut schema: Schema, words: &str| {
                schema.insert("description".to_owned(), json!(words));
                schema.to_value()
            };
            let words = "Who may send alerts to  ripcord watch --alertmanager.";
            tables.insert("alertmanager".to_owned(), described(alertmanager, words));
            tables.insert("secrets".to_owned(), described(secrets, "Where the secrets come from, by name."));
            tables.insert("limits".to_owned(), described(limits, "What a plugin may use."));
        }
        schema
    }
}
