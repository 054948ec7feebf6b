//! Observes a database: one query, and whether it gives as many rows as it should. What stands in them
//! is for the plan's `expect`, as in `row.calls > 0 && row.empty == 0`.

use ripcord_plugin::sql::{Database, Query, Rows, Value};
use ripcord_plugin::{Check, Context, Failure, Manifest, Result, Role, Verdict, export_check};
use serde::Deserialize;
use serde_json::{Value as Json, json};

const DATABASE: Database = Database::role("database");

/// How many rows become evidence.
const ROWS_MAX: usize = 100;

struct SqlCheck;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    query: String,
    #[serde(default)]
    parameters: Vec<Json>,
    min_rows: Option<usize>,
    max_rows: Option<usize>,
}

impl Check for SqlCheck {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            title: "SQL check",
            description: "Makes one query and counts its rows. `row` (the first one), `rows` (the first hundred), \
                          `row_count`, `columns` and `value` (of a single row with a single column) are evidence for \
                          the plan's `expect`.",
            parameters: include_str!("parameters.json"),
            roles: vec![Role::read("database", "sql", "to look into the database")],
            can_undo: false,
        }
    }

    fn check(_: &Context, config: Config) -> Result<Verdict> {
        let parameters = config.parameters.into_iter().enumerate().map(|(index, value)| {
            parameter(value).map_err(|why| Failure::permanent(format!("parameters[{index}]: {why}")))
        });
        let parameters = parameters.collect::<Result<Vec<_>>>()?;
        let rows = parameters.into_iter().fold(DATABASE.query(config.query), Query::parameter).send()?;
        let count = rows.rows.len();
        let min = config.min_rows.unwrap_or_else(|| config.max_rows.unwrap_or(1).min(1));
        let seen = match count {
            1 => "the query gave 1 row".to_owned(),
            count => format!("the query gave {count} rows"),
        };
        let verdict = match config.max_rows {
            _ if count < min => Verdict::fail(format!("{seen}, expected at least {min}")),
            Some(max) if count > max => Verdict::fail(format!("{seen}, expected at most {max}")),
            _ => Verdict::pass(seen),
        };
        Ok(measured(&rows)
            .into_iter()
            .fold(verdict.evidence(evidence(&rows)), |verdict, (name, number)| verdict.measurement(name, number, "")))
    }
}

fn evidence(rows: &Rows) -> Json {
    let columns: Vec<_> = rows.columns.iter().map(|column| column.name.as_str()).collect();
    let shown: Vec<_> = rows.rows.iter().take(ROWS_MAX).map(|row| rows.object(row)).collect();
    json!({
        "columns": columns,
        "row_count": rows.rows.len(),
        "row": shown.first(),
        "value": rows.value().map(Value::to_json),
        "rows": shown,
    })
}

/// The numbers of a single row.
fn measured(rows: &Rows) -> Vec<(&str, f64)> {
    let [row] = rows.rows.as_slice() else { return Vec::new() };
    let named = rows.columns.iter().zip(row);
    let number = |value: &Value| value.number().filter(|number| number.is_finite());
    named.filter_map(|(column, value)| Some((column.name.as_str(), number(value)?))).collect()
}

/// A value of a file as one of the database. A number with a point is exact there, and the server takes
/// it for any type of number.
fn parameter(value: Json) -> std::result::Result<Value, String> {
    match value {
        Json::Bool(value) => Ok(value.into()),
        Json::String(text) => Ok(text.into()),
        Json::Number(number) => Ok(number.as_i64().map_or_else(|| Value::Numeric(number.to_string()), Value::from)),
        Json::Array(items) => items.into_iter().map(parameter).collect::<std::result::Result<_, _>>().map(Value::Array),
        value => serde_json::from_value(value).map_err(|error| error.to_string()),
    }
}

export_check!(SqlCheck);
