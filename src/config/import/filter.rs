//! Scoping filters: groups of clauses (any group, all clauses of it) as one filter of RFC 7644.

use super::draft::Draft;
use crate::model::ObjectKind;
use serde::Deserialize;

/// A filter for which nobody takes part.
pub(super) const NOBODY: &str = "objectId eq null";

/// `filter` of an object mapping.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopingFilter {
    groups: Option<Vec<Group>>,
    input_filter_groups: Option<Vec<Group>>,
    category_filter_groups: Option<Vec<Group>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Group {
    name: Option<String>,
    clauses: Option<Vec<Clause>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Clause {
    operator_name: String,
    source_operand_name: String,
    target_operand: Option<Operand>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Operand {
    values: Option<Vec<String>>,
}

impl ScopingFilter {
    /// Puts the filter into the draft. A group with a clause that cannot be carried over is left out as a whole: then fewer
    /// take part than before, never more.
    pub(super) fn carry(self, draft: &mut Draft, object: ObjectKind) {
        let mut narrower = false;
        for (name, groups) in
            [("inputFilterGroups", self.input_filter_groups), ("categoryFilterGroups", self.category_filter_groups)]
        {
            if groups.is_some_and(|g| !g.is_empty()) {
                draft.leave_out(
                    format!("{name} of the {object} mapping"),
                    "experimental in Entra; nobody takes part until it is written into scope by hand",
                );
                narrower = true;
            }
        }
        if narrower {
            draft.side(object).scope = Some(NOBODY.to_owned());
            return;
        }
        let groups: Vec<Group> = self.groups.unwrap_or_default().into_iter().filter(|g| g.len() > 0).collect();
        if groups.is_empty() {
            return;
        }
        let mut any = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            match group.filter() {
                Ok(filter) => any.push(filter),
                Err(why) => {
                    let name = group.name.clone().filter(|n| !n.is_empty()).unwrap_or_else(|| format!("number {}", i + 1));
                    draft.leave_out(
                        format!("scoping filter {name:?} for {object}s"),
                        format!("{why}; whoever takes part by this filter alone does not take part until it is written"),
                    );
                }
            }
        }
        let filter = match &any[..] {
            [] => NOBODY.to_owned(),
            [one] => one.clone(),
            several => several.iter().map(|f| format!("({f})")).collect::<Vec<_>>().join(" or "),
        };
        draft.remarks.push(format!(
            "Filters for {object}s: here texts compare without case, and numbers as numbers; in Entra case counts."
        ));
        draft.scope(object, filter);
    }
}

impl Group {
    fn len(&self) -> usize {
        self.clauses.as_ref().map_or(0, Vec::len)
    }

    fn filter(&self) -> Result<String, String> {
        let clauses = self.clauses.iter().flatten().map(Clause::filter).collect::<Result<Vec<_>, _>>()?;
        match &clauses[..] {
            [one] => Ok(one.clone()),
            all => Ok(all
                .iter()
                .map(|c| if c.contains(" or ") { format!("({c})") } else { c.clone() })
                .collect::<Vec<_>>()
                .join(" and ")),
        }
    }
}

impl Clause {
    fn filter(&self) -> Result<String, String> {
        let attribute = self.source_operand_name.trim().trim_matches(['[', ']']);
        if attribute.is_empty() || !attribute.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$')) {
            return Err(format!("{:?} is not the name of an attribute", self.source_operand_name));
        }
        let values: Vec<&str> = self.target_operand.iter().flat_map(|o| o.values.iter().flatten()).map(String::as_str).collect();
        let operator: String = self.operator_name.to_uppercase().replace([' ', '_'], "");
        let each = |op: &str, join: &str| compare(attribute, op, &values, join);
        match operator.as_str() {
            "EQUALS" => each("eq", " or "),
            "NOTEQUALS" => each("ne", " and "),
            "INCLUDES" | "CONTAINS" => each("co", " or "),
            "STARTSWITH" => each("sw", " or "),
            "ENDSWITH" => each("ew", " or "),
            "ISTRUE" => Ok(format!("{attribute} eq true")),
            "ISFALSE" => Ok(format!("{attribute} eq false")),
            "ISNULL" => Ok(format!("{attribute} eq null")),
            "ISNOTNULL" => Ok(format!("{attribute} pr")),
            "REGEXMATCH" => matches(attribute, &values),
            // Of a value that is not there no clause holds.
            "NOTREGEXMATCH" => matches(attribute, &values).map(|f| format!("{attribute} pr and not ({f})")),
            "GREATERTHAN" => number(attribute, "gt", &values),
            "GREATERTHANOREQUALS" => number(attribute, "ge", &values),
            "&" | "!&" => Err(format!("bits of {attribute} cannot be compared in a filter")),
            _ => Err(format!("the operator {:?} is not known", self.operator_name)),
        }
    }
}

fn compare(attribute: &str, op: &str, values: &[&str], join: &str) -> Result<String, String> {
    if values.is_empty() {
        return Err(format!("there is no value to compare {attribute} with"));
    }
    let quoted = values.iter().map(|v| format!("{attribute} {op} {}", serde_json::Value::from(*v)));
    Ok(quoted.collect::<Vec<_>>().join(join))
}

/// Patterns tell letter case there, and do so here where that is said.
fn matches(attribute: &str, values: &[&str]) -> Result<String, String> {
    let patterns: Vec<String> = values.iter().map(|v| format!("(?-i){v}")).collect();
    compare(attribute, "matches", &patterns.iter().map(String::as_str).collect::<Vec<_>>(), " or ")
}

fn number(attribute: &str, op: &str, values: &[&str]) -> Result<String, String> {
    match values {
        [one] if one.trim().parse::<i64>().is_ok() => Ok(format!("{attribute} {op} {}", one.trim())),
        _ => Err(format!("{attribute} is not compared with one whole number")),
    }
}
