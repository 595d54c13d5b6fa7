//! The command line: one file per command, one place that writes to stdout (`out.rs`), one place that maps errors to exit
//! codes (`error.rs`).

mod accounts;
mod approve;
mod boot;
mod check;
mod check_attributes;
mod check_keys;
mod demo;
mod error;
mod explain;
mod generate;
mod import;
mod link;
mod log;
mod logging;
mod migrate;
pub mod out;
mod plan;
mod plan_file;
mod probe;
mod rehearse;
mod relink;
mod run;
mod sandbox;
mod show;
mod state;
mod status;
mod sync;
mod time;
mod undo;

pub use boot::main;
pub use error::CliError;
pub use out::{Out, Progress};

use crate::config::{Config, Loaded, is_missing};
use crate::exit::Exit;
use clap::{ArgAction, Parser, Subcommand};
use std::path::PathBuf;

/// Keeps an application in step with the directory that an organisation already runs.
///
/// Pulls people and groups from LDAP (Active Directory, OpenLDAP, 389 DS, FreeIPA), Microsoft Graph, Okta or a file, works
/// out what changed, and pushes creates, updates and deactivations to the application's SCIM 2.0 endpoint.
#[derive(Debug, Parser)]
#[command(name = "scim-sync", version, after_long_help = EXIT_CODES, propagate_version = false, arg_required_else_help = true)]
pub struct Cli {
    /// Options that every command has.
    #[command(flatten)]
    pub global: Global,
    /// The migration of user IDs, which is no subcommand.
    #[command(flatten)]
    pub migrate: migrate::Args,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// The one thing that was asked for.
    ///
    /// # Errors
    /// Nothing was, or both a command and the migration.
    pub fn asked(migrate: migrate::Args, command: Option<Command>) -> Result<Command, CliError> {
        match (migrate.migrate_userids.is_some(), command) {
            (false, Some(command)) => Ok(command),
            (true, None) => Ok(Command::MigrateUserids(Box::new(migrate))),
            (true, Some(_)) => Err(CliError::usage("--migrate-userids takes no command beside it")),
            (false, None) => Err(CliError::usage("a command is missing; scim-sync --help lists them")),
        }
    }
}

/// Options that every command has.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// Configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SCIM_SYNC_CONFIG",
        hide_env_values = true,
        default_value = "/etc/scim-sync/config.toml"
    )]
    pub config: PathBuf,
    /// One JSON document on stdout; logs go to stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more on stderr; twice for details, three times for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say less on stderr: only errors; twice for nothing
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "verbose")]
    pub quiet: u8,
    /// No colours, even on a terminal
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run as a service: every sync on its schedule
    Run(run::Args),
    /// Show every mistake in the configuration, with its place and what to do
    Check(check::Args),
    /// Show what would change and why; writes nothing at the target
    Plan(plan::Args),
    /// Run one cycle now
    Sync(sync::Args),
    /// Show each sync: last cycle, what is held or parked, the next run
    Status(status::Args),
    /// Show the provisioning log
    Log(log::Args),
    /// Release changes that the guard holds
    Approve(approve::Args),
    /// Show one person's or group's way: entry, scope, mapping, match, request
    Explain(explain::Args),
    /// Show every account at the target in a class: linked, disabled, matched, orphan, foreign, protected
    Accounts(accounts::Args),
    /// Look at links between people and accounts, and mend them
    Link(link::Args),
    /// Move all links of a sync to the entries of its new source, one to one
    Relink(relink::Args),
    /// Reverse a cycle from what the journal kept, as far as nothing changed since
    Undo(undo::Args),
    /// Back the state store up, or put a backup back
    State(state::Args),
    /// Run a SCIM target to try things against
    Sandbox(sandbox::Args),
    /// Learn how the target really speaks SCIM, with a throwaway user and group
    Probe(probe::Args),
    /// Try a sync against the sandbox behaving as the target does
    Rehearse(rehearse::Args),
    /// Show the whole job on embedded parts; needs no configuration
    Demo(demo::Args),
    /// Turn an Entra or Okta mapping export into a [[sync]]
    Import(import::Args),
    /// Make manual pages, shell completions or the configuration's JSON Schema
    Generate(generate::Args),
    /// `--migrate-userids`.
    #[command(skip)]
    MigrateUserids(Box<migrate::Args>),
}

