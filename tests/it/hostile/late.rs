//! Targets that read from a copy: what was written is shown a while later, by lists, by filters and by ids. And targets that
//! take a whole resource only and do not show all of it.

use crate::support::world::World;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers};

/// How it behaves.
#[derive(Debug, Clone, Copy, Default)]
struct Ways {
    lag: Duration,
    /// PATCH answers 501.
    no_patch: bool,
    /// Changes are answered 204.
    quiet: bool,
    /// A create is answered 201 and nothing else; `true`: but with a Location.
    bodiless: Option<bool>,
    /// No group shows its members.
    hides_members: bool,
    /// No account shows its name.
    hides_names: bool,
    /// Whatever a filter asks for, everything comes.
    ignores_filters: bool,
    /// Creates that are carried out and not answered in time (504).
    lost: u32,
}

/// Every state of a resource and since when it has it; none: removed.
type History = Vec<(Instant, Option<Value>)>;

#[derive(Default)]
struct State {
    ways: Ways,
    made: u32,
    /// Collection, id.
    all: Vec<(String, String, History)>,
}

struct Late {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

struct Answers(Arc<Mutex<State>>);

impl Late {
    async fn start(ways: Ways) -> Self {
        let (server, state) = (MockServer::start().await, Arc::new(Mutex::new(State { ways, ..State::default() })));
        Mock::given(matchers::any()).respond_with(Answers(Arc::clone(&state))).mount(&server).await;
        Self { server, state }
    }

    fn ways(&self, change: impl FnOnce(&mut Ways)) {
        change(&mut self.state.lock().unwrap().ways);
    }

    /// Everything as it really is.
    fn rows(&self, collection: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        let of = state.all.iter().filter(|(c, _, _)| c == collection);
        of.filter_map(|(_, _, history)| history.last().unwrap().1.clone()).collect()
    }

