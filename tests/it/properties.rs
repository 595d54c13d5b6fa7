//! What must hold of every plan, for any directory, any links and any policy: the pure planner against a target in memory.

use proptest::prelude::*;
use scim_sync::mapping::Desired;
use scim_sync::model::{Flat, ObjectKind, SourceKey, TargetId};
use scim_sync::plan::guard::{self, Facts as GuardFacts, Limit, Limits, Tally};
use scim_sync::plan::matching::{self, Candidate, Match, Person};
use scim_sync::plan::user::{self, Linked, Policy, Rival, Standing};
use scim_sync::plan::{Change, KINDS, Kind, group};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the store knows of one person.
#[derive(Debug, Clone)]
struct Known {
    key: SourceKey,
    standing: Standing,
    name: String,
    department: String,
    link: Option<Linked>,
    /// Somebody else claims the user ID.
    rival: Option<Rival>,
}

/// The application, in memory: id -> attributes.
type Accounts = BTreeMap<TargetId, Flat>;

fn flat(pairs: &[(&str, Value)]) -> Flat {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

impl Known {
    fn desired(&self) -> Desired {
        let active = self.standing == Standing::Active;
        let attrs = flat(&[
            ("userName", json!(self.name)),
            ("externalId", json!(self.key.0)),
            ("department", json!(self.department)),
            ("active", json!(active)),
        ]);
        Desired { attrs, active, ..Desired::default() }
    }

    /// What the target has for this person by the match rules, as a first cycle looks it up.
    fn found(&self, accounts: &Accounts, linked: &[TargetId]) -> (Match, Option<Flat>) {
        let desired = self.desired();
        let who = Person { object: ObjectKind::User, source_key: &self.key.0, external_id: Some(&self.key.0), legacy: &[] };
        for criterion in ["externalId", "userName"] {
            for value in matching::values(criterion, &self.key.0, &desired.attrs) {
                let hits: Vec<Candidate> = accounts
                    .iter()
                    .filter(|(_, a)| a.get(criterion).and_then(Value::as_str) == Some(&value))
                    .map(|(id, a)| Candidate {
                        id: id.clone(),
                        name: value.clone(),
                        external_id: a.get("externalId").and_then(Value::as_str).map(str::to_owned),
                        linked_to: linked.contains(id).then(|| "somebody".to_owned()),
                    })
                    .collect();
                if !hits.is_empty() {
                    let found = matching::judge(&who, criterion, &hits);
                    let seen = if let Match::One(id) = &found { accounts.get(id).cloned() } else { None };
                    return (found, seen);
                }
            }
        }
        (Match::None, None)
    }

    fn decide(&self, accounts: &Accounts, linked: &[TargetId], p: &Policy) -> user::Decision {
        let desired = self.desired();
        let live = self.link.as_ref().is_some_and(|l| !l.gone);
        let in_directory = matches!(self.standing, Standing::Active | Standing::Inactive);
        user::decide(
            &user::Facts {
                id: 1,
                who: &self.name,
                source_key: &self.key,
                standing: self.standing,
                leaving_since: (self.standing != Standing::Active).then_some(0),
                desired: in_directory.then_some(Ok(&desired)),
                link: self.link.as_ref(),
                rival: self.rival.clone().filter(|_| self.standing == Standing::Active && self.name_is_new()),
                found: (!live && in_directory).then(|| self.found(accounts, linked)),
            },
            p,
        )
    }

    /// Rivals are looked for only where the user ID is new to the person.
    fn name_is_new(&self) -> bool {
        self.link.as_ref().filter(|l| !l.gone).and_then(|l| l.pushed.get("userName")) != Some(&json!(self.name))
    }

    /// Carries a change out, at the target and in the link.
    fn apply(&mut self, c: &Change, accounts: &mut Accounts) {
        match c.kind {
            Kind::Create => {
                let id = TargetId(format!("new-{}", accounts.len()));
                accounts.insert(id.clone(), c.to.clone());
                self.link = Some(linked(&id, true, &c.pushed));
            }
            Kind::Delete => {
                accounts.remove(c.target_id.as_ref().unwrap());
                self.link = None;
            }
            _ => {
                let id = c.target_id.clone().unwrap();
                let account = accounts.get_mut(&id).unwrap();
                *account = user::after(account, &c.to);
                if c.kind == Kind::Adopt {
                    let mut pushed = c.pushed.clone();
                    pushed.insert("active".to_owned(), account.get("active").cloned().unwrap_or(json!(true)));
                    self.link = Some(linked(&id, false, &pushed));
                } else if let Some(link) = &mut self.link {
                    let created = link.created;
                    *link = linked(&id, created, &user::after(&link.pushed, &c.to));
                }
            }
        }
    }
}

fn linked(id: &TargetId, created: bool, pushed: &Flat) -> Linked {
    let active = pushed.get("active") != Some(&json!(false));
    Linked {
        target_id: id.clone(),
        created,
        pushed: pushed.clone(),
        active,
        inactive_since: (!active).then_some(NOW),
        gone: false,
        hidden: false,
        observed: None,
    }
}

const NOW: i64 = 1_000_000;

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![4 => Just(Standing::Active), 1 => Just(Standing::Inactive), 1 => Just(Standing::OutOfScope), 1 => Just(Standing::Gone)]
}

