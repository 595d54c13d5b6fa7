//! Attribute paths (RFC 7644 section 3.5.2): `userName`, `name.givenName`, `emails[type eq "work"].value`,
//! `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.

use super::filter::Filter;
use super::parse::{self, ParseError};
use std::fmt;
use std::str::FromStr;

/// An attribute name with optional schema URN and sub-attribute. Compared without case (RFC 7643 section 2.1): use
/// [`AttrPath::same`]; `==` compares the spelling.
///
/// A schema URN alone (`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`) means the whole extension: `urn` is
/// set and `name` is empty, see [`AttrPath::is_whole_extension`]. Where the URN ends is not marked in the text. The rule
/// here: behind the last segment that is a version (`2.0`) the URN has one more segment, the resource type; without a
/// version it ends at the last colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttrPath {
    /// Schema URN in front, without the trailing colon.
    pub urn: Option<String>,
    /// Attribute name; empty when the URN stands alone.
    pub name: String,
    /// Sub-attribute.
    pub sub: Option<String>,
}

impl AttrPath {
    /// A plain attribute without URN and sub-attribute.
    #[must_use]
    pub fn plain(name: impl Into<String>) -> Self {
        Self { urn: None, name: name.into(), sub: None }
    }

    /// Whether this is a schema URN alone: the whole extension.
    #[must_use]
    pub fn is_whole_extension(&self) -> bool {
        self.urn.is_some() && self.name.is_empty()
    }

    /// Whether both name the same attribute, without case.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        fn same(a: Option<&str>, b: Option<&str>) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
                (None, None) => true,
                _ => false,
            }
        }
        self.name.eq_ignore_ascii_case(&other.name)
            && same(self.urn.as_deref(), other.urn.as_deref())
            && same(self.sub.as_deref(), other.sub.as_deref())
    }
}

impl FromStr for AttrPath {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        parse::attr_path(s)
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            f.write_str(urn)?;
            if !self.name.is_empty() {
                f.write_str(":")?;
            }
        }
        f.write_str(&self.name)?;
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
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

impl FromStr for Path {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        parse::path(s)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.attr)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}
