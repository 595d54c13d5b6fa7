//! `explain`: one person's or group's way, from the entry as read to the request as it would go out. On a private copy of the
//! state store; the target is asked about this one, and nothing is written anywhere.

use super::evaluate::Work;
use super::explain_find::Names;
use super::read::Read;
use super::{Cycle, CycleError, Look, Request};
use crate::mapping::trace::{Redacted, mask};
use crate::mapping::{Explained, ScopeResult};
use crate::model::{Entry, ObjectKind, TargetId};
use crate::plan::matching;
use crate::plan::{Change, Kind};
use crate::state::journal::LogEntry;
use crate::state::standing::Dirty;
use crate::state::syncs::SyncRow;
use crate::state::who::MemberRow;
use crate::state::{StateError, Store};
use crate::target::{Outgoing, Remote, TargetReader};
use std::path::Path;

/// Lines of the journal that are shown.
const LINES: u32 = 10;
/// Found ones that are shown.
const SHOWN: usize = 20;

/// What `explain` says of one person or group.
#[derive(Debug)]
pub struct Found {
    /// User or group.
    pub object: ObjectKind,
    /// For people to read.
    pub who: String,
    /// Source key.
    pub source_key: String,
    /// `linked`, `new`, `parked`, `held`, `out_of_scope`, `disabled`, `deleted`.
    pub state: &'static str,
    /// As the source said it last; `None` where nothing is kept of it.
    pub entry: Option<Entry>,
    /// Whether it takes part, and why.
    pub scope: ScopeResult,
    /// Every rule of the mapping.
    pub mapping: Vec<Explained>,
    /// How the account was found: `link`, the criterion, or nothing.
    pub by: Option<String>,
    /// The accounts that match.
    pub target_ids: Vec<TargetId>,
    /// What would be sent, in order, with why and whether it is held.
    pub steps: Vec<Step>,
    /// What cannot be done now: kind, reason, advice.
    pub parked: Vec<(String, String, String)>,
    /// What the guard holds: kind, reason.
    pub held: Vec<(String, String)>,
    /// What is not sent although it could be, and why; why nothing is, where nothing is.
    pub not_sent: Vec<String>,
    /// The people in a group.
    pub members: Option<Members>,
    /// Last lines of the log.
    pub journal: Vec<LogEntry>,
    /// What is not to be shown.
    pub redacted: Redacted,
}

/// The people in a group, as the directory has it.
#[derive(Debug, Default)]
pub struct Members {
    /// How many take part.
    pub take_part: usize,
    /// Who does not, and why.
    pub left_out: Vec<(MemberRow, String)>,
    /// References that name nobody who was read.
    pub dangling: u64,
}

/// One change with its request.
#[derive(Debug)]
pub struct Step {
    /// What is done.
    pub kind: Kind,
    /// Why.
    pub reason: String,
    /// Why it is held, if it is.
    pub held: Option<String>,
    /// The request; `None` where it cannot be built before another one was answered.
    pub request: Option<Outgoing>,
}

/// What was found of a name in one sync.
#[derive(Debug, Default)]
pub struct Explanation {
    /// The entries that it names.
    pub found: Vec<Found>,
    /// More than these were found.
    pub more: usize,
    /// Who is called similarly, where none was found.
    pub nearest: Vec<String>,
    /// Why the source could not be read: what is said of it is of the last read.
    pub source_error: Option<CycleError>,
    /// Why the target could not be asked.
    pub target_error: Option<CycleError>,
}

/// What looking at one entry needs.
pub(super) struct Desk {
    pub work: Work,
    pub reader: TargetReader,
    pub row: SyncRow,
    /// The target may be asked.
    pub asks: bool,
}

