//! `sql`.

mod backup;

use super::{wit, wit_sql};
use crate::capability::sql::{self, Column, Executed, Float, Rows, Value};
use crate::capability::{Call, Payload, Repeat, Reply};
use crate::component::guest::Guest;

impl wit_sql::Host for Guest {
    async fn query(
        &mut self,
        role: String,
        statement: String,
        parameters: Vec<wit_sql::Value>,
        assume: Option<wit_sql::Rows>,
    ) -> wasmtime::Result<Result<wit_sql::Rows, wit::Failure>> {
        let call = sql::Call::Query { statement, parameters: values(parameters) };
        let assume = assume.map(|rows| Reply::Sql(sql::Reply::Rows(rows.into())));
        let take = |reply| match reply {
            Reply::Sql(sql::Reply::Rows(given)) => rows(given),
            _ => None,
        };
        self.make(role, Call::Sql(call), Repeat::Once, assume, take).await
    }

    async fn execute(
        &mut self,
        role: String,
        statement: String,
        parameters: Vec<wit_sql::Value>,
        repeat: wit::Repeat,
        assume: Option<wit_sql::Executed>,
    ) -> wasmtime::Result<Result<wit_sql::Executed, wit::Failure>> {
        let call = sql::Call::Execute { statement, parameters: values(parameters) };
        let assume = assume.map(|wit_sql::Executed { affected, returned }| {
            Reply::Sql(sql::Reply::Executed(Executed { affected, returned: returned.into() }))
        });
        let take = |reply| match reply {
            Reply::Sql(sql::Reply::Executed(Executed { affected, returned })) => {
                Some(wit_sql::Executed { affected, returned: rows(returned)? })
            }
            _ => None,
        };
        self.make(role, Call::Sql(call), repeat.into(), assume, take).await
    }

    async fn backups(
        &mut self,
        role: String,
        assume: Option<Vec<wit_sql::Backup>>,
    ) -> wasmtime::Result<Result<Vec<wit_sql::Backup>, wit::Failure>> {
        let assume = assume.map(backup::list_into_host).transpose()?;
        let take = |reply| match reply {
            Reply::Sql(sql::Reply::Backups(list)) => Some(list.into_iter().map(Into::into).collect()),
            _ => None,
        };
        self.about_backups(role, sql::Call::Backups, Repeat::Once, assume.map(sql::Reply::Backups), take).await
    }

    async fn read_backup(
        &mut self,
        role: String,
        name: String,
        assume: Option<wit_sql::BackupContents>,
    ) -> wasmtime::Result<Result<wit_sql::BackupContents, wit::Failure>> {
        let assume = assume.map(backup::contents_into_host).transpose()?.map(Box::new).map(sql::Reply::Contents);
        let take = |reply| match reply {
            Reply::Sql(sql::Reply::Contents(contents)) => Some((*contents).into()),
            _ => None,
        };
        self.about_backups(role, sql::Call::ReadBackup { name }, Repeat::Once, assume, take).await
    }

    async fn databases(
        &mut self,
        role: String,
        assume: Option<Vec<wit_sql::MadeDatabase>>,
    ) -> wasmtime::Result<Result<Vec<wit_sql::MadeDatabase>, wit::Failure>> {
        let assume = assume.map(backup::databases_into_host).transpose()?.map(sql::Reply::Databases);
        let take = |reply| match reply {
            Reply::Sql(sql::Reply::Databases(list)) => Some(list.into_iter().map(Into::into).collect()),
            _ => None,
        };
        self.about_backups(role, sql::Call::Databases, Repeat::Once, assume, take).await
    }

    async fn dump(
        &mut self,
        role: String,
        options: wit_sql::DumpOptions,
        repeat: wit::Repeat,
        assume: Option<wit_sql::Backup>,
    ) -> wasmtime::Result<Result<wit_sql::Backup, wit::Failure>> {
        let assume = assume.map(backup::into_host).transpose()?.map(Box::new).map(sql::Reply::Backup);
        let take = |reply| match reply {
            Reply::Sql(sql::Reply::Backup(backup)) => Some((*backup).into()),
            _ => None,
        };
        self.about_backups(role, sql::Call::Dump(options.into()), repeat.into(), assume, take).await
    }

    async fn restore(
        &mut self,
        role: String,
        backup: String,
        sha256: Option<String>,
        repeat: wit::Repeat,
        assume: Option<wit_sql::Restored>,
    ) -> wasmtime::Result<Result<wit_sql::Restored, wit::Failure>> {
        let sha256 = sha256.map(|text| text.parse()).transpose().map_err(wasmtime::Error::msg)?;
        let assume = assume.map(|wit_sql::Restored { database, tables, rows }| {
            sql::Reply::Restored(sql::backup::Restored { database, tables, rows })
        });
        let take = |reply| match reply {
            Reply::Sql(sql::Reply::Restored(sql::backup::Restored { database, tables, rows })) => {
                Some(wit_sql::Restored { database, tables, rows })
            }
            _ => None,
        };
        self.about_backups(role, sql::Call::Restore { backup, sha256 }, repeat.into(), assume, take).await
    }

