use super::{mapper, spec, user};
use crate::mapping::{Mapper, Spec, UserIdPolicy};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn policy(from: &[&str], domains: &[(&str, &str)]) -> Spec {
    let domains: BTreeMap<String, String> = domains.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Spec {
        user_id: UserIdPolicy {
            from: from.iter().map(|s| (*s).to_owned()).collect(),
            domains,
            lowercase: true,
            transliterate: None,
        },
        ..spec()
    }
}

/// The address with its origin, or what was tried.
fn id(spec: &Spec, attrs: &[(&str, &str)], dn: Option<&str>) -> Result<(String, String), String> {
    let mut entry = user(attrs);
    entry.dn = dn.map(str::to_owned);
    let mapped = mapper(spec).user(&entry, false);
    match mapped.user_id {
        Some(id) => Ok((id.address, id.origin)),
        None => Err(mapped.no_user_id.unwrap()),
    }
}

#[test]
fn mail_is_judged_by_its_form() {
    let spec = policy(&["mail"], &[("old.local", "corp.example")]);
    let long_local = format!("{}@corp.example", "x".repeat(64));
    let too_long_local = format!("{}@corp.example", "x".repeat(65));
    let long_domain = format!("a@{}.example", ["b".repeat(62), "c".repeat(60), "d".repeat(60), "e".repeat(60)].join("."));
    let long_label = format!("a@{}.example", "b".repeat(64));
    let hash = format!("{}@corp.example", "0123456789abcdef".repeat(2));
    for (mail, address) in [
        ("Jane.Doe@Corp.Example", "jane.doe@corp.example"),
        ("  jane@corp.test ", "jane@corp.test"),
        ("jane+tag@sub.corp.com", "jane+tag@sub.corp.com"),
        ("o'brien@corp.com", "o'brien@corp.com"),
        ("JÖRG@bücher.example", "jörg@bücher.example"),
        ("jo\u{308}rg@corp.example", "jörg@corp.example"),
        ("jane@old.LOCAL", "jane@corp.example"),
        ("a@x-y.example", "a@x-y.example"),
        (&long_local, &long_local),
        (&hash, &hash),
        ("jane@contoso.onmicrosoft.com", "jane@contoso.onmicrosoft.com"),
    ] {
        assert_eq!(id(&spec, &[("mail", mail)], None), Ok((address.to_owned(), "mail".to_owned())), "{mail}");
    }
    for (mail, why) in [
        ("jane", "it has no @"),
        ("jane@a@corp.example", "more than one @"),
        ("@corp.example", "nothing stands before"),
        ("jane@", "not a full domain name"),
        ("jane@corp", "not a full domain name"),
        ("jane@corp.local", "`.local` is not routable (user_id.domains can replace it)"),
        ("jane@corp.INTERNAL", "not routable"),
        ("jane@pc.lan", "not routable"),
        ("jane@x.localdomain", "not routable"),
        ("jane@ad.corp", "not routable"),
        ("jane@my.home", "not routable"),
        ("jane doe@corp.example", "a space or an invisible"),
        ("jane\u{200b}@corp.example", "a space or an invisible"),
        ("jane\u{7}@corp.example", "a space or an invisible"),
        ("Jane <jane@corp.example>", "a space or an invisible"),
        ("<jane@corp.example>", "not allowed"),
        ("mailto:jane@corp.example", "not allowed"),
        ("\"jane\"@corp.example", "not allowed"),
        (".jane@corp.example", "dots"),
        ("jane.@corp.example", "dots"),
        ("ja..ne@corp.example", "dots"),
        ("jane@corp..example", "not a valid domain"),
        ("jane@-corp.example", "not a valid domain"),
        ("jane@corp.example.", "not a valid domain"),
        ("jane@corp_x.example", "not a valid domain"),
        ("jane@corp.example>", "not a valid domain"),
        ("jane@10.0.0.1", "not a valid domain"),
        ("OTHER\\jane", "OTHER is not in domains"),
        (&too_long_local, "more than 64 bytes"),
        (&long_domain, "longer than 254"),
        (&long_label, "not a valid domain"),
        ("0123456789abcdef0123456789ABCDEFjane@corp.example", "deleted entry"),
        ("0123456789abcdef0123456789abcdef+jane@corp.example", "deleted entry"),
    ] {
        let tried = id(&spec, &[("mail", mail)], None).unwrap_err();
        assert!(tried.starts_with("mail `") && tried.contains(why), "{mail}: {tried}");
    }
}