impl Cycle {
    /// Explains whoever `who` names.
    ///
    /// # Errors
    /// The state store failed. Source and target that cannot be asked are said in the answer.
    pub async fn explain(&self, state: &Path, who: &str) -> Result<Explanation, CycleError> {
        let mut store = Store::scratch(state)?;
        let row = store.sync_row(&self.sync.name, &self.sync.target)?;
        let mut out = Explanation::default();
        let (store, read) = self.read(store, &row, &Request { by_hand: true, ..Request::default() }).await;
        let read = match read {
            Ok(read) => read,
            Err(CycleError::State(e)) => return Err(e.into()),
            Err(e) => {
                out.source_error = Some(e);
                Read { full: false, names_everybody: false, no_room: None, distrust_clock: true, warnings: Vec::new() }
            }
        };
        let (mut store, desk, problem) = self.desk(store, row, &read).await?;
        out.target_error = problem;
        desk.work.evaluate(&mut store)?;
        store.in_transaction(|store| desk.work.rehire(store))?;
        let mut ids = self.find_named(&store, &desk.row, who)?;
        if ids.is_empty() && desk.asks {
            ids = self.find_at_target(&store, &desk, who).await;
        }
        if ids.is_empty() {
            out.nearest = Names::nearest(&store, desk.row.id, who)?;
            return Ok(out);
        }
        out.more = ids.len().saturating_sub(SHOWN);
        for id in ids.into_iter().take(SHOWN) {
            if let Some(found) = self.explain_one(&mut store, &desk, id, &mut out.target_error).await? {
                out.found.push(found);
            }
        }
        Ok(out)
    }

    /// What working out one entry needs; why the target cannot be asked, where it cannot.
    async fn desk(&self, store: Store, row: SyncRow, read: &Read) -> Result<(Store, Desk, Option<CycleError>), CycleError> {
        let (store, recognised) = self.notice_another_target(store, &row).await;
        let mut problem = recognised.err();
        let (store, dialect) =
            if problem.is_none() { self.dialect(store, &row).await } else { (store, Ok(self.undiscovered.clone())) };
        let dialect = match dialect {
            Ok(dialect) => dialect,
            Err(CycleError::State(e)) => return Err(e.into()),
            Err(e) => {
                problem = Some(e);
                self.undiscovered.clone()
            }
        };
        let request = Request { by_hand: true, ..Request::default() };
        let mut work = self.decision(&row, &request, &dialect, Look::Away, read);
        work.distrust_clock |= self.target.clock_skew_s().is_some_and(|skew| skew.abs() > super::read::MAX_SKEW);
        let reader = self.target.reader(&dialect);
        Ok((store, Desk { work, reader, row, asks: problem.is_none() }, problem))
    }

    /// Asks the target about one entry: by its link, else by the rules of matching. The answers are kept as if the target
    /// had been read. Returns by what, and which.
    pub(super) async fn look_at(
        &self,
        store: &Store,
        desk: &Desk,
        d: &Dirty,
    ) -> Result<(Option<String>, Vec<Remote>), CycleError> {
        let kind = d.entry.as_ref().map_or(ObjectKind::User, |e| e.kind);
        store.remote_clear()?;
        let out = self.ask_about(store, desk, d, kind).await;
        store.remote_end()?;
        out
    }

