//! mapping (stub until merged)
use crate::model::Flat;
use std::collections::BTreeSet;
/// d
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desired {
    /// a
    pub attrs: Flat,
    /// a
    pub active: bool,
    /// a
    pub clear: Vec<String>,
    /// a
    pub create_only: BTreeSet<String>,
    /// a
    pub user_id: Option<String>,
}
/// u
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmapped {
    /// r
    pub reason: String,
    /// a
    pub advice: String,
}