    fn user(&self, name: &str) -> Value {
        self.rows("Users").into_iter().find(|u| u["userName"] == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Names of the members of each group.
    fn members(&self) -> Vec<(String, Vec<String>)> {
        let users = self.rows("Users");
        let name = |m: &Value| users.iter().find(|u| u["id"] == m["value"]).unwrap()["userName"].as_str().unwrap().to_owned();
        let of = |g: &Value| {
            let mut names: Vec<String> = g["members"].as_array().into_iter().flatten().map(name).collect();
            names.sort();
            (g["displayName"].as_str().unwrap().to_owned(), names)
        };
        self.rows("Groups").iter().map(of).collect()
    }

    fn world(&self, people: usize, target: &str) -> World {
        let sync = "[sync.guard]\ndeactivate = \"unlimited\"\nmembers_remove_per_group = \"unlimited\"\nminimum = 1000";
        let mut w = World::new(&self.server.uri(), "t", sync, target);
        w.populate(people);
        w
    }

    /// Longer than the lag.
    fn wait(&self) {
        std::thread::sleep(self.state.lock().unwrap().ways.lag + Duration::from_millis(100));
    }
}

fn scim(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/scim+json")
}

fn set(row: &mut Value, op: &Value) {
    let (verb, value) = (op["op"].as_str().unwrap().to_lowercase(), &op["value"]);
    let Some(path) = op["path"].as_str() else {
        for (path, value) in value.as_object().unwrap() {
            set(row, &json!({"op": verb, "path": path, "value": value}));
        }
        return;
    };
    if let Some(wanted) = path.strip_prefix("members[value eq \"").and_then(|p| p.strip_suffix("\"]")) {
        row["members"].as_array_mut().unwrap().retain(|m| m["value"] != wanted);
    } else if verb == "remove" {
        let (object, gone) = (row.as_object_mut().unwrap(), value.as_array().cloned().unwrap_or_default());
        match object.get_mut(path).and_then(Value::as_array_mut).filter(|_| !gone.is_empty()) {
            Some(all) => all.retain(|m| !gone.iter().any(|g| g["value"] == m["value"])),
            None => drop(object.remove(path)),
        }
    } else if path == "members" && verb == "add" {
        let mut all = row["members"].as_array().cloned().unwrap_or_default();
        all.extend(value.as_array().unwrap().clone());
        row["members"] = json!(all);
    } else if let Some((attribute, sub)) = path.split_once('.').filter(|_| !path.contains('[')) {
        row[attribute][sub] = value.clone();
    } else if !path.contains('[') {
        row[path] = value.clone();
    }
}

impl State {
    fn shown(&self, collection: &str) -> Vec<Value> {
        let now = Instant::now();
        let of = self.all.iter().filter(|(c, _, _)| c == collection);
        let seen = |history: &History| history.iter().rev().find(|(at, _)| *at + self.ways.lag <= now)?.1.clone();
        of.filter_map(|(_, _, history)| seen(history)).map(|row| self.parts(collection, row)).collect()
    }

    fn parts(&self, collection: &str, mut row: Value) -> Value {
        let object: &mut Map<String, Value> = row.as_object_mut().unwrap();
        if self.ways.hides_members && collection == "Groups" {
            object.remove("members");
        }
        if self.ways.hides_names && collection == "Users" {
            object.remove("name");
        }
        row
    }

    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        let path = request.url.path().to_owned();
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", [c @ ("Users" | "Groups")]) => {
                let filter = request.url.query_pairs().find(|(k, _)| k == "filter").map(|(_, v)| v.into_owned());
                let mut rows = self.shown(c);
                if let Some((path, value)) =
                    filter.as_deref().and_then(|f| f.split_once(" eq ")).filter(|_| !self.ways.ignores_filters)
                {
                    let wanted = serde_json::from_str::<Value>(value).unwrap().as_str().unwrap().to_lowercase();
                    let is = |v: &Value| v.as_str().is_some_and(|v| v.to_lowercase() == wanted);
                    rows.retain(|r| match path {
                        "emails.value" => r["emails"].as_array().is_some_and(|all| all.iter().any(|e| is(&e["value"]))),
                        path => is(&r[path]),
                    });
                }
                scim(200, &json!({"totalResults": rows.len(), "startIndex": 1, "Resources": rows}))
            }
            ("GET", [c @ ("Users" | "Groups"), id]) => match self.shown(c).into_iter().find(|r| r["id"] == **id) {
                Some(row) => scim(200, &row),
                None => ResponseTemplate::new(404),
            },
            ("POST", [c @ ("Users" | "Groups")]) => self.create(c, body),
            ("PATCH", [..]) if self.ways.no_patch => ResponseTemplate::new(501),
            (verb @ ("PATCH" | "PUT" | "DELETE"), [c @ ("Users" | "Groups"), id]) => self.change(verb, c, id, body),
            _ => ResponseTemplate::new(404),
        }
    }

    fn create(&mut self, collection: &str, body: Value) -> ResponseTemplate {
        self.made += 1;
        let id = format!("id-{}", self.made);
        let mut row = body;
        row["id"] = json!(id);
        self.all.push((collection.to_owned(), id.clone(), vec![(Instant::now(), Some(row.clone()))]));
        if self.ways.lost > 0 {
            self.ways.lost -= 1;
            return ResponseTemplate::new(504);
        }
        match self.ways.bodiless {
            None => scim(201, &self.parts(collection, row)),
            Some(false) => ResponseTemplate::new(201),
            Some(true) => ResponseTemplate::new(201).insert_header("Location", format!("http://x/{collection}/{id}")),
        }
    }

