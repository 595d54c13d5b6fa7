//! The log: on stderr as text or JSON, or straight to the journal of systemd with its fields.

use crate::observe::REPORTED;
use clap::ValueEnum;
use std::io::IsTerminal;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;

/// What the log looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// To the journal, with fields, where stderr leads there; else text
    #[default]
    Auto,
    /// Lines for people on stderr
    Text,
    /// One JSON object a line on stderr
    Json,
}

/// Prefix of the journal's fields: `SCIM_SYNC_SYNC`, `SCIM_SYNC_CYCLE`, `SCIM_SYNC_WHO`.
const FIELDS: &str = "SCIM_SYNC";

/// Begins to log. Only this crate's own records are let through below warnings: the protocol libraries' debug records carry
/// whole messages, and with them passwords and tokens.
/// `reports`: the command itself says on paper what its report holds; once is enough there.
pub(super) fn start(format: LogFormat, verbosity: i8, no_color: bool, reports: bool) {
    let (own, others) = match verbosity {
        ..=-2 => (LevelFilter::OFF, LevelFilter::OFF),
        -1 => (LevelFilter::ERROR, LevelFilter::ERROR),
        0 => (LevelFilter::WARN, LevelFilter::WARN),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::WARN),
        _ => (LevelFilter::TRACE, LevelFilter::WARN),
    };
    let filter = Targets::new().with_default(others).with_target("scim_sync", own);
    let filter = if reports && verbosity == 0 { filter.with_target(REPORTED, LevelFilter::OFF) } else { filter };
    let with_target = verbosity >= 2;
    let journal = if format == LogFormat::Auto && leads_to_the_journal() { journal() } else { None };
    let layer = match (journal, format) {
        (Some(journal), _) => journal,
        (None, LogFormat::Json) => {
            let json = tracing_subscriber::fmt::layer().json().flatten_event(true);
            json.with_writer(std::io::stderr).with_target(with_target).boxed()
        }
        (None, LogFormat::Auto | LogFormat::Text) => tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(!no_color && std::io::stderr().is_terminal())
            .with_target(with_target)
            .boxed(),
    };
    // An error only means that a subscriber is installed already.
    let _ = tracing_subscriber::registry().with(layer).with(filter).try_init();
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

#[cfg(unix)]
fn journal() -> Option<Boxed> {
    use tracing_journald::{Priority, PriorityMappings};
    let priorities = PriorityMappings { info: Priority::Informational, debug: Priority::Debug, ..PriorityMappings::new() };
    let journal = tracing_journald::layer().ok()?;
    Some(journal.with_field_prefix(Some(FIELDS.to_owned())).with_priority_mappings(priorities).boxed())
}

#[cfg(not(unix))]
fn journal() -> Option<Boxed> {
    None
}

/// Whether stderr is the stream to the journal that systemd names in `$JOURNAL_STREAM` (systemd.exec(5)): device and inode.
#[cfg(unix)]
fn leads_to_the_journal() -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() else { return false };
    std::fs::File::from(stderr).metadata().is_ok_and(|m| is_stream(&stream, m.dev(), m.ino()))
}

#[cfg(not(unix))]
fn leads_to_the_journal() -> bool {
    false
}

/// Whether `DEVICE:INODE` names this one.
fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream.split_once(':').is_some_and(|(d, i)| d.parse() == Ok(device) && i.parse() == Ok(inode))
}

#[cfg(test)]
mod tests {
    use super::is_stream;

    #[test]
    fn the_stream_is_named_by_device_and_inode() {
        assert!(is_stream("9:10572", 9, 10572));
        for other in ["9:10573", "8:10572", "", ":", "9", "9:", "x:10572", "9:10572:1", "-9:10572"] {
            assert!(!is_stream(other, 9, 10572), "{other}");
        }
    }
}
