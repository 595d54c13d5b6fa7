//! `import`: an export of Entra's or Okta's provisioning becomes a `[[sync]]`.

use super::{CliError, Ctx};
use crate::config::import::{Imported, import};
use crate::exit::Exit;
use serde_json::json;
use std::path::PathBuf;

/// No export is larger, bytes.
const MAX_SIZE: u64 = 64 << 20;

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Entra's provisioning schema or an Okta profile mapping, as JSON
    pub file: PathBuf,
}

/// Runs the command: TOML to stdout, what is not in it to stderr.
///
/// # Errors
/// The file cannot be read or is no such export.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    let at = args.file.display();
    let unreadable = |e: std::io::Error| CliError::usage(format!("{at} cannot be read: {e}"));
    if std::fs::metadata(&args.file).map_err(unreadable)?.len() > MAX_SIZE {
        return Err(CliError::usage(format!("{at} is larger than {} MiB: that is no export of a mapping", MAX_SIZE >> 20)));
    }
    let bytes = std::fs::read(&args.file).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| CliError::usage(format!("{at} is not UTF-8 text")))?;
    let Imported { toml, not_carried } = import(&text).map_err(|e| CliError::usage(format!("{at}: {e}")))?;
    if ctx.json {
        ctx.out.json(&json!({"version": 1, "toml": toml, "not_carried": not_carried}));
        return Ok(Exit::Done);
    }
    ctx.out.raw(&toml);
    for n in &not_carried {
        ctx.out.remark(&format!("not carried over: {}: {}", n.what, n.reason));
    }
    Ok(Exit::Done)
}
