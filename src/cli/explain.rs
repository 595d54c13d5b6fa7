//! `explain`: one person's or group's way, from the directory to the request.

use super::show::{self, Bars};
use super::{CliError, Ctx, log, sync};
use crate::config::{Config, parse_duration};
use crate::exit::Exit;
use crate::mapping::Clause;
use crate::mapping::trace::HIDDEN;
use crate::model::{Entry, Value as Attribute};
use crate::plan::held;
use crate::plan::render::quoted;
use crate::state::Store;
use crate::sync::{Cycle, CycleError, Explanation, Found, Report};
use base64::Engine as _;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// User ID, mail, UPN, sAMAccountName, DN, display name, source key, target id, or the name at the target
    pub who: String,
    /// Only in this sync
    #[arg(long, value_name = "SYNC")]
    pub sync: Option<String>,
    /// Make the changes of this one now, under guard and journal
    #[arg(long)]
    pub apply: bool,
    /// With --apply: how long to wait for a cycle that is running (30s, 5m)
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse_duration, requires = "apply")]
    pub wait: Duration,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong; the state store cannot be used; with `--apply`: several are called so, or a cycle runs.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let mut all: Vec<(String, Explanation)> = Vec::new();
    let syncs = show::chosen(&config, args.sync.as_deref())?;
    let alone = syncs.len() == 1;
    let mut not_begun = Vec::new();
    for sync in syncs {
        let cycle = match Cycle::new(&config, sync, Bars::new(ctx), crate::apply::Stop::new()) {
            Ok(cycle) => cycle,
            Err(e) if alone => return Err(e.into()),
            // The others can be told all the same.
            Err(e) => {
                ctx.out.complain(&format!("{}: {e}", sync.name));
                not_begun.push(e.exit());
                continue;
            }
        };
        let said = cycle.explain(&config.state.path, &args.who).await?;
        for (what, e) in [("source", &said.source_error), ("target", &said.target_error)] {
            if let Some(e) = e {
                ctx.out.complain(&format!("{}: the {what} could not be asked: {e}", sync.name));
            }
        }
        all.push((sync.name.clone(), said));
    }
    let found: usize = all.iter().map(|(_, e)| e.found.len()).sum();
    let report = if args.apply && found > 0 { Some(apply(ctx, &config, &args, &all).await?) } else { None };
    if ctx.json {
        let mut doc = json!({"version": 1, "found": documents(&all), "nearest": nearest(&all)});
        if let Some(report) = &report {
            doc["cycles"] = json!([report]);
        }
        ctx.out.json(&doc);
    } else {
        for (name, said) in &all {
            for f in &said.found {
                text(ctx, name, f);
            }
            if said.more > 0 {
                ctx.out.line(format!("  ... and {} more in {name}; say the source key", said.more));
            }
        }
        if let Some(report) = &report {
            show::report(&ctx.out, report);
        }
    }
    if found == 0 && !not_begun.is_empty() {
        return Ok(Exit::worst(not_begun));
    }
    if found == 0 {
        ctx.out.complain(&not_found(&args.who, &all));
        // What was asked for was not understood by a source that failed either: that is the reason to tell.
        let source = all.iter().filter_map(|(_, e)| e.source_error.as_ref()).map(CycleError::exit);
        return Ok(match Exit::worst(source) {
            Exit::Done => Exit::Usage,
            failed => failed,
        });
    }
    let mut exits: Vec<Exit> = report.iter().map(|r| r.exit).chain(not_begun).collect();
    exits.extend(all.iter().flat_map(|(_, e)| [&e.source_error, &e.target_error]).flatten().map(CycleError::exit));
    if let Some(e) = report.as_ref().and_then(|r| r.error.as_ref()) {
        ctx.out.complain(&e.message);
    }
    Ok(Exit::worst(exits))
}

