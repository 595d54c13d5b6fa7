//! `check`: every mistake in the configuration; with `--online` also what the other sides say.

use super::show::Bars;
use super::{CliError, Ctx, check_attributes, check_keys};
use crate::apply::Stop;
use crate::config::{self, Config, ConfigErrors, Loaded, Problem, Schedule, SourceConfig, SyncConfig};
use crate::exit::Exit;
use crate::mapping::{Mapper, Named};
use crate::observe::{Silent, notify};
use crate::source::{self, ReadRequest};
use crate::sync::Cycle;
use crate::target::{self, Dialect};
use jiff::{Timestamp, Zoned};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also connect, sign in, discover the target and count the scope; writes nothing
    #[arg(long)]
    pub online: bool,
    /// Also send a test message to everybody whom [notify] names
    #[arg(long, requires = "online")]
    pub notify: bool,
}

/// What one source or target said.
#[derive(Debug, Serialize)]
pub(super) struct Probe {
    /// `source`, `target`, `sync` or `notify`.
    pub(super) kind: &'static str,
    /// Name in the configuration.
    pub(super) name: String,
    /// Whether it can be used.
    pub(super) ok: bool,
    /// What was learnt, in order.
    pub(super) facts: Map<String, Value>,
    /// Why it cannot be used.
    pub(super) error: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

impl Probe {
    fn new(kind: &'static str, name: &str, result: Result<source::Facts, String>) -> Self {
        Self::with(kind, name, result.map_or_else(|error| (Vec::new(), Some(error)), |facts| (facts, None)))
    }

    /// Of a source: without groups it is of no use to a sync that needs them, whatever else it shows.
    /// What was learnt before a fault is told beside it.
    fn of_source(name: &str, mut facts: source::Facts, error: Option<String>, groups: bool) -> Self {
        let lacks = facts.iter().position(|(fact, _)| error.is_none() && groups && fact == source::NO_GROUPS);
        let denied = lacks.map(|i| facts.remove(i).1);
        Self::with("source", name, (facts, error.or(denied)))
    }

    /// Ending with this, where what failed knows better.
    fn or(self, exit: Option<Exit>) -> Self {
        Self { exit: exit.unwrap_or(self.exit), ..self }
    }

    fn with(kind: &'static str, name: &str, (facts, error): (source::Facts, Option<String>)) -> Self {
        // Several warnings are one fact.
        let mut together: BTreeMap<String, usize> = BTreeMap::new();
        let mut told: Vec<(String, String)> = Vec::new();
        for (fact, value) in facts {
            match together.get(&fact).and_then(|i| told.get_mut(*i)) {
                Some((_, before)) => {
                    before.push_str("; ");
                    before.push_str(&value);
                }
                None => {
                    together.insert(fact.clone(), told.len());
                    told.push((fact, value));
                }
            }
        }
        let facts = told.into_iter().map(|(k, v)| (k, Value::String(v))).collect();
        let exit = match (&error, kind) {
            (None, _) => Exit::Done,
            (Some(_), "source") => Exit::Source,
            (Some(_), "notify") => Exit::Config,
            (Some(_), _) => Exit::Target,
        };
        Self { kind, name: name.to_owned(), ok: error.is_none(), facts, error, exit }
    }
}

/// Runs the command. Mistakes in the configuration are its result, not its failure: they end it with exit code 3 all the same.
///
/// # Errors
/// None of its own.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let (loaded, mut errors) = load_despite_mistakes(&ctx.config_path);
    let mut warnings = Vec::new();
    if let Some(loaded) = &loaded {
        // Whatever else is wrong, all of it is told at once.
        let (unknown, doubtful) = check_attributes::unknown(loaded);
        errors.extend(unknown);
        errors.extend(loaded.exposed());
        errors.extend(loaded.empty());
        errors.extend(check_keys::unusable(loaded));
        errors.sort_by_key(|p| (p.line, p.column));
        warnings.extend(loaded.warnings.iter().cloned().chain(doubtful));
        warnings.extend(check_attributes::restless(loaded));
        warnings.extend(loaded.advice(Zoned::now().date()));
        warnings.extend(old_tokens(loaded));
        warnings.sort_by_key(|w| (w.line, w.column));
    }
    let loaded = match loaded.filter(|_| errors.is_empty()) {
        Some(loaded) => loaded,
        None if ctx.json => {
            ctx.out.json(&json!({"version": 1, "errors": errors, "warnings": warnings, "online": []}));
            return Ok(Exit::Config);
        }
        None => {
            for warning in &warnings {
                ctx.out.remark(&format!("warning: {warning}"));
            }
            return Err(ConfigErrors(errors).into());
        }
    };
    let config = &loaded.config;
    let now = Timestamp::now();
    if !ctx.json {
        for warning in &warnings {
            ctx.out.remark(&format!("warning: {warning}"));
        }
        summary(ctx, config, now);
    }
    let (online, lacks) = if args.online { probe(ctx, config, args.notify).await } else { Default::default() };
    let mut seen = check_attributes::unfilled(&loaded, lacks.attributes, &warnings);
    seen.extend(check_attributes::not_taken(&loaded, &lacks.dialects));
    for (sync, what) in lacks.groups {
        let hint = "nobody is in it, and whatever takes something away is held until the name is right";
        seen.push(loaded.problem(&format!("sync[{sync}].scope.members_of"), format!("there is no {what}"), hint));
    }
    for warning in seen {
        if !ctx.json {
            ctx.out.remark(&format!("warning: {warning}"));
        }
        warnings.push(warning);
    }
    if ctx.json {
        ctx.out.json(&json!({
            "version": 1,
            "errors": [],
            "warnings": warnings,
            "online": online,
            "sources": config.sources.keys().collect::<Vec<_>>(),
            "targets": config.targets.keys().collect::<Vec<_>>(),
            "syncs": config.syncs.iter().map(|s| sync_document(s, now)).collect::<Vec<_>>(),
        }));
    }
    Ok(Exit::worst(online.iter().map(|p| p.exit)))
}