    async fn ask_about(
        &self,
        store: &Store,
        desk: &Desk,
        d: &Dirty,
        kind: ObjectKind,
    ) -> Result<(Option<String>, Vec<Remote>), CycleError> {
        if let Some(link) = d.link.as_ref().filter(|l| !l.gone) {
            if let Some(there) = desk.reader.get(kind, &link.target_id).await? {
                super::remote::keep(store, kind, &there)?;
                return Ok((Some("link".to_owned()), vec![there]));
            }
            // Of whom the target shows to nobody that says nothing: what was pushed stands.
            if !link.hidden {
                self.serves(&desk.reader, kind).await?;
                store.set_link_unseen(desk.row.id, d.id)?;
            }
            return Ok((None, Vec::new()));
        }
        let Some(entry) = d.entry.as_ref().filter(|_| !d.gone) else { return Ok((None, Vec::new())) };
        let desired = match kind {
            ObjectKind::User => desk.work.user_as_sent(desk.work.mapped(store, d, entry)?.attrs),
            ObjectKind::Group => desk.work.group_as_sent(entry),
        };
        let attrs = desired.unwrap_or_else(|unmapped| *unmapped.rest).attrs;
        let criteria = match kind {
            ObjectKind::User => &self.sync.matching.users,
            ObjectKind::Group => &self.sync.matching.groups,
        };
        let legacy = match kind {
            ObjectKind::User => self.mapper.legacy_external_ids(entry),
            ObjectKind::Group => Vec::new(),
        };
        let rules = criteria.iter().map(|c| (c.clone(), matching::values(c, &d.key, &attrs)));
        for (criterion, values) in rules.chain(matching::legacy(criteria, legacy)) {
            let wanted: Vec<(String, String)> = values.into_iter().map(|v| (criterion.clone(), v)).collect();
            let hits = if wanted.is_empty() { Vec::new() } else { desk.reader.find(kind, &wanted).await? };
            for hit in &hits {
                super::remote::keep(store, kind, hit)?;
            }
            if !hits.is_empty() {
                return Ok((Some(criterion), hits));
            }
        }
        Ok((None, Vec::new()))
    }

    /// Entries linked to an account that is called so at the target.
    async fn find_at_target(&self, store: &Store, desk: &Desk, who: &str) -> Vec<i64> {
        let mut out = Vec::new();
        for (kind, path) in [(ObjectKind::User, "userName"), (ObjectKind::Group, "displayName")] {
            // Who cannot be asked for is not found this way.
            let hits = desk.reader.find(kind, &[(path.to_owned(), who.to_owned())]).await.unwrap_or_default();
            for hit in hits {
                if let Ok(Some(id)) = store.entry_of_target(desk.row.id, kind, &hit.id) {
                    out.push(id);
                }
            }
        }
        out
    }

    async fn explain_one(
        &self,
        store: &mut Store,
        desk: &Desk,
        id: i64,
        target_error: &mut Option<CycleError>,
    ) -> Result<Option<Found>, CycleError> {
        let Some(d) = store.standing(id)? else { return Ok(None) };
        let kind = match &d.entry {
            Some(e) => e.kind,
            None => store.label(id)?.map_or(ObjectKind::User, |(kind, _)| kind),
        };
        store.plan_clear()?;
        let mut looked = (None, Vec::new());
        let mut asked = desk.asks;
        if asked {
            match self.look_at(store, desk, &d).await {
                Ok(found) => looked = found,
                Err(CycleError::State(e)) => return Err(e.into()),
                Err(e) => {
                    target_error.get_or_insert(e);
                    asked = false;
                }
            }
        }
        let Some(d) = store.standing(id)? else { return Ok(None) };
        let work = Work { observed: asked, compares: asked, ..self.work_like(&desk.work) };
        store.in_transaction(|store| work.decide_one(store, kind, d.clone()))?;
        store.plan_mark_approved(desk.row.id, self.now)?;
        store.plan_hold_undone()?;
        let (by, hits) = looked;
        let target_ids = match &d.link {
            Some(l) if !l.gone && hits.is_empty() => vec![l.target_id.clone()],
            _ => hits.iter().map(|h| h.id.clone()).collect(),
        };
        let by = by.or_else(|| (!target_ids.is_empty()).then(|| "link".to_owned()));
        let redacted = self.mapper.hidden(kind);
        let mut steps = self.steps_of(store, desk, hits.first(), &redacted)?;
        let (parked, held) = self.open_of(store, desk, &d, kind, &mut steps)?;
        let sent: Vec<Kind> = steps.iter().map(|s| s.kind).collect();
        let not_sent = if parked.is_empty() { self.why_not_sent(store, desk, &d, kind, asked, &sent)? } else { Vec::new() };
        let leaves = d.gone || (!d.in_scope && self.sync.scope.out_of_scope_deactivates);
        let mapping =
            d.entry.as_ref().map(|e| self.mapper.explain(e, leaves || desk.work.is_disabled(e, d.inactive))).unwrap_or_default();
        let state = match () {
            () if !held.is_empty() => "held",
            () if !parked.is_empty() => "parked",
            () if d.gone => "deleted",
            () if !d.in_scope => "out_of_scope",
            () if d.inactive => "disabled",
            () if d.link.as_ref().is_some_and(|l| !l.gone) => "linked",
            () => "new",
        };
        Ok(Some(Found {
            object: kind,
            who: d.label.clone(),
            source_key: d.key.clone(),
            state,
            scope: self.scope_of(store, desk, &d, kind)?,
            mapping,
            by,
            target_ids,
            steps,
            parked,
            held,
            not_sent,
            members: if kind == ObjectKind::Group && !d.gone { Some(self.members_of(store, id)?) } else { None },
            journal: store.log_of_entry(id, LINES)?,
            redacted,
            entry: d.entry,
        }))
    }

