//! What an expression gives: nothing, one text, or several texts.

use std::borrow::Cow;

/// Most bytes that one result may have.
pub(super) const MAX_RESULT: usize = 64 * 1024;

/// Most bytes that all functions of one expression may handle for one entry.
pub(super) const MAX_WORK: usize = 1024 * 1024;

/// Why an expression gives no result for one entry. The text names the function and the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct EvalError(pub String);

/// The result of an expression. Null is its own value and never becomes text by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Val<'a> {
    /// No value.
    Null,
    /// One text, possibly empty.
    One(Cow<'a, str>),
    /// Several texts.
    Many(Vec<Cow<'a, str>>),
}

impl<'a> Val<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::One(text.into())
    }

    /// Truth as Entra writes it.
    pub(super) fn truth(holds: bool) -> Self {
        Self::One(Cow::Borrowed(truth_text(holds)))
    }

    /// No text: null; one: that; else all.
    pub(super) fn many(mut texts: Vec<Cow<'a, str>>) -> Self {
        match texts.len() {
            0 => Self::Null,
            1 => texts.pop().map_or(Self::Null, Self::One),
            _ => Self::Many(texts),
        }
    }

    /// The first text: what a single-valued attribute takes of a multi-valued one, as Entra does.
    pub(super) fn into_first(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Null => None,
            Self::One(text) => Some(text),
            Self::Many(texts) => texts.into_iter().next(),
        }
    }

    /// All texts.
    pub(super) fn into_all(self) -> Vec<Cow<'a, str>> {
        match self {
            Self::Null => Vec::new(),
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }

    /// Applies `f` to each text; null stays null.
    pub(super) fn map(self, mut f: impl FnMut(Cow<'a, str>) -> Cow<'a, str>) -> Self {
        match self {
            Self::Null => Self::Null,
            Self::One(text) => Self::One(f(text)),
            Self::Many(texts) => Self::Many(texts.into_iter().map(f).collect()),
        }
    }

    /// Bytes of all texts.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::One(text) => text.len(),
            Self::Many(texts) => texts.iter().map(|t| t.len()).sum(),
        }
    }
}

/// `True` or `False`.
pub(super) fn truth_text(holds: bool) -> &'static str {
    if holds { "True" } else { "False" }
}
