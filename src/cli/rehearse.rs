//! `rehearse`: the real source against the sandbox, which behaves as the target does and holds what it holds now.

use super::show::{self, Bars};
use super::{CliError, Ctx};
use crate::apply::Stop;
use crate::config::{Config, MapRow, Secret, SyncConfig, TargetAuth};
use crate::exit::Exit;
use crate::model::{ObjectKind, TargetId};
use crate::sandbox::{Behaviour, Options, Running, Sandbox};
use crate::scim;
use crate::state::Store;
use crate::sync::{Cycle, CycleError, Report, Request};
use crate::target::presets::{self, Preset};
use crate::target::{Dialect, Remote, Target, TargetReader};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use tokio::sync::mpsc;

/// Arguments of `rehearse`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the sync; all where it is left out
    pub sync: Option<String>,
}

/// What a rehearsal came to.
struct Rehearsal {
    report: Report,
    application: &'static str,
    copied: Copied,
}

/// What was put into the sandbox.
#[derive(Default)]
struct Copied {
    users: usize,
    groups: usize,
    /// Where the copy of each is: kind, id at the target, id in the sandbox.
    moved: Vec<(ObjectKind, TargetId, String)>,
    /// What could not be copied, and why.
    left_out: Vec<(String, String)>,
    /// Extensions that the target announces and the sandbox does not have, lower case: their attributes are left out on both
    /// sides, as neither a copy nor a refusal of them would say anything.
    apart: BTreeSet<String>,
}

impl Copied {
    /// What a cycle said of copies, said of what they are copies of: nobody knows the copies' ids.
    fn as_at_the_target(&self, report: &mut Report) {
        let ids: HashMap<&str, &str> = self.moved.iter().map(|(_, old, new)| (new.as_str(), old.as_str())).collect();
        let texts = report.parked.iter_mut().flat_map(|p| [&mut p.reason, &mut p.advice]);
        let texts = texts.chain(report.held.iter_mut().map(|h| &mut h.reason)).chain(&mut report.warnings);
        texts.for_each(|text| *text = with_ids(text, &ids));
        if let Some(e) = &mut report.error {
            e.message = with_ids(&e.message, &ids);
        }
    }

    /// Whether a path, or the name of an extension, is left out.
    fn leaves_out(&self, path: &str) -> bool {
        let path = path.to_lowercase();
        self.apart.iter().any(|urn| path.strip_prefix(urn.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
    }
}

/// The text with other ids in the place of those that it names (those of the sandbox are UUIDs).
fn with_ids(text: &str, ids: &HashMap<&str, &str>) -> String {
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
        let id = part.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        match ids.get(id) {
            Some(other) => {
                out.push_str(other);
                out.push_str(part.get(id.len()..).unwrap_or_default());
            }
            None => out.push_str(part),
        }
    }
    out
}

/// Extensions of users that the target's own schemas have, and the sandbox does not.
fn announced(dialect: &Dialect) -> BTreeSet<String> {
    let known = [scim::USER, scim::ENTERPRISE].map(str::to_lowercase);
    let urns = dialect.user_attributes.iter().filter(|path| path.starts_with("urn:")).filter_map(|path| path.rsplit_once(':'));
    urns.map(|(urn, _)| urn.to_owned()).filter(|urn| !known.contains(urn)).collect()
}

/// Runs the command. Writes neither at the target nor to the state store.
///
/// # Errors
/// The configuration is wrong. Failures of single syncs are told and end in the exit code.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let mut exits = Vec::new();
    let mut documents = Vec::new();
    for sync in show::chosen(&config, args.sync.as_deref())? {
        let rehearsal = match rehearse(ctx, &config, sync).await {
            Ok(rehearsal) => rehearsal,
            Err(e) => {
                let report = Report::not_begun(&sync.name, &e);
                Rehearsal { report, application: "the application", copied: Copied::default() }
            }
        };
        exits.push(rehearsal.report.exit);
        if ctx.json {
            documents.push(document(&rehearsal));
        } else {
            tell(ctx, &rehearsal);
        }
        if let Some(e) = &rehearsal.report.error {
            ctx.out.complain(&format!("{}: {}", sync.name, e.message));
        }
    }
    if ctx.json {
        ctx.out.json(&json!({"version": 1, "rehearsals": documents}));
    }
    Ok(Exit::worst(exits))
}

async fn rehearse(ctx: &Ctx, config: &Config, sync: &SyncConfig) -> Result<Rehearsal, CycleError> {
    let missing = || CycleError::Config(format!("sync {}: its target or preset is not configured", sync.name));
    let target_config = config.targets.get(&sync.target).ok_or_else(missing)?;
    config.exposed(sync).map_or(Ok(()), |why| Err(CycleError::Config(format!("sync {}: {why}", sync.name))))?;
    let preset = presets::find(&target_config.preset).ok_or_else(missing)?;
    let application = preset.application;
    let target = Target::new(&sync.target, target_config)?;
    let waiting = ctx.out.progress("reading the target", None);
    let dialect = target.discover().await?.dialect;
    let reader = target.reader(&dialect);
    let running = start(preset, &dialect)?;
    let mut copied = Copied { apart: announced(&dialect), ..Copied::default() };
    copy(&reader, &running, ObjectKind::User, &mut copied).await?;
    if dialect.groups {
        copy(&reader, &running, ObjectKind::Group, &mut copied).await?;
    }
    drop(waiting);

    let stage = on_stage(config, sync, &running);
    let mut store = Store::scratch(&config.state.path)?;
    let row = store.sync_row(&sync.name, &sync.target)?;
    store.relocate_links(row.id, &copied.moved)?;
    let (rows, apart): (Vec<MapRow>, Vec<MapRow>) = sync.map_user.iter().cloned().partition(|r| !copied.leaves_out(&r.path));
    let sync = SyncConfig { map_user: rows, ..sync.clone() };
    let cycle = Cycle::new(&stage, &sync, Bars::new(ctx), Stop::new())?;
    let request = Request { full: true, verify: true, by_hand: true, expect: None, until: None };
    let (_, mut report) = cycle.run(store, &request).await;
    copied.as_at_the_target(&mut report);
    if !apart.is_empty() {
        let paths: Vec<&str> = apart.iter().map(|r| r.path.as_str()).collect();
        report.warnings.push(format!(
            "not rehearsed: {} (the target announces the extension, and what it makes of a value only the target can say)",
            paths.join(", ")
        ));
    }
    Ok(Rehearsal { report, application, copied })
}

