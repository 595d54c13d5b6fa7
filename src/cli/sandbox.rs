//! `sandbox`: the embedded SCIM target.

use super::{CliError, Ctx};
use crate::exit::Exit;
use std::net::SocketAddr;

/// Arguments of `sandbox`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Behave as the application of this preset does
    #[arg(long, value_name = "PRESET", default_value = "generic")]
    pub preset: String,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8440")]
    pub listen: SocketAddr,
    /// Bearer token that requests must carry; one is made up where it is left out
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// This build does not have the command.
pub async fn run(_ctx: &Ctx, _args: Args) -> Result<Exit, CliError> {
    Err(CliError::not_available("sandbox"))
}
