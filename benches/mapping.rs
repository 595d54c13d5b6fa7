//! What the mapping language costs beside a closure in Rust that does the same: 100,000 people through 12 expressions.
//!
//! ```text
//! cargo bench --bench mapping
//! ```
//!
//! It judges nothing: exit code 0. docs/benchmarks.md says what was measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use scim_sync::mapping::{Mapper, Row, Spec};
use scim_sync::model::{Attrs, Entry, ObjectKind, SourceKey, Value};
use std::collections::BTreeMap;
use std::time::Duration;

const PEOPLE: usize = 100_000;
const TURNS: usize = 5;

/// Twelve rows as guides have them.
const ROWS: [(&str, &str); 12] = [
    ("userName", "[mail]"),
    ("externalId", "[objectId]"),
    ("active", "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")"),
    ("displayName", "Join(\" \", [givenName], [surname])"),
    ("name.givenName", "[givenName]"),
    ("name.familyName", "ToUpper([surname])"),
    ("emails[type eq \"work\"].value", "ToLower([mail])"),
    ("nickName", "Append(Mid([givenName], 1, 3), Mid([surname], 1, 5))"),
    ("title", "Coalesce([jobTitle], [title], \"none\")"),
    ("locale", "Switch([c], \"en\", \"DK\", \"da\", \"SE\", \"sv\", \"DE\", \"de\")"),
    ("phoneNumbers[type eq \"work\"].value", "Replace([telephoneNumber], , \"[()\\s-]+\", , \"\", , )"),
    ("addresses[type eq \"work\"].formatted", "IIF([c] = \"DK\", [physicalDeliveryOfficeName], NormalizeDiacritics([city]))"),
];

fn people() -> Vec<Entry> {
    let countries = ["DK", "SE", "DE", "NO"];
    (0..PEOPLE)
        .map(|i| {
            let mut attrs = Attrs::new();
            let mut set = |name: &str, value: String| attrs.set(name, vec![Value::Text(value)]);
            set("mail", format!("Given{i}.Family{i}@Corp.Example"));
            set("givenName", format!("Given{i}"));
            set("sn", format!("Family{i}"));
            set("c", countries[i % 4].to_owned());
            set("telephoneNumber", format!("+45 (12) 34-{i:06}"));
            set("physicalDeliveryOfficeName", format!("Office {}", i % 100));
            set("city", "Malmö".to_owned());
            if i % 3 == 0 {
                set("title", "Adviser".to_owned());
            }
            Entry {
                kind: ObjectKind::User,
                key: SourceKey(format!("{i:032x}")),
                dn: None,
                names: Vec::new(),
                attrs,
                members: Vec::new(),
                disabled: i % 50 == 0,
                due: None,
            }
        })
        .collect()
}

/// The same twelve values without the language.
fn by_hand(e: &Entry, digits: &regex::Regex) -> BTreeMap<String, serde_json::Value> {
    let text = |name: &str| e.attrs.text(name).unwrap_or_default();
    let (given, family, mail, country) = (text("givenName"), text("sn"), text("mail"), text("c"));
    let cut = |s: &str, n: usize| s.chars().take(n).collect::<String>();
    let locale = match country {
        "DK" => "da",
        "SE" => "sv",
        "DE" => "de",
        _ => "en",
    };
    let office = if country == "DK" { text("physicalDeliveryOfficeName").to_owned() } else { text("city").replace('ö', "o") };
    let title = e.attrs.text("jobTitle").or(e.attrs.text("title")).unwrap_or("none");
    BTreeMap::from([
        ("userName".to_owned(), mail.into()),
        ("externalId".to_owned(), e.key.as_str().into()),
        ("active".to_owned(), (!e.disabled).into()),
        ("displayName".to_owned(), format!("{given} {family}").into()),
        ("name.givenName".to_owned(), given.into()),
        ("name.familyName".to_owned(), family.to_uppercase().into()),
        ("emails[type eq \"work\"].value".to_owned(), mail.to_lowercase().into()),
        ("nickName".to_owned(), format!("{}{}", cut(given, 3), cut(family, 5)).into()),
        ("title".to_owned(), title.into()),
        ("locale".to_owned(), locale.into()),
        ("phoneNumbers[type eq \"work\"].value".to_owned(), digits.replace_all(text("telephoneNumber"), "").into()),
        ("addresses[type eq \"work\"].formatted".to_owned(), office.into()),
    ])
}

/// CPU time of this thread (proc(5), schedstat: nanoseconds on the CPU).
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

fn measured(mut work: impl FnMut() -> usize) -> (Duration, usize) {
    let before = cpu();
    let values = work();
    (cpu() - before, values)
}

fn main() {
    // `cargo test --benches` runs benchmarks too, without `--bench`.
    if !std::env::args().any(|a| a == "--bench") {
        println!("measures with: cargo bench --bench mapping");
        return;
    }
    let users = ROWS.iter().map(|(path, expr)| Row { path: (*path).to_owned(), expr: (*expr).to_owned(), ..Row::default() });
    let spec = Spec { users: users.collect(), disabled_is_inactive: true, ..Spec::default() };
    let mapper = Mapper::compile(&spec, &[], &[("displayName", "[displayName]")]).unwrap_or_else(|e| panic!("{e:?}"));
    let digits = regex::Regex::new(r"[()\s-]+").unwrap();
    let people = people();
    for e in people.iter().step_by(997) {
        assert_eq!(mapper.user(e, false).attrs.unwrap().attrs, by_hand(e, &digits), "both do the same");
    }
    println!("scim-sync {}, {PEOPLE} people x {} expressions, CPU of one thread", env!("CARGO_PKG_VERSION"), ROWS.len());
    let mut ratios = Vec::new();
    for turn in 1..=TURNS {
        let (language, n) = measured(|| people.iter().map(|e| mapper.user(e, false).attrs.unwrap().attrs.len()).sum());
        let (hand, m) = measured(|| people.iter().map(|e| by_hand(e, &digits).len()).sum());
        assert_eq!(n, m);
        let ratio = language.as_secs_f64() / hand.as_secs_f64();
        println!("turn {turn}: language {:.2} s, closure {:.2} s, ratio {ratio:.2}", language.as_secs_f64(), hand.as_secs_f64());
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[TURNS / 2]);
}
