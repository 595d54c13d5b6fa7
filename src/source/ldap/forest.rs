//! One source over all domains of a forest: each is read on its own, and the whole counts only if every part does.

use super::{Domain, incremental, now};
use crate::source::{Completeness, Cursor, ReadDone, ReadRequest, Sink, SourceError};

/// Reads every domain, one after the other: in full, or since the cursor.
///
/// # Errors
/// Whatever keeps one of them from being read completely.
pub(super) async fn read(domains: &[Domain], request: &ReadRequest, sink: &Sink) -> Result<ReadDone, SourceError> {
    let mut since = Vec::new();
    if let (Some(cursor), Some(first)) = (&request.since, domains.first()) {
        since = split(cursor, domains.len()).ok_or_else(|| SourceError::CursorExpired {
            source_name: first.inner.name.clone(),
            message: "it is not of these domains".to_owned(),
        })?;
    }
    let mut parts = Vec::with_capacity(domains.len());
    for (i, domain) in domains.iter().enumerate() {
        let (sink, since) = (sink.clone(), since.get(i).cloned().map(Cursor));
        let request = ReadRequest { since, ..request.clone() };
        let part = domain
            .with_session(async move |session, inner| incremental::read(session, &inner.config, &request, &sink, now()).await);
        let mut part = part.await?;
        if domains.len() > 1 {
            let base = &domain.inner.config.base;
            part.warnings.iter_mut().for_each(|w| *w = format!("{base}: {w}"));
        }
        parts.push(part);
    }
    Ok(whole(parts))
}

/// The whole of several reads: it names as much as the one that names least, and can be gone on from where all of them can.
fn whole(parts: Vec<ReadDone>) -> ReadDone {
    let mut cursors = Some(Vec::with_capacity(parts.len()));
    let mut done = ReadDone {
        completeness: Completeness::Full,
        cursor: None,
        references: 0,
        clock_skew_s: None,
        warnings: Vec::new(),
        parts: Vec::new(),
    };
    let several = parts.len() > 1;
    for part in parts {
        done.completeness = match (done.completeness, part.completeness) {
            (Completeness::Incremental, _) | (_, Completeness::Incremental) => Completeness::Incremental,
            (Completeness::Keys, _) | (_, Completeness::Keys) => Completeness::Keys,
            (Completeness::Full, Completeness::Full) => Completeness::Full,
        };
        cursors = cursors.zip(part.cursor).map(|(mut all, one)| {
            all.push(one);
            all
        });
        done.references += part.references;
        // The clock that is furthest off decides whether any may be trusted.
        done.clock_skew_s = [done.clock_skew_s, part.clock_skew_s].into_iter().flatten().max_by_key(|skew| skew.unsigned_abs());
        done.warnings.extend(part.warnings);
        if several {
            done.parts.extend(part.parts);
        }
    }
    done.cursor = cursors.and_then(join);
    done
}

/// One domain's cursor stands as it is; several stand in a JSON list.
fn join(mut cursors: Vec<Cursor>) -> Option<Cursor> {
    match cursors.len() {
        1 => cursors.pop(),
        _ => serde_json::to_string(&cursors.iter().map(|c| c.0.as_str()).collect::<Vec<_>>()).ok().map(Cursor),
    }
}

fn split(cursor: &Cursor, domains: usize) -> Option<Vec<String>> {
    if domains == 1 {
        return Some(vec![cursor.0.clone()]);
    }
    serde_json::from_str::<Vec<String>>(&cursor.0).ok().filter(|all| all.len() == domains)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn part(completeness: Completeness, cursor: Option<&str>, skew: i64) -> ReadDone {
        let cursor = cursor.map(|c| Cursor(c.to_owned()));
        let parts = vec![crate::source::Part { name: "dc=x".to_owned(), has_people: true }];
        ReadDone { completeness, cursor, references: 1, clock_skew_s: Some(skew), warnings: vec!["w".to_owned()], parts }
    }

    #[test]
    fn the_whole_is_as_complete_as_its_weakest_part() {
        use Completeness::{Full, Incremental, Keys};
        let of = |a, b| whole(vec![part(a, None, 0), part(b, None, 0)]).completeness;
        assert_eq!((of(Full, Full), of(Full, Keys), of(Keys, Incremental)), (Full, Keys, Incremental));
        let done = whole(vec![part(Full, None, 5), part(Full, Some("b"), -9)]);
        assert_eq!((done.references, done.clock_skew_s, done.warnings.len(), done.cursor), (2, Some(-9), 2, None));
    }

    #[test]
    fn cursors_go_together_and_come_apart() {
        let one = whole(vec![part(Completeness::Full, Some("a"), 0)]);
        assert_eq!(one.parts, [], "a directory by itself is no part of one");
        let one = one.cursor.unwrap();
        assert_eq!((one.0.as_str(), split(&one, 1).unwrap()), ("a", vec!["a".to_owned()]));
        let two = whole(vec![part(Completeness::Full, Some("a"), 0), part(Completeness::Full, Some("b"), 0)]).cursor.unwrap();
        assert_eq!(split(&two, 2).unwrap(), ["a", "b"]);
        assert_eq!(split(&two, 3), None);
        assert_eq!(split(&Cursor("{}".to_owned()), 2), None);
    }
}