/// Reads the configuration and judges what other modules know about: every command begins with this. A secret that others
/// can read is only warned of here: it is refused where it would be used, and whatever does without it goes on.
///
/// # Errors
/// Every mistake of the file.
pub(super) fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    match load_despite_mistakes(path) {
        (Some(mut loaded), mistakes) if mistakes.is_empty() => {
            loaded.warnings.extend(loaded.exposed());
            Ok(loaded)
        }
        (_, mistakes) => Err(ConfigErrors(mistakes)),
    }
}

/// The configuration as far as it can be understood, and every mistake that does not need a look at what the source has.
fn load_despite_mistakes(path: &Path) -> (Option<Loaded>, Vec<Problem>) {
    let (loaded, mut mistakes) = config::load_despite_mistakes(path);
    let Some(mut loaded) = loaded else { return (None, mistakes) };
    target::presets::complete(&mut loaded.config);
    // What is wrong in two ways is told in the first.
    let more = expressions(&loaded);
    let is_told = |p: &Problem| mistakes.iter().any(|m| m.line == p.line && m.key == p.key);
    let more: Vec<Problem> = more.into_iter().filter(|p| !is_told(p)).collect();
    mistakes.extend(more);
    mistakes.sort_by_key(|p| (p.line, p.column));
    (Some(loaded), mistakes)
}

/// Tokens that are older than they ought to be at an application that does not let them expire, or not visibly.
fn old_tokens(loaded: &Loaded) -> Vec<Problem> {
    let mut out = Vec::new();
    for (name, target) in &loaded.config.targets {
        let Some(preset) = target::presets::find(&target.preset) else { continue };
        let (Some(days), Some(config::TargetAuth::Token(token))) = (preset.token_days, &target.auth) else { continue };
        let age = token.written().and_then(|at| std::time::SystemTime::now().duration_since(at).ok());
        let Some(age) = age.map(|a| a.as_secs() / 86_400).filter(|age| *age > u64::from(days)) else { continue };
        let message = format!("the token is {age} days old by its file; {} does not replace it by itself", preset.application);
        out.push(loaded.problem(&format!("target.{name}.token"), message, "make a new one there, and put it into the file"));
    }
    out
}

/// Mistakes in mapping expressions and scope filters, which `mapping` judges.
fn expressions(loaded: &Loaded) -> Vec<Problem> {
    let config = &loaded.config;
    let mut out = Vec::new();
    for (i, sync) in config.syncs.iter().enumerate() {
        let preset = config.targets.get(&sync.target).and_then(|t| target::presets::find(&t.preset));
        let mut spec = sync.mapping_spec();
        if preset.is_none() {
            // The target is not there, or is wrong, which is told already. The expressions are looked at all the same; by
            // what accounts can be matched, nobody knows.
            (spec.matched_by, spec.groups_matched_by) = (Vec::new(), Vec::new());
        }
        let Some(preset) = preset.or_else(|| target::presets::find("generic")) else { continue };
        let errors = Mapper::compile(&spec, preset.map_user, preset.map_group).err().unwrap_or_default();
        out.extend(errors.into_iter().map(|e| {
            let key = format!("sync[{i}].{}", e.key);
            loaded.problem_within(&key, e.offset, e.message, e.hint.unwrap_or_default())
        }));
    }
    out
}

