//! The hand of the application's own administrator: plain requests, no code of the client under test.

use super::world::SandboxProcess;
use serde_json::{Value, json};

/// Creates, changes and deletes at the target behind the program's back.
pub struct Admin {
    base: String,
    token: String,
    http: reqwest::blocking::Client,
}

impl Admin {
    pub fn of(sandbox: &SandboxProcess) -> Self {
        Self {
            base: sandbox.base_url.trim_end_matches('/').to_owned(),
            token: sandbox.token.clone(),
            http: reqwest::blocking::Client::new(),
        }
    }

    fn send(&self, method: reqwest::Method, path: &str, body: Option<&Value>) -> Value {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/scim+json").body(body.to_string());
        }
        let answer = request.send().unwrap();
        let status = answer.status();
        let text = answer.text().unwrap();
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A new account; returns its id.
    pub fn create(&self, user: &Value) -> String {
        let mut body = user.clone();
        // What uses an extension says so itself.
        if body["schemas"].is_null() {
            body["schemas"] = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
        }
        self.send(reqwest::Method::POST, "/Users", Some(&body))["id"].as_str().unwrap().to_owned()
    }

    /// A new group with these members; returns its id.
    pub fn create_group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|m| json!({"value": m})).collect();
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": members
        });
        self.send(reqwest::Method::POST, "/Groups", Some(&body))["id"].as_str().unwrap().to_owned()
    }

    pub fn get(&self, id: &str) -> Value {
        self.send(reqwest::Method::GET, &format!("/Users/{id}"), None)
    }

    pub fn delete(&self, id: &str) {
        self.send(reqwest::Method::DELETE, &format!("/Users/{id}"), None);
    }

    pub fn delete_group(&self, id: &str) {
        self.send(reqwest::Method::DELETE, &format!("/Groups/{id}"), None);
    }

    /// Replaces attributes of an account.
    pub fn set(&self, id: &str, attributes: &Value) {
        self.patch(&format!("/Users/{id}"), attributes);
    }

    /// Replaces attributes of a group.
    pub fn set_group(&self, id: &str, attributes: &Value) {
        self.patch(&format!("/Groups/{id}"), attributes);
    }

    fn patch(&self, path: &str, attributes: &Value) {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "value": attributes}]
        });
        self.send(reqwest::Method::PATCH, path, Some(&body));
    }
}

/// The id of a resource.
pub fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}