#[test]
fn sources_in_order() {
    let spec = policy(&["mail", "proxyAddresses", "userPrincipalName", "sAMAccountName"], &[("CORP", "corp.example")]);
    let ok = |a: &str, o: &str| Ok((a.to_owned(), o.to_owned()));
    for (attrs, expected) in [
        (&[("mail", "a@corp.local"), ("mail", "b@corp.example")][..], ok("b@corp.example", "mail")),
        (&[("email", "okta@corp.example")], ok("okta@corp.example", "mail")),
        (
            &[("proxyAddresses", "smtp:alias@corp.example"), ("proxyAddresses", "SMTP:Main@corp.example")],
            ok("main@corp.example", "proxyAddresses"),
        ),
        (
            &[("proxyAddresses", "SIP:x@corp.example"), ("userPrincipalName", "u@corp.example")],
            ok("u@corp.example", "userPrincipalName"),
        ),
        (&[("proxyAddresses", "X500:/o=x"), ("sAMAccountName", "jdoe")], ok("jdoe@corp.example", "sAMAccountName and domains")),
        (
            &[("userPrincipalName", "jane_contoso.com#EXT#@tenant.onmicrosoft.com")],
            ok("jane@contoso.com", "userPrincipalName (guest)"),
        ),
        (
            &[("userPrincipalName", "Jane_Doe_contoso.com#ext#@tenant.onmicrosoft.com")],
            ok("jane_doe@contoso.com", "userPrincipalName (guest)"),
        ),
        (&[("login", "okta.login@corp.example")], ok("okta.login@corp.example", "userPrincipalName")),
        (&[("mail", "x@corp.local"), ("userPrincipalName", "x@CORP")], ok("x@corp.example", "userPrincipalName")),
        (
            &[("mail", "x@corp.local")],
            Err("mail `x@corp.local`: `.local` is not routable (user_id.domains can replace it); proxyAddresses is empty; \
                 userPrincipalName is empty; sAMAccountName is empty"
                .to_owned()),
        ),
    ] {
        assert_eq!(id(&spec, attrs, None), expected, "{attrs:?}");
    }
    let two = [("proxyAddresses", "SMTP:a@corp.example"), ("proxyAddresses", "SMTP:b@corp.example")];
    assert!(id(&policy(&["proxyAddresses"], &[]), &two, None).unwrap_err().contains("several primary addresses"));
    assert!(id(&policy(&["userPrincipalName"], &[]), &[("userPrincipalName", "x#EXT#@t.onmicrosoft.com")], None).is_err());
    let other = policy(&["extensionAttribute1", "custom"], &[("CORP", "corp.example")]);
    assert_eq!(id(&other, &[("custom", "CORP\\Jane")], None), ok("jane@corp.example", "custom"));
    assert_eq!(id(&other, &[("custom", "j@x.example")], None), ok("j@x.example", "custom"));
}