    async fn swap(
        &mut self,
        role: String,
        database: String,
        repeat: wit::Repeat,
        assume: Option<wit_sql::Swapped>,
    ) -> wasmtime::Result<Result<wit_sql::Swapped, wit::Failure>> {
        let assume =
            assume.map(|wit_sql::Swapped { live, kept }| sql::Reply::Swapped(sql::backup::Swapped { live, kept }));
        let take = |reply| match reply {
            Reply::Sql(sql::Reply::Swapped(sql::backup::Swapped { live, kept })) => {
                Some(wit_sql::Swapped { live, kept })
            }
            _ => None,
        };
        self.about_backups(role, sql::Call::Swap { database }, repeat.into(), assume, take).await
    }

    async fn drop_database(
        &mut self,
        role: String,
        database: String,
        repeat: wit::Repeat,
        assume: Option<String>,
    ) -> wasmtime::Result<Result<String, wit::Failure>> {
        let take = |reply| match reply {
            Reply::Sql(sql::Reply::Dropped(name)) => Some(name),
            _ => None,
        };
        let assume = assume.map(sql::Reply::Dropped);
        self.about_backups(role, sql::Call::DropDatabase { database }, repeat.into(), assume, take).await
    }

    async fn delete_backup(
        &mut self,
        role: String,
        name: String,
        repeat: wit::Repeat,
        assume: Option<String>,
    ) -> wasmtime::Result<Result<String, wit::Failure>> {
        let take = |reply| match reply {
            Reply::Sql(sql::Reply::Deleted(name)) => Some(name),
            _ => None,
        };
        let assume = assume.map(sql::Reply::Deleted);
        self.about_backups(role, sql::Call::DeleteBackup { name }, repeat.into(), assume, take).await
    }
}

impl Guest {
    async fn about_backups<R>(
        &mut self,
        role: String,
        call: sql::Call,
        repeat: Repeat,
        assume: Option<sql::Reply>,
        take: fn(Reply) -> Option<R>,
    ) -> wasmtime::Result<Result<R, wit::Failure>> {
        self.make(role, Call::Sql(call), repeat, assume.map(Reply::Sql), take).await
    }
}

fn values(values: Vec<wit_sql::Value>) -> Vec<Value> {
    values.into_iter().map(Value::from).collect()
}

impl From<wit_sql::Value> for Value {
    fn from(value: wit_sql::Value) -> Self {
        match value {
            wit_sql::Value::Scalar(scalar) => scalar.into(),
            wit_sql::Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
        }
    }
}

impl From<wit_sql::Scalar> for Value {
    fn from(scalar: wit_sql::Scalar) -> Self {
        use wit_sql::Scalar;
        match scalar {
            Scalar::Null => Self::Null,
            Scalar::Boolean(value) => Self::Boolean(value),
            Scalar::Integer(value) => Self::Integer(value),
            Scalar::Float(value) => Self::Float(Float(value)),
            Scalar::Numeric(text) => Self::Numeric(text),
            Scalar::Text(text) => Self::Text(text),
            Scalar::Bytes(bytes) => Self::Bytes(Payload(bytes)),
            Scalar::Date(text) => Self::Date(text),
            Scalar::Time(text) => Self::Time(text),
            Scalar::Timestamp(text) => Self::Timestamp(text),
            Scalar::Timestamptz(text) => Self::Timestamptz(text),
            Scalar::Interval(text) => Self::Interval(text),
            Scalar::Uuid(text) => Self::Uuid(text),
            Scalar::Json(text) => Self::Json(text),
        }
    }
}

/// Nothing for an array: the contract has no form for one within another, and no reply holds one.
fn scalar(value: Value) -> Option<wit_sql::Scalar> {
    use wit_sql::Scalar;
    Some(match value {
        Value::Null => Scalar::Null,
        Value::Boolean(value) => Scalar::Boolean(value),
        Value::Integer(value) => Scalar::Integer(value),
        Value::Float(Float(value)) => Scalar::Float(value),
        Value::Numeric(text) => Scalar::Numeric(text),
        Value::Text(text) => Scalar::Text(text),
        Value::Bytes(Payload(bytes)) => Scalar::Bytes(bytes),
        Value::Date(text) => Scalar::Date(text),
        Value::Time(text) => Scalar::Time(text),
        Value::Timestamp(text) => Scalar::Timestamp(text),
        Value::Timestamptz(text) => Scalar::Timestamptz(text),
        Value::Interval(text) => Scalar::Interval(text),
        Value::Uuid(text) => Scalar::Uuid(text),
        Value::Json(text) => Scalar::Json(text),
        Value::Array(_) => return None,
    })
}

fn value(value: Value) -> Option<wit_sql::Value> {
    match value {
        Value::Array(items) => items.into_iter().map(scalar).collect::<Option<_>>().map(wit_sql::Value::Array),
        value => scalar(value).map(wit_sql::Value::Scalar),
    }
}

fn rows(Rows { columns, rows }: Rows) -> Option<wit_sql::Rows> {
    let column = |Column { name, type_name }| wit_sql::Column { name, type_name };
    let row = |row: Vec<Value>| row.into_iter().map(value).collect::<Option<_>>();
    let rows = rows.into_iter().map(row).collect::<Option<_>>()?;
    Some(wit_sql::Rows { columns: columns.into_iter().map(column).collect(), rows })
}

impl From<wit_sql::Rows> for Rows {
    fn from(rows: wit_sql::Rows) -> Self {
        let column = |wit_sql::Column { name, type_name }| Column { name, type_name };
        Self {
            columns: rows.columns.into_iter().map(column).collect(),
            rows: rows.rows.into_iter().map(values).collect(),
        }
    }
}
