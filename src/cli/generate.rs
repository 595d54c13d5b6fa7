//! `generate`: manual pages, shell completions, the configuration's JSON Schema.

use super::{Cli, CliError, Ctx};
use crate::exit::Exit;
use clap::CommandFactory;
use std::path::{Path, PathBuf};

/// Arguments of `generate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to make.
    #[command(subcommand)]
    pub what: What,
}

/// What can be made.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Manual pages: into DIR one for each command, without DIR the main page to stdout
    Man {
        /// Folder to write to; made if it is not there
        dir: Option<PathBuf>,
    },
    /// Completions for a shell, to stdout
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// JSON Schema of the configuration file, to stdout
    Schema,
}

/// Runs the command.
///
/// # Errors
/// The folder or stdout cannot be written to.
pub async fn run(ctx: &Ctx, args: Args) -> Result<Exit, CliError> {
    match args.what {
        What::Man { dir: Some(dir) } => {
            write_pages(&dir).map_err(|e| CliError::usage(format!("manual pages cannot be written to {}: {e}", dir.display())))?
        }
        What::Man { dir: None } => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(|e| CliError::bug(e.to_string()))?;
            ctx.out.raw(&String::from_utf8_lossy(&page));
        }
        What::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "scim-sync", &mut script);
            ctx.out.raw(&String::from_utf8_lossy(&script));
        }
        What::Schema => ctx.out.json(&crate::config::schema()),
    }
    Ok(Exit::Done)
}

fn write_pages(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(Cli::command(), dir)
}
