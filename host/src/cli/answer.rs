//! `approve` and `resolve`: a person's answers, from whichever terminal.

use std::time::Duration;

use jiff::Timestamp;

use super::args::{ApproveOptions, ResolveOptions};
use super::context::{Context, append_as_person};
use super::exit::{Exit, Fault};
use super::output;
use crate::capability::Reply;
use crate::id::RunId;
use crate::journal::{Answer, Event, GateId, Settler, Verdict};
use crate::machine::{Gate, Mutation};
use crate::present;
use crate::record::look;

pub(super) async fn approve(context: &Context, options: ApproveOptions) -> Result<Exit, Fault> {
    let state = context.state()?;
    let journal = context.journal(&state)?;
    let run = context.run_id(journal.as_ref(), &options.run).await?;
    let (known, _, _) = look(journal.as_ref(), &run).await?;
    let gate = GateId(options.gate.clone());
    match known.gate(&gate) {
        // Nobody has to wait for a trigger.
        None if gate == GateId::watch() && known.may_be_ended_early() => {}
        None => {
            let open: Vec<_> = known
                .gates
                .iter()
                .filter(|gate| gate.answer.is_none())
                .map(|gate| gate.opened.gate.to_string())
                .collect();
            let (open, hint) = match open.first() {
                None => ("it waits at none".to_owned(), format!("where it stands:  ripcord show {run}")),
                Some(first) => {
                    (format!("it waits at {}", open.join(", ")), format!("answer it:  ripcord approve {run} {first}"))
                }
            };
            return Err(Fault::wrong(format!("run {run} has no gate `{gate}`; {open}")).hint(hint));
        }
        Some(gate) => refuse_if_closed(&run, gate)?,
    }
    let answer = if options.no { Answer::No } else { Answer::Yes };
    append_as_person(journal.as_ref(), &run, Event::GateAnswered { gate, answer, by: context.by(&options.by) }).await?;
    after(&run);
    Ok(Exit::Done)
}

/// A gate that has its answer, or whose time is over: no answer in time counts as no, whoever notices.
fn refuse_if_closed(run: &RunId, gate: &Gate) -> Result<(), Fault> {
    let name = &gate.opened.gate;
    if let Some((answer, by)) = &gate.answer {
        let answer = crate::present::words::answer(*answer, by);
        return Err(Fault::wrong(format!("gate `{name}` of run {run} was already answered: {answer}"))
            .means("the first answer counts; this one was not recorded")
            .hint(format!("where the run stands:  ripcord show {run}")));
    }
    let Some(expired) = gate.opened.expires.filter(|expires| *expires < Timestamp::now()) else { return Ok(()) };
    let ago = present::rounded(Duration::try_from(Timestamp::now().duration_since(expired)).unwrap_or_default());
    Err(Fault::wrong(format!("gate `{name}` of run {run} expired {ago} ago, at {expired}"))
        .means("no answer in time counts as no; this one was not recorded")
        .hint(format!("let the run take that in, and end:  ripcord resume {run}"))
        .hint("to go ahead after all, run the plan again"))
}

pub(super) async fn resolve(context: &Context, options: ResolveOptions) -> Result<Exit, Fault> {
    let state = context.state()?;
    let journal = context.journal(&state)?;
    let run = context.run_id(journal.as_ref(), &options.run).await?;
    let (known, _, _) = look(journal.as_ref(), &run).await?;
    let call = options.call;
    let Some(mutation) = known.mutation(call).filter(|mutation| mutation.is_in_doubt()) else {
        let doubts: Vec<_> =
            known.doubts().map(|(call, mutation)| format!("{call} ({})", mutation.request.call.summary())).collect();
        let doubts = if doubts.is_empty() {
            "nothing is in doubt".to_owned()
        } else {
            format!("in doubt is {}", doubts.join(", "))
        };
        return Err(Fault::wrong(format!("call {call} of run {run} is not in doubt; {doubts}"))
            .hint(format!("each call, and what became of it:  ripcord show {run}")));
    };
    let verdict = verdict(&options, mutation)?;
    let by = Settler::Person(context.by(&options.by));
    append_as_person(journal.as_ref(), &run, Event::Settled { call, by, verdict }).await?;
    after(&run);
    Ok(Exit::Done)
}

fn verdict(options: &ResolveOptions, mutation: &Mutation) -> Result<Verdict, Fault> {
    if options.did_not_happen {
        return Ok(Verdict::DidNotHappen);
    }
    if options.unknowable {
        return Ok(Verdict::Unknowable);
    }
    let capability = mutation.request.capability();
    let reply = match &options.reply {
        Some(text) => serde_json::from_str::<Reply>(text).map_err(|error| {
            Fault::wrong(format!("--reply is no reply: {error}"))
                .hint("write it as the journal does, like  {\"http\": {\"status\": 200}}")
        })?,
        None => mutation.assume.clone().ok_or_else(|| {
            Fault::wrong(format!(
                "the plugin does not say what reply it expects from {}",
                mutation.request.call.summary()
            ))
            .hint("say what it was with  --reply JSON,  like  --reply '{\"http\": {\"status\": 200}}'")
        })?,
    };
    if reply.capability() != capability {
        return Err(Fault::wrong(format!(
            "--reply is a reply of {}, and the call is one of {capability}",
            reply.capability()
        )));
    }
    Ok(Verdict::Happened(reply))
}

/// Nobody may be carrying the run.
fn after(run: &RunId) {
    output::note(&format!("recorded; if no process is carrying the run:  ripcord resume {run}"));
}
