//! What goes out to a server, and what of its answers is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::super::address::Resolver;
use super::super::{Call, driver, tls, trouble};
use super::{Server, TOKEN, at, call, connection, gzip, opening, raw, read_request, send, text};
use crate::capability::{At, CapabilityConnection, OpenError};
use crate::failure::Failure;
use crate::lab::authority::Authority;

#[tokio::test]
async fn a_request_has_the_connections_credentials_and_headers_and_the_key_of_a_keyed_call() {
    let server = Server::start(|request| format!("200 OK\r\nSet-Cookie: s=1\r\nX-Seen: Yes\r\n\r\n{request}")).await;
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("ops:{TOKEN}"));
    for (auth, sent) in [
        (json!({ "bearer": "secret:token" }), format!("authorization: Bearer {TOKEN}")),
        (json!({ "basic": { "user": "ops", "password": "secret:token" } }), format!("authorization: Basic {basic}")),
        (json!({ "header": { "name": "X-Api-Key", "value": "secret:token" } }), format!("x-api-key: {TOKEN}")),
    ] {
        let connection = connection(json!({
            "url": server.url("/api"),
            "auth": auth,
            "headers": { "X-Tenant": "genia" },
            "idempotency-header": "Idempotency-Key",
        }));
        let at = At { idempotency_key: Some("k-1".to_owned()), ..at() };
        let body = Some("{}".into());
        let driver = connection.open(&opening()).await.unwrap();
        let reply =
            driver.prepare(&at, &Call { body, ..call("POST", "/x?y=1") }).await.unwrap().perform().await.unwrap();
        let request = text(&reply);
        for line in [
            "POST /api/x?y=1 HTTP/1.1",
            &sent,
            "x-tenant: genia",
            "idempotency-key: k-1",
            "accept: application/json",
            concat!("user-agent: ripcord/", env!("CARGO_PKG_VERSION")),
            "content-length: 2",
        ] {
            assert!(request.lines().any(|sent| sent == line), "{line} is not in {request}");
        }
        assert_eq!(reply.status, 200);
        assert!(reply.headers.contains(&("x-seen".to_owned(), "Yes".to_owned())), "{:?}", reply.headers);
        assert!(!reply.headers.iter().any(|(name, _)| name == "set-cookie"), "{:?}", reply.headers);
    }
    let unusable = connection(json!({ "url": "https://host/", "auth": { "bearer": "secret:two-lines" } }));
    let Err(OpenError::Unusable(problem)) = unusable.open(&opening()).await else { panic!("two lines are no header") };
    assert!(!problem.contains("first-line"), "{problem}");
}

#[tokio::test]
async fn an_authority_of_the_operators_is_trusted_where_the_file_says_so_and_nowhere_else() {
    let authority = Authority::new();
    let acceptor = authority.localhost.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                let mut stream = BufReader::new(stream);
                read_request(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                let _ = stream.shutdown().await;
            }
        }
    });
    let url = format!("https://localhost:{}/", address.port());
    let trusting = connection(json!({ "url": url, "ca-file": authority.file() })).open(&opening()).await.unwrap();
    assert_eq!(text(&trusting.read(&at(), &call("GET", "/")).await.unwrap()), "ok");

    let other = Authority::new();
    let strict = connection(json!({ "url": url, "ca-file": other.file() })).open(&opening()).await.unwrap();
    for mutation in [false, true] {
        let failure = send(&*strict, "GET", "/", mutation).await.unwrap_err();
        assert!(matches!(&failure, Failure::Permanent(problem) if problem.message.contains("ca-file")), "{failure:?}");
    }
    let missing = connection(json!({ "url": url, "ca-file": "absent.pem" }));
    assert!(matches!(missing.open(&opening()).await, Err(OpenError::Unusable(_))));
}

// Redirects