/// The sandbox, with the limits that preset, discovery and configuration say the target has.
fn start(preset: Preset, dialect: &Dialect) -> Result<Running, CycleError> {
    let behaviour = Behaviour::from(&Preset { dialect: dialect.clone(), ..preset });
    let options = Options { behaviour, ..Options::default() };
    Sandbox::start(options).map_err(|e| CycleError::Config(e.to_string()))
}

/// The configuration with the sandbox in the place of the target.
fn on_stage(config: &Config, sync: &SyncConfig, running: &Running) -> Config {
    let mut stage = config.clone();
    if let (Some(target), Ok(url)) = (stage.targets.get_mut(&sync.target), running.base_url.parse()) {
        target.url = url;
        target.auth = Some(TargetAuth::Token(Secret::Plain(running.token.clone().into())));
        target.net.ca_file = None;
        target.net.proxy = None;
        // Nobody has to be spared here.
        target.rate = Some(f64::from(u16::MAX));
    }
    stage
}

/// Copies a collection of the target into the sandbox.
async fn copy(reader: &TargetReader, running: &Running, kind: ObjectKind, copied: &mut Copied) -> Result<(), CycleError> {
    let (sink, mut pages) = mpsc::channel::<Vec<Remote>>(4);
    let ids: HashMap<TargetId, String> = copied.moved.iter().map(|(_, old, new)| (old.clone(), new.clone())).collect();
    let reading = async {
        let read = reader.list(kind, &sink).await;
        drop(sink);
        read
    };
    let storing = async {
        let mut all = Vec::new();
        while let Some(page) = pages.recv().await {
            all.extend(page.into_iter().map(|r| put(running, kind, r, &ids, copied)));
        }
        all
    };
    let (read, stored) = tokio::join!(reading, storing);
    read?;
    for (id, name, outcome) in stored {
        match outcome {
            Ok(new) => copied.moved.push((kind, id, new)),
            Err(why) => copied.left_out.push((name, why)),
        }
    }
    match kind {
        ObjectKind::User => copied.users = copied.moved.len(),
        ObjectKind::Group => copied.groups = copied.moved.len() - copied.users,
    }
    Ok(())
}

fn put(
    running: &Running,
    kind: ObjectKind,
    resource: Remote,
    ids: &HashMap<TargetId, String>,
    apart: &Copied,
) -> (TargetId, String, Result<String, String>) {
    let name = resource.name(kind).unwrap_or(resource.id.as_str()).to_owned();
    let members: Vec<Value> = resource.members().iter().filter_map(|m| ids.get(m)).map(|id| json!({ "value": id })).collect();
    let mut raw = resource.raw;
    if let Some(object) = raw.as_object_mut() {
        object.retain(|name, _| !apart.leaves_out(name));
        if let Some(Value::Array(urns)) = object.get_mut("schemas") {
            urns.retain(|urn| urn.as_str().is_none_or(|urn| !apart.leaves_out(urn)));
        }
    }
    if let (ObjectKind::Group, Some(object)) = (kind, raw.as_object_mut()) {
        object.retain(|k, _| !k.eq_ignore_ascii_case("members"));
        object.insert("members".to_owned(), Value::Array(members));
    }
    (resource.id, name, running.seed(kind, &raw))
}

fn document(r: &Rehearsal) -> Value {
    let left_out: Vec<Value> = r.copied.left_out.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
    json!({
        "sync": r.report.sync,
        "application": r.application,
        "copied": {"users": r.copied.users, "groups": r.copied.groups, "left_out": left_out},
        "result": r.report.result(),
        "counts": r.report.counts,
        "refused": r.report.parked,
        "held": r.report.held,
        "warnings": r.report.warnings,
        "error": r.report.error,
    })
}

fn tell(ctx: &Ctx, r: &Rehearsal) {
    let (users, groups) = (r.copied.users, r.copied.groups);
    ctx.out.line(format!(
        "{}: rehearsed against a copy of {} with {users} accounts and {groups} groups; nothing was written there",
        r.report.sync, r.application
    ));
    for (name, why) in &r.copied.left_out {
        ctx.out.line(format!("  could not be copied: {name}  {why}"));
    }
    show::report(&ctx.out, &r.report);
    if r.report.error.is_none() && r.report.parked.is_empty() {
        ctx.out.line("  nothing would be refused");
    }
}

#[cfg(test)]
mod tests {
    use super::with_ids;
    use std::collections::HashMap;

    #[test]
    fn ids_of_copies_become_those_of_the_originals() {
        let ids = HashMap::from([("0a-1b", "u7"), ("9", "ä/1")]);
        for (text, said) in [
            ("account 0a-1b is taken", "account u7 is taken"),
            ("(0a-1b): 0a-1b, 9", "(u7): u7, ä/1"),
            ("0a-1b", "u7"),
            ("x0a-1b 0a-1bc «0a-1b»", "x0a-1b 0a-1bc «u7»"),
            ("nobody é", "nobody é"),
        ] {
            assert_eq!(with_ids(text, &ids), said);
        }
    }
}