    fn change(&mut self, verb: &str, collection: &str, id: &str, body: Value) -> ResponseTemplate {
        let there = self.all.iter_mut().find(|(c, i, history)| c == collection && i == id && history.last().unwrap().1.is_some());
        let Some((_, _, history)) = there else { return ResponseTemplate::new(404) };
        let mut row = history.last().unwrap().1.clone().unwrap();
        match verb {
            "PATCH" => body["Operations"].as_array().unwrap().iter().for_each(|op| set(&mut row, op)),
            "PUT" => {
                row = body;
                row["id"] = json!(id);
            }
            _ => {}
        }
        let deleted = verb == "DELETE";
        history.push((Instant::now(), (!deleted).then(|| row.clone())));
        if self.ways.quiet || deleted { ResponseTemplate::new(204) } else { scim(200, &self.parts(collection, row)) }
    }
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.0.lock().unwrap().answer(request)
    }
}

const LAG: Duration = Duration::from_millis(1000);

/// Whoever is deactivated stays so, and whoever is back stays active, whatever else changes of them in the same cycle.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_made_active_again_by_what_was_read_too_early() {
    for (no_patch, quiet) in [(false, true), (true, true), (true, false), (false, false)] {
        let server = Late::start(Ways { no_patch, ..Ways::default() }).await;
        let mut w = server.world(6, "");
        w.sync().expect(0);
        w.set("p00001", "accountEnabled", false);
        w.sync().expect(0);
        server.ways(|ways| (ways.lag, ways.quiet) = (LAG, quiet));
        server.wait();
        w.set("p00001", "accountEnabled", true);
        w.set("p00001", "displayName", "Back");
        w.set("p00002", "accountEnabled", false);
        w.set("p00002", "displayName", "Gone");
        let mut code = 0;
        for _ in 0..3 {
            code = w.sync().code;
            server.wait();
            assert_eq!(server.user("p00001@corp.example")["active"], true, "{no_patch} {quiet}");
            assert_eq!(server.user("p00002@corp.example")["active"], false, "{no_patch} {quiet}");
        }
        assert_eq!(code, 0, "{no_patch} {quiet}");
        assert_eq!(server.user("p00001@corp.example")["displayName"], "Back");
        assert_eq!(server.user("p00002@corp.example")["displayName"], "Gone");
    }
}

/// A 2xx to a create is one account and one group, also where the answer is empty and nothing is shown yet; and so is an
/// answer that was lost.
#[tokio::test(flavor = "multi_thread")]
async fn one_account_per_person_what_was_taken_is_not_sent_again() {
    let late = Ways { lag: LAG, ..Ways::default() };
    // The last one is shown after every look of the cycle.
    let long = Duration::from_millis(4000);
    for (ways, codes) in [
        (Ways { bodiless: Some(true), ..late }, [0].as_slice()),
        (Ways { bodiless: Some(false), ..late }, &[0]),
        (Ways { lost: 1, ..late }, &[0]),
        (Ways { bodiless: Some(false), lag: long, ..late }, &[7]),
    ] {
        let server = Late::start(ways).await;
        let mut w = server.world(1, "");
        w.group("g", &[]);
        let code = w.sync().code;
        let made = || (server.rows("Users").len(), server.rows("Groups").len());
        assert_eq!((made(), codes.contains(&code)), ((1, 1), true), "{ways:?}: {code}");
        for _ in 0..2 {
            server.wait();
            w.sync();
        }
        w.sync().expect(0);
        assert_eq!(made(), (1, 1), "{ways:?}");
    }
}

/// Whoever joins in a cycle is not taken out again by what takes another one out.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_just_joined_stays_where_the_whole_list_is_written() {
    for (no_patch, quiet) in [(false, true), (true, true), (true, false)] {
        let server = Late::start(Ways { no_patch, ..Ways::default() }).await;
        let mut w = server.world(4, "");
        w.group("g", &["p00000", "p00001"]);
        w.sync().expect(0);
        // Long enough that no look shows the removal.
        server.ways(|ways| (ways.lag, ways.quiet) = (Duration::from_millis(3500), quiet));
        server.wait();
        w.group("g", &["p00000", "p00002", "p00003"]);
        w.sync();
        let wanted = ["p00000@corp.example", "p00002@corp.example", "p00003@corp.example"];
        assert_eq!(server.members()[0].1, wanted, "{no_patch} {quiet}");
        for _ in 0..2 {
            server.wait();
            w.sync();
        }
        assert_eq!(server.members()[0].1, wanted, "{no_patch} {quiet}");
        w.sync().expect(0);
    }
}

