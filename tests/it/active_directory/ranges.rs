//! Limits that no free server has: MaxPageSize, and values in parts of 1,500.

use crate::support::fake_ldap::{Asked, entry, start_limited};
use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const PEOPLE: usize = 4500;
const SIZES: [usize; 5] = [0, 1499, 1500, 1501, 4500];
/// MaxValRange.
const RANGE: usize = 1500;

fn text(value: &str) -> Vec<Vec<u8>> {
    vec![value.as_bytes().to_vec()]
}

fn guid(kind: u8, n: usize) -> Vec<Vec<u8>> {
    let n = u32::try_from(n).unwrap().to_be_bytes();
    vec![[&[kind; 12][..], &n].concat()]
}

fn people() -> Vec<Vec<u8>> {
    let person = |i: usize| {
        let dn = format!("CN=u{i},DC=x");
        let mail = format!("u{i}@corp.example");
        entry(
            dn.as_bytes(),
            &[
                ("objectGUID", guid(1, i)),
                ("mail", text(&mail)),
                ("displayName", text(&format!("U {i}"))),
                ("userAccountControl", text("512")),
                ("primaryGroupID", text("513")),
            ],
        )
    };
    (0..PEOPLE).map(person).collect()
}

/// Members from `from` on, as many as one answer has, under the name that tells which they are.
fn part(size: usize, from: usize) -> (String, Vec<Vec<u8>>) {
    let to = (from + RANGE).min(size);
    let values = (from..to).map(|i| format!("CN=u{i},DC=x").into_bytes()).collect();
    let last = if to == size { "*".to_owned() } else { (to - 1).to_string() };
    (format!("member;range={from}-{last}"), values)
}

/// Active Directory's way with a large `member`: empty, and beside it the first part.
fn group(size: usize) -> Vec<u8> {
    let dn = format!("CN=g{size},DC=x");
    let (name, values) = part(size, 0);
    let mut attributes = vec![("objectGUID", guid(2, size)), ("cn", text(&format!("g{size}")))];
    if size > RANGE {
        attributes.push(("member", Vec::new()));
        attributes.push((&name, values));
    } else {
        attributes.push(("member", values));
    }
    entry(dn.as_bytes(), &attributes)
}

/// `version`: uSNChanged of all groups; it goes up with every part that is read while `moving` is not zero.
fn directory(asked: &Asked, version: &AtomicU32, moving: &AtomicU32) -> Vec<Vec<u8>> {
    let capabilities = ("supportedCapabilities", text("1.2.840.113556.1.4.800"));
    match asked.base.as_str() {
        "" => vec![entry(b"", &[capabilities, ("supportedControl", text("1.2.840.113556.1.4.319"))])],
        "DC=x" if asked.has("person") => people(),
        "DC=x" => SIZES.map(group).to_vec(),
        base => {
            let size = base.trim_start_matches("CN=g").trim_end_matches(",DC=x").parse().unwrap();
            let request = String::from_utf8_lossy(&asked.request).into_owned();
            let from = request.split("range=").nth(1).and_then(|r| r.split('-').next()).and_then(|n| n.parse().ok()).unwrap_or(0);
            let (name, values) = part(size, from);
            let version = version.fetch_add(moving.load(Ordering::Relaxed), Ordering::Relaxed);
            vec![entry(base.as_bytes(), &[(&name, values), ("uSNChanged", text(&version.to_string()))])]
        }
    }
}

#[test]
fn pages_of_a_thousand_and_parts_of_fifteen_hundred_are_read_whole() {
    let (version, moving) = (Arc::new(AtomicU32::new(7)), Arc::new(AtomicU32::new(0)));
    let shared = (version, moving.clone());
    let port = start_limited(1000, move |asked| directory(asked, &shared.0, &shared.1));
    let sandbox = SandboxProcess::start(&[]);
    let world = World::new(&sandbox.base_url, &sandbox.token, "", "");
    // More is asked for than the server gives.
    let source = format!("type = \"ldap\"\nurl = \"ldap://127.0.0.1:{port}\"\nbase = \"DC=x\"\npage_size = 5000");
    let guard = "[sync.guard]\nmembers_remove_per_group = \"unlimited\"";
    world.configure(&source, &sandbox.base_url, &sandbox.token, guard, "");
    let reader = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let sizes = |reader: &ScimReader| -> BTreeMap<String, usize> {
        reader
            .groups()
            .iter()
            .map(|g| (g["displayName"].as_str().unwrap().to_owned(), g["members"].as_array().map_or(0, Vec::len)))
            .collect()
    };
    let whole: BTreeMap<String, usize> = SIZES.iter().map(|n| (format!("g{n}"), *n)).collect();

    // From the beginning one group changes each time that it is read: it waits, the others do not.
    moving.store(1, Ordering::Relaxed);
    let run = world.run(&["sync", "--json"]).expect(0);
    let stable: BTreeMap<String, usize> = whole.iter().filter(|(_, n)| **n <= RANGE).map(|(g, n)| (g.clone(), *n)).collect();
    assert_eq!(sizes(&reader), stable);
    for name in ["CN=g1501,DC=x", "CN=g4500,DC=x"] {
        assert!(run.stderr.contains(name), "{}", run.stderr);
    }
    moving.store(0, Ordering::Relaxed);
    let cycle = world.run(&["sync", "--json"]).expect(0).cycle();
    assert_eq!(changes(&cycle)["group_create"], 2, "{cycle}");
    assert_eq!(sizes(&reader), whole);
    assert_eq!(reader.users().len(), PEOPLE);

    // Known groups that cannot be read whole stay as they are: no group and no member is removed.
    moving.store(1, Ordering::Relaxed);
    let run = world.run(&["sync", "--json"]).expect(0);
    assert_eq!(changes(&run.cycle()), expected(&[]), "{}", run.stderr);
    assert!(run.stderr.contains("CN=g4500,DC=x: skipped in this cycle and left as it was"), "{}", run.stderr);
    assert_eq!(sizes(&reader), whole);
}
