//! Lists: filters and pages.

use super::Asked;
use super::http::Reply;
use super::org::Org;
use super::org::instant;
use super::serve::error;
use super::trouble::{Links, Trouble};
use serde_json::Value;

/// `a op "b" and c op "d" or ..`: the subset that Okta's `filter` takes.
pub struct Filter(Vec<Vec<(String, String, String)>>);

impl Filter {
    /// `fields`: name, and whether its values are ordered.
    pub fn parse(text: &str, fields: &[(&str, bool)]) -> Option<Self> {
        let mut any = Vec::new();
        for part in text.split(" or ") {
            let mut all = Vec::new();
            for clause in part.split(" and ") {
                let mut words = clause.trim().splitn(3, ' ');
                let (field, op, value) = (words.next()?, words.next()?, words.next()?);
                let value = value.strip_prefix('"')?.strip_suffix('"')?;
                let (_, ordered) = fields.iter().find(|(f, _)| *f == field)?;
                let known = op == "eq" || (*ordered && ["gt", "ge", "lt", "le"].contains(&op));
                if !known || (*ordered && value.parse::<jiff::Timestamp>().is_err()) {
                    return None;
                }
                all.push((field.to_owned(), op.to_owned(), value.to_owned()));
            }
            any.push(all);
        }
        Some(Self(any))
    }

    /// `value` gives a field's value; instants as milliseconds.
    pub fn holds(&self, value: impl Fn(&str) -> String) -> bool {
        self.0.iter().any(|all| {
            all.iter().all(|(field, op, expected)| {
                let actual = value(field);
                // Instants of one form are ordered as texts.
                let expected = expected.parse::<jiff::Timestamp>().map_or(expected.clone(), |t| instant(t.as_millisecond()));
                match op.as_str() {
                    "gt" => actual > expected,
                    "ge" => actual >= expected,
                    "lt" => actual < expected,
                    "le" => actual <= expected,
                    _ => actual == expected,
                }
            })
        })
    }
}

/// One page of `rows`, which are in the order of their ids; only those of the page are rendered.
pub fn page<'a, T: 'a>(
    (asked, base): (&Asked, &str),
    org: &Org,
    trouble: &Trouble,
    bounds: (usize, usize, usize),
    rows: impl Iterator<Item = (&'a String, T)>,
    render: impl Fn(&str, T) -> Value,
) -> Reply {
    let (default, least, most) = bounds;
    let limit = match asked.param("limit").map(str::parse::<usize>) {
        None => default,
        Some(Ok(n)) if (least..=most).contains(&n) => n,
        Some(_) => return error(400, "E0000001", "Api validation failed: limit"),
    };
    let limit = limit.min(org.page.unwrap_or(usize::MAX));
    let after = asked.param("after").map(|a| a.trim_start_matches("cursor,").to_owned());
    let mut rows = rows.filter(|(id, _)| after.as_ref().is_none_or(|a| *id > a)).peekable();
    let shown: Vec<(&String, T)> = rows.by_ref().take(limit).collect();
    let own = format!("{base}{}?{}", asked.path, query(asked, asked.param("after")));
    let mut links = vec![(format!("<{own}>; rel=\"self\""))];
    if rows.peek().is_some() {
        let last = shown.last().map(|(id, _)| format!("cursor,{id}"));
        let mut next = format!("{base}{}?{}", asked.path, query(asked, last.as_deref()));
        if trouble.circle {
            next = own;
        }
        if let Some(host) = &trouble.foreign {
            next = next.replace(base, host);
        }
        links.push(format!("<{next}>; rel=\"next\""));
    }
    if let Some(place) = trouble.endless {
        let after = format!("{}0", asked.param("after").unwrap_or(place));
        links = vec![format!("<{base}{}?{}>; rel=\"next\"", asked.path, query(asked, Some(&after)))];
    }
    let headers = match trouble.links {
        _ if trouble.links_lost.is_some_and(|(what, _)| what == asked.what())
            && (asked.param("after").is_some() || !trouble.links_lost_late) =>
        {
            trouble.links_lost.and_then(|(_, left)| left).map(|l| ("link", l.to_owned())).into_iter().collect()
        }
        Links::Several => links.into_iter().map(|l| ("link", l)).collect(),
        Links::NextFirst => links.into_iter().rev().map(|l| ("link", l)).collect(),
        Links::Folded => vec![("link", links.join(", "))],
    };
    let list: Vec<Value> = shown.into_iter().map(|(id, object)| render(id, object)).collect();
    Reply { status: 200, headers, body: Value::Array(list).to_string() }
}

pub fn query(asked: &Asked, after: Option<&str>) -> String {
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    out.extend_pairs(asked.query.iter().filter(|(n, _)| n != "after"));
    if let Some(after) = after {
        out.append_pair("after", after);
    }
    out.finish()
}
