//! A SCIM server with one bad habit, as servers really have them. Otherwise it does what RFC 7644 says, in the forms that the
//! client sends.

pub use super::habits::Odd;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

/// What becomes of a PATCH of a group; it is not carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lost {
    #[default]
    Nothing,
    /// So many more are answered 502.
    Answered(u32),
    /// No answer for a minute.
    Unanswered,
}

#[derive(Default)]
struct World {
    lost: Lost,
    users: Vec<Value>,
    groups: Vec<Value>,
    made: u64,
    version: u64,
    seen: Vec<(String, String)>,
    /// What is asked of one group is answered after a minute.
    groups_hang: bool,
    /// Whose externalId is the one is not renamed to the other (400).
    refused: Vec<(String, String)>,
}

/// A running server.
pub struct OddServer {
    odd: Odd,
    server: MockServer,
    world: Arc<Mutex<World>>,
}

struct Answers(Odd, Arc<Mutex<World>>);

impl OddServer {
    pub async fn start(odd: Odd) -> Self {
        let (server, world) = (MockServer::start().await, Arc::new(Mutex::new(World::default())));
        Mock::given(matchers::any()).respond_with(Answers(odd, Arc::clone(&world))).mount(&server).await;
        Self { odd, server, world }
    }

    /// What this answers is not asked of the server from here on.
    pub async fn answer_first(&self, mock: Mock) {
        mock.with_priority(1).mount(&self.server).await;
    }

    pub fn url(&self) -> String {
        self.server.uri()
    }

    /// An account that is there already.
    pub fn seed(&self, user: Value) {
        let mut world = self.world.lock().unwrap();
        world.made += 1;
        let mut user = user;
        user["id"] = if self.odd == Odd::IdIsName { user["userName"].clone() } else { json!(format!("seeded-{}", world.made)) };
        world.users.push(user);
    }

    /// A group that is there already.
    pub fn seed_group(&self, group: Value) {
        let mut world = self.world.lock().unwrap();
        world.made += 1;
        let mut group = group;
        group["id"] = json!(format!("seeded-{}", world.made));
        world.groups.push(group);
    }

    /// Names of the groups with the names of their members.
    pub fn groups(&self) -> Vec<(String, Vec<String>)> {
        let world = self.world.lock().unwrap();
        let name =
            |m: &Value| world.users.iter().find(|u| u["id"] == m["value"]).unwrap()["userName"].as_str().unwrap().to_owned();
        let members = |g: &Value| g["members"].as_array().map(|all| all.iter().map(name).collect()).unwrap_or_default();
        world.groups.iter().map(|g| (g["displayName"].as_str().unwrap().to_owned(), members(g))).collect()
    }

    /// From now on whose externalId is the one is not renamed to the other.
    pub fn refuse(&self, names: &[(&str, &str)]) {
        self.world.lock().unwrap().refused = names.iter().map(|(k, n)| ((*k).to_owned(), (*n).to_owned())).collect();
    }

    /// Names by externalId.
    pub fn names(&self) -> BTreeMap<String, String> {
        let text = |u: &Value, k: &str| u[k].as_str().unwrap_or_default().to_owned();
        self.users().iter().map(|u| (text(u, "externalId"), text(u, "userName"))).collect()
    }

    /// Somebody removes an account by hand.
    pub fn remove(&self, name: &str) -> Value {
        let users = &mut self.world.lock().unwrap().users;
        let at = users.iter().position(|u| u["userName"] == name).unwrap();
        users.remove(at)
    }

    /// Somebody changes an account by hand.
    pub fn set(&self, name: &str, attribute: &str, value: Value) {
        let users = &mut self.world.lock().unwrap().users;
        let user = users.iter_mut().find(|u| u["userName"] == name).unwrap();
        user[attribute] = value;
    }

    /// What is asked of one group is answered after a minute, from now on or no more.
    pub fn groups_hang(&self, hang: bool) {
        self.world.lock().unwrap().groups_hang = hang;
    }

    pub fn users(&self) -> Vec<Value> {
        self.world.lock().unwrap().users.clone()
    }

    /// Whoever is in the only group, as often as they are in it: userName, or the id of nobody.
    pub fn members(&self) -> Vec<String> {
        let world = self.world.lock().unwrap();
        assert!(world.groups.len() <= 1, "{} groups", world.groups.len());
        let members = world.groups.first().and_then(|g| g["members"].as_array().cloned()).unwrap_or_default();
        let name = |id: &Value| world.users.iter().find(|u| u["id"] == *id).and_then(|u| u["userName"].as_str());
        let mut out: Vec<String> =
            members.iter().map(|m| name(&m["value"]).map_or_else(|| format!("nobody: {}", m["value"]), str::to_owned)).collect();
        out.sort();
        out
    }

