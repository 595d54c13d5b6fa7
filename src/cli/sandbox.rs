//! `scim-sync sandbox`: the embedded SCIM target.

use crate::model::ObjectKind;
use crate::sandbox::{Behaviour, Faults, Off, Options, Sandbox, Trouble};
use crate::target::presets;
use serde_json::json;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

/// Starts the embedded SCIM 2.0 target, behaving as a preset's application does. It keeps its data in memory, and shows
/// it on a page at the address where it listens.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Preset whose application it behaves like.
    #[arg(long, value_name = "NAME", default_value = "generic")]
    pub preset: String,
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Bearer token that is accepted; without it a random one is made.
    #[arg(long, value_name = "TOKEN", env = "SCIM_SYNC_SANDBOX_TOKEN", hide_env_values = true)]
    pub token: Option<Token>,
    /// A group that is there already (displayName); may be repeated.
    #[arg(long, value_name = "NAME")]
    pub group: Vec<String>,
    /// SCIM is switched off there: everything is refused in the application's words.
    #[arg(long)]
    pub scim_off: bool,
    /// An account that this token may not manage (userName); may be repeated.
    #[arg(long, value_name = "WHO")]
    pub foreign: Vec<String>,
    /// An account that exists, is managed elsewhere and is not shown (userName); may be repeated.
    #[arg(long, value_name = "WHO")]
    pub elsewhere: Vec<String>,
    /// Refuses users with VALUE anywhere in a string; may be repeated.
    #[arg(long, value_name = "VALUE", hide = true)]
    pub refuse: Vec<String>,
    /// Threads that answer requests.
    #[arg(long, value_name = "N", default_value_t = 2, hide = true)]
    pub workers: usize,
    /// Accepts `remove` of `members` with a `value`, as Entra ID sends it.
    #[arg(long, hide = true)]
    pub remove_with_value: bool,
    /// Answers `remove` of a member that is none with 400 `noTarget`.
    #[arg(long, hide = true)]
    pub remove_must_match: bool,
    /// Accepts `externalId` and does not keep it.
    #[arg(long, hide = true)]
    pub drop_external_id: bool,
    /// Faults on purpose.
    #[command(flatten)]
    pub faults: FaultArgs,
}

/// Faults on purpose, for tests.
#[derive(Debug, Clone, clap::Args)]
pub struct FaultArgs {
    /// Seed of the faults.
    #[arg(long, value_name = "N", default_value_t = 0, hide = true)]
    pub fault_seed: u64,
    /// Probability of 429 with Retry-After.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability, hide = true)]
    pub fault_429: f64,
    /// Probability of 500, 502, 503 or 504.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability, hide = true)]
    pub fault_5xx: f64,
    /// Probability that the request is carried out but never answered.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability, hide = true)]
    pub fault_lost: f64,
    /// Probability that the connection is closed before anything is done.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability, hide = true)]
    pub fault_reset: f64,
    /// Probability, and delay in milliseconds, of a late answer.
    #[arg(long, value_name = "P:MS", value_parser = slow, hide = true)]
    pub fault_slow: Option<Slow>,
    /// Probability that the answer's body is cut short.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability, hide = true)]
    pub fault_truncated: f64,
    /// Probability of 500 with an HTML page.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability, hide = true)]
    pub fault_html: f64,
    /// Probability, and delay in milliseconds, of a write that is answered 504 and carried out later.
    #[arg(long, value_name = "P:MS", value_parser = slow, hide = true)]
    pub fault_late: Option<Slow>,
    /// Delay of every answer, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0, hide = true)]
    pub latency: u64,
}

/// A token; never shown by `Debug`.
#[derive(Clone)]
pub struct Token(String);

impl std::str::FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("is empty".into()),
            text if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Self(text.to_owned())),
            _ => Err("may have visible ASCII characters only".into()),
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Probability and delay of late answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    probability: f64,
    delay: Duration,
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("is not a probability from 0 to 1".into()),
    }
}