async fn apply(ctx: &Ctx, config: &Config, args: &Args, all: &[(String, Explanation)]) -> Result<Report, CliError> {
    let found: Vec<(&String, &Found)> = all.iter().flat_map(|(name, e)| e.found.iter().map(move |f| (name, f))).collect();
    let [(name, one)] = found.as_slice() else {
        let list: Vec<String> = found.iter().map(|(s, f)| format!("{} ({} {} in {s})", f.who, f.object, f.source_key)).collect();
        return Err(CliError::usage(format!(
            "{:?} names several: {}; say the source key, and --sync where it is in several",
            args.who,
            list.join(", ")
        )));
    };
    let sync = show::one(config, name)?;
    let _lock = show::lock(config, args.wait).await?;
    let store = Store::open(&config.state.path)?;
    let cycle = Cycle::new(config, sync, Bars::new(ctx), sync::stop_on_signal())?;
    Ok(cycle.provision(store, one.object, &one.source_key).await.1)
}

fn nearest(all: &[(String, Explanation)]) -> Vec<&String> {
    let mut out: Vec<&String> = all.iter().flat_map(|(_, e)| &e.nearest).collect();
    out.dedup();
    out
}

fn not_found(who: &str, all: &[(String, Explanation)]) -> String {
    let near = nearest(all);
    let hint = if near.is_empty() {
        "say a user ID, mail, account name, DN, display name, source key or target id".to_owned()
    } else {
        format!("did you mean {}?", near.iter().map(|n| quoted(n)).collect::<Vec<_>>().join(", "))
    };
    format!("nobody and no group is called {}; {hint}", quoted(who))
}

fn documents(all: &[(String, Explanation)]) -> Vec<Value> {
    all.iter().flat_map(|(name, e)| e.found.iter().map(move |f| document(name, f))).collect()
}

fn document(sync: &str, f: &Found) -> Value {
    let clauses: Vec<Value> =
        f.scope.clauses.iter().map(|c| json!({"clause": c.clause, "value": compared(f, c), "holds": c.holds})).collect();
    let mapping: Vec<Value> = mapping(f)
        .into_iter()
        .map(|(m, inputs, value)| json!({"path": m.path, "expr": m.expr, "inputs": inputs, "value": value, "error": m.error}))
        .collect();
    let steps: Vec<Value> = f
        .steps
        .iter()
        .map(|s| json!({"kind": s.kind.as_str(), "reason": s.reason, "held": s.held, "request": s.request}))
        .collect();
    let journal: Vec<Value> = f.journal.iter().map(log::document).collect();
    let mut doc = json!({
        "sync": sync,
        "object": f.object,
        "who": f.who,
        "source_key": f.source_key,
        "state": f.state,
        "entry": entry(f),
        "scope": {"in": f.scope.in_scope, "clauses": clauses},
        "mapping": mapping,
        "match": {"by": f.by, "target_ids": f.target_ids},
        "request": f.steps.iter().find_map(|s| s.request.as_ref()),
        "changes": steps,
        "parked": f.parked.iter().map(|(k, r, a)| json!({"kind": k, "reason": r, "advice": a})).collect::<Vec<_>>(),
        "held": f.held.iter().map(|(k, r)| json!({"kind": k, "reason": r})).collect::<Vec<_>>(),
        "not_sent": f.not_sent,
        "journal": journal,
    });
    if let Some(members) = &f.members {
        let left_out: Vec<Value> =
            members.left_out.iter().map(|(m, why)| json!({"who": m.who, "source_key": m.key, "why": why})).collect();
        doc["members"] = json!({"take_part": members.take_part, "left_out": left_out, "dangling": members.dangling});
    }
    doc
}

/// What a comparison of the scope was made with, as far as it may be shown.
fn compared<'a>(f: &Found, clause: &'a Clause) -> &'a str {
    if f.redacted.reference(&clause.attribute) && !clause.value.is_empty() { HIDDEN } else { &clause.value }
}

/// The rules with what may be shown of inputs and value.
fn mapping(f: &Found) -> Vec<(&crate::mapping::Explained, Map<String, Value>, Value)> {
    f.mapping
        .iter()
        .map(|m| {
            let hidden = f.redacted.path(&m.path);
            let show = |hide: bool, v: &Value| if hide && !v.is_null() { HIDDEN.into() } else { v.clone() };
            let inputs = m.inputs.iter().map(|(k, v)| (k.clone(), show(hidden || f.redacted.reference(k), v))).collect();
            (m, inputs, show(hidden, &m.value))
        })
        .collect()
}

