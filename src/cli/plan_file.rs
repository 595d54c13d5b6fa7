//! The file that `plan --out` wrote, as far as commands read it back.

use super::CliError;
use crate::plan::digest::{self, Shown};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;
use std::io::BufReader;
use std::path::Path;

/// A plan file.
#[derive(Debug, Deserialize)]
pub(super) struct PlanFile {
    version: u32,
    pub plans: Vec<FilePlan>,
}

/// One plan of a file.
#[derive(Debug, Deserialize)]
pub(super) struct FilePlan {
    pub sync: String,
    pub digest: String,
    pub read: String,
    #[serde(default)]
    pub target_read: bool,
    /// When it was made: what `Now` tells in the mapping.
    #[serde(default)]
    at: Option<String>,
    pub changes: FileChanges,
}

impl FilePlan {
    /// Unix second at which it was made.
    pub(super) fn made_at(&self) -> Option<i64> {
        self.at.as_ref()?.parse::<jiff::Timestamp>().ok().map(|at| at.as_second())
    }
}

/// The changes of a plan, without their values: of a million of them only the name is kept.
#[derive(Debug)]
pub(super) struct FileChanges {
    pub list: Vec<FileChange>,
    /// The name of what stands there, values included.
    pub shown: String,
}

/// One change of a file.
#[derive(Debug)]
pub(super) struct FileChange {
    pub kind: String,
    pub who: String,
    pub source_key: String,
    pub id: String,
    /// It is as it was when the plan was made.
    pub whole: bool,
    /// Why it is held, where it was when the plan was made.
    pub held_reason: Option<String>,
}

/// One change as it stands in the file.
#[derive(Deserialize)]
struct WholeChange {
    kind: String,
    who: String,
    source_key: String,
    target_id: Option<String>,
    from: Value,
    to: Value,
    id: String,
    #[serde(default)]
    seal: String,
    #[serde(default)]
    held_reason: Option<String>,
}

impl<'de> Deserialize<'de> for FileChanges {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = FileChanges;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of changes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FileChanges, A::Error> {
                let (mut list, mut shown) = (Vec::new(), Shown::default());
                while let Some(c) = seq.next_element::<WholeChange>()? {
                    let WholeChange { kind, who, source_key, target_id, from, to, id, seal, held_reason } = c;
                    let whole = seal == digest::seal(&id, &kind, &who, &source_key, target_id.as_deref(), &from, &to);
                    shown.add(&kind, &source_key, target_id.as_deref(), from, to);
                    list.push(FileChange { kind, who, source_key, id, whole, held_reason });
                }
                Ok(FileChanges { list, shown: shown.finish() })
            }
        }
        d.deserialize_seq(Each)
    }
}

impl PlanFile {
    /// Reads a file that `plan --out` wrote.
    ///
    /// # Errors
    /// The file cannot be read, or is not a plan of this version.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let failed = |e: &dyn fmt::Display| {
            CliError::usage(format!("{}: not a plan that `scim-sync plan --out` wrote: {e}", path.display()))
        };
        let file = std::fs::File::open(path).map_err(|e| CliError::usage(format!("{}: {e}", path.display())))?;
        let plan: Self = serde_json::from_reader(BufReader::new(file)).map_err(|e| failed(&e))?;
        if plan.version == 1 { Ok(plan) } else { Err(failed(&format!("version {} is not known", plan.version))) }
    }

    /// The plan of this sync.
    pub(super) fn of(&self, sync: &str) -> Option<&FilePlan> {
        self.plans.iter().find(|p| p.sync == sync)
    }
}
