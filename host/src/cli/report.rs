//! `report`: the incident report, and what people add to it.

use super::args::{IncidentOptions, ReportOptions};
use super::context::{Context, append_as_person};
use super::exit::{Exit, Fault};
use super::output;
use crate::journal::{Event, IncidentNoted};
use crate::record::look;
use crate::report::{Format, Report};

pub(super) async fn report(context: &Context, options: ReportOptions) -> Result<Exit, Fault> {
    // Before anything is recorded.
    let format = format(context, &options)?;
    let journal = context.journal(&context.state()?)?;
    let run = context.run_id(journal.as_ref(), &options.run).await?;
    let noted = noted(options.incident, context.by(&options.by));
    if !noted.is_empty() {
        append_as_person(journal.as_ref(), &run, Event::IncidentNoted(noted)).await?;
    }
    let (state, events, head) = look(journal.as_ref(), &run).await?;
    let report = Report::of(&state, &events, head, options.language, jiff::Timestamp::now());
    output::report(context, &report, format, options.output.as_deref())?;
    Ok(Exit::Done)
}

/// What was said, and by whom.
pub(super) fn noted(options: IncidentOptions, by: String) -> IncidentNoted {
    let IncidentOptions { symptoms, severity, scope, since, coordinator, decided_by, scenario } = options;
    IncidentNoted { by, symptoms, severity, scope, since, coordinator, decided_by, scenario }
}

fn format(context: &Context, options: &ReportOptions) -> Result<Format, Fault> {
    match (&options.output, options.format) {
        (None, Some(Format::Markdown | Format::Html)) if context.global.json => {
            Err(Fault::wrong("--json prints JSON, and --format asks for something else")
                .hint("leave one of them out, or name a file for the report with -o"))
        }
        (_, Some(format)) => Ok(format),
        (None, None) if context.global.json => Ok(Format::Json),
        (None, None) => Ok(Format::Markdown),
        (Some(file), None) => Format::of_file(file).ok_or_else(|| {
            Fault::wrong(format!("the name of {} does not say what the report is to be written as", file.display()))
                .hint("give it one of the endings .md, .html and .json, or say --format markdown, html or json")
        }),
    }
}