fn slow(text: &str) -> Result<Slow, String> {
    let (p, ms) = text.split_once(':').ok_or("is written P:MS, such as 0.1:500")?;
    let delay = Duration::from_millis(ms.parse().map_err(|_| "has no whole number of milliseconds behind the colon")?);
    Ok(Slow { probability: probability(p)?, delay })
}

impl Args {
    /// The options that the arguments ask for.
    ///
    /// # Errors
    /// When there is no such preset.
    pub fn options(self) -> io::Result<Options> {
        let preset = presets::find(&self.preset).ok_or_else(|| {
            let known = presets::NAMES.join(", ");
            io::Error::new(io::ErrorKind::InvalidInput, format!("there is no preset {:?}; there are: {known}", self.preset))
        })?;
        let behaviour = Behaviour::from(&preset);
        let behaviour = Behaviour {
            refuse: self.refuse,
            remove_with_value: self.remove_with_value || behaviour.remove_with_value,
            remove_must_match: self.remove_must_match || behaviour.remove_must_match,
            drop_external_id: self.drop_external_id,
            ..behaviour
        };
        let faults = self.faults;
        Ok(Options {
            listen: self.listen,
            token: self.token.map(|token| token.0),
            behaviour,
            trouble: Trouble {
                off: if self.scim_off { Off::All } else { Off::No },
                foreign: self.foreign,
                elsewhere: self.elsewhere,
            },
            workers: self.workers,
            faults: Faults {
                seed: faults.fault_seed,
                throttled: faults.fault_429,
                server_error: faults.fault_5xx,
                lost: faults.fault_lost,
                reset: faults.fault_reset,
                slow: faults.fault_slow.map(|slow| (slow.probability, slow.delay)),
                truncated: faults.fault_truncated,
                html: faults.fault_html,
                late: faults.fault_late.map(|late| (late.probability, late.delay)),
                latency: Duration::from_millis(faults.latency),
            },
        })
    }
}

/// Runs the sandbox until SIGINT or SIGTERM. Prints one line: the base URL and the token, or both as a JSON document.
///
/// # Errors
/// When there is no such preset, the address is taken, or stdout is closed.
pub async fn run(args: Args, as_json: bool) -> io::Result<()> {
    let groups = args.group.clone();
    let running = Sandbox::start(args.options()?).map_err(io::Error::other)?;
    for name in groups {
        running.seed(ObjectKind::Group, &json!({ "displayName": name })).map_err(io::Error::other)?;
    }
    {
        let mut out = io::stdout().lock();
        if as_json {
            writeln!(out, "{}", json!({"version": 1, "url": running.base_url, "token": running.token}))?;
        } else {
            writeln!(out, "{} {}", running.base_url, running.token)?;
        }
        out.flush()?;
    }
    stopped().await
}

#[cfg(unix)]
async fn stopped() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn stopped() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Command::try_parse_from(std::iter::once("sandbox").chain(args.iter().copied())).map(|command| command.args)
    }

    #[test]
    fn faults_are_read() {
        let args = parse(&["--fault-seed", "7", "--fault-429", "0.25", "--fault-slow", "0.5:20", "--refuse", "x"]).unwrap();
        let options = args.options().unwrap();
        assert_eq!(options.faults.slow, Some((0.5, Duration::from_millis(20))));
        assert_eq!((options.faults.seed, options.faults.throttled), (7, 0.25));
        assert_eq!(options.behaviour.refuse, ["x"]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(parse(&["--fault-429", "1.5"]).is_err());
        assert!(parse(&["--fault-slow", "0.5"]).is_err());
        assert!(parse(&["--token", "two words"]).is_err());
        assert!(parse(&["--preset", "nosuch"]).unwrap().options().unwrap_err().to_string().contains("generic"));
    }

    #[test]
    fn the_token_is_not_shown() {
        let shown = format!("{:?}", parse(&["--token", "s3cret"]).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
