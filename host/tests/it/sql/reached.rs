//! The way to a server, and what is said when there is none.

use ripcord::capability::sql::{Connection, Value};

use super::{assert_says, open, query};
use crate::postgres::{Database, server};

#[tokio::test]
async fn a_server_is_reached_as_the_url_says_and_a_wrong_way_is_explained() {
    let database = Database::new();
    let (port, name, ca) = (server().port, &database.name, server().ca_file.display());
    let table = |host: &str, more: &str| {
        format!("url = \"postgres://reader@{host}/{name}{more}\"\npassword = 'secret:reader'\ntimeout = '5s'\n")
    };
    let encrypted = "SELECT ssl, COALESCE(version, '') <> '' FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let socket = server().folder().display().to_string().replace('/', "%2F");
    for (table, is_encrypted) in [
        (table(&format!("localhost:{port}"), ""), false),
        (table(&format!("localhost:{port}"), "?sslmode=prefer"), true),
        (table(&format!("127.0.0.1:{port}"), "?sslmode=require"), true),
        (table(&format!("localhost:{port}"), "?sslmode=verify-full") + &format!("ca-file = '{ca}'"), true),
        (table(&format!("{socket}:{port}"), ""), false),
    ] {
        let driver = open(&table).await;
        let rows = query(&driver, encrypted, &[]).await.unwrap().rows;
        assert_eq!(rows[0][0], Value::Boolean(is_encrypted), "{table}");
    }
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    for (table, kind, says) in [
        (
            table(&format!("localhost:{port}"), "?sslmode=verify-full"),
            "permanent",
            "from an authority that nobody here trusts",
        ),
        (
            table(&format!("127.0.0.1:{port}"), "?sslmode=verify-full") + &format!("ca-file = '{ca}'"),
            "permanent",
            "is for another name",
        ),
        (table(&format!("127.0.0.1:{nobody}"), ""), "transient", "reader can't connect to"),
        (table(&format!("127.0.0.1:{port}"), "").replace("secret:reader", "secret:wrong"), "permanent", "28P01"),
        (
            table(&format!("127.0.0.1:{port}"), "").replace("password = 'secret:reader'", ""),
            "permanent",
            "the server asks for a password: add  password = \"secret:NAME\"",
        ),
        (
            table(&format!("127.0.0.1:{port}"), "").replace(&format!("/{name}"), "/no_such_database"),
            "permanent",
            "database \"no_such_database\" does not exist (3D000)",
        ),
    ] {
        let failure = query(&open(&table).await, "SELECT 1", &[]).await.unwrap_err();
        assert_says(&failure, kind, &[says]);
    }
}

#[test]
fn a_table_that_can_not_be_enforced_is_an_error_that_says_what_to_write() {
    for (more, says) in [
        ("password = 'hunter2hunter2'", "a secret is never written here"),
        ("access = 'all'", "unknown variant `all`, expected one of `read`, `write`, `restore`"),
        ("write = ['*']", "write has no use with access = \"read\""),
        ("read-as = { user = 'r' }", "with access = \"read\" write that user into the url"),
        ("access = 'write'\nwrite = ['UPDATE a SET *']", "a statement is written as a whole"),
        ("read = [' ']", "an empty text is no statement"),
        ("ca-file = 'x'", "ca-file has no use unless"),
        ("timeout = '0s'", "timeout has to be"),
        ("bytes-max = 99999999", "bytes-max at least 1 and at most"),
        ("rows = 1", "unknown field `rows`"),
    ] {
        let table = format!("url = 'postgres://u@localhost/app'\n{more}");
        let error = toml::from_str::<Connection>(&table).expect_err(more).to_string();
        assert!(error.contains(says), "{more}: {error}");
        assert!(!error.contains("hunter2hunter2 "), "{error}");
    }
}
