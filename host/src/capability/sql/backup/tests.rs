//! What a dump is taken apart into, without a server.
#![allow(clippy::unwrap_used)]

use super::catalogue::is_name_of;
use super::facts::Facts;
use super::script::{Piece, Script, ScriptError};

fn pieces(text: &str) -> Result<(Vec<Piece>, Facts), ScriptError> {
    let mut script = Script::new(text.as_bytes());
    let mut pieces = Vec::new();
    while let Some(piece) = script.next()? {
        pieces.push(piece);
    }
    Ok((pieces, script.facts().clone()))
}

const END: &str = "\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n";

fn statements(text: &str) -> Result<Vec<String>, ScriptError> {
    let (pieces, _) = pieces(text)?;
    let text = pieces.into_iter().map(|piece| match piece {
        Piece::Statements(text) => text,
        other => format!("{other:?}"),
    });
    Ok(text.collect())
}

#[test]
fn an_order_to_psql_is_found_wherever_it_stands_and_nowhere_else() {
    for (text, is_order) in [
        ("\\! id\n", true),
        ("SELECT 1; \\! id\n", true),
        ("SELECT 1 \\gexec\n", true),
        ("SELECT 'a' \\g |id\n", true),
        ("SELECT E'\\'' \\! id\n;", true),
        ("SELECT '\\'; \\! id\n", true),
        ("/* */ \\! id\n", true),
        ("SELECT $$ $$ \\! id\n;", true),
        ("SELECT 1\n\\restrict x\n;", true),
        ("COPY a FROM stdin;\n\\N\n\\.\n\\! id\n", true),
        ("\\restrict x\nSELECT 1;\n\\unrestrict x\n", false),
        ("-- \\! id\n", false),
        ("/* /* \\! id */ \\! id */ SELECT 1;\n", false),
        ("SELECT '\\! id';\n", false),
        ("SELECT E'\\' \\! id';\n", false),
        ("SELECT \"\\! id\";\n", false),
        ("SELECT $a$ $$ \\! id $b$ $a$;\n", false),
        ("SELECT U&'\\0061';\n", false),
        ("SET standard_conforming_strings = off;\nSELECT '\\' \\! id';\n", false),
        ("COPY a FROM stdin;\n\\! id\n\\N\n\\.x\nx\\.\n\\.\n", false),
    ] {
        let found = pieces(text);
        assert_eq!(matches!(found, Err(ScriptError::Order { .. })), is_order, "{text:?}: {found:?}");
        assert!(is_order || found.is_ok(), "{text:?}: {found:?}");
    }
}

#[test]
fn statements_are_whole_and_rows_are_what_stands_between_them() {
    let dump = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\nSET client_encoding = 'UTF8';\n\
                -- Name: calls; Type: TABLE; Schema: public; Owner: ana\n\nCREATE TABLE public.calls (said text);\n\
                ALTER TABLE public.calls OWNER TO \"an\"\"a\";\nGRANT SELECT ON TABLE public.calls TO reader;\n\
                CREATE FUNCTION f() RETURNS int\n    BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END;\nEND;\n\n\
                COPY public.calls (said) FROM stdin;\na;\n\\\\.\n\\.\n\n\nSELECT 1;\n";
    let (pieces, facts) = pieces(&format!("{dump}{END}")).unwrap();
    let Piece::Statements(first) = &pieces[0] else { unreachable!() };
    assert!(first.contains("\nEND;") && !first.contains("restrict") && !first.contains("COPY"), "{first}");
    assert_eq!(pieces[1], Piece::Copy("COPY public.calls (said) FROM stdin".into()));
    let rows: Vec<u8> = pieces[2..]
        .iter()
        .map_while(|piece| match piece {
            Piece::Data(data) => Some(data.to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(rows, b"a;\n\\\\.\n");
    let Some(Piece::Statements(last)) = pieces.last() else { unreachable!() };
    assert!(last.contains("SELECT 1;"));
    assert!(facts.is_complete && facts.has_grants);
    assert_eq!(facts.owners.iter().map(String::as_str).collect::<Vec<_>>(), ["an\"a"]);
    assert_eq!(facts.roles.iter().map(String::as_str).collect::<Vec<_>>(), ["an\"a", "reader"]);
    assert_eq!((facts.tables, facts.entries), (1, vec!["TABLE public.calls".to_owned()]));
    assert!(!super::tests::pieces(dump).unwrap().1.is_complete);
}

/// However the reader happens to cut the rows, their end is found and nothing else is taken for it.
#[test]
fn the_end_of_rows_is_found_wherever_a_chunk_ends() {
    for length in (256 << 10) - 8..(256 << 10) + 8 {
        let row = format!("{}\n", "x".repeat(length));
        for hard in ["\\.\n", "\\N\n\\.\n", "\\.x\n\\.\r\n", "\\\\.\n\\.\n"] {
            let text = format!("COPY a FROM stdin;\n{row}{hard}SELECT 1;\n");
            let (pieces, _) = pieces(&text).unwrap();
            let data: usize = pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Data(data) => data.len(),
                    _ => 0,
                })
                .sum();
            let end = hard.rfind("\\.").unwrap();
            let expected = row.len() + end;
            assert_eq!(data, expected, "{length} {hard:?}");
            assert_eq!(pieces.last(), Some(&Piece::Statements("SELECT 1;\n".into())), "{length} {hard:?}");
        }
    }
}

#[test]
fn what_ends_too_early_is_told_from_what_is_whole() {
    for (text, what) in [
        ("SELECT 'a", "a statement"),
        ("SELECT 1", "a statement"),
        ("SELECT $x$ ;\n", "a statement"),
        ("COPY a FROM stdin;\nx\n", "a table's rows"),
        ("COPY a FROM stdin;\n", "a table's rows"),
    ] {
        assert!(matches!(statements(text), Err(ScriptError::CutOff(cut)) if cut == what), "{text:?}");
    }
    assert_eq!(statements("SELECT 1;\n-- end").unwrap(), ["SELECT 1;\n-- end"]);
}

#[test]
fn a_database_goes_by_its_name_and_by_those_that_it_is_kept_under() {
    let long = "a".repeat(60);
    let kept = |live: &str| super::catalogue::name_with(live, "_before_20261123T031500Z");
    for (live, name, is) in [
        ("app", "app", true),
        ("app", "app_before_20261123T031500Z", true),
        ("app", "app_before_20261123T031500Z_2", true),
        ("app", "app_new_20261122_180312_k7qm_3_0", true),
        ("app", "app_before_christmas", false),
        ("app", "shop_before_20261123T031500Z", false),
        ("app", "app_staging", false),
        ("app", "_before_1", false),
        ("app", "postgres", false),
        (long.as_str(), kept(&long).as_str(), true),
        ("app", kept(&long).as_str(), false),
    ] {
        assert_eq!(is_name_of(live, name), is, "{live} {name}");
    }
}
