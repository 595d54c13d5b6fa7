//! PATCH of users, in every form (RFC 7644 section 3.5.2).

use super::{ENTERPRISE, Talk, USER};
use serde_json::{Value, json};

/// A user to change.
struct Subject {
    talk: Talk,
    path: String,
}

impl Subject {
    async fn new(more: Value) -> Self {
        let talk = Talk::new();
        let id = talk.user("ada", more).await;
        Self { talk, path: format!("/Users/{id}") }
    }

    /// Carries out one operation and gives the user.
    async fn op(&self, operation: Value) -> Value {
        let user = self.talk.patch(&self.path, json!([operation])).await.ok(200);
        assert_eq!(self.talk.get(&self.path).await.ok(200), user);
        user
    }

    /// Sends one operation that is refused, and checks that nothing changed.
    async fn refused(&self, operation: Value, scim_type: &str) {
        let before = self.talk.get(&self.path).await.ok(200);
        self.talk
            .patch(&self.path, json!([{"op": "add", "path": "nickName", "value": "x"}, operation]))
            .await
            .refused(400, scim_type);
        assert_eq!(self.talk.get(&self.path).await.ok(200), before, "half a PATCH was carried out");
    }
}

fn two_emails() -> Value {
    json!({"emails": [{"value": "w@x.org", "type": "work", "primary": true}, {"value": "h@x.org", "type": "home"}]})
}

#[tokio::test]
async fn single_values() {
    let user = Subject::new(json!({})).await;
    assert_eq!(user.op(json!({"op": "Replace", "path": "active", "value": false})).await["active"], false);
    assert_eq!(user.op(json!({"op": "add", "path": "title", "value": "Dr"})).await["title"], "Dr");
    assert_eq!(user.op(json!({"op": "replace", "path": format!("{USER}:TITLE"), "value": "Prof"})).await["title"], "Prof");
    assert!(user.op(json!({"op": "remove", "path": "title"})).await.get("title").is_none());
    assert!(user.op(json!({"op": "replace", "path": "active", "value": null})).await.get("active").is_none());
    assert_eq!(user.op(json!({"op": "replace", "path": "externalId", "value": "7"})).await["externalId"], "7");
    assert!(user.op(json!({"op": "remove", "path": "externalId"})).await.get("externalId").is_none());
    assert_eq!(user.op(json!({"op": "replace", "path": "userName", "value": "lovelace"})).await["userName"], "lovelace");
    assert!(user.op(json!({"op": "replace", "path": "password", "value": "s"})).await.get("password").is_none());
}

#[tokio::test]
async fn complex_values() {
    let user = Subject::new(json!({})).await;
    assert_eq!(
        user.op(json!({"op": "replace", "path": "name.givenName", "value": "Ada"})).await["name"],
        json!({"givenName": "Ada"})
    );
    let merged = user.op(json!({"op": "replace", "path": "name", "value": {"familyName": "L"}})).await;
    assert_eq!(merged["name"], json!({"givenName": "Ada", "familyName": "L"}));
    let less = user.op(json!({"op": "add", "value": {"name": {"givenName": null}}})).await;
    assert_eq!(less["name"], json!({"familyName": "L"}));
    assert!(user.op(json!({"op": "remove", "path": "name.familyName"})).await.get("name").is_none());
}

