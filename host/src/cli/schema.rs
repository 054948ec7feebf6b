//! `schema` and `completions`: for editors and shells.

use clap::CommandFactory as _;

use super::args::{Arguments, SchemaOf};
use super::exit::Exit;
use super::output;
use super::screen::out;
use crate::schema;

pub(super) fn schema(of: SchemaOf) -> Exit {
    output::schema(&match of {
        SchemaOf::Plan => schema::plan(),
        SchemaOf::Operator => schema::operator(),
    });
    Exit::Done
}

pub(super) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "ripcord", &mut script);
    out(&String::from_utf8_lossy(&script));
    Exit::Done
}
