//! From the operating system to a command and back: arguments, TLS provider, log, runtime, dispatch, exit code.

use super::{Cli, CliError, Command, Ctx, Out, dispatch};
use crate::exit::Exit;
use clap::Parser;
use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The program. Everything it does is reached from here.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are asked for: stdout, 0. The rest is a wrong command line: stderr, 2.
            let _ = e.print();
            if e.use_stderr() && std::env::args_os().any(|a| a == "--json") {
                let message = e.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
                Out::new(true, true, 0).json(&CliError::usage(message).document());
            }
            return if e.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    crate::http::tls::install_provider();
    let global = cli.global;
    let verbosity = i8::try_from(global.verbose).unwrap_or(i8::MAX).saturating_sub(i8::try_from(global.quiet).unwrap_or(i8::MAX));
    start_log(verbosity, global.no_color);
    install_panic_line();

    let no_color = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let out = Out::new(global.json, no_color, verbosity);
    let ctx = Ctx { config_path: global.config, json: global.json, color: out.color(), verbosity, out };
    let result = catch_unwind(AssertUnwindSafe(|| run(&ctx, cli.command)));
    let exit = match result {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            error.report(&ctx.out);
            error.exit()
        }
        // The panic hook has said what and where.
        Err(_) => Exit::Bug,
    };
    match ctx.out.failure() {
        Some(message) if exit == Exit::Done => {
            complain(&format!("cannot write the output: {message}"));
            Exit::Bug.into()
        }
        _ => exit.into(),
    }
}

/// One thread is enough: the work is waiting for two servers, and a multi-thread runtime costs twice the CPU.
fn run(ctx: &Ctx, command: Command) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::new(Exit::Bug, format!("cannot start the runtime: {e}")))?;
    let result = runtime.block_on(dispatch(ctx, command));
    // A worker thread that still waits (a name look-up, say) must not keep the process.
    runtime.shutdown_background();
    result
}

/// The log goes to stderr. Only this crate's own records are let through below warnings: the protocol libraries' debug
/// records carry whole messages, and with them passwords and tokens.
fn start_log(verbosity: i8, no_color: bool) {
    let (own, others) = match verbosity {
        ..=-2 => (LevelFilter::OFF, LevelFilter::OFF),
        -1 => (LevelFilter::ERROR, LevelFilter::ERROR),
        0 => (LevelFilter::WARN, LevelFilter::WARN),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::WARN),
        _ => (LevelFilter::TRACE, LevelFilter::WARN),
    };
    let filter = Targets::new().with_default(others).with_target("scim_sync", own);
    let text = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(!no_color && std::io::stderr().is_terminal())
        .with_target(verbosity >= 2);
    // An error only means that a subscriber is installed already.
    let _ = tracing_subscriber::registry().with(filter).with(text).try_init();
}

/// A panic is one clear line, not a dump.
fn install_panic_line() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
        let what = info.payload_as_str().unwrap_or("panic");
        complain(&format!(
            "this is a bug in scim-sync {}{place}: {what}; what was written to the target is in the journal, the next cycle goes on from there",
            env!("CARGO_PKG_VERSION")
        ));
    }));
}

/// One line on stderr; nowhere to complain if that fails too.
fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "scim-sync: {message}");
}
