//! Who must know of trouble is told: by mail, by webhook. [`decide()`] says what and when, a task for each channel delivers.

mod decide;
mod message;
mod queue;
mod smtp;
pub mod webhook;

pub use decide::{GAPS, Standing, decide};
pub use message::{Event, Message};

use super::Outcome;
use crate::config::Config;
use crate::exit::Exit;
use queue::{Channel, Pending, Sender};
use serde::{Deserialize, Serialize};
use smtp::Mail;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use webhook::Webhook;

/// Why nobody can be told: a mistake in `[notify]` that only shows when it is used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotifyError(String);

impl NotifyError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::Config
    }
}

/// Tells whoever must know. One for a configuration; made anew when that changes, with the memory of the one before.
pub struct Notifier {
    standings: Mutex<BTreeMap<String, Standing>>,
    channels: Vec<Arc<Channel>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// What outlives a process: what was told, and what is still to be delivered.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    version: u32,
    syncs: BTreeMap<String, Standing>,
    pending: BTreeMap<String, Vec<Pending>>,
}

const VERSION: u32 = 1;

impl Notifier {
    /// Begins to deliver, from within a tokio runtime. `memory` is what [`Self::memory`] gave; one that cannot be read
    /// counts as none, and then something may be told twice.
    ///
    /// # Errors
    /// A CA file or proxy of `[notify]` cannot be used.
    pub fn new(config: &Config, memory: Option<&str>) -> Result<Self, NotifyError> {
        let mut memory = memory.map(remembered).unwrap_or_default();
        memory.syncs.retain(|name, _| config.sync(name).is_some());
        let channels: Vec<Arc<Channel>> = senders(config)?
            .into_iter()
            .map(|(name, sender)| Channel::new(name, sender, memory.pending.remove(name).unwrap_or_default()))
            .collect();
        let tasks = channels.iter().map(|c| tokio::spawn(Arc::clone(c).run())).collect();
        Ok(Self { standings: Mutex::new(memory.syncs), channels, tasks })
    }

    /// A cycle ended: whoever must know is told. Never waits.
    pub fn cycle(&self, outcome: &Outcome) {
        if self.channels.is_empty() {
            return;
        }
        let mut standings = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
        let before = standings.get(&outcome.sync).cloned().unwrap_or_default();
        let (after, message) = decide(&before, outcome, queue::clock());
        if after.is_empty() {
            standings.remove(&outcome.sync);
        } else {
            standings.insert(outcome.sync.clone(), after);
        }
        drop(standings);
        if let Some(message) = message {
            for channel in &self.channels {
                channel.push(message.clone());
            }
        }
    }

    /// What is to be kept, so that the next process does not tell everything again: one JSON text.
    #[must_use]
    pub fn memory(&self) -> String {
        let syncs = self.standings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pending = self.channels.iter().map(|c| (c.name.to_owned(), c.waiting())).filter(|(_, p)| !p.is_empty()).collect();
        serde_json::to_string(&Memory { version: VERSION, syncs, pending }).unwrap_or_default()
    }

    /// Gives what was just said a chance to go out, at most for `grace`. For the end of the process; what did not go out is in
    /// [`Self::memory`].
    pub async fn flush(&self, grace: Duration) {
        let tried = async {
            while !self.channels.iter().all(|c| c.is_tried()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // Whether they went out or the time was up: the memory knows.
        let _ = tokio::time::timeout(grace, tried).await;
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

fn remembered(text: &str) -> Memory {
    match serde_json::from_str::<Memory>(text) {
        Ok(memory) if memory.version == VERSION => memory,
        _ => {
            tracing::warn!("what was told before cannot be read: something may be told twice");
            Memory::default()
        }
    }
}

fn senders(config: &Config) -> Result<Vec<(&'static str, Sender)>, NotifyError> {
    let mut out = Vec::new();
    let Some(notify) = &config.notify else { return Ok(out) };
    if let Some(smtp) = &notify.smtp {
        out.push(("smtp", Sender::Mail(Box::new(Mail::new(smtp, config)?))));
    }
    if let Some(webhook) = &notify.webhook {
        out.push(("webhook", Sender::Webhook(Webhook::new(webhook)?)));
    }
    Ok(out)
}

/// What a channel said to a test message: facts in order, or why it did not go out.
pub type Tried = (&'static str, Result<Vec<(String, String)>, String>);

/// Sends a test message to everybody on every channel, once, and waits for the answer.
///
/// # Errors
/// A CA file or proxy of `[notify]` cannot be used.
pub async fn test(config: &Config) -> Result<Vec<Tried>, NotifyError> {
    let message = message::test(queue::clock());
    let mut out = Vec::new();
    for (name, sender) in senders(config)? {
        let fact = |name: &str, value: String| (name.to_owned(), value);
        let facts = match &sender {
            Sender::Mail(mail) => {
                let (server, how) = mail.server();
                let to = mail.everybody().into_iter().collect::<Vec<_>>().join(", ");
                vec![fact("server", server), fact("encryption", how.to_owned()), fact("test message to", to)]
            }
            Sender::Webhook(webhook) => {
                let (server, how) = webhook.server();
                vec![fact("server", server), fact("signature", how.to_owned())]
            }
        };
        let sent = sender.send(&message, &mut BTreeSet::new()).await;
        out.push((name, sent.map(|()| facts)));
    }
    Ok(out)
}