    /// Nobody is in any group any more.
    pub fn empty_group(&self) {
        self.world.lock().unwrap().groups.iter_mut().for_each(|g| drop(g.as_object_mut().unwrap().remove("members")));
    }

    /// Requests since the last call: method and path.
    pub fn take_requests(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.world.lock().unwrap().seen)
    }

    /// What becomes of PATCHes of groups from here on.
    pub fn lose(&self, lost: Lost) {
        self.world.lock().unwrap().lost = lost;
    }

    /// No two accounts of one name.
    pub fn no_duplicates(&self) {
        let users = self.users();
        let names: BTreeSet<String> = users.iter().map(|u| u["userName"].as_str().unwrap().to_lowercase()).collect();
        assert_eq!(names.len(), users.len(), "{users:?}");
    }
}

fn scim(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/scim+json")
}

fn error(status: u16, kind: &str) -> ResponseTemplate {
    let schema = "urn:ietf:params:scim:api:messages:2.0:Error";
    scim(status, &json!({"schemas": [schema], "status": status.to_string(), "scimType": kind, "detail": "no"}))
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut world = self.1.lock().unwrap();
        let path = request.url.path().to_owned();
        world.seen.push((request.method.to_string(), path.clone()));
        let parts: Vec<String> = path
            .split('/')
            .filter(|p| !p.is_empty())
            .map(|p| percent_encoding::percent_decode_str(p).decode_utf8_lossy().into_owned())
            .collect();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (request.method.as_str(), parts.as_slice(), world.lost) {
            ("PATCH", [c, _], Lost::Answered(n)) if c == "Groups" && n > 0 => {
                world.lost = Lost::Answered(n - 1);
                return error(502, "none");
            }
            ("PATCH", [c, _], Lost::Unanswered) if c == "Groups" => {
                return ResponseTemplate::new(504).set_delay(Duration::from_secs(60));
            }
            _ => {}
        }
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", [c]) if c == "Users" || c == "Groups" => self.list(&world, c, request),
            ("POST", [c]) if c == "Users" || c == "Groups" => self.create(&mut world, c, body),
            (_, [c, _]) if c == "Groups" && world.groups_hang => error(503, "none").set_delay(std::time::Duration::from_secs(60)),
            (_, [c, id]) if c == "Users" || c == "Groups" => self.one(&mut world, c, id, request, body),
            ("GET", [c]) if c == "ServiceProviderConfig" => {
                let versions = matches!(self.0, Odd::WantsVersions | Odd::LiesAboutVersions);
                scim(200, &json!({"patch": {"supported": !versions}, "etag": {"supported": versions}}))
            }
            _ => error(404, "none"),
        }
    }
}

impl Answers {
    fn shown(&self, row: &Value) -> Value {
        let mut row = row.clone();
        if matches!(self.0, Odd::HidesMembers | Odd::HidesMembersAndRefusesFilters) {
            row.as_object_mut().unwrap().remove("members");
        }
        row
    }

    fn hides(&self, row: &Value) -> bool {
        self.0 == Odd::HidesInactive && row["active"] == false
    }