/// What syncs rely on and their directories do not have, by the place of the sync.
#[derive(Debug, Default)]
struct Lacks {
    /// Groups of `scope.members_of`.
    groups: Vec<(usize, String)>,
    /// Attributes that nobody has.
    attributes: Vec<(usize, Named)>,
    /// How the targets that answered speak, by their names.
    dialects: BTreeMap<String, Dialect>,
}

/// Asks every source, then every target. Also: what syncs rely on and no directory has.
async fn probe(ctx: &Ctx, config: &Config, notify: bool) -> (Vec<Probe>, Lacks) {
    let mut probes = Vec::new();
    for (name, source) in &config.sources {
        let waiting = ctx.out.progress(&format!("source {name}"), None);
        let mut facts = Vec::new();
        let result = match source::build(name, source) {
            Ok(source) => source.look(&wanted(config, name), &mut facts).await,
            Err(e) => Err(e),
        };
        drop(waiting);
        let groups = config.syncs.iter().any(|s| s.enabled && s.source == *name && s.wants_groups());
        let failed = result.err();
        let exit = failed.as_ref().map(source::SourceError::exit);
        probes.push(Probe::of_source(name, facts, failed.map(|e| e.to_string()), groups).or(exit));
    }
    let (targets, dialects) = online_targets(ctx, config).await;
    probes.extend(targets);
    let (scopes, lacks) = scopes(ctx, config).await;
    let lacks = Lacks { dialects, ..lacks };
    probes.extend(scopes);
    if notify {
        probes.extend(messages(ctx, config).await);
    }
    if !ctx.json {
        for probe in &probes {
            tell(ctx, probe);
        }
    }
    (probes, lacks)
}

/// What all syncs of a source ask of it together, paused ones too.
fn wanted(config: &Config, source: &str) -> ReadRequest {
    let mut all = ReadRequest::default();
    for sync in config.syncs.iter().filter(|s| s.source == source) {
        // What keeps a cycle from being made is told where the sync itself is looked at.
        match Cycle::new(config, sync, Arc::new(Silent), Stop::new()) {
            Ok(cycle) => {
                let one = cycle.asks_for();
                all.groups |= one.groups;
                all.attributes.extend(one.attributes);
            }
            Err(_) => all.groups |= sync.wants_groups(),
        }
    }
    all
}

/// Asks every target: discovery and authorisation, nothing written. And how each one speaks.
async fn online_targets(ctx: &Ctx, config: &Config) -> (Vec<Probe>, BTreeMap<String, Dialect>) {
    let (mut probes, mut dialects) = (Vec::new(), BTreeMap::new());
    for (name, target) in &config.targets {
        let waiting = ctx.out.progress(&format!("target {name}"), None);
        let result = look(name, target).await;
        drop(waiting);
        let exit = result.as_ref().err().map(target::TargetError::exit);
        let facts = result.map(|(facts, dialect)| {
            dialects.insert(name.clone(), dialect);
            facts
        });
        probes.push(Probe::new("target", name, facts.map_err(|e| e.to_string())).or(exit));
    }
    (probes, dialects)
}

async fn look(name: &str, config: &config::TargetConfig) -> Result<(source::Facts, Dialect), target::TargetError> {
    let target = target::Target::new(name, config)?;
    let found = target.discover().await?;
    let mut facts = found.facts;
    facts.extend(target.check_access(&found.dialect).await?);
    Ok((facts, found.dialect))
}

/// Sends a test message on each channel.
async fn messages(ctx: &Ctx, config: &Config) -> Vec<Probe> {
    let waiting = ctx.out.progress("test messages", None);
    let tried = notify::test(config).await;
    drop(waiting);
    match tried {
        Ok(tried) if tried.is_empty() => {
            let nobody = "there is nobody to tell: the configuration has no [notify]".to_owned();
            vec![Probe::new("notify", "nobody", Err(nobody))]
        }
        Ok(tried) => tried.into_iter().map(|(channel, result)| Probe::new("notify", channel, result)).collect(),
        Err(e) => vec![Probe::new("notify", "configuration", Err(e.to_string()))],
    }
}

