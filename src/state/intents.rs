//! Intents: what is about to be sent, on disk before it is, so that a killed cycle can find out what became of it.

use super::{StateError, Store};
use crate::model::{Flat, TargetId};
use crate::plan::Kind;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One write that is about to be sent. Enough to find out after a crash whether it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentItem<'a> {
    /// Kind of change.
    pub kind: Kind,
    /// The entry.
    pub entry_id: i64,
    /// Source key.
    pub key: String,
    /// For people to read.
    pub who: String,
    /// userName or displayName that is sent (creates).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// externalId that is sent (creates).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The resource that is sent, as it will be known (creates).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Cow<'a, Flat>>,
    /// Members of the change, in its order (membership changes).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<i64>,
    /// Those of them who are in no request: they stay where they are for now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsent: Vec<i64>,
    /// Carried out under an approval.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approved: bool,
    /// And under which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Vec<u8>>,
    /// What is changed (renames): with it one that arrived can be booked after a crash, before-image and all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename: Option<Box<SentTo>>,
    /// What is written to an account that was there and is taken over (adoptions, and creates that met one): it is not of our
    /// making, though it bears our externalId from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopts: Option<Box<SentTo>>,
}

/// What is about to be sent to an account or group that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentTo {
    /// The account.
    pub target_id: TargetId,
    /// What is there, of the paths that change.
    pub from: Flat,
    /// What is sent.
    pub to: Flat,
    /// The resource as it will be known.
    pub pushed: Flat,
}

/// A batch of intents whose results are not all in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIntent {
    /// Row id.
    pub id: i64,
    /// The cycle that wrote it.
    pub cycle: i64,
    /// When that cycle began (Unix second): nothing of it can be older.
    pub began: i64,
    /// Its writes.
    pub items: Vec<IntentItem<'static>>,
}

impl Store {
    /// Writes the intent of a batch. Durable when the surrounding transaction is committed.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn intent_add(&self, sync: i64, cycle: i64, items: &[IntentItem<'_>]) -> Result<i64, StateError> {
        let json = serde_json::to_string(items).map_err(|e| self.damaged(e.to_string()))?;
        self.run(|c| {
            c.prepare_cached("INSERT INTO intent (sync_id, cycle, items) VALUES (?1, ?2, ?3)")?
                .execute(params![sync, cycle, json])?;
            Ok(c.last_insert_rowid())
        })
    }

    /// All results of a batch are in the journal.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn intent_close(&self, id: i64) -> Result<(), StateError> {
        self.run(|c| c.prepare_cached("DELETE FROM intent WHERE id = ?1")?.execute([id])).map(drop)
    }

    /// Batches that an interrupted cycle left open.
    ///
    /// # Errors
    /// The store cannot be read, or a row is damaged.
    pub fn open_intents(&self, sync: i64) -> Result<Vec<OpenIntent>, StateError> {
        let rows: Vec<(i64, i64, i64, String)> = self.run(|c| {
            let mut st = c.prepare(
                "SELECT i.id, i.cycle, coalesce(y.started, 0), i.items FROM intent i LEFT JOIN cycle y ON y.id = i.cycle
                 WHERE i.sync_id = ?1 ORDER BY i.id",
            )?;
            let rows = st.query_map([sync], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
            rows.collect()
        })?;
        rows.into_iter()
            .map(|(id, cycle, began, json)| {
                let items = serde_json::from_str(&json).map_err(|e| self.damaged(format!("intent {id}: {e}")))?;
                Ok(OpenIntent { id, cycle, began, items })
            })
            .collect()
    }

    /// Notes that the create of an entry met an account that was there, before anything is written to it. Nothing happens where
    /// the batch has no such create.
    ///
    /// # Errors
    /// The store cannot be read or written, or the row is damaged.
    pub fn intent_adopts(&self, batch: i64, entry: i64, sent: &SentTo) -> Result<(), StateError> {
        let json: Option<String> =
            self.run(|c| c.query_row("SELECT items FROM intent WHERE id = ?1", [batch], |r| r.get(0)).optional())?;
        let Some(json) = json else { return Ok(()) };
        let mut items: Vec<IntentItem<'_>> =
            serde_json::from_str(&json).map_err(|e| self.damaged(format!("intent {batch}: {e}")))?;
        for item in &mut items {
            if item.entry_id == entry && matches!(item.kind, Kind::Create | Kind::GroupCreate) {
                item.adopts = Some(Box::new(sent.clone()));
            }
        }
        self.intent_keep(batch, &items)
    }

    /// Leaves only these writes of a batch open.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn intent_keep(&self, id: i64, items: &[IntentItem<'_>]) -> Result<(), StateError> {
        let json = serde_json::to_string(items).map_err(|e| self.damaged(e.to_string()))?;
        self.run(|c| c.execute("UPDATE intent SET items = ?2 WHERE id = ?1", params![id, json])).map(drop)
    }
}