#[test]
fn logon_names_need_a_known_domain() {
    let one = policy(&["sAMAccountName"], &[("CORP", "corp.example")]);
    let same = policy(&["sAMAccountName"], &[("CORP", "corp.example"), ("corp.local", "corp.example")]);
    let two = policy(&["sAMAccountName"], &[("CORP", "corp.example"), ("EMEA", "emea.example"), ("asia.local", "asia.example")]);
    let jdoe = &[("sAMAccountName", "JDoe")][..];
    let principal = &[("sAMAccountName", "JDoe"), ("msDS-PrincipalName", "emea\\JDoe")][..];
    let stranger = &[("sAMAccountName", "JDoe"), ("msDS-PrincipalName", "LAB\\JDoe")][..];
    for (spec, attrs, dn, expected) in [
        (&one, jdoe, None, Some("jdoe@corp.example")),
        (&same, jdoe, None, Some("jdoe@corp.example")),
        (&same, jdoe, Some("CN=J,DC=corp,DC=local"), Some("jdoe@corp.example")),
        (&two, jdoe, None, None),
        (&two, principal, None, Some("jdoe@emea.example")),
        (&two, stranger, None, None),
        (&one, stranger, None, None),
        (&two, jdoe, Some("CN=Doe\\, J,OU=People,dc=Asia,DC = local"), Some("jdoe@asia.example")),
        (&two, jdoe, Some("CN=J,DC=other,DC=local"), None),
        (&one, &[("sAMAccountName", "j doe")][..], None, None),
    ] {
        let found = id(spec, attrs, dn).map(|(address, _)| address);
        assert_eq!(found.as_deref().ok(), expected, "{attrs:?} {dn:?}: {found:?}");
    }
    assert!(mapper(&two).attributes().contains("msDS-PrincipalName"));
}

#[test]
fn accents_leave_account_names_when_asked_and_domains_have_one_form() {
    let mut spec = policy(&["mail", "sAMAccountName"], &[("CORP", "corp.example")]);
    let jorg = &[("sAMAccountName", "Jörg.Groß")][..];
    assert_eq!(id(&spec, jorg, None).unwrap().0, "jörg.groß@corp.example");
    spec.user_id.transliterate = Some("de".to_owned());
    assert_eq!(id(&spec, jorg, None).unwrap().0, "joerg.gross@corp.example");
    assert_eq!(id(&spec, &[("mail", "jörg@corp.example")], None).unwrap().0, "jörg@corp.example", "a real address stays");
    assert_eq!(id(&spec, &[("mail", "a@XN--Bcher-kva.example")], None).unwrap().0, "a@bücher.example");
    assert_eq!(crate::mapping::folded_address(" A@xn--bcher-KVA.example"), "a@bücher.example");
}

#[test]
fn case_is_kept_when_asked() {
    let mut spec = policy(&["mail"], &[]);
    spec.user_id.lowercase = false;
    assert_eq!(id(&spec, &[("mail", "Jane@Corp.example")], None).unwrap().0, "Jane@Corp.example");
}

#[test]
fn policies_that_cannot_work_are_refused() {
    for (spec, words) in [
        (policy(&[], &[]), "user_id.from: names no attribute"),
        (policy(&["userId"], &[]), "`userId` is not an attribute"),
        (policy(&["sAMAccountName"], &[]), "domains is empty"),
        (policy(&["mail"], &[("CORP", "corp.local")]), "user_id.domains: CORP = \"corp.local\": `.local` is not routable"),
        (policy(&["mail"], &[("CORP", "a.example"), ("corp", "b.example")]), "is there twice"),
        (policy(&["mail"], &[("", "a.example")]), "a key is empty"),
    ] {
        let errors = Mapper::compile(&spec, super::USER, super::GROUP).unwrap_err();
        assert!(errors[0].to_string().contains(words), "{}", errors[0]);
    }
}

proptest! {
    #[test]
    fn an_address_stays_what_it_is(
        any in ".{0,20}@.{0,20}",
        near in "[a-zA-ZÀ-ɏ0-9._+#'İıſßΣ-]{1,12}@([a-zA-Zİß0-9-]{1,5}\\.){1,3}(com|local|CORP|example)",
        dn in proptest::option::of(".{0,10}(,DC=[a-z]{0,3}|, ?dc=[^a]){0,3}"),
    ) {
        let spec = policy(&["mail", "proxyAddresses", "userPrincipalName", "sAMAccountName"], &[("CORP", "corp.example")]);
        for value in [&any, &near] {
            for name in ["mail", "userPrincipalName", "sAMAccountName"] {
                let Ok((address, _)) = id(&spec, &[(name, value)], dn.as_deref()) else { continue };
                prop_assert_eq!(address.matches('@').count(), 1);
                prop_assert!(address.len() <= 254 && !address.contains(char::is_whitespace));
                let again = id(&spec, &[("mail", &address)], None).map(|(address, _)| address);
                prop_assert_eq!(again, Ok(address));
            }
        }
    }
}