/// Counts who takes part in each sync; a paused one is looked at before it is let run.
async fn scopes(ctx: &Ctx, config: &Config) -> (Vec<Probe>, Lacks) {
    let (mut probes, mut lacks) = (Vec::new(), Lacks::default());
    for (i, sync) in config.syncs.iter().enumerate() {
        let counted = match Cycle::new(config, sync, Bars::new(ctx), Stop::new()) {
            Ok(cycle) => cycle.count_scope(&config.state.path).await,
            Err(e) => Err(e),
        };
        let (facts, exit) = match counted {
            Ok(counts) => {
                lacks.groups.extend(counts.missing.into_iter().map(|what| (i, what)));
                lacks.attributes.extend(counts.unfilled.into_iter().map(|named| (i, named)));
                let fact = |name: &str, n: u64| (name.to_owned(), n.to_string());
                let paused = (!sync.enabled).then(|| ("paused".to_owned(), "enabled = false: no schedule runs it".to_owned()));
                let mut facts: Vec<(String, String)> = paused.into_iter().collect();
                facts.extend([
                    fact("in scope", counts.inside),
                    fact("people in scope", counts.inside.saturating_sub(counts.groups_inside)),
                    fact("groups in scope", counts.groups_inside),
                    fact("out of scope", counts.outside),
                    fact("active people without a user ID", counts.without_user_id),
                ]);
                (Ok(facts), Exit::Done)
            }
            Err(e) => (Err(e.to_string()), e.exit()),
        };
        let mut probe = Probe::new("sync", &sync.name, facts);
        probe.exit = exit;
        probes.push(probe);
    }
    (probes, lacks)
}

fn tell(ctx: &Ctx, probe: &Probe) {
    ctx.out.line("");
    match &probe.error {
        None => ctx.out.heading(format!("{} {}: ok", probe.kind, probe.name)),
        Some(error) => {
            ctx.out.heading(format!("{} {}: failed", probe.kind, probe.name));
            ctx.out.line(format!("  {error}"));
        }
    }
    for (fact, value) in &probe.facts {
        ctx.out.line(format!("  {fact}: {}", value.as_str().unwrap_or_default()));
    }
}

/// What the configuration means, for somebody who has just written it.
fn summary(ctx: &Ctx, config: &Config, now: Timestamp) {
    ctx.out.line(format!("{}: OK", config.file.display()));
    let sources = config.sources.iter().map(|(name, s)| vec![format!("source {name}"), describe(s)]);
    let targets =
        config.targets.iter().map(|(name, t)| vec![format!("target {name}"), format!("{}, {}", t.preset, without_query(&t.url))]);
    let syncs = config.syncs.iter().map(|s| {
        let paused = if s.enabled { "" } else { ", paused" };
        vec![format!("sync {}", s.name), format!("{} -> {}{paused}", s.source, s.target)]
    });
    ctx.out.line("");
    ctx.out.table(&["NAME", "IS"], sources.chain(targets).chain(syncs));
    let rows: Vec<Vec<String>> = config.syncs.iter().flat_map(|s| schedule_rows(s, now)).collect();
    if !rows.is_empty() {
        ctx.out.line("");
        ctx.out.table(&["SYNC", "SCHEDULE", "LINE", "NEXT RUNS"], rows);
    }
}

fn describe(source: &SourceConfig) -> String {
    match source {
        SourceConfig::Ldap(c) => format!("ldap, {}", c.urls.iter().map(url::Url::as_str).collect::<Vec<_>>().join(" ")),
        SourceConfig::File(c) => format!("file, {}", c.path.display()),
        SourceConfig::Graph(c) => format!("graph, tenant {}", c.tenant),
        SourceConfig::Okta(c) => format!("okta, {}", c.url),
    }
}

/// Name and line of each schedule that a sync has.
fn schedules(sync: &SyncConfig) -> impl Iterator<Item = (&'static str, &str)> {
    let all = [("schedule", &sync.schedule), ("full_read", &sync.full_read), ("verify", &sync.verify)];
    all.into_iter().filter_map(|(name, line)| Some((name, line.as_deref()?)))
}

/// The next three runs of a line that was validated.
fn next_runs(sync: &SyncConfig, line: &str, now: Timestamp) -> Vec<Zoned> {
    Schedule::parse(line, &sync.timezone).map(|s| s.upcoming(now, 3)).unwrap_or_default()
}

fn schedule_rows(sync: &SyncConfig, now: Timestamp) -> Vec<Vec<String>> {
    schedules(sync)
        .map(|(name, line)| {
            let runs: Vec<String> =
                next_runs(sync, line, now).iter().map(|z| z.strftime("%a %Y-%m-%d %H:%M %Z").to_string()).collect();
            vec![sync.name.clone(), name.to_owned(), line.to_owned(), runs.join(", ")]
        })
        .collect()
}

fn sync_document(sync: &SyncConfig, now: Timestamp) -> Value {
    let runs: Map<String, Value> = schedules(sync)
        .map(|(name, line)| {
            let runs: Vec<String> =
                next_runs(sync, line, now).iter().map(|z| z.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()).collect();
            (name.to_owned(), json!(runs))
        })
        .collect();
    json!({
        "name": sync.name,
        "source": sync.source,
        "target": sync.target,
        "enabled": sync.enabled,
        "timezone": sync.timezone,
        "next_runs": runs,
    })
}

/// An address for people to read: its query may hold a key.
fn without_query(url: &url::Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    if url.query().is_some() { format!("{shown}?…") } else { shown.to_string() }
}