#[tokio::test]
async fn without_path() {
    let user = Subject::new(two_emails()).await;
    let id = user.talk.get(&user.path).await.ok(200)["id"].clone();
    let after = user
        .op(json!({"op": "replace", "value": {
            "schemas": [USER], "id": id, "active": true, "name": {"givenName": "A"},
            "emails": [{"value": "n@x.org"}], (ENTERPRISE): {"department": "D"}, "externalId": "e",
        }}))
        .await;
    assert_eq!(after["emails"], json!([{"value": "n@x.org"}]));
    assert_eq!((&after[ENTERPRISE], &after["externalId"]), (&json!({"department": "D"}), &json!("e")));
    assert_eq!(after["schemas"], json!([USER, ENTERPRISE]));
    user.refused(json!({"op": "replace", "value": {"id": "other"}}), "mutability").await;
    user.refused(json!({"op": "replace", "value": {"groups": []}}), "mutability").await;
    user.refused(json!({"op": "replace", "value": {"name.givenName": "x"}}), "invalidSyntax").await;
    user.refused(json!({"op": "replace", "value": {"urn:example:X": {}}}), "invalidSyntax").await;
    user.refused(json!({"op": "replace", "value": 5}), "invalidValue").await;
    user.refused(json!({"op": "remove"}), "noTarget").await;
}

#[tokio::test]
async fn the_extension() {
    let user = Subject::new(json!({})).await;
    let path = |name: &str| format!("{ENTERPRISE}:{name}");
    let after = user.op(json!({"op": "add", "path": path("department"), "value": "D"})).await;
    assert_eq!((&after[ENTERPRISE], &after["schemas"]), (&json!({"department": "D"}), &json!([USER, ENTERPRISE])));
    let after = user.op(json!({"op": "replace", "path": path("manager.value"), "value": "42"})).await;
    assert_eq!(after[ENTERPRISE]["manager"], json!({"value": "42"}));
    let after = user.op(json!({"op": "replace", "path": ENTERPRISE, "value": {"division": "V", "department": null}})).await;
    assert_eq!(after[ENTERPRISE], json!({"manager": {"value": "42"}, "division": "V"}));
    user.refused(json!({"op": "replace", "path": path("manager"), "value": "42"}), "invalidValue").await;
    user.refused(json!({"op": "replace", "path": path("manager.displayName"), "value": "x"}), "mutability").await;
    user.refused(json!({"op": "replace", "path": path("nothing"), "value": "x"}), "invalidPath").await;
    user.op(json!({"op": "remove", "path": path("manager")})).await;
    let after = user.op(json!({"op": "remove", "path": path("division")})).await;
    assert_eq!((after.get(ENTERPRISE), &after["schemas"]), (None, &json!([USER])));
    user.op(json!({"op": "add", "path": ENTERPRISE, "value": {"costCenter": "1"}})).await;
    assert!(user.op(json!({"op": "remove", "path": ENTERPRISE})).await.get(ENTERPRISE).is_none());
}

#[tokio::test]
async fn multi_valued_attributes() {
    let user = Subject::new(two_emails()).await;
    // One more; equal ones are not added again, and nothing changes then.
    let after = user
        .op(json!({"op": "add", "path": "emails", "value": [{"value": "n@x.org"}, {"type": "home", "value": "h@x.org"}]}))
        .await;
    assert_eq!(after["emails"].as_array().unwrap().len(), 3);
    let again = user.op(json!({"op": "add", "path": "emails", "value": {"value": "n@x.org"}})).await;
    assert_eq!(again["meta"], after["meta"]);
    // A new primary value takes the mark from the old one.
    let after = user.op(json!({"op": "add", "path": "emails", "value": [{"value": "p@x.org", "primary": true}]})).await;
    assert_eq!((&after["emails"][0]["primary"], &after["emails"][3]["primary"]), (&json!(false), &json!(true)));
    let after = user.op(json!({"op": "replace", "path": "emails[type eq \"home\"].primary", "value": true})).await;
    assert_eq!((&after["emails"][1]["primary"], &after["emails"][3]["primary"]), (&json!(true), &json!(false)));
    let after = user.op(json!({"op": "replace", "path": "emails", "value": [{"value": "only@x.org", "type": "work"}]})).await;
    assert_eq!(after["emails"], json!([{"value": "only@x.org", "type": "work"}]));
    let after = user.op(json!({"op": "replace", "path": "emails.type", "value": "other"})).await;
    assert_eq!(after["emails"], json!([{"value": "only@x.org", "type": "other"}]));
    assert!(user.op(json!({"op": "replace", "path": "emails", "value": []})).await.get("emails").is_none());
}

