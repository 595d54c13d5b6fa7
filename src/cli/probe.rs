//! `probe`: learns how a target really speaks, with throwaway resources.

use super::show;
use super::{CliError, Ctx, sync};
use crate::config::{SyncConfig, parse_duration};
use crate::exit::Exit;
use crate::mapping::Mapper;
use crate::target::probe::{Fact, PREFIX, Probed};
use crate::target::{Target, TargetError, dialect, presets};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

/// Arguments of `probe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the sync whose target is probed; may be left out where there is only one
    pub sync: Option<String>,
    /// Write at the target without asking
    #[arg(long)]
    pub yes: bool,
    /// Domain of the throwaway users' addresses, where the target takes only known ones
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    pub domain: Option<String>,
    /// How long to wait for a cycle that is running (30s, 5m)
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
    pub wait: Duration,
}

fn domain(text: &str) -> Result<String, String> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    if plain && text.contains('.') { Ok(text.to_owned()) } else { Err("is written as example.org".into()) }
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong; nobody said yes; a cycle runs.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let sync = show::only(&config, args.sync.as_deref())?;
    let missing = || CliError::new(Exit::Config, format!("sync {}: its target {:?} is not configured", sync.name, sync.target));
    let target_config = config.targets.get(&sync.target).ok_or_else(missing)?;
    if let Some(why) = config.exposed(sync) {
        return Err(CliError::new(Exit::Config, format!("sync {}: {why}", sync.name)));
    }
    let preset = presets::find(&target_config.preset);
    let application = preset.as_ref().map_or("the application", |p| p.application);
    let what = format!(
        "probe makes up to four throwaway users and a group, named {PREFIX}<random>, at target {} ({application}, {}), changes them in every way, and removes them",
        sync.target,
        target_config.url.host_str().unwrap_or_default()
    );
    if !args.yes && !asks(ctx, &what)? {
        return Err(CliError::usage(format!("{what}; nothing was done: say --yes to do it")));
    }
    let _lock = show::lock(&config, args.wait).await?;
    let target = Target::new(&sync.target, target_config)?;
    let stop = sync::stop_on_signal();
    let waiting = ctx.out.progress("probing the target", None);
    // A mapping that is wrong is for `check` to say; then whatever the target takes is tried.
    let mapper = preset.as_ref().and_then(|p| Mapper::compile(&sync.mapping_spec(), p.map_user, p.map_group).ok());
    let mapped = mapper.map(|m| m.user_paths());
    let probed = target.probe(args.domain.as_deref(), mapped.as_ref(), &stop).await;
    drop(waiting);
    if ctx.json {
        ctx.out.json(&json!({"version": 1, "probes": [document(sync, &probed)]}));
    } else {
        tell(ctx, sync, &probed)?;
    }
    for warning in &probed.warnings {
        ctx.out.remark(&format!("warning: {warning}"));
    }
    for left in &probed.left_behind {
        ctx.out.complain(&format!(
            "{}: {} {} (id {:?}) is left behind: {}",
            sync.name, left.object, left.name, left.id, left.reason
        ));
    }
    if let Some(e) = &probed.error {
        ctx.out.complain(&format!("{}: {e}", sync.name));
    }
    Ok(exit(&probed))
}

fn exit(probed: &Probed) -> Exit {
    let left = probed.left_behind.iter().any(|l| !l.only_inactive).then_some(Exit::Target);
    Exit::worst(probed.error.as_ref().map(TargetError::exit).into_iter().chain(left))
}

/// Asks on a terminal; elsewhere nobody said yes.
fn asks(ctx: &Ctx, what: &str) -> Result<bool, CliError> {
    if ctx.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    let failed = |e: std::io::Error| CliError::usage(format!("cannot ask: {e}"));
    ctx.out.remark(what);
    let mut stderr = std::io::stderr();
    write!(stderr, "Go on? Type yes: ").map_err(failed)?;
    stderr.flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

fn document(sync: &SyncConfig, probed: &Probed) -> Value {
    let error = probed.error.as_ref().map(|e| json!({"kind": e.exit().kind(), "message": e.to_string()}));
    json!({
        "sync": sync.name,
        "target": sync.target,
        "facts": probed.facts,
        "config": probed.config,
        "removed": probed.removed,
        "left_behind": probed.left_behind,
        "warnings": probed.warnings,
        "error": error,
    })
}

fn tell(ctx: &Ctx, sync: &SyncConfig, probed: &Probed) -> Result<(), CliError> {
    let out = &ctx.out;
    out.heading(format!("{}: target {}", sync.name, sync.target));
    out.line("");
    let text = |f: &Fact| dialect::shown(f.name.strip_prefix("dialect.").unwrap_or_default(), &f.value, ctx.verbosity == 0);
    out.table(&["FACT", "FOUND", "FROM"], probed.facts.iter().map(|f| vec![f.name.clone(), text(f), f.from.to_owned()]));
    out.line("");
    if !probed.removed.is_empty() {
        out.line(format!("removed what an earlier probe had left: {}", probed.removed.join(", ")));
    }
    if probed.left_behind.is_empty() {
        out.line("nothing was left behind");
    }
    if probed.error.is_some() {
        return Ok(());
    }
    if probed.config.is_empty() {
        out.line("the target speaks as preset and discovery say: nothing has to be configured");
        return Ok(());
    }
    let lines = toml::to_string(&probed.config).map_err(|e| CliError::bug(format!("cannot write TOML: {e}")))?;
    out.line("the target differs from what preset and discovery say; put this into the configuration:");
    out.line("");
    out.line(format!("[target.{}]\n{}", sync.target, lines.trim_end()));
    Ok(())
}