#[tokio::test]
async fn a_read_follows_a_redirect_only_to_what_the_plugin_could_have_read_itself() {
    let elsewhere = Server::start(|_| "200 OK\r\n\r\nsecret place".to_owned()).await;
    let foreign = elsewhere.url("/api/allowed");
    let server = Server::start(move |request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let to = |status: &str, location: &str| format!("{status} Moved\r\nLocation: {location}\r\n\r\n");
        match path.strip_prefix("/api/read/").unwrap_or_default() {
            "relative" => to("302", "../allowed"),
            "absolute-path" => to("307", "/api/allowed?page=2"),
            "see-other" => to("303", "/api/allowed"),
            "foreign" => to("302", &foreign),
            "foreign-no-scheme" => to("302", "//evil.example/api/allowed"),
            "metadata" => to("302", "http://169.254.169.254/latest/meta-data"),
            "unlisted" => to("302", "/api/unlisted"),
            "outside" => to("302", "/allowed"),
            "climbing" => to("302", "/api/../allowed"),
            "mutation" => to("302", "/api/deploy"),
            "twice-encoded" => to("302", "/api/read/%252e%252e"),
            "file" => to("302", "file:///etc/passwd"),
            hops if hops.starts_with("hop-") => match hops[4..].parse::<u32>() {
                Ok(0) | Err(_) => "200 OK\r\n\r\nthere".to_owned(),
                Ok(left) => to("302", &format!("/api/read/hop-{}", left - 1)),
            },
            _ => format!("200 OK\r\n\r\n{request}"),
        }
    })
    .await;
    let driver = connection(json!({
        "url": server.url("/api"),
        "auth": { "bearer": "secret:token" },
        "read": ["GET /read/**", "GET /allowed", "POST /read/**", "GET /deploy"],
        "write": ["GET /deploy"],
    }))
    .open(&opening())
    .await
    .unwrap();

    for (path, first_line) in [
        ("/read/relative", "GET /api/allowed HTTP/1.1"),
        ("/read/absolute-path", "GET /api/allowed?page=2 HTTP/1.1"),
        ("/read/see-other", "GET /api/allowed HTTP/1.1"),
    ] {
        let method = if path.ends_with("see-other") { "POST" } else { "GET" };
        let request = text(&send(&*driver, method, path, false).await.unwrap());
        assert!(request.starts_with(first_line) && request.contains(TOKEN), "{path}: {request}");
    }
    assert_eq!(text(&send(&*driver, "GET", "/read/hop-5", false).await.unwrap()), "there");
    let failure = send(&*driver, "GET", "/read/hop-6", false).await.unwrap_err();
    assert!(matches!(failure, Failure::Permanent(_)), "{failure:?}");

    for path in [
        "foreign",
        "foreign-no-scheme",
        "metadata",
        "unlisted",
        "outside",
        "climbing",
        "mutation",
        "twice-encoded",
        "file",
    ] {
        let failure = send(&*driver, "GET", &format!("/read/{path}"), false).await.unwrap_err();
        let Failure::Denied(problem) = &failure else { panic!("{path}: {failure:?}") };
        assert_eq!(problem.evidence["status"], 302, "{path}");
        assert!(problem.message.contains(problem.evidence["location"].as_str().unwrap()), "{path}: {failure}");
    }
    assert_eq!(elsewhere.requests(), 0);

    let returned = send(&*driver, "POST", "/read/relative", true).await.unwrap();
    assert_eq!((returned.status, text(&returned).as_str()), (302, ""));
}

#[tokio::test]
async fn a_name_that_points_to_a_metadata_service_is_denied() {
    /// A name server that has been poisoned.
    struct Poisoned(Resolver);
    impl reqwest::dns::Resolve for Poisoned {
        fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
            self.0.resolve("169.254.169.254".parse().unwrap())
        }
    }
    let resolver = Poisoned(Resolver { allowed: Arc::new([]) });
    let tls = tls::client_config(None, false).unwrap();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).dns_resolver(Arc::new(resolver)).build();
    let error = client.unwrap().get("http://coolify.example/").send().await.unwrap_err();
    let outgoing = driver::Outgoing {
        method: reqwest::Method::GET,
        url: "http://coolify.example/".parse().unwrap(),
        headers: reqwest::header::HeaderMap::new(),
        body: bytes::Bytes::new(),
    };
    let failure = trouble::before_answer(&outgoing, &error, true);
    assert!(matches!(&failure, Failure::Denied(problem) if problem.message.contains("metadata")), "{failure:?}");
}

