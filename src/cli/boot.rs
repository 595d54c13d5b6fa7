//! From the operating system to a command and back: arguments, TLS provider, log, runtime, dispatch, exit code.

use super::logging::{self, LogFormat};
use super::{Cli, CliError, Command, Ctx, Out, dispatch};
use crate::exit::Exit;
use clap::Parser;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// The program. Everything it does is reached from here.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are asked for: stdout, 0. The rest is a wrong command line: stderr, 2.
            let _ = e.print();
            if e.use_stderr() && std::env::args_os().any(|a| a == "--json") {
                Out::new(true, true, 0).json(&CliError::usage(in_one_line(&e.to_string())).document());
            }
            return if e.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    crate::http::tls::install_provider();
    let global = cli.global;
    let command = match Cli::asked(cli.migrate, cli.command) {
        Ok(command) => command,
        Err(e) => {
            e.report(&Out::new(global.json, true, 0));
            return e.exit().into();
        }
    };
    let verbosity = i8::try_from(global.verbose).unwrap_or(i8::MAX).saturating_sub(i8::try_from(global.quiet).unwrap_or(i8::MAX));
    match &command {
        // Nobody looks at a service while it works: it says what it did.
        Command::Run(args) => logging::start(args.log_format, verbosity.saturating_add(1), global.no_color, false),
        command => {
            let reports = !global.json && matches!(command, Command::Sync(_) | Command::Undo(_));
            logging::start(LogFormat::Text, verbosity, global.no_color, reports);
        }
    }
    install_panic_line();

    let no_color = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let out = Out::new(global.json, no_color, verbosity);
    let ctx = Ctx { config_path: global.config, json: global.json, color: out.color(), verbosity, out };
    let result = catch_unwind(AssertUnwindSafe(|| run(&ctx, command)));
    let exit = match result {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            error.report(&ctx.out);
            error.exit()
        }
        // The panic hook has said what and where.
        Err(_) => Exit::Bug,
    };
    let Some(message) = ctx.out.failure() else { return exit.into() };
    complain(&format!("cannot write the output: {message}"));
    // Whoever goes by what was to be read there has not got it. A failure of the work itself says more.
    let is_outcome = matches!(exit, Exit::Done | Exit::Held | Exit::Parked | Exit::Changes);
    if is_outcome { Exit::Bug.into() } else { exit.into() }
}

/// What clap says on several lines: the mistake, the names that it is about one by one below it, and a tip. How to call the
/// command otherwise is left out.
fn in_one_line(said: &str) -> String {
    let mut parts = said.trim_start_matches("error: ").split("\n\n");
    let mut lines = parts.next().unwrap_or_default().lines().map(str::trim);
    let mut message = lines.next().unwrap_or_default().to_owned();
    let names = lines.collect::<Vec<_>>().join(", ");
    if !names.is_empty() {
        message.push(' ');
        message.push_str(&names);
    }
    for tip in parts.filter_map(|p| p.trim().strip_prefix("tip: ")) {
        message.push_str("; ");
        message.push_str(tip.lines().next().unwrap_or_default());
    }
    message
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
