//! `init`: the two files to begin with, and what to do next.

use std::path::Path;

use super::args::InitOptions;
use super::context::Context;
use super::exit::{Exit, Fault};
use super::output;
use crate::diagnostic::nearest;
use crate::init::{InitError, STARTERS, Starter};
use crate::plan::Plan;

pub(super) fn init(context: &Context, options: &InitOptions) -> Result<Exit, Fault> {
    if options.list {
        output::starters(context, STARTERS);
        return Ok(Exit::Done);
    }
    let starter = starter(options.from.as_deref())?;
    let folder = options.folder.as_deref().unwrap_or(Path::new("."));
    let written = starter.write(folder, options.url.as_deref()).map_err(|error| {
        let fault = Fault::wrong(error.to_string());
        match error {
            InitError::Exists(_) => fault
                .hint("move it away if you don't need it any more")
                .hint("or write into another folder, and copy from there what you need:  ripcord init … DIR"),
            InitError::Url(_) | InitError::Unwritable { .. } => fault,
        }
    })?;
    output::written(context, &written);
    output::note(&next(starter, folder)?);
    Ok(Exit::Done)
}

fn starter(name: Option<&str>) -> Result<&'static Starter, Fault> {
    let Some(name) = name else { return Ok(&STARTERS[0]) };
    STARTERS.iter().find(|starter| starter.name == name).ok_or_else(|| {
        let fault = Fault::wrong(format!("there is no plan `{name}` to start from; nothing was written"));
        let fault = match nearest(name, STARTERS.iter().map(|starter| starter.name)) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault,
        };
        STARTERS.iter().fold(fault, |fault, starter| fault.hint(format!("{}: {}", starter.name, starter.about)))
    })
}

/// The next commands, ready to be pasted.
fn next(starter: &Starter, folder: &Path) -> Result<String, Fault> {
    let file = starter.plan_file();
    let plan = Plan::parse(&file, starter.plan)?;
    let open = plan.params.iter().filter(|(_, param)| param.default.is_none());
    let arguments: String = open.map(|(name, _)| format!(" -p {name}=…")).collect();
    let go = match folder == Path::new(".") {
        true => String::new(),
        false => format!("    cd {}\n", crate::shell::quoted(&folder.display().to_string())),
    };
    Ok(format!(
        "\nAll of it is commented: put in what is yours. Then:\n\n{go}    \
         ripcord check {file}\n    \
         ripcord doctor {file}\n    \
         ripcord preview {file}{arguments}\n\n\
         The first says whether the plan and ripcord.toml fit each other, the second whether everything is there,\n\
         the third what a run would do. None of them changes anything."
    ))
}
