#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::capability::{CapabilityConnection, Judgement, Payload, Repeat};

fn execute(statement: &str, parameters: &[Value]) -> Call {
    Call::Execute { statement: statement.to_owned(), parameters: parameters.to_vec() }
}

fn query(statement: &str) -> Call {
    Call::Query { statement: statement.to_owned(), parameters: Vec::new() }
}

fn connection(more: &str) -> Connection {
    toml::from_str(&format!("url = 'postgres://u@h/app'\n{more}")).unwrap()
}

#[test]
fn a_statement_is_allowed_as_a_whole_and_a_denial_says_what_would_allow_it() {
    const UPDATE: &str = "UPDATE calls SET state = $1";
    let write = connection(&format!("access = 'write'\nwrite = ['{UPDATE}']\nread = ['SELECT 1']"));
    for statement in [UPDATE, "UPDATE calls SET state = $1;", "\n  UPDATE calls SET state = $1 ; \n"] {
        assert_eq!(write.judge("sql.app", &execute(statement, &[])), Judgement::Mutation, "{statement}");
    }
    assert_eq!(write.judge("sql.app", &query("SELECT 1")), Judgement::Read);
    let read = connection("");
    let restore = connection("access = 'restore'\nbackups = '/srv/backups'");
    let remedy = |line: &str| format!("[sql.app]  {line}");
    for (connection, call, line) in [
        (
            &write,
            execute("UPDATE calls SET state = $1 WHERE true", &[]),
            r#"write = ["UPDATE calls SET state = $1", "UPDATE calls SET state = $1 WHERE true"]"#,
        ),
        (
            &write,
            execute("UPDATE  calls SET state = $1", &[]),
            r#"write = ["UPDATE calls SET state = $1", "UPDATE  calls SET state = $1"]"#,
        ),
        (&write, query("SELECT 2"), r#"read = ["SELECT 1", "SELECT 2"]"#),
        (&read, execute("DELETE FROM a", &[]), r#"access = "write"  write = ["DELETE FROM a"]"#),
        // More access allows no statement by itself.
        (&restore, execute("DELETE FROM a", &[]), r#"write = ["DELETE FROM a"]"#),
    ] {
        let Judgement::Denied(denial) = connection.judge("sql.app", &call) else { panic!("{call:?}") };
        assert_eq!(denial.remedy, remedy(line));
    }
    assert_eq!(read.judge("sql.app", &query("DELETE FROM a")), Judgement::Read, "the server turns it away");
    for statement in ["", " ;", "SELECT '\0'"] {
        let Judgement::Denied(denial) = read.judge("sql.app", &query(statement)) else { panic!("{statement}") };
        assert_eq!(denial.remedy, "");
    }
    let any = connection("access = 'write'\nwrite = ['*']");
    assert_eq!(any.judge("sql.app", &execute("DROP TABLE a", &[])), Judgement::Mutation);
    assert_eq!(any.repeat(&execute("", &[]), Repeat::Keyed("k".into())), Repeat::Once);
}

#[test]
fn no_two_calls_read_the_same() {
    let text = |text: &str| Value::Text(text.to_owned());
    let calls = [
        execute("a", &[]),
        execute("a", &[text("1")]),
        execute("a", &[Value::Integer(1)]),
        execute("a", &[Value::Float(Float(1.0))]),
        execute("a", &[Value::Numeric("1".into())]),
        execute("a", &[Value::Numeric("1.0".into())]),
        execute("a", &[Value::Boolean(true)]),
        execute("a", &[text("true")]),
        execute("a", &[Value::Null]),
        execute("a", &[text("null")]),
        execute("a", &[text("1, 1")]),
        execute("a", &[Value::Integer(1), Value::Integer(1)]),
        execute("a", &[Value::Array(vec![Value::Integer(1), Value::Integer(1)])]),
        execute("a", &[Value::Array(vec![]), Value::Integer(1)]),
        execute("a", &[Value::Date("1".into())]),
        execute("a", &[Value::Json("\"1\"".into())]),
        execute("a", &[Value::Bytes(Payload(b"1".to_vec()))]),
        execute("a", &[text("x\" with (\"y")]),
        execute("a with (1)", &[]),
        execute("a with (1)", &[Value::Integer(1)]),
        execute("a ", &[]),
    ];
    let mut targets: Vec<String> = calls.iter().map(CapabilityCall::target).collect();
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), calls.len(), "{targets:#?}");
    let call = execute("UPDATE a\n   SET b = $1", &[text("é")]);
    assert_eq!(call.summary(), "execute UPDATE a SET b = $1 with (\"é\")");
    assert_eq!(call.target(), "UPDATE a\n   SET b = $1 with (\"é\")");
}
