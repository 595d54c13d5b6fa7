//! Ids in memory: a million memberships are kept until a round of groups is complete, and a GUID as text takes four times
//! the room.

use crate::model::{MemberRef, SourceKey};

/// An object id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(from = "String")]
pub enum Id {
    /// A GUID in its usual form.
    Guid([u8; 16]),
    /// Any other text.
    Other(Box<str>),
}

impl Id {
    /// Of a text; [`Id::text`] gives exactly that text back.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match uuid::Uuid::try_parse(text) {
            Ok(guid) if guid.as_hyphenated().to_string() == text => Self::Guid(guid.into_bytes()),
            _ => Self::Other(text.into()),
        }
    }

    /// What tells it from others.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        match self {
            Self::Guid(octets) => octets,
            Self::Other(text) => text.as_bytes(),
        }
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Guid(octets) => uuid::Uuid::from_bytes(*octets).as_hyphenated().to_string(),
            Self::Other(text) => text.to_string(),
        }
    }

    /// As a member of a group.
    #[must_use]
    pub fn member(&self) -> MemberRef {
        MemberRef::Key(SourceKey(self.text()))
    }
}

impl From<String> for Id {
    fn from(text: String) -> Self {
        Self::of(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_as_it_was() {
        for text in [
            "6e7b768e-07e2-4810-8459-485f84f8f204",
            "6E7B768E-07E2-4810-8459-485F84F8F204",
            "u-1",
            "",
            "6e7b768e07e248108459485f84f8f204",
        ] {
            assert_eq!(Id::of(text).text(), text);
        }
        assert!(std::mem::size_of::<Id>() <= 24);
    }
}
