//! The page that shows what the sandbox holds: plain HTML, nothing loaded from elsewhere.

use super::render;
use super::server::Shared;
use super::store::{Record, Store};
use crate::model::ObjectKind;
use serde_json::Value;
use std::fmt::Write as _;

/// Rows shown of each kind.
const ROWS: usize = 200;

const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#222}table{border-collapse:collapse;\
margin:.5em 0 2em}th,td{text-align:left;padding:.2em .8em;border-bottom:1px solid #ddd;vertical-align:top}\
code{background:#f3f3f3;padding:0 .3em}.off{color:#999}";

/// The page.
pub(super) fn render(shared: &Shared) -> String {
    let store = shared.read();
    let mut page = String::with_capacity(16 * 1024);
    page.push_str("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>scim-sync sandbox</title><style>");
    page.push_str(STYLE);
    page.push_str("</style></head><body><h1>scim-sync sandbox</h1><p>SCIM 2.0 at <code>");
    escape(&mut page, &shared.base);
    page.push_str("</code>");
    if !shared.behaviour.application.is_empty() {
        page.push_str(", behaving as ");
        escape(&mut page, &shared.behaviour.application);
        page.push_str(" does");
    }
    page.push_str("</p>");
    users(&mut page, &store);
    groups(&mut page, &store);
    drop(store);
    requests(&mut page, shared);
    page.push_str("</body></html>");
    page
}

fn users(page: &mut String, store: &Store) {
    heading(page, store, ObjectKind::User, "Users", &["userName", "displayName", "active", "externalId", "groups"]);
    for record in store.table(ObjectKind::User).iter_from(0).take(ROWS) {
        let (doc, _) = render::take_apart(&record.body);
        let off = doc.get("active") == Some(&Value::Bool(false));
        page.push_str(if off { "<tr class=\"off\">" } else { "<tr>" });
        for name in ["userName", "displayName", "active", "externalId"] {
            cell(page, &text(doc.get(name)));
        }
        cell(page, &store.groups_of(&record.id).len().to_string());
        page.push_str("</tr>");
    }
    page.push_str("</table>");
}

fn groups(page: &mut String, store: &Store) {
    heading(page, store, ObjectKind::Group, "Groups", &["displayName", "externalId", "members"]);
    for record in store.table(ObjectKind::Group).iter_from(0).take(ROWS) {
        let (doc, _) = render::take_apart(&record.body);
        page.push_str("<tr>");
        for name in ["displayName", "externalId"] {
            cell(page, &text(doc.get(name)));
        }
        cell(page, &members(record));
        page.push_str("</tr>");
    }
    page.push_str("</table>");
}

fn members(record: &Record) -> String {
    record.members.as_deref().map_or(0, super::members::Members::len).to_string()
}

fn requests(page: &mut String, shared: &Shared) {
    let counts = shared.counters.counts();
    page.push_str("<h2>Last requests</h2><p>");
    for (method, count) in &counts.requests {
        // Writing to a String does not fail.
        let _ = write!(page, "{count} ");
        escape(page, method);
        page.push_str(" &nbsp; ");
    }
    let _ = write!(page, "({} that write)</p>", counts.writes);
    page.push_str("<table><tr><th>method</th><th>path</th><th>status</th><th>fault</th></tr>");
    for seen in shared.counters.last().iter().rev() {
        page.push_str("<tr>");
        cell(page, seen.method.as_str());
        let query = seen.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
        cell(page, &format!("{}{query}", seen.path));
        cell(page, seen.status.as_str());
        cell(page, seen.fault.as_deref().unwrap_or_default());
        page.push_str("</tr>");
    }
    page.push_str("</table>");
}

fn heading(page: &mut String, store: &Store, kind: ObjectKind, title: &str, columns: &[&str]) {
    let count = store.table(kind).len();
    let _ = write!(page, "<h2>{title}: {count}</h2>");
    if count > ROWS {
        let _ = write!(page, "<p>The first {ROWS}.</p>");
    }
    page.push_str("<table><tr>");
    for column in columns {
        let _ = write!(page, "<th>{column}</th>");
    }
    page.push_str("</tr>");
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn cell(page: &mut String, text: &str) {
    page.push_str("<td>");
    escape(page, text);
    page.push_str("</td>");
}

fn escape(page: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '&' => page.push_str("&amp;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            c => page.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_cannot_inject_markup() {
        let mut page = String::new();
        super::escape(&mut page, "<script>alert('a & \"b\"')</script>");
        assert_eq!(page, "&lt;script&gt;alert(&#39;a &amp; &quot;b&quot;&#39;)&lt;/script&gt;");
    }
}
