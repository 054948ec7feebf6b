//! `approve` and `resolve`: a person's answers, from whichever terminal.

use jiff::Timestamp;

use super::args::{ApproveOptions, ResolveOptions};
use super::context::{Context, append_as_person};
use super::exit::{Exit, Fault};
use super::output;
use crate::capability::Reply;
use crate::journal::{Answer, Event, GateId, Settler, Verdict};
use crate::machine::{Gate, Mutation};
use crate::record::look;

pub(super) async fn approve(context: &Context, options: ApproveOptions) -> Result<Exit, Fault> {
    let state = context.state()?;
    let journal = context.journal(&state)?;
    let run = context.run_id(journal.as_ref(), &options.run).await?;
    let (known, _, _) = look(journal.as_ref(), &run).await?;
    let gate = GateId(options.gate.clone());
    match known.gate(&gate) {
        None => {
            let open: Vec<_> = known
                .gates
                .iter()
                .filter(|gate| gate.answer.is_none())
                .map(|gate| gate.opened.gate.to_string())
                .collect();
            let open = if open.is_empty() {
                "it waits at none".to_owned()
            } else {
                format!("it waits at {}", open.join(", "))
            };
            return Err(Fault::wrong(format!("run {run} has no gate `{gate}`; {open}")));
        }
        // An answer behind the expiry counts as none, whoever has noticed it.
        Some(known) if has_expired(known) => {
            return Err(Fault::wrong(format!(
                "gate `{gate}` of run {run} has expired, which counts as no: an answer comes too late"
            ))
            .hint(format!("where the run stands:  ripcord show {run}"))
            .hint("to do what the gate asked about, run the plan again when this run has ended"));
        }
        Some(gate) if gate.answer.is_some() => {
            return Err(Fault::wrong(format!("gate `{}` of run {run} was already answered", gate.opened.gate)));
        }
        Some(_) => {}
    }
    let answer = if options.no { Answer::No } else { Answer::Yes };
    append_as_person(journal.as_ref(), &run, Event::GateAnswered { gate, answer, by: context.by(&options.by) }).await?;
    after(&run);
    Ok(Exit::Done)
}

fn has_expired(gate: &Gate) -> bool {
    match &gate.answer {
        Some((answer, _)) => *answer == Answer::Expired,
        None => gate.opened.expires.is_some_and(|expires| expires < Timestamp::now()),
    }
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
        return Err(Fault::wrong(format!("call {call} of run {run} is not in doubt; {doubts}")));
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
fn after(run: &crate::id::RunId) {
    output::note(&format!("recorded; if no process is carrying the run:  ripcord resume {run}"));
}
