//! What a dump is taken apart into, without a server.
#![allow(clippy::unwrap_used)]

use super::script::{Facts, Piece, Script, ScriptError};

fn pieces(text: &str) -> Result<(Vec<Piece>, Facts), ScriptError> {
    let mut script = Script::new(text.as_bytes());
    let mut pieces = Vec::new();
    while let Some(piece) = script.next()? {
        pieces.push(piece);
    }
    Ok((pieces, script.facts().clone()))
}

const END: &str = "\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n";
