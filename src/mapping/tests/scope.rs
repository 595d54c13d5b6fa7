use super::{entry, mapper, spec, user};
use crate::mapping::{Clause, Spec};
use crate::model::{ObjectKind, Value};
use serde_json::json;

#[test]
fn filters_over_source_attributes() {
    let mut jane = user(&[
        ("department", "SALES"),
        ("title", "Temp worker"),
        ("memberOf", "CN=A"),
        ("memberOf", "CN=B"),
        ("number", "100"),
        ("code", "0042"),
        ("when", "20261121120000Z"),
        ("filetime", "133000000000000001"),
        ("ldapBool", "TRUE"),
        ("mail", "Jane@Corp.example"),
        ("sn", "Ærø"),
        ("empty", ""),
    ]);
    jane.attrs.set("json", vec![Value::Json(json!(true))]);
    jane.disabled = true;
    for (filter, holds) in [
        (r#"department eq "Sales""#, true),
        (r#"DEPARTMENT eq "sales" and not (title sw "Temp")"#, false),
        (r#"department eq "x" or title co "WORK""#, true),
        (r#"sn ew "ØRØ""#, false),
        (r#"surname eq "ÆRØ""#, true),
        (r#"memberOf eq "cn=b""#, true),
        (r#"memberOf eq "cn=c""#, false),
        ("number gt 99", true),
        ("number gt \"99\"", true),
        ("number eq 100.0", true),
        ("code eq 42", true),
        ("code eq \"42\"", false),
        ("department gt 5", false),
        ("department eq 5", false),
        ("department ne 5", true),
        ("filetime gt 133000000000000000", true),
        ("filetime gt 133000000000000001", false),
        (r#"when ge "20260101000000Z""#, true),
        ("ldapBool eq true", true),
        ("json eq true", true),
        ("json ne true", false),
        (r#"mail matches "@corp\\.example$""#, true),
        (r#"mail matches "^x""#, false),
        // A missing attribute makes every comparison false, `ne` and the regular expression too.
        (r#"nosuch eq "x""#, false),
        (r#"nosuch ne "x""#, false),
        ("nosuch ne 5", false),
        (r#"nosuch co """#, false),
        (r#"nosuch matches "^[^x]*$""#, false),
        (r#"not (nosuch eq "x")"#, true),
        ("nosuch pr", false),
        ("empty pr", false),
        ("empty eq null", true),
        ("nosuch eq null", true),
        ("department ne null", true),
        ("department eq null", false),
        // Special names
        ("IsSoftDeleted eq true", true),
        ("accountEnabled eq false", true),
        (r#"userId eq "jane@corp.example""#, true),
        (r#"sourceKey eq "KEY-1""#, true),
        ("dn pr", false),
    ] {
        let mapper = mapper(&Spec { scope_users: Some(filter.to_owned()), ..spec() });
        assert_eq!(mapper.in_scope(&jane), holds, "{filter}");
        assert_eq!(mapper.scope_explain(&jane).in_scope, holds, "{filter}");
        assert!(mapper.in_scope(&entry(ObjectKind::Group, &[])), "people's filter is not for groups");
    }
}

#[test]
fn filters_that_cannot_be_meant_are_refused() {
    for (filter, words) in [
        (r#"emails[type eq "work"] pr"#, "expected"),
        (r#"emails[type eq "work"]"#, "have no parts"),
        ("a gt null", "never holds"),
        ("urn:a:b:c pr", "SCIM path"),
    ] {
        let spec = Spec { scope_groups: Some(filter.to_owned()), ..spec() };
        let errors = crate::mapping::Mapper::compile(&spec, super::USER, super::GROUP).unwrap_err();
        assert!(errors[0].to_string().contains(words), "{}", errors[0]);
    }
}

#[test]
fn explained_clause_by_clause() {
    let spec = Spec { scope_users: Some(r#"department eq "Sales" and not (title sw "Temp" or x pr)"#.to_owned()), ..spec() };
    let result = mapper(&spec).scope_explain(&user(&[("department", "Sales"), ("title", "Boss"), ("title", "Chief")]));
    let clause = |attribute: &str, clause: &str, value: &str, holds| Clause {
        clause: clause.to_owned(),
        attribute: attribute.to_owned(),
        value: value.to_owned(),
        holds,
    };
    assert!(result.in_scope);
    assert_eq!(
        result.clauses,
        [
            clause("department", r#"department eq "Sales""#, "Sales", true),
            clause("title", r#"not (title sw "Temp")"#, "Boss, Chief", true),
            clause("x", "not (x pr)", "", true)
        ]
    );
    // Two of them are none.
    let twice = Spec { scope_users: Some(r#"not (not (title eq "Boss") and title pr)"#.to_owned()), ..super::spec() };
    let result = mapper(&twice).scope_explain(&user(&[("title", "Boss")]));
    assert_eq!(
        result.clauses,
        [clause("title", r#"title eq "Boss""#, "Boss", true), clause("title", "not (title pr)", "Boss", false)]
    );
    let open = mapper(&super::spec()).scope_explain(&user(&[]));
    assert!(open.in_scope && open.clauses.is_empty());
}

/// Active Directory says the number of a country, and 0 for everybody who has none.
#[test]
fn the_number_of_a_country_is_none() {
    let holds = |filter: &str, of: &[(&str, &str)]| {
        let spec = Spec { scope_users: Some(filter.to_owned()), ..spec() };
        mapper(&spec).scope_explain(&user(of)).in_scope
    };
    assert!(!holds("c pr", &[("countryCode", "0")]));
    assert!(holds("country eq null", &[("countryCode", "208")]));
    assert!(holds(r#"c eq "DK""#, &[("countryCode", "DK")]), "Okta's has letters");
    assert!(holds("countryCode eq 208", &[("countryCode", "208")]));
}