fn policy() -> impl Strategy<Value = Policy> {
    (any::<[bool; 6]>()).prop_map(|[create, update, deactivate, delete, out_of_scope_deactivates, user_name_immutable]| Policy {
        now: NOW,
        create,
        update,
        deactivate,
        delete,
        deactivate_after: 0,
        delete_after: 30 * 86_400,
        out_of_scope_deactivates,
        cannot_rename: user_name_immutable.then(|| "It cannot change a userName".to_owned()),
        required: Vec::new(),
        application: "the application".to_owned(),
        distrust_clock: false,
        remapped: Default::default(),
        rescoped: false,
    })
}

/// A person with an account or without, which carries another name, another department, is inactive or missing.
fn person(i: usize) -> impl Strategy<Value = (Known, Option<Flat>)> {
    let link = prop::option::of((any::<[bool; 5]>(), Just(())));
    (standing(), 0..3_u8, 0..3_u8, link, any::<bool>(), 0..4_u8).prop_map(
        move |(standing, name, department, link, unlinked, rival)| {
            let key = SourceKey(format!("k{i}"));
            let mut known = Known {
                key,
                standing,
                name: format!("p{i}.{name}@x.example"),
                department: format!("d{department}"),
                link: None,
                rival: match rival {
                    0 => Some(Rival::Holds("other".into())),
                    1 => Some(Rival::Wants("other".into())),
                    _ => None,
                },
            };
            let Some(([created, same_name, same_department, active, gone], ())) = link else {
                // Perhaps there is an account that may be adopted, or one of somebody else.
                let account = unlinked.then(|| flat(&[("userName", json!(known.name)), ("active", json!(true))]));
                return (known, account);
            };
            let mut has = known.desired().attrs;
            has.insert("active".to_owned(), json!(active));
            if !same_name {
                has.insert("userName".to_owned(), json!(format!("p{i}.old@x.example")));
            }
            if !same_department {
                has.insert("department".to_owned(), json!("old"));
            }
            let mut link = linked(&TargetId(format!("t{i}")), created, &has);
            link.gone = gone && i.is_multiple_of(3);
            let account = (!link.gone).then_some(has);
            known.link = Some(link);
            (known, account)
        },
    )
}

fn world() -> impl Strategy<Value = (Vec<Known>, Accounts)> {
    let people: Vec<_> = (0..6).map(person).collect();
    (people, 0..4_usize).prop_map(|(people, foreign)| {
        let mut accounts = Accounts::new();
        let mut known = Vec::new();
        for (i, (k, account)) in people.into_iter().enumerate() {
            if let Some(a) = account {
                accounts.insert(TargetId(format!("t{i}")), a);
            }
            known.push(k);
        }
        for i in 0..foreign {
            // One of them has somebody's name, and an owner.
            let name = if i == 0 { "p1.0@x.example".to_owned() } else { format!("foreign{i}@x.example") };
            let a = flat(&[("userName", json!(name)), ("externalId", json!(format!("f{i}"))), ("active", json!(true))]);
            accounts.insert(TargetId(format!("f{i}")), a);
        }
        (known, accounts)
    })
}

