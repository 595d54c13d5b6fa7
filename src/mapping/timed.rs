//! Rows whose value tells the time (`Now`): it is another one whenever somebody looks.

use super::Expr;
use super::expr::Node;
use super::mapper::Mapper;
use super::rows::CompiledRow;
use super::spec::{Spec, toml_key};
use crate::model::ObjectKind;
use std::collections::BTreeSet;

impl Node {
    /// Whether the time is in the result, not only in what decides about it.
    fn tells_time(&self) -> bool {
        match self {
            Self::Attr(_) | Self::Text(_) | Self::Number(_) | Self::Empty | Self::Compare(..) => false,
            Self::Call(call) => match call.function.name {
                "Now" => true,
                // A number of days from now, which moves on with the calendar and no faster.
                "DateDiff" => false,
                "IIF" => call.args.iter().skip(1).any(Self::tells_time),
                "Switch" => call.args.iter().skip(1).step_by(2).any(Self::tells_time),
                _ => call.args.iter().any(Self::tells_time),
            },
        }
    }
}

impl Mapper {
    /// Paths whose value tells the time. Who approved or refused a change did not mean the second at which it was planned.
    #[must_use]
    pub fn telling_time(&self) -> &BTreeSet<String> {
        &self.telling
    }
}

/// Paths of the rows whose value tells the time.
pub(super) fn telling(rows: &[CompiledRow]) -> impl Iterator<Item = String> + '_ {
    rows.iter().filter(|row| row.expr.0.tells_time()).map(|row| row.path.clone())
}

/// Keys below the `[[sync]]` of rows that would be written anew in every cycle: their value tells the time, and not only a new
/// account gets it.
#[must_use]
pub fn restless_rows(spec: &Spec) -> Vec<String> {
    let rows = |object: ObjectKind, rows: &[super::Row]| -> Vec<String> {
        let restless = rows.iter().filter(|r| !r.create_only && r.expr.parse::<Expr>().is_ok_and(|e| e.0.tells_time()));
        restless.map(|r| format!("map.{object}.{}", toml_key(&r.path))).collect()
    };
    [rows(ObjectKind::User, &spec.users), rows(ObjectKind::Group, &spec.groups)].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Row, Spec};
    use super::restless_rows;

    #[test]
    fn what_is_compared_with_the_time_does_not_tell_it() {
        for (expr, restless) in [
            ("Now()", true),
            ("FormatDateTime(Now(), , \"M/d/yyyy h:mm:ss tt\", \"yyyy-MM-dd\")", true),
            ("Coalesce([title], DateAdd(\"d\", 7, Now()))", true),
            ("IIF([title] = \"x\", Now(), \"never\")", true),
            ("Switch([title], Now(), \"a\", \"b\")", true),
            ("IIF(DateDiff(\"d\", Now(), CDate([hireDate])) > 5, \"False\", \"True\")", false),
            ("IIF(Now() > [title], \"a\", \"b\")", false),
            ("Switch(FormatDateTime(Now(), , \"M/d/yyyy h:mm:ss tt\", \"MM\"), \"a\", \"12\", \"b\")", false),
            ("DateDiff(\"yyyy\", [hireDate], Now())", false),
            ("[title]", false),
        ] {
            let row = Row { path: "title".to_owned(), expr: expr.to_owned(), ..Row::default() };
            let spec = Spec { users: vec![row.clone()], ..Spec::default() };
            assert_eq!(restless_rows(&spec), if restless { vec!["map.user.title".to_owned()] } else { vec![] }, "{expr}");
            let once = Spec { users: vec![Row { create_only: true, ..row }], ..Spec::default() };
            assert_eq!(restless_rows(&once), Vec::<String>::new(), "{expr}");
        }
    }
}