// What comes back, or doesn't

#[tokio::test]
async fn a_lost_request_is_a_doubt_only_if_it_was_sent_and_could_have_changed_something() {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let closes_at_once = raw(|_| Vec::new()).await;
    let garbage = raw(|_| b"SSH-2.0-OpenSSH\r\n".to_vec()).await;
    let cut_body = raw(|_| b"HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{\"id\":".to_vec()).await;
    let bomb = gzip(10 << 20);
    let too_long = raw(move |_| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
        [head.as_bytes(), &bomb].concat()
    })
    .await;
    for (case, address, read, mutation) in [
        ("nobody listens", refused, "transient", "transient"),
        ("closed after the request", closes_at_once, "transient", "unknown"),
        ("no HTTP", garbage, "transient", "unknown"),
        ("body cut off", cut_body, "transient", "unknown"),
        ("a gzip bomb", too_long, "permanent", "unknown"),
    ] {
        let driver = connection(json!({ "url": format!("http://{address}"), "auth": { "bearer": "secret:token" } }))
            .open(&opening())
            .await
            .unwrap();
        for (is_mutation, expected) in [(false, read), (true, mutation)] {
            let failure = send(&*driver, "POST", "/x", is_mutation).await.expect_err(case);
            let as_json = serde_json::to_value(&failure).unwrap();
            assert!(as_json.get(expected).is_some(), "{case}, mutation {is_mutation}: {as_json}");
            assert!(failure.problem().message.contains(&format!("POST http://{address}/x")), "{failure}");
            assert!(!as_json.to_string().contains(TOKEN), "{as_json}");
        }
    }
    let driver = connection(json!({ "url": format!("http://{cut_body}") })).open(&opening()).await.unwrap();
    let failure = send(&*driver, "POST", "/x", true).await.unwrap_err();
    assert_eq!(failure.problem().evidence, json!({ "status": 201, "received-bytes": 6 }));
}

#[tokio::test]
async fn a_body_is_handed_over_decompressed_and_whole_up_to_its_limit() {
    let zipped = gzip(1000);
    let address = raw(move |request| {
        let length = if request.starts_with("HEAD") { 4000 } else { zipped.len() };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
        [head.as_bytes(), if request.starts_with("HEAD") { &[] } else { &zipped }].concat()
    })
    .await;
    let open = async |limit: u64| {
        connection(json!({ "url": format!("http://{address}"), "body-limit": limit })).open(&opening()).await
    };
    assert_eq!(send(&*open(1000).await.unwrap(), "GET", "/x", false).await.unwrap().body.0.len(), 1000);
    assert!(send(&*open(999).await.unwrap(), "GET", "/x", false).await.is_err());
    assert_eq!(send(&*open(10).await.unwrap(), "HEAD", "/x", false).await.unwrap().body.0.len(), 0);
}

#[tokio::test]
async fn a_mutation_goes_out_exactly_once_however_the_server_treats_its_connections() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                if !read_request(&mut stream).await.is_empty() {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                // It says that the connection stays open, and hangs up on whoever believes it.
                let kept = b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n";
                let _ = stream.write_all(kept).await;
                if !read_request(&mut stream).await.is_empty() {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    let driver = connection(json!({ "url": format!("http://{address}") })).open(&opening()).await.unwrap();
    for sent in 1..=5 {
        assert_eq!(send(&*driver, "POST", "/x", true).await.unwrap().status, 200);
        assert_eq!(requests.load(Ordering::SeqCst), sent);
    }
}
