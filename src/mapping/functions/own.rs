//! Functions that Entra does not have, or that know the configuration: mail domains and lookup tables.

use super::{Args, Function, Mistake, function, literal};
use crate::mapping::expr::{Call, Node};
use crate::mapping::spec::nearest;
use crate::mapping::value::{EvalError, Val};
use crate::mapping::world::{World, domain_key};
use std::borrow::Cow;

type Result<'a> = std::result::Result<Val<'a>, EvalError>;

pub(super) const FUNCTIONS: &[Function] = &[
    function("EmailDomain", "EmailDomain(address)", 1, 1, email_domain).about(
        "What stands behind the last @ of an address, in lower case; null where there is none. Entra has no such function.",
        &[("EmailDomain([mail])", "corp.example"), ("EmailDomain([givenName])", "null")],
    ),
    function("Domain", "Domain(name)", 1, 1, domain).about(
        "The mail domain that `[sync.user_id] domains` gives for a NETBIOS name or a suffix; of `CORP\\jdoe` and `jdoe@corp.local` \
         the name's or the suffix counts. Null where it gives none. Entra has no such function.",
        &[
            ("Domain(\"CORP\")", "corp.example"),
            ("Domain([msDS-PrincipalName])", "corp.example"),
            ("Join(\"@\", [uid], Domain([userPrincipalName]))", "jdoe@corp.example"),
            ("Domain(\"OTHER\")", "null"),
        ],
    ),
    Function {
        settled: one_domain,
        ..function("DefaultDomain", "DefaultDomain()", 0, 0, default_domain).about(
            "The one mail domain of `[sync.user_id] domains`. Where there are several or none, `check` says so: Entra takes the \
             tenant's.",
            &[("Append(\"jane@\", DefaultDomain())", "jane@corp.example")],
        )
    },
    Function {
        check: named,
        settled: known,
        ..function("Lookup", "Lookup(table, key, default)", 2, 3, lookup).about(
            "The value of a key in a table of `[lookup.NAME]`, else the default. Keys compare without case and without blanks \
             around them. Of several values the first that has a row counts. Entra has no such function.",
            &[
                ("Lookup(\"countries\", [c], \"elsewhere\")", "Denmark"),
                ("Lookup(\"countries\", \"XX\", \"elsewhere\")", "elsewhere"),
                ("Lookup(\"countries\", [nobody])", "null"),
            ],
        )
    },
];

fn email_domain<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let found = args.value(0)?.into_all().into_iter().filter_map(|address| {
        let domain = address.trim().rsplit_once('@')?.1.to_lowercase();
        (!domain.is_empty()).then_some(Cow::Owned(domain))
    });
    Ok(Val::many(found.collect()))
}

fn domain<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let Some(text) = args.text(0)? else { return Ok(Val::Null) };
    let text = text.trim();
    let name = match (text.split_once('\\'), text.rsplit_once('@')) {
        (Some((netbios, _)), _) => netbios,
        (None, Some((_, suffix))) => suffix,
        (None, None) => text,
    };
    let found = args.context.world.domains.get(&domain_key(name));
    Ok(found.map_or(Val::Null, |domain| Val::text(domain.as_str())))
}

fn one_domain(_: &Call, world: &World) -> std::result::Result<(), Mistake> {
    match world.only_domain() {
        Some(_) => Ok(()),
        None => Err((
            "DefaultDomain takes the one domain of user_id.domains, and there is not exactly one".to_owned(),
            Some("write the domain in double quotes, or Domain(\"NAME\")".to_owned()),
        )),
    }
}

fn default_domain<'a>(args: &Args<'a, '_>) -> Result<'a> {
    Ok(args.context.world.only_domain().map_or(Val::Null, Val::text))
}

fn named(call: &Call) -> std::result::Result<(), String> {
    match call.args.first() {
        Some(Node::Text(_)) => Ok(()),
        _ => Err(format!("the table of Lookup is named in double quotes: {}", call.function.usage)),
    }
}

fn known(call: &Call, world: &World) -> std::result::Result<(), Mistake> {
    let name = literal(call, 0).unwrap_or_default();
    match world.tables.get(name) {
        Some(Ok(_)) => return Ok(()),
        Some(Err(why)) => return Err((format!("the table {name:?} cannot be used: {why}"), None)),
        None => {}
    }
    let hint = match nearest(name, world.tables.keys().map(String::as_str)) {
        Some(near) => format!("is {near:?} meant?"),
        None => format!("write [lookup.{name}] with path = \"{name}.csv\""),
    };
    Err((format!("there is no table {name:?} for Lookup"), Some(hint)))
}

fn lookup<'a>(args: &Args<'a, '_>) -> Result<'a> {
    let name = literal(args.call, 0).unwrap_or_default();
    let Some(Ok(table)) = args.context.world.tables.get(name) else {
        return Err(EvalError(format!("there is no table {name:?}")));
    };
    match args.value(1)?.into_all().iter().find_map(|key| table.get(key)) {
        Some(value) => Ok(Val::text(value)),
        None => args.value(2),
    }
}