    pub(super) fn work_like(&self, w: &Work) -> Work {
        Work {
            sync: w.sync.clone(),
            mapper: w.mapper.clone(),
            row: w.row.clone(),
            dialect: w.dialect.clone(),
            by_hand: true,
            observed: w.observed,
            listed: w.listed,
            compares: w.compares,
            groups: w.groups,
            fingerprint: w.fingerprint.clone(),
            flatten: w.flatten,
            another_source: w.another_source.clone(),
            distrust_clock: w.distrust_clock,
            now: w.now,
            missing: std::cell::RefCell::default(),
            rehired: w.rehired.clone(),
            undone: std::cell::Cell::default(),
            no_external_id: Default::default(),
            none_there: std::cell::Cell::default(),
            shapes: std::cell::RefCell::default(),
            named_groups: Default::default(),
            taken: std::cell::RefCell::default(),
            preset: w.preset.clone(),
            apart: w.apart.clone(),
            changed: w.changed.clone(),
        }
    }

    /// The changes of the plan with their requests, without what must not be shown.
    fn steps_of(&self, store: &Store, desk: &Desk, there: Option<&Remote>, redacted: &Redacted) -> Result<Vec<Step>, StateError> {
        let mut out = Vec::new();
        store.plan_each(|row| {
            let mut request = self.request_of(store, desk, &row.change, there)?;
            let both = row.change.from.iter().chain(&row.change.to);
            let secrets: Vec<&serde_json::Value> =
                both.filter(|(path, v)| redacted.path(path) && !v.is_null()).map(|(_, v)| v).collect();
            if let Some(request) = &mut request {
                mask(&mut request.body, &secrets);
            }
            out.push(Step { kind: row.change.kind, reason: row.change.reason.clone(), held: row.held, request });
            Ok::<(), StateError>(())
        })?;
        Ok(out)
    }

    fn request_of(&self, store: &Store, desk: &Desk, c: &Change, there: Option<&Remote>) -> Result<Option<Outgoing>, StateError> {
        let kind = c.kind.object();
        let shown = match (c.kind, &c.target_id) {
            (Kind::Create | Kind::GroupCreate, _) => desk.reader.show_create(kind, &c.to),
            (_, None) => return Ok(None),
            (Kind::Delete | Kind::GroupDelete, Some(id)) => desk.reader.show_delete(kind, id),
            (Kind::MembersAdd | Kind::MembersRemove, Some(group)) => {
                let mut ids = Vec::new();
                for m in &c.members {
                    ids.extend(store.link(m.id)?.filter(|l| !l.gone).map(|l| l.target_id));
                }
                // Who has no account yet joins when there is one.
                if ids.is_empty() {
                    return Ok(None);
                }
                desk.reader.show_members(group, &ids, c.kind == Kind::MembersAdd, there)
            }
            (_, Some(id)) => desk.reader.show_update(kind, id, &c.before(), &c.to, there),
        };
        // A path that no body can carry is said by the mapping.
        Ok(shown.ok())
    }

