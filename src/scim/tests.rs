#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::eval::{case_exact_by_rfc, get};
use super::filter::{Filter, Op};
use super::path::{AttrPath, Path};
use super::{ENTERPRISE, MAX_LENGTH};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(text: &str) -> Filter {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn attr(text: &str) -> AttrPath {
    text.parse().unwrap()
}

#[test]
fn precedence_is_not_then_and_then_or() {
    let a = || Filter::Present(attr("a"));
    let b = || Filter::Present(attr("b"));
    let c = || Filter::Present(attr("c"));
    let and = |x, y| Filter::And(Box::new(x), Box::new(y));
    let or = |x, y| Filter::Or(Box::new(x), Box::new(y));
    assert_eq!(parse("a pr or b pr and c pr"), or(a(), and(b(), c())));
    assert_eq!(parse("(a pr or b pr) and c pr"), and(or(a(), b()), c()));
    assert_eq!(parse("not (a pr) and b pr"), and(Filter::Not(Box::new(a())), b()));
    assert_eq!(parse("NOT(a PR) AND b Pr"), and(Filter::Not(Box::new(a())), b()));
    assert_eq!(parse("a pr and b pr and c pr"), and(and(a(), b()), c()));
}

#[test]
fn reads_values_operators_and_odd_names() {
    for (text, op, value) in [
        (r#"userName Eq "bj\"\\\u00e9""#, Op::Eq, json!("bj\"\\é")),
        ("userName ne TRUE", Op::Ne, json!(true)),
        ("userName co False", Op::Co, json!(false)),
        ("userName sw Null", Op::Sw, Value::Null),
        ("userName gt -12", Op::Gt, json!(-12)),
        ("userName le 1.5e3", Op::Le, json!(1500.0)),
        (r#"userName matches "^a.*b$""#, Op::Matches, json!("^a.*b$")),
    ] {
        assert_eq!(parse(text), Filter::Compare(attr("userName"), op, value), "{text}");
    }
    for name in ["not", "extension_abc123_cost-center", "$ref", "msDS-cloudExtensionAttribute1", "Büro", "2ndMail", "pr"] {
        assert_eq!(parse(&format!("{name} pr")), Filter::Present(AttrPath::plain(name)));
    }
}

#[test]
fn a_filter_behind_brackets_is_one_element() {
    assert_eq!(parse(r#"emails[type eq "work"].value eq "x""#).to_string(), r#"emails[type eq "work" and value eq "x"]"#);
}

#[test]
fn urn_paths() {
    let dotted = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value";
    assert_eq!(attr(dotted), AttrPath { urn: Some(ENTERPRISE.into()), name: "manager".into(), sub: Some("value".into()) });
    let whole = attr(ENTERPRISE);
    assert!(whole.is_whole_extension());
    assert_eq!(whole.urn.as_deref(), Some(ENTERPRISE));
    assert_eq!(attr("urn:okta:app:1.0:user:custom:cost").urn.as_deref(), Some("urn:okta:app:1.0:user:custom"));
    assert_eq!(attr("urn:acme:people:badge").urn.as_deref(), Some("urn:acme:people"));
    assert_eq!(attr("URN:ietf:params:scim:schemas:core:2.0:User:userName").name, "userName");
    let path: Path = format!("{ENTERPRISE}:tags[type eq \"a:b.c\"].value").parse().unwrap();
    assert_eq!((path.attr.name.as_str(), path.sub.as_deref()), ("tags", Some("value")));
    assert!(attr("USERNAME").same(&attr("userName")));
    assert!(!attr("name.givenName").same(&attr("name")));
}

#[test]
fn errors_say_where_and_what() {
    for (text, offset, words) in [
        ("", 0, "an attribute name"),
        ("userName", 8, "an operator"),
        ("userName is \"x\"", 9, "an operator"),
        ("userName eq x", 12, "double quotes"),
        ("userName eq \"x", 12, "no closing double quote"),
        ("userName eq \"\\q\"", 12, "not a JSON value"),
        ("userName eq 01", 12, "not a JSON value"),
        ("(a pr", 5, "`)`"),
        ("a pr b pr", 5, "`and`, `or`"),
        ("a pr and", 8, "an attribute name"),
        ("a[b pr", 6, "`]`"),
        ("a[b[c pr]]", 3, "inside brackets"),
        ("a.b[c pr]", 3, "behind an attribute name"),
        ("a matches \"(\"", 10, "regular expression"),
        ("a matches 5", 10, "double quotes"),
        ("urn:a::b pr", 0, "empty part"),
        ("urn:ietf:2.0:User:a.b.c pr", 21, "the end of the attribute path"),
        ("a . b pr", 2, "an operator"),
    ] {
        let e = text.parse::<Filter>().unwrap_err();
        assert!(e.message.contains(words), "{text}: {e}");
        assert_eq!(e.offset, offset, "{text}: {e}");
    }
    for text in ["", "a b", "a[", "a[b pr]c", "a[b pr].", ".a", "a.", "emails[type eq \"work\"", "-x"] {
        assert!(text.parse::<Path>().is_err(), "{text}");
    }
}

#[test]
fn hostile_input_is_refused_without_overflow() {
    for text in [
        "(".repeat(20_000),
        "not (".repeat(6_000),
        "a[".repeat(10_000),
        "a pr and ".repeat(3_000) + "a pr",
        "a".repeat(MAX_LENGTH + 1),
        format!("a eq {}", "[".repeat(10_000)),
    ] {
        assert!(text.parse::<Filter>().is_err());
    }
    let long = "a pr or ".repeat(900) + "a pr";
    let filter = parse(&long);
    assert_eq!(filter.to_string(), long);
    assert!(!filter.matches(&json!({}), &|_| false));
}

fn resource() -> Value {
    json!({
        "id": "AbC", "userName": "Björn@Example.com", "active": true, "loginCount": 7, "nickName": "", "title": null,
        "name": {"givenName": "Björn"},
        "meta": {"lastModified": "2026-05-13T04:42:34Z"},
        "emails": [{"type": "work", "value": "w@example.com", "primary": true}, {"type": "home", "value": "h@example.org"}],
        "schemas": ["urn:a", "urn:b"],
        "roles": [], "flag": "True",
        (ENTERPRISE): {"department": "Sales", "manager": {"value": "m1"}}
    })
}

#[test]
fn evaluates_on_resources() {
    let resource = resource();
    for (text, holds) in [
        (r#"username eq "BJÖRN@example.COM""#, true),
        (r#"id eq "abc""#, false),
        (r#"ID eq "AbC""#, true),
        ("active eq true", true),
        ("active eq \"True\"", true),
        ("flag eq true", true),
        ("active ne true", false),
        ("active gt false", false),
        ("loginCount ge 7 and loginCount lt 7.5", true),
        ("loginCount gt 10", false),
        (r#"meta.lastModified gt "2026-01-01T00:00:00Z""#, true),
        (r#"emails eq "h@example.org""#, true),
        (r#"emails.value ew "example.org""#, true),
        (r#"emails.type eq "work" and emails.value eq "h@example.org""#, true),
        (r#"emails[type eq "work" and value eq "h@example.org"]"#, false),
        (r#"emails[type eq "WORK" and primary eq true]"#, true),
        (r#"schemas[value eq "urn:b"]"#, true),
        (r#"schemas eq "urn:B""#, true),
        ("emails pr and name pr and name.givenName pr", true),
        ("nickName pr", false),
        ("title pr", false),
        ("roles pr", false),
        ("title eq null and nosuch eq null and not (userName eq null)", true),
        ("userName ne null", true),
        (r#"nosuch ne "x""#, false),
        (r#"nosuch eq "x""#, false),
        (r#"not (nosuch eq "x")"#, true),
        (r#"name.nosuch ne "x""#, false),
        (r#"nosuch[type eq "x"]"#, false),
        (&format!(r#"{ENTERPRISE}:department eq "sales""#), true),
        (&format!(r#"{ENTERPRISE}:manager.value eq "m1""#), true),
        (&format!(r#"{ENTERPRISE}:manager eq "m1""#), true),
        (&format!("{ENTERPRISE} pr"), true),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName co \"rn@\"", true),
        (r#"userName matches "^bj.*com$""#, true),
        (r#"userName matches "(?-i)^bj""#, false),
    ] {
        assert_eq!(parse(text).matches(&resource, &case_exact_by_rfc), holds, "{text}");
    }
}

#[test]
fn reads_paths_out_of_resources() {
    let resource = resource();
    for (path, value) in [
        ("USERNAME", Some(json!("Björn@Example.com"))),
        ("name.givenName", Some(json!("Björn"))),
        (r#"emails[type eq "home"].value"#, Some(json!("h@example.org"))),
        (r#"emails[type eq "other"].value"#, None),
        (r#"emails[primary eq true].type"#, Some(json!("work"))),
        (r#"emails[type eq "work"].display"#, None),
        ("emails.value", Some(json!(["w@example.com", "h@example.org"]))),
        ("emails.nosuch", None),
        ("roles", None),
        ("title", None),
        ("nickName", Some(json!(""))),
        ("active", Some(json!(true))),
        (r#"schemas[value eq "urn:a"]"#, Some(json!("urn:a"))),
        (&format!("{ENTERPRISE}:manager.value"), Some(json!("m1"))),
        (&format!("{ENTERPRISE}:nosuch"), None),
        (ENTERPRISE, Some(json!({"department": "Sales", "manager": {"value": "m1"}}))),
        ("userName.value", Some(json!("Björn@Example.com"))),
    ] {
        assert_eq!(get(&resource, &path.parse().unwrap()), value, "{path}");
    }
    assert_eq!(get(&json!("not an object"), &"a".parse().unwrap()), None);
}

fn any_attr() -> impl Strategy<Value = AttrPath> {
    let name = || "[A-Za-z_$][A-Za-z0-9_$-]{0,8}";
    let urn = prop_oneof![Just(None), Just(Some(ENTERPRISE.to_owned())), Just(Some("urn:acme:people:x".to_owned()))];
    (urn, name(), proptest::option::of(name()))
        .prop_filter("`urn` alone would begin a URN", |(_, name, _)| !name.eq_ignore_ascii_case("urn"))
        .prop_map(|(urn, name, sub)| AttrPath { urn, name, sub })
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        (-1000i32..1000).prop_map(|n| json!(f64::from(n) / 8.0)),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    prop::sample::select(vec![Op::Eq, Op::Ne, Op::Co, Op::Sw, Op::Ew, Op::Gt, Op::Ge, Op::Lt, Op::Le])
}

fn any_filter(brackets: bool) -> BoxedStrategy<Filter> {
    let leaf = prop_oneof![
        (any_attr(), any_op(), any_value()).prop_map(|(a, op, v)| Filter::Compare(a, op, v)),
        any_attr().prop_map(Filter::Present),
    ]
    .boxed();
    let leaf = if brackets {
        let complex =
            (any_attr(), any_filter(false)).prop_map(|(a, inner)| Filter::Complex(AttrPath { sub: None, ..a }, Box::new(inner)));
        prop_oneof![leaf, complex].boxed()
    } else {
        leaf
    };
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Filter::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Filter::Or(Box::new(a), Box::new(b))),
            inner.prop_map(|a| Filter::Not(Box::new(a))),
        ]
    })
    .boxed()
}

proptest! {
    #[test]
    fn filters_print_and_read_back(filter in any_filter(true)) {
        prop_assert_eq!(parse(&filter.to_string()), filter);
    }

    #[test]
    fn paths_print_and_read_back(attr in any_attr(), inner in proptest::option::of(any_filter(false)), sub in proptest::option::of("[a-z]{1,5}")) {
        let path = match inner {
            Some(filter) => Path { attr: AttrPath { sub: None, ..attr }, filter: Some(filter), sub },
            None => Path { attr, filter: None, sub: None },
        };
        prop_assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
    }

    #[test]
    fn no_input_panics(text in ".{0,80}", near in "[a-c:.()\\[\\]\" $0-9-]{0,40}|(urn:|not|a eq|\\(|\\)| and | or |pr|\"x\"|\\[|\\]|[.]| |é){0,12}") {
        for t in [&text, &near] {
            let filter = t.parse::<Filter>();
            if let Ok(f) = &filter {
                let _ = f.matches(&resource(), &|_| false);
                prop_assert_eq!(&parse(&f.to_string()), f);
            }
            if let Ok(p) = t.parse::<Path>() {
                let _ = get(&resource(), &p);
            }
            let _ = t.parse::<AttrPath>();
        }
    }
}
