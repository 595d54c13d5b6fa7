//! `accounts`: every account at the target in a class.

use super::show::{self, Bars};
use super::{CliError, Ctx};
use crate::apply::Stop;
use crate::exit::Exit;
use crate::sync::{Account, Class, Cycle, Listed};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Arguments of `accounts`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the sync; may be left out where there is one
    pub sync: Option<String>,
    /// Only this class: linked, disabled, matched, orphan, foreign, protected
    #[arg(long, value_name = "CLASS", value_parser = class)]
    pub class: Option<Class>,
}

fn class(text: &str) -> Result<Class, String> {
    Class::ALL
        .into_iter()
        .find(|c| c.as_str() == text)
        .ok_or_else(|| format!("there are: {}", Class::ALL.map(Class::as_str).join(", ")))
}

/// Runs the command. It takes no lock and writes nothing, here or at the target.
///
/// # Errors
/// The configuration is wrong; source, target or state store failed.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let config = ctx.load_config()?;
    let sync = show::only(&config, args.sync.as_deref())?;
    let cycle = Cycle::new(&config, sync, Bars::new(ctx), Stop::new())?;
    let listed = cycle.accounts(&config.state.path).await?;
    if ctx.json {
        return document(ctx, &args, &listed).map(|()| Exit::Done);
    }
    let mut counts = Counts::default();
    ctx.out.line(format!("{:<9}  {:<6}  {:<40}  {:<38}  WHY", "CLASS", "ACTIVE", "USER NAME", "TARGET ID"));
    listed.each(|a| {
        counts.add(&a);
        if args.class.is_none_or(|c| c == a.class) {
            ctx.out.line(line(&a));
        }
        Ok::<(), CliError>(())
    })?;
    ctx.out.line(format!("{}: {}", sync.name, counts.words()));
    Ok(Exit::Done)
}

fn line(a: &Account) -> String {
    let active = match a.active {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    };
    let name = a.user_name.as_deref().unwrap_or("-");
    let who = match &a.who {
        Some(who) if !a.why.contains(who.as_str()) && a.user_name.as_deref() != Some(who) => format!(" ({who})"),
        _ => String::new(),
    };
    format!("{:<9}  {active:<6}  {name:<40}  {:<38}  {}{who}", a.class, a.target_id, a.why)
}

/// Written account by account: a million of them take no memory.
fn document(ctx: &Ctx, args: &Args, listed: &Listed) -> Result<(), CliError> {
    ctx.out.stream(|w| {
        let io = |e: std::io::Error| CliError::bug(format!("cannot write the accounts: {e}"));
        write!(w, "{{\"version\": 1, \"accounts\": [").map_err(io)?;
        let (mut counts, mut first) = (Counts::default(), true);
        listed.each(|a| {
            counts.add(&a);
            if args.class.is_some_and(|c| c != a.class) {
                return Ok(());
            }
            let comma = if std::mem::take(&mut first) { "" } else { "," };
            write!(w, "{comma}\n  {}", json!(a)).map_err(io)
        })?;
        writeln!(w, "],\n \"counts\": {}}}", counts.document()).map_err(io)
    })
}

/// How many accounts are in each class, shown or not.
#[derive(Default)]
struct Counts(BTreeMap<Class, u64>);

impl Counts {
    fn add(&mut self, a: &Account) {
        *self.0.entry(a.class).or_default() += 1;
    }

    fn of(&self, class: Class) -> u64 {
        self.0.get(&class).copied().unwrap_or(0)
    }

    fn document(&self) -> Value {
        Value::Object(Class::ALL.iter().map(|c| (c.as_str().to_owned(), self.of(*c).into())).collect::<Map<_, _>>())
    }

    fn words(&self) -> String {
        Class::ALL.iter().map(|c| format!("{} {c}", self.of(*c))).collect::<Vec<_>>().join(", ")
    }
}