/// What was made a moment ago is not gone because it is not shown.
#[tokio::test(flavor = "multi_thread")]
async fn gone_is_checked_a_new_group_that_is_not_shown_yet_is_no_lost_one() {
    for quiet in [false, true] {
        let server = Late::start(Ways { lag: LAG, quiet, ..Ways::default() }).await;
        let mut w = server.world(3, "");
        w.group("g", &["p00000", "p00001", "p00002"]);
        let cycle = w.sync().cycle();
        assert!(!cycle["parked"].to_string().contains("gone"), "{cycle}");
        server.wait();
        w.sync().expect(0);
        let cycle = w.sync().expect(0).cycle();
        assert_eq!(cycle["held"], json!([]), "{cycle}");
        assert_eq!(server.members().len(), 1);
        let mut members = server.members()[0].1.clone();
        members.dedup();
        assert_eq!(members.len(), 3, "{quiet}");
    }
}

/// A PUT takes along what the target does not show.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_resource_keeps_what_is_not_shown() {
    let server = Late::start(Ways { no_patch: true, hides_members: true, hides_names: true, ..Ways::default() }).await;
    let mut w = server.world(3, "members_shown = false");
    w.set("p00000", "givenName", "Jo");
    w.set("p00000", "sn", "Doe");
    w.group("g", &["p00000", "p00001"]);
    w.sync().expect(0);
    let name = server.user("p00000@corp.example")["name"].clone();
    assert!(name.is_object());
    let both = ["p00000@corp.example".to_owned(), "p00001@corp.example".to_owned()];
    assert_eq!(server.members()[0].1, both);
    w.set("p00000", "displayName", "New");
    w.groups.get_mut("g").unwrap().0 = "Crew".to_owned();
    w.sync().expect(0);
    assert_eq!(
        (&server.user("p00000@corp.example")["name"], server.members()),
        (&name, vec![("Crew".to_owned(), both.to_vec())])
    );
    w.groups.get_mut("g").unwrap().1 = vec!["p00001".to_owned(), "p00002".to_owned()];
    w.sync().expect(0);
    assert_eq!(server.members()[0].1, ["p00001@corp.example", "p00002@corp.example"]);
}

fn fact(probe: &Value, name: &str) -> String {
    let facts = probe["facts"].as_array().unwrap();
    facts.iter().find(|f| f["name"] == name).map_or_else(String::new, |f| f["value"].to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_waits_for_what_is_shown_late_and_sees_through_a_filter_that_is_ignored() {
    let late = Ways { lag: Duration::from_millis(200), ..Ways::default() };
    let ways = [late, Ways { bodiless: Some(false), ..late }, Ways { ignores_filters: true, ..Ways::default() }];
    for ways in ways {
        let server = Late::start(ways).await;
        let w = server.world(0, "");
        w.save();
        let probe = w.run(&["probe", "s", "--yes", "--json"]).expect(0).json()["probes"][0].clone();
        assert_eq!(fact(&probe, "reads").contains("lag behind writes"), !ways.lag.is_zero(), "{ways:?}: {probe}");
        for name in ["patch.path", "put", "members.remove_one_by_one"] {
            assert_eq!(fact(&probe, name), "\"works\"", "{ways:?} {name}: {probe}");
        }
        let filter = fact(&probe, "filter.group.displayName");
        assert_eq!(filter.contains("ignored"), ways.ignores_filters, "{ways:?}: {filter}");
        assert_eq!((server.rows("Users"), server.rows("Groups")), (vec![], vec![]));
    }
}