#[tokio::test]
async fn values_chosen_by_a_filter() {
    let user = Subject::new(two_emails()).await;
    let after = user.op(json!({"op": "replace", "path": "emails[type eq \"WORK\"].value", "value": "new@x.org"})).await;
    assert_eq!(after["emails"][0], json!({"value": "new@x.org", "type": "work", "primary": true}));
    let after = user.op(json!({"op": "replace", "path": "emails[value ew \"x.org\" and type eq \"home\"]", "value": {"value": "h2@x.org", "type": "home"}})).await;
    assert_eq!(after["emails"][1], json!({"value": "h2@x.org", "type": "home"}));
    let after = user.op(json!({"op": "remove", "path": "emails[type eq \"work\"].primary"})).await;
    assert_eq!(after["emails"][0], json!({"value": "new@x.org", "type": "work"}));
    user.refused(json!({"op": "replace", "path": "emails[type eq \"other\"].value", "value": "x"}), "noTarget").await;
    user.refused(json!({"op": "add", "path": "addresses[type eq \"work\"].locality", "value": "x"}), "noTarget").await;
    user.refused(json!({"op": "replace", "path": "phoneNumbers.value", "value": "1"}), "noTarget").await;
    user.refused(json!({"op": "replace", "path": "emails[colour eq \"red\"].value", "value": "x"}), "invalidFilter").await;
    user.refused(json!({"op": "replace", "path": "emails[type matches \"w\"].value", "value": "x"}), "invalidFilter").await;
    user.refused(json!({"op": "replace", "path": "emails[type eq \"work\"", "value": "x"}), "invalidPath").await;
    user.refused(json!({"op": "replace", "path": "name[givenName eq \"x\"].familyName", "value": "x"}), "invalidPath").await;
    let after = user.op(json!({"op": "remove", "path": "emails[type eq \"work\"]"})).await;
    assert_eq!(after["emails"].as_array().unwrap().len(), 1);
    assert!(user.op(json!({"op": "remove", "path": "emails[type eq \"home\"]"})).await.get("emails").is_none());
}

#[tokio::test]
async fn what_is_wrong_is_refused_whole() {
    let user = Subject::new(two_emails()).await;
    user.refused(json!({"op": "replace", "path": "active", "value": "True"}), "invalidValue").await;
    user.refused(json!({"op": "replace", "path": "nothing", "value": "x"}), "invalidPath").await;
    user.refused(json!({"op": "replace", "path": "name.nothing", "value": "x"}), "invalidPath").await;
    user.refused(json!({"op": "replace", "path": "urn:example:X:title", "value": "x"}), "invalidPath").await;
    user.refused(json!({"op": "replace", "path": "id", "value": "x"}), "mutability").await;
    user.refused(json!({"op": "replace", "path": "meta.created", "value": "x"}), "mutability").await;
    user.refused(json!({"op": "add", "path": "groups", "value": [{"value": "x"}]}), "mutability").await;
    user.refused(json!({"op": "remove", "path": "userName"}), "mutability").await;
    user.refused(json!({"op": "replace", "path": "userName", "value": null}), "invalidValue").await;
    user.refused(json!({"op": "remove", "path": "emails", "value": [{"value": "w@x.org"}]}), "invalidValue").await;
    user.refused(json!({"op": "add", "path": "name", "value": {"nothing": 1}}), "invalidSyntax").await;
    user.refused(
        json!({"op": "replace", "path": "emails", "value": [{"value": "a", "primary": true}, {"value": "b", "primary": true}]}),
        "invalidValue",
    )
    .await;
    user.talk.patch(&user.path, json!([])).await.refused(400, "invalidSyntax");
    user.talk.send(reqwest::Method::PATCH, &user.path, &json!({"Operations": []})).await.refused(400, "invalidSyntax");
}
