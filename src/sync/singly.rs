//! Records that are read one by one. One that cannot be read is one record, as long as the target serves the others: what is
//! known of it stays, and nobody else waits for it.

use super::CycleError;
use crate::model::{ObjectKind, TargetId};
use crate::target::{Remote, TargetError, TargetReader};
use std::fmt::Display;

/// Records in a row that cannot be read, after which it is nobody's own fault.
const IN_A_ROW: usize = 8;

/// What a look at one record shows.
pub(super) enum Seen {
    /// It is there.
    There(Box<Remote>),
    /// The target says that it is not there.
    Nowhere,
    /// It cannot be read now, for this reason; others can.
    Unknown(TargetError),
}

/// Judges the answers, one after another.
pub(super) struct Singly<'a> {
    reader: &'a TargetReader,
    unknown_in_a_row: usize,
}

impl<'a> Singly<'a> {
    pub(super) fn new(reader: &'a TargetReader) -> Self {
        Self { reader, unknown_in_a_row: 0 }
    }

    /// Asks for one record.
    ///
    /// # Errors
    /// The target as a whole is at fault.
    pub(super) async fn get(&mut self, kind: ObjectKind, id: &TargetId) -> Result<Seen, CycleError> {
        let answer = self.reader.get(kind, id).await;
        self.judge(kind, id, answer).await
    }

    /// What an answer about this record means.
    ///
    /// # Errors
    /// The target as a whole is at fault.
    pub(super) async fn judge(
        &mut self,
        kind: ObjectKind,
        id: &TargetId,
        answer: Result<Option<Remote>, TargetError>,
    ) -> Result<Seen, CycleError> {
        Ok(match self.heard(kind, id, answer).await? {
            Ok(Some(there)) => Seen::There(Box::new(there)),
            Ok(None) => Seen::Nowhere,
            Err(e) => Seen::Unknown(e),
        })
    }

    /// The answer about `what`, or the fault that is this one record's own.
    ///
    /// # Errors
    /// The target as a whole is at fault.
    pub(super) async fn heard<T>(
        &mut self,
        kind: ObjectKind,
        what: &impl Display,
        answer: Result<T, TargetError>,
    ) -> Result<Result<T, TargetError>, CycleError> {
        let error = match answer {
            Ok(heard) => {
                self.unknown_in_a_row = 0;
                return Ok(Ok(heard));
            }
            Err(e) => e,
        };
        self.unknown_in_a_row += 1;
        if error.secret || error.status == Some(401) || self.unknown_in_a_row >= IN_A_ROW {
            return Err(error.into());
        }
        self.reader.serves(kind, &error).await?;
        tracing::warn!("the {kind} {what} cannot be read; what is known of it stays: {error}");
        Ok(Err(error))
    }
}
