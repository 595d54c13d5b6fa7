//! An expression by itself, outside a mapping: as a command line gives it.

use super::Expr;
use super::attr::Context;
use crate::model::Entry;
use std::collections::BTreeSet;

impl Expr {
    /// The value for one entry, without surrounding blanks; `None` where there is none.
    ///
    /// # Errors
    /// A function refuses its arguments.
    pub fn text_of(&self, entry: &Entry) -> Result<Option<String>, String> {
        let context = Context::new(entry, None, entry.disabled);
        let value = self.0.eval(&context).map_err(|e| e.to_string())?;
        Ok(value.into_first().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()))
    }

    /// Source attributes that it reads, aliases included.
    #[must_use]
    pub fn source_attributes(&self) -> BTreeSet<String> {
        let mut found = Vec::new();
        self.0.attributes(&mut found);
        found.into_iter().flat_map(|a| a.names().iter().cloned()).collect()
    }
}