    fn list(&self, world: &World, collection: &str, request: &Request) -> ResponseTemplate {
        let rows = if collection == "Users" { &world.users } else { &world.groups };
        let asked = |name: &str| request.url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
        let wanted = asked("filter").and_then(|f| {
            let (path, value) = f.split_once(" eq ")?;
            Some((path.to_owned(), serde_json::from_str::<Value>(value).ok()?.as_str()?.to_lowercase()))
        });
        let fits = |row: &&Value| match (&wanted, self.0) {
            (None, _) | (_, Odd::IgnoresFilters) => true,
            (_, Odd::FindsNothing) => false,
            (Some((path, value)), _) if path == "emails.value" => row["emails"]
                .as_array()
                .is_some_and(|e| e.iter().any(|e| e["value"].as_str().unwrap_or("").to_lowercase() == *value)),
            (Some((path, value)), _) => row[path.as_str()].as_str().is_some_and(|v| v.to_lowercase() == *value),
        };
        let rows: Vec<Value> = rows.iter().filter(fits).filter(|r| !self.hides(r)).map(|r| self.shown(r)).collect();
        let number = |name: &str, usual: usize| asked(name).and_then(|n| n.parse().ok()).unwrap_or(usual);
        let mut start = number("startIndex", 1).max(1);
        let mut count = number("count", 100);
        if self.0 == Odd::StartsOver {
            count = count.min(10);
            if start > rows.len() {
                start = 1;
            }
        }
        let skip = match self.0 {
            Odd::CountsFromZero => number("startIndex", 0),
            Odd::CountsPages => (start - 1) * count,
            _ => start - 1,
        };
        let mut page: Vec<Value> = rows.iter().skip(skip).take(count).map(|row| (*row).clone()).collect();
        if self.0 == Odd::ListsWithoutMembers {
            page.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("members")));
        }
        scim(200, &json!({"totalResults": rows.len(), "startIndex": start, "Resources": page}))
    }

    fn create(&self, world: &mut World, collection: &str, body: Value) -> ResponseTemplate {
        world.made += 1;
        let name = if collection == "Users" { "userName" } else { "displayName" };
        let rows = if collection == "Users" { &world.users } else { &world.groups };
        let same = |r: &Value| r[name].as_str().unwrap_or("").eq_ignore_ascii_case(body[name].as_str().unwrap_or(""));
        let address = |r: &Value| r["emails"][0]["value"].as_str().map(str::to_lowercase);
        let by_address = |r: &Value| self.0 == Odd::AnswersByAddress && address(r).is_some() && address(r) == address(&body);
        let may_be_twice = collection == "Groups" && self.0 == Odd::TakesOneNameTwice;
        if let Some(at) = rows.iter().position(|r| same(r) || by_address(r)).filter(|_| !may_be_twice) {
            let there = &rows[at];
            return match self.0 {
                Odd::AnswersWithWhatIsThere(status) => scim(status, &self.shown(there)),
                Odd::SaysNothing | Odd::AnswersByAddress => scim(200, &self.shown(there)),
                Odd::Upserts if collection == "Users" => {
                    let user = &mut world.users[at];
                    merge(user, &body);
                    scim(201, user)
                }
                _ => error(409, "uniqueness"),
            };
        }
        let mut row = body;
        row["id"] = if self.0 == Odd::IdIsName && collection == "Users" {
            row[name].clone()
        } else {
            json!(format!("id-{}", world.made))
        };
        row["meta"] = json!({"version": "W/\"0\""});
        if self.0 == Odd::PutsIdsInBraces {
            row["externalId"] = json!(format!("{{{}}}", row["externalId"].as_str().unwrap()));
        }
        if matches!(self.0, Odd::KeepsNoExternalId | Odd::SaysNothing) && collection == "Users" {
            row.as_object_mut().unwrap().remove("externalId");
        }
        let answer = scim(if matches!(self.0, Odd::CreatesWith200 | Odd::SaysNothing) { 200 } else { 201 }, &self.shown(&row));
        if collection == "Users" {
            world.users.push(row)
        } else {
            world.groups.push(row)
        }
        answer
    }

    fn one(&self, world: &mut World, collection: &str, id: &str, request: &Request, body: Value) -> ResponseTemplate {
        world.version += 1;
        let version = json!(format!("W/\"{}\"", world.version));
        let refused = world.refused.clone();
        let rows = if collection == "Users" { &mut world.users } else { &mut world.groups };
        let Some(at) = rows.iter().position(|r| r["id"] == id) else { return error(404, "none") };
        let mut row = rows[at].clone();
        let named = request.headers.get("If-Match").and_then(|v| v.to_str().ok());
        if self.0 == Odd::RequiresIfMatch && request.method.as_str() != "GET" && named != row["meta"]["version"].as_str() {
            return error(if named.is_some() { 412 } else { 428 }, "none");
        }
        let form = match self.0 {
            Odd::WantsText => {
                body["Operations"].as_array().is_some_and(|o| o.iter().any(|o| o["value"].is_boolean())).then_some("invalidValue")
            }
            Odd::WantsCapitals => body["Operations"]
                .as_array()
                .is_some_and(|o| o.iter().any(|o| o["op"].as_str().unwrap().starts_with(char::is_lowercase)))
                .then_some("invalidSyntax"),
            _ => None,
        };
        if let Some(form) = form {
            return error(400, form);
        }
        match request.method.as_str() {
            "GET" if self.hides(&row) => return error(404, "none"),
            "GET" => return scim(200, &self.shown(&row)),
            "PATCH" if self.0 == Odd::PatchesUsersOnly && collection == "Groups" => return error(501, "none"),
            "DELETE" => {
                rows.remove(at);
                return ResponseTemplate::new(204);
            }
            "PATCH" if self.0 == Odd::KnowsNoPatch => return error(405, "none"),
            "PATCH" if matches!(self.0, Odd::WantsVersions | Odd::LiesAboutVersions) => return error(501, "none"),
            "PATCH" => {
                for op in body["Operations"].as_array().unwrap() {
                    if let Err(refused) = self.apply(&mut row, op) {
                        return refused;
                    }
                }
            }
            "PUT" => {
                let named = request.headers.get("If-Match").and_then(|v| v.to_str().ok());
                let wrong = match self.0 {
                    Odd::WantsVersions => named != row["meta"]["version"].as_str(),
                    Odd::LiesAboutVersions => named.is_some(),
                    _ => false,
                };
                if wrong {
                    return error(412, "none");
                }
                row = body;
                row["id"] = json!(id);
            }
            _ => return error(405, "none"),
        }
        if collection == "Users" && row["userName"] != rows[at]["userName"] {
            if self.0 == Odd::FixesNames {
                return error(400, "mutability");
            }
            if refused.iter().any(|(key, name)| row["externalId"] == **key && row["userName"] == **name) {
                return error(400, "invalidValue");
            }
        }
        row["meta"] = json!({"version": version});
        if self.0 == Odd::KeepsNames && collection == "Users" {
            row["userName"] = rows[at]["userName"].clone();
        }
        if matches!(self.0, Odd::KeepsNoExternalId | Odd::SaysNothing) && collection == "Users" {
            row.as_object_mut().unwrap().remove("externalId");
        }
        if row["active"].is_string() {
            row["active"] = json!(row["active"] == "True");
        }
        if self.0 == Odd::IdIsName && collection == "Users" {
            row["id"] = row["userName"].clone();
        }
        match self.0 {
            Odd::DoesNothing => return scim(200, &rows[at]),
            Odd::DoesNothingQuietly => return ResponseTemplate::new(204),
            Odd::OnlyEchoes => return scim(200, &row),
            Odd::HidesInactive => {
                rows[at] = row;
                return ResponseTemplate::new(204);
            }
            _ => rows[at] = row.clone(),
        }
        scim(200, &self.shown(&row))
    }

    #[allow(clippy::result_large_err)] // an answer of the test server
    fn apply(&self, row: &mut Value, op: &Value) -> Result<(), ResponseTemplate> {
        let (verb, value) = (op["op"].as_str().unwrap().to_lowercase(), op["value"].clone());
        let verb = verb.as_str();
        let Some(path) = op["path"].as_str() else {
            if value.get("members").is_some() {
                return self.apply(row, &json!({"op": verb, "path": "members", "value": value["members"]}));
            }
            merge(row, &value);
            return Ok(());
        };
        if path.starts_with("members") {
            return self.members(row, verb, path, &value);
        }
        if let Some((attribute, rest)) = path.split_once("[type eq \"") {
            let (kind, sub) = rest.split_once("\"]").unwrap();
            let found = row[attribute].as_array_mut().and_then(|a| a.iter_mut().find(|e| e["type"] == kind));
            return match found {
                Some(element) => {
                    element[sub.trim_start_matches('.')] = value;
                    Ok(())
                }
                None => Err(error(400, "noTarget")),
            };
        }
        if verb == "add" && value.is_array() {
            let mut all = row[path].as_array().cloned().unwrap_or_default();
            all.extend(value.as_array().unwrap().clone());
            row[path] = json!(all);
            return Ok(());
        }
        let nested = path.split('.').rev().fold(value, |inner, name| json!({ name: inner }));
        merge(row, &nested);
        Ok(())
    }

    #[allow(clippy::result_large_err)]
    fn members(&self, row: &mut Value, verb: &str, path: &str, value: &Value) -> Result<(), ResponseTemplate> {
        let mut members = row["members"].as_array().cloned().unwrap_or_default();
        let given = value.as_array().cloned().unwrap_or_default();
        if self.0 == Odd::TakesFewMembers && given.len() > 7 {
            return Err(error(413, "none"));
        }
        match (verb, path.split_once("[value eq \"")) {
            ("add", _) => {
                for member in given {
                    if self.0 == Odd::KeepsCopies || !members.iter().any(|m| m["value"] == member["value"]) {
                        members.push(member);
                    }
                }
            }
            ("replace", _) => members = given,
            (_, Some(_)) if self.0 == Odd::HidesMembersAndRefusesFilters => return Err(error(400, "invalidPath")),
            (_, Some((_, id))) => members.retain(|m| m["value"] != id.trim_end_matches("\"]")),
            // As strict servers read it: all of them.
            _ => members.clear(),
        }
        row["members"] = json!(members);
        Ok(())
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(a), Value::Object(b)) => {
            b.iter().for_each(|(k, v)| merge(a.entry(k.clone()).or_insert(Value::Object(Map::new())), v))
        }
        (a, b) => *a = b.clone(),
    }
}