    /// What is parked and held of this one: by this look, and, where the target refused this very change before, by that.
    #[allow(clippy::type_complexity)]
    fn open_of(
        &self,
        store: &Store,
        desk: &Desk,
        d: &Dirty,
        kind: ObjectKind,
        steps: &mut [Step],
    ) -> Result<(Vec<(String, String, String)>, Vec<(String, String)>), StateError> {
        let mut parked: Vec<(String, String, String)> =
            store.plan_parked()?.into_iter().map(|p| (p.kind, p.reason, p.advice)).collect();
        let mut held: Vec<(String, String)> = Vec::new();
        let stored = store.held(desk.row.id)?;
        let mut at = 0;
        store.plan_each(|row| {
            if let Some(w) = store.waiting(desk.row.id, d.id, row.change.kind.as_str(), &row.hash, -1)? {
                parked.push((row.change.kind.as_str().to_owned(), w.reason, w.advice));
            }
            let name = row.change.kind.as_str();
            let by_guard = stored
                .iter()
                .find(|h| !row.approved && h.key == d.key && h.object == kind.as_str() && h.kind == name)
                .map(|h| h.reason.clone());
            if let Some(why) = row.held.or(by_guard) {
                if let Some(step) = steps.get_mut(at) {
                    step.held = Some(why.clone());
                }
                held.push((name.to_owned(), why));
            }
            at += 1;
            Ok::<(), StateError>(())
        })?;
        Ok((parked, held))
    }

    fn scope_of(&self, store: &Store, desk: &Desk, d: &Dirty, kind: ObjectKind) -> Result<ScopeResult, StateError> {
        let mut out = match &d.entry {
            Some(entry) => self.mapper.scope_explain(entry),
            None => ScopeResult { in_scope: false, clauses: Vec::new() },
        };
        if kind == ObjectKind::User {
            for name in &self.sync.scope.members_of {
                let groups = store.find_groups(desk.row.id, &[crate::source::dn::dn_name(name)], name)?;
                let mut inside = false;
                for group in &groups {
                    inside |= store.source_members(*group, true)?.0.contains(&d.id);
                }
                let value = match (groups.is_empty(), inside) {
                    (true, _) => "no such group in the directory",
                    (false, true) => "member",
                    (false, false) => "no member",
                };
                out.clauses.push(crate::mapping::Clause {
                    clause: format!("members_of {name:?}"),
                    attribute: String::new(),
                    value: value.to_owned(),
                    holds: inside,
                });
            }
        }
        if d.gone {
            out.clauses.push(crate::mapping::Clause {
                clause: "in the directory".to_owned(),
                attribute: String::new(),
                value: "not any more".to_owned(),
                holds: false,
            });
        }
        out.in_scope = d.in_scope && !d.gone;
        Ok(out)
    }

    /// Who of the group's people takes no part, and why; and how many references name nobody.
    fn members_of(&self, store: &Store, id: i64) -> Result<Members, StateError> {
        let (people, dangling) = store.source_members(id, self.flatten)?;
        let people: Vec<i64> = people.into_iter().collect();
        let mut out = Members { dangling, ..Members::default() };
        for m in store.members_shown(&people)? {
            let why = match &m.parked {
                _ if !m.in_scope => "out of scope".to_owned(),
                _ if m.eligible => {
                    out.take_part += 1;
                    continue;
                }
                Some(why) => format!("parked: {why}"),
                None if m.inactive => "disabled, and without an account".to_owned(),
                None => "no account yet".to_owned(),
            };
            out.left_out.push((m, why));
        }
        Ok(out)
    }
}