fn links(people: &[Known]) -> Vec<TargetId> {
    people.iter().filter_map(|k| k.link.as_ref()).filter(|l| !l.gone).map(|l| l.target_id.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Plan, apply, plan again: nothing is left.
    #[test]
    fn converges_in_one_step((mut people, mut accounts) in world(), p in policy()) {
        for i in 0..people.len() {
            let linked = links(&people);
            let decision = people[i].decide(&accounts, &linked, &p);
            for change in &decision.changes {
                people[i].apply(change, &mut accounts);
            }
        }
        for known in &people {
            let again = known.decide(&accounts, &links(&people), &p);
            prop_assert!(again.changes.is_empty(), "{known:?} -> {:?}", again.changes);
        }
    }

    /// Accounts without a link that match nobody, or belong to somebody else, are as before; nobody's account is deleted
    /// that we did not make.
    #[test]
    fn own_only((mut people, mut accounts) in world(), p in policy()) {
        let before = accounts.clone();
        let adopted: Vec<TargetId> =
            people.iter().filter_map(|k| k.link.as_ref()).filter(|l| !l.created).map(|l| l.target_id.clone()).collect();
        for i in 0..people.len() {
            let linked = links(&people);
            for change in people[i].decide(&accounts, &linked, &p).changes {
                people[i].apply(&change, &mut accounts);
            }
        }
        for (id, account) in &before {
            if id.0.starts_with('f') {
                prop_assert_eq!(accounts.get(id), Some(account), "somebody else's");
            }
            if adopted.contains(id) {
                prop_assert!(accounts.contains_key(id), "adopted and deleted");
            }
        }
    }

    #[test]
    fn rename_is_rename_and_parked_people_only_lose((people, accounts) in world(), p in policy()) {
        for known in &people {
            let d = known.decide(&accounts, &links(&people), &p);
            let kinds: Vec<Kind> = d.changes.iter().map(|c| c.kind).collect();
            let live = known.link.as_ref().filter(|l| !l.gone);
            if live.is_some() {
                prop_assert!(!kinds.contains(&Kind::Create) && !kinds.contains(&Kind::Adopt), "{kinds:?}");
            }
            if known.standing == Standing::Active {
                prop_assert!(!kinds.iter().any(|k| k.takes_away()), "{kinds:?}");
            }
            for c in &d.changes {
                prop_assert_eq!(c.kind == Kind::Create, c.target_id.is_none());
                prop_assert!(!c.reason.is_empty());
                // Only a rename, a reactivation, a create or an adoption carries a name.
                let names = matches!(c.kind, Kind::Rename | Kind::Reactivate | Kind::Create | Kind::Adopt);
                prop_assert!(names || !c.to.contains_key("userName"), "{c:?}");
            }
            for parked in &d.parked {
                prop_assert!(!parked.reason.is_empty() && !parked.advice.is_empty());
                // The user ID is what is in the way: it does not travel, and nothing new is made under it.
                prop_assert!(d.changes.iter().all(|c| !c.to.contains_key("userName")), "{:?}", d.changes);
            }
        }
    }

    /// Planning more never sets free what was held.
    #[test]
    fn the_guard_is_monotone(
        planned in prop::collection::vec(0..60_u64, 13),
        done in prop::collection::vec(0..60_u64, 13),
        more in 0..13_usize,
        base in 0..2_000_u64,
        limit in prop_oneof![
            (0..50_u64).prop_map(Limit::Count),
            (0.0..100.0_f64).prop_map(Limit::Percent),
            Just(Limit::Unlimited)
        ],
        reads in (0..200_u64, 0..200_u64),
        minimum in 0..20_u64,
    ) {
        let limits = Limits {
            create: limit, deactivate: limit, delete: limit, group_delete: limit, members_remove_per_group: limit,
            rename: limit, recreate: limit, source_shrink: limit, minimum,
        };
        let facts = |extra: u64, fewer: u64| {
            let tally = |i: usize| Tally { planned: planned[i] + if i == more { extra } else { 0 }, done: done[i] };
            GuardFacts {
                tally: KINDS.into_iter().enumerate().map(|(i, k)| (k, tally(i))).collect(),
                recreate: Tally { planned: planned[0] + extra, done: done[0] },
                base_users: base,
                base_groups: base / 10,
                users: Some((reads.0, reads.1.saturating_sub(fewer))),
                ..GuardFacts::default()
            }
        };
        let (less, much) = (guard::judge(&limits, &facts(0, 0)), guard::judge(&limits, &facts(7, 3)));
        for kind in KINDS {
            for recreate in [false, true] {
                let freed = less.holds(kind, recreate).is_some() && much.holds(kind, recreate).is_none();
                prop_assert!(!freed, "{kind:?}");
            }
            // An untrusted read holds exactly what takes away.
            prop_assert!(less.distrust.is_none() || less.holds(kind, false).is_some() || !kind.takes_away());
        }
        let per_group = |n| guard::judge_group(&limits, Tally { planned: n, done: done[1] }, base);
        prop_assert!(per_group(planned[2]).is_none() || per_group(planned[2] + 5).is_some());
    }

    /// A group is never deleted that we did not make, nor one that the directory shows in scope; members only leave by
    /// what was pushed; what is gone at the target is not written to.
    #[test]
    fn groups_lose_only_what_was_pushed(
        [create, update, delete, members, wanted, present, keep, made, gone, has_link] in any::<[bool; 10]>(),
        joining in 0..3_usize,
        leaving in 0..3_usize,
    ) {
        let who = |n: usize, from: i64| -> Vec<scim_sync::plan::Member> {
            (0..n).map(|i| {
                let id = from + i64::try_from(i).unwrap();
                scim_sync::plan::Member { source_key: SourceKey(format!("m{id}")), who: format!("m{id}"), id }
            }).collect()
        };
        let wanted = wanted && present;
        let desired = Desired { attrs: flat(&[("displayName", json!("G"))]), ..Desired::default() };
        let link = group::Linked {
            target_id: TargetId("g".into()), created: made, pushed: flat(&[("displayName", json!("old"))]), gone, observed: None, settled: false,
        };
        let key = SourceKey("g".into());
        let facts = group::Facts {
            id: 1, who: "G", source_key: &key, wanted, present, keep_out_of_scope: keep,
            desired: wanted.then_some(Ok(&desired)), link: has_link.then_some(&link), found: None,
            joining: who(joining, 0), leaving: who(leaving, 100), linked_by_config: false, members_from: None,
        };
        let d = group::decide(facts, &group::Policy { create, update, delete, members, ..group::Policy::default() });
        let live = has_link && !gone;
        for c in &d.changes {
            match c.kind {
                Kind::GroupDelete => prop_assert!(live && made && delete && !wanted && !(present && keep)),
                Kind::GroupCreate => prop_assert!(!live && wanted && create && c.recreate == has_link),
                Kind::GroupUpdate => prop_assert!(live && wanted && update),
                Kind::MembersAdd => prop_assert!(wanted && members && c.members.iter().all(|m| m.id < 100)),
                Kind::MembersRemove => prop_assert!(members && c.members.iter().all(|m| m.id >= 100)),
                other => prop_assert!(false, "{other:?}"),
            }
            prop_assert_eq!(c.kind.object(), ObjectKind::Group);
        }
        let deletes = d.changes.iter().any(|c| c.kind == Kind::GroupDelete);
        prop_assert!(!deletes || d.changes.len() == 1, "{:?}", d.changes);
    }
}

/// The order in which the directory names its entries, and the values in them, makes no other plan.
#[test]
fn input_order_does_not_matter() {
    use crate::support::dice::Dice;
    use crate::support::world::{SandboxProcess, World};
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "");
    w.populate(30);
    w.group("a", &["p00001", "p00002", "p00003"]);
    w.sync().expect(0);
    for i in 0..10 {
        w.join(&format!("new{i}"));
    }
    w.leave("p00004");
    w.set("p00005", "mail", "renamed@corp.example");
    w.set("p00006", "displayName", "Other");
    // Two who want the same user ID are both parked, whoever comes first.
    w.set("new1", "mail", "same@corp.example");
    w.set("new2", "mail", "same@corp.example");
    w.group("a", &["p00001", "p00007", "new3", "new4"]);
    w.group("b", &["new5", "p00001"]);
    w.save();
    let whole: Value = serde_json::from_slice(&std::fs::read(w.path("people.json")).unwrap()).unwrap();
    let mut plans = Vec::new();
    for seed in 0..4 {
        let mut dice = Dice::new(seed);
        let mut mixed = whole.clone();
        let lists = mixed.as_object_mut().unwrap().values_mut();
        lists.for_each(|l| shuffle(l.as_array_mut().unwrap(), &mut dice));
        for g in mixed["groups"].as_array_mut().unwrap() {
            shuffle(g["members"].as_array_mut().unwrap(), &mut dice);
        }
        std::fs::write(w.path("people.json"), mixed.to_string()).unwrap();
        let plan = w.run(&["plan", "--json"]).expect(7).plan();
        plans.push((plan["digest"].clone(), plan["changes"].clone(), plan["parked"].clone()));
    }
    assert!(plans[0].1.as_array().unwrap().len() > 10 && plans[0].2.as_array().unwrap().len() == 2, "{:?}", plans[0]);
    assert!(plans.iter().all(|p| *p == plans[0]));
}

fn shuffle(list: &mut [Value], dice: &mut crate::support::dice::Dice) {
    for i in (1..list.len()).rev() {
        list.swap(i, dice.below(i + 1));
    }
}