/// What every command is given.
#[derive(Debug)]
pub struct Ctx {
    /// Configuration file.
    pub config_path: PathBuf,
    /// One JSON document on stdout instead of text.
    pub json: bool,
    /// Colours may be used on stdout.
    pub color: bool,
    /// How much is said on stderr: 0 warnings, 1 progress of the work, 2 details, 3 everything; negative: less.
    pub verbosity: i8,
    /// The one way to stdout.
    pub out: Out,
}

impl Ctx {
    /// Reads the configuration; its warnings go to the log.
    ///
    /// # Errors
    /// Every mistake of the file, as one error with exit code 3.
    pub fn load_config(&self) -> Result<Config, CliError> {
        self.load().map(|loaded| loaded.config)
    }

    /// The same, with the places of what stands in it.
    fn load(&self) -> Result<Loaded, CliError> {
        let loaded = check::load(&self.config_path)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        // Whoever only looks would take it for a fresh installation.
        if let Some(dir) = loaded.config.state.path.parent().filter(|dir| !dir.as_os_str().is_empty() && is_missing(dir)) {
            self.out.remark(&format!("warning: there is no folder {}: nothing is known of any earlier cycle", dir.display()));
        }
        Ok(loaded)
    }
}

/// Runs one command.
async fn dispatch(ctx: &Ctx, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Run(args) => run::run(ctx, args).await,
        Command::Check(args) => check::run(ctx, args).await,
        Command::Plan(args) => plan::run(ctx, args).await,
        Command::Sync(args) => sync::run(ctx, args).await,
        Command::Status(args) => status::run(ctx, args).await,
        Command::Log(args) => log::run(ctx, args).await,
        Command::Approve(args) => approve::run(ctx, args).await,
        Command::Explain(args) => explain::run(ctx, args).await,
        Command::Accounts(args) => accounts::run(ctx, args).await,
        Command::Link(args) => link::run(ctx, args).await,
        Command::Relink(args) => relink::run(ctx, args).await,
        Command::Undo(args) => undo::run(ctx, args).await,
        Command::State(args) => state::run(ctx, args).await,
        Command::Sandbox(args) => {
            sandbox::run(args, ctx.json).await.map(|()| Exit::Done).map_err(|e| CliError::usage(format!("sandbox: {e}")))
        }
        Command::Probe(args) => probe::run(ctx, args).await,
        Command::Rehearse(args) => rehearse::run(ctx, args).await,
        Command::Demo(args) => demo::run(ctx, args).await,
        Command::Import(args) => import::run(ctx, args).await,
        Command::Generate(args) => generate::run(ctx, args).await,
        Command::MigrateUserids(args) => migrate::run(ctx, *args).await,
    }
}

/// Shown under `--help` and in the manual page; a test compares it with [`Exit`].
const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  a bug in the program
   2  the command line is wrong
   3  the configuration is wrong
   4  a source failed
   5  a target failed
   6  the guard held changes
   7  done, but records are parked
   8  another instance holds the state
   9  the state store cannot be used
  10  plan --exit-code, and there are changes
  11  the world moved since the plan was made
Of several, the first that applies in this order: 3, 8, 9, 4, 5, 11, 6, 7, 10, 0.";

#[cfg(test)]
mod tests {
    use super::{Cli, EXIT_CODES};
    use crate::exit::Exit;
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_lists_every_exit_code() {
        for exit in Exit::ALL {
            let line = format!("{:>4}  {}\n", exit.code(), exit.meaning());
            assert!(EXIT_CODES.contains(&line), "{line}");
        }
    }
}
