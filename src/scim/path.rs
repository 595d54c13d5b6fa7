//! Attribute paths (RFC 7644 section 3.5.2): `userName`, `name.givenName`, `emails[type eq "work"].value`,
//! `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.

use super::filter::Filter;

/// An attribute name with optional schema URN and sub-attribute. Compared without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttrPath {
    /// Schema URN in front, without the trailing colon.
    pub urn: Option<String>,
    /// Attribute name.
    pub name: String,
    /// Sub-attribute.
    pub sub: Option<String>,
}

/// A PATCH path: attribute, optional value filter, optional sub-attribute behind the filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// The attribute; with a filter its `sub` is `None`.
    pub attr: AttrPath,
    /// `[...]`.
    pub filter: Option<Filter>,
    /// Sub-attribute behind `]`.
    pub sub: Option<String>,
}
