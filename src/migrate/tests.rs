//! Properties: whoever is in the directory and whatever is at the target, nobody is given a name that somebody has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::order::{Names, Next, next};
use super::report::{Line, Outcome};
use crate::mapping::folded_address;
use crate::model::TargetId;
use crate::plan::userids::{Account, Class, People, Person, Row, Rules, Standing, classify};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

/// Few names, so that everything meets everything.
fn name() -> impl Strategy<Value = String> {
    let forms = ["{}", "CORP\\{}", "{}@corp.local", "{}@corp.example", "LAB\\{}", "{}@lab.example"];
    (0..6usize, prop::sample::select(forms.to_vec()), any::<bool>()).prop_map(|(n, form, upper)| {
        let local = ["ann", "bob", "cat", "dan", "eve", "fay"][n];
        let name = form.replace("{}", local);
        if upper { name.to_uppercase() } else { name }
    })
}

fn person() -> impl Strategy<Value = (usize, usize, usize, u8)> {
    (0..6usize, 0..7usize, 0..3usize, 0..8u8)
}

fn people(found: &[(usize, usize, usize, u8)]) -> People {
    let domains =
        BTreeMap::from([("CORP".to_owned(), "corp.example".to_owned()), ("corp.local".to_owned(), "corp.example".to_owned())]);
    let mut all = People::new(&[(1, &domains)]);
    let locals = ["ann", "bob", "cat", "dan", "eve", "fay", "gus"];
    for (i, (account, mail, suffix, standing)) in found.iter().enumerate() {
        let address = format!("{}@corp.example", locals[*mail]);
        all.add(Person {
            who: format!("person {i}"),
            standing: match standing {
                0 => Standing::Inactive,
                1 => Standing::OutOfScope,
                _ => Standing::Active,
            },
            user_id: if *standing == 2 { Err("mail is empty".into()) } else { Ok(address.clone()) },
            ids: vec![format!("k{i}")],
            addresses: vec![address],
            names: vec![locals[*account].to_owned()],
            mailboxes: vec![locals[*mail].to_owned()],
            suffix: ["", "corp.local", "lab.example"][*suffix].to_owned(),
            ..Person::blank(i64::try_from(i).unwrap() + 1, &format!("k{i}"))
        });
    }
    all
}

fn accounts(found: &[(String, Option<usize>)]) -> Vec<Account> {
    let mut seen = HashSet::new();
    let unique = found.iter().filter(|(name, _)| seen.insert(folded_address(name)));
    unique
        .enumerate()
        .map(|(i, (name, external))| Account {
            id: TargetId(format!("id{i}")),
            user_name: name.clone(),
            external_id: external.map(|e| format!("k{e}")),
            active: true,
            emails: vec![],
            private: vec![],
            family: None,
            number: None,
            created: None,
            user_type: None,
            roles: vec![],
            linked: None,
        })
        .collect()
}

fn lines(rows: &[Row]) -> Vec<Line> {
    let line =
        |row: &Row| Line { row: row.clone(), current: row.old.clone(), result: Outcome::NotAttempted, note: None, who: None };
    rows.iter().map(line).collect()
}

fn folded(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|l| folded_address(&l.current)).collect()
}

/// Renames as a run does; asserts after each step that no two have one name.
fn carry_out(lines: &mut [Line], chosen: &[usize]) -> Vec<usize> {
    let mut left = chosen.to_vec();
    let mut aside = HashSet::new();
    loop {
        let names = Names::of(lines);
        match next(lines, &names, &left, &aside) {
            Next::Done => return Vec::new(),
            Next::Stuck(stuck) => return stuck,
            Next::Rename(now) => {
                for i in &now {
                    lines[*i].current = lines[*i].row.new.clone().unwrap();
                }
                left.retain(|i| !now.contains(i));
            }
            Next::Aside(now) => {
                for i in now {
                    assert!(aside.insert(i), "nobody steps aside twice");
                    lines[i].current = format!("aside-{i}@corp.example");
                }
            }
        }
        let names = folded(lines);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_account_per_person_no_two_accounts_end_with_one_name(
        directory in prop::collection::vec(person(), 0..10),
        target in prop::collection::vec((name(), prop::option::weighted(0.4, 0..10usize)), 0..14),
        inactive in any::<bool>(),
        part in any::<u64>(),
    ) {
        let (people, accounts) = (people(&directory), accounts(&target));
        let rules = Rules { inactive, ..Rules::default() };
        let rows = classify(&people, &accounts, &rules);
        prop_assert_eq!(rows.len(), accounts.len());
        prop_assert_eq!(&rows, &classify(&people, &accounts, &rules), "the same facts, the same rows");
        for row in rows.iter().filter(|r| r.class == Class::Convert) {
            let person = people.get(row.person.unwrap()).unwrap();
            prop_assert_eq!(row.new.as_ref(), person.user_id.as_ref().ok());
        }
        // Everybody, and any part of them: a part may get stuck behind those left out, and nobody is overrun.
        let all: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].class == Class::Convert).collect();
        let some: Vec<usize> = all.iter().copied().filter(|i| part >> (i % 64) & 1 == 1).collect();
        let mut whole = lines(&rows);
        prop_assert_eq!(carry_out(&mut whole, &all), Vec::<usize>::new(), "everybody who may be renamed is");
        for i in &all {
            prop_assert_eq!(Some(&whole[*i].current), rows[*i].new.as_ref());
        }
        carry_out(&mut lines(&rows), &some);
        // Back again: the same renames the other way round.
        let back: Vec<Row> = rows.iter().zip(&whole).map(|(row, line)| Row {
            old: line.current.clone(),
            new: Some(row.old.clone()),
            ..row.clone()
        }).collect();
        let mut undone = lines(&back);
        prop_assert_eq!(carry_out(&mut undone, &all), Vec::<usize>::new());
        prop_assert_eq!(folded(&undone), rows.iter().map(|r| folded_address(&r.old)).collect::<Vec<_>>());
    }
}