/// The entry: one value as it is, several as a list.
fn entry(f: &Found) -> Value {
    let Some(e) = &f.entry else { return json!({}) };
    let mut out = Map::new();
    if let Some(dn) = &e.dn {
        out.insert("dn".to_owned(), json!(dn));
    }
    for (name, values) in attributes(e, f) {
        let mut values = values;
        let one = values.len() == 1;
        out.insert(name, if one { values.swap_remove(0) } else { Value::Array(values) });
    }
    Value::Object(out)
}

fn attributes(e: &Entry, f: &Found) -> Vec<(String, Vec<Value>)> {
    let value = |v: &Attribute| match v {
        Attribute::Text(t) => json!(t),
        Attribute::Bytes(b) => json!(base64::engine::general_purpose::STANDARD.encode(b)),
        Attribute::Json(j) => j.clone(),
    };
    e.attrs
        .iter()
        .map(|(name, values)| {
            let shown = if f.redacted.attribute(name) {
                values.iter().map(|_| json!(HIDDEN)).collect()
            } else {
                values.iter().map(value).collect()
            };
            (name.to_owned(), shown)
        })
        .collect()
}

fn text(ctx: &Ctx, sync: &str, f: &Found) {
    let out = &ctx.out;
    out.heading(format!("{} ({} {}, {sync}): {}", f.who, f.object, f.source_key, f.state.replace('_', " ")));
    if let Value::Object(entry) = entry(f) {
        out.line("  entry");
        for (name, value) in entry {
            out.line(format!("    {name}: {}", plain(&value)));
        }
    }
    out.line(format!("  scope: {}", if f.scope.in_scope { "takes part" } else { "does not take part" }));
    for c in &f.scope.clauses {
        let sign = if c.holds { "holds" } else { "fails" };
        let value = Some(compared(f, c)).filter(|v| !v.is_empty()).unwrap_or("no value");
        out.line(format!("    {sign}  {}  (is: {value})", c.clause));
    }
    out.line("  mapping");
    for (m, inputs, value) in mapping(f) {
        let inputs: Vec<String> = inputs.iter().map(|(k, v)| format!("{k}: {}", plain(v))).collect();
        let from = if inputs.is_empty() { String::new() } else { format!("  ({})", inputs.join("; ")) };
        out.line(format!("    {} = {}  from {}{from}", m.path, m.error.clone().unwrap_or_else(|| plain(&value)), m.expr));
    }
    let ids: Vec<&str> = f.target_ids.iter().map(|t| t.as_str()).collect();
    match &f.by {
        Some(by) => out.line(format!("  match at the target: by {by}: {}", ids.join(", "))),
        None => out.line("  match at the target: none"),
    }
    if let Some(members) = &f.members {
        out.line(format!("  members: {} take part", members.take_part));
        for (m, why) in &members.left_out {
            out.line(format!("    takes no part: {}  {why}", m.who));
        }
        if members.dangling > 0 {
            out.line(format!("    {} references name nobody that was read", members.dangling));
        }
    }
    for (kind, reason, advice) in &f.parked {
        out.line(format!("  ! parked ({kind}): {reason}"));
        out.line(format!("      {advice}"));
    }
    for (kind, reason) in &f.held {
        out.line(format!("  # held ({kind}): {reason}"));
        if let Some(advice) = held::advice_on(sync, &f.source_key, reason) {
            out.line(format!("      {advice}"));
        }
    }
    if f.steps.is_empty() {
        out.line("  request: none, nothing is to be sent");
    }
    for why in &f.not_sent {
        out.line(format!("  not sent: {why}"));
    }
    for s in &f.steps {
        out.line(format!("  {}: {}", s.kind.as_str(), s.reason));
        if let Some(r) = &s.request {
            out.line(format!("    {} {}", r.method, r.path));
            if !r.body.is_null() {
                out.line(format!("    {}", r.body));
            }
        }
    }
    if !f.journal.is_empty() {
        out.line("  last lines of the log");
        for e in &f.journal {
            out.line(format!("    {}", log::line(e)));
        }
    }
}

fn plain(v: &Value) -> String {
    match v {
        Value::Null => "(none)".to_owned(),
        Value::String(s) => s.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(" | "),
        other => other.to_string(),
    }
}
