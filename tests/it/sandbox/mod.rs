//! The sandbox over HTTP: what RFC 7643 and RFC 7644 demand of a server.

mod applications;
mod faults;
mod groups;
mod judge;
mod patch;
mod protocol;
mod query;

use reqwest::{Method, RequestBuilder};
use scim_sync::sandbox::{Options, Running, Sandbox};
use serde_json::{Value, json};

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A sandbox and somebody who talks to it.
pub struct Talk {
    pub sandbox: Running,
    http: reqwest::Client,
}

/// An answer: status, headers, body (null where there is none).
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Said {
    /// Asserts an error with this status and keyword, in the form of RFC 7644 section 3.12.
    #[track_caller]
    pub fn refused(&self, status: u16, scim_type: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body["status"], status.to_string());
        assert_eq!(self.body["scimType"].as_str().unwrap_or_default(), scim_type, "{}", self.body);
        assert_eq!(self.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    }

    /// Asserts the status and gives the body.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl Talk {
    pub fn start(options: Options) -> Self {
        let sandbox = Sandbox::start(options).unwrap();
        // No proxy: what stands in the environment is not meant for this.
        Self { sandbox, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub fn new() -> Self {
        Self::start(Options::default())
    }

    /// A request under the SCIM base, with the token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.sandbox.base_url)).bearer_auth(&self.sandbox.token)
    }

    /// A request anywhere on the server, without a token.
    pub fn outside(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.sandbox.address))
    }

    pub async fn get(&self, path: &str) -> Said {
        said(self.request(Method::GET, path)).await
    }

    /// GET with query parameters, encoded as they must be.
    pub async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Said {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.get(&format!("{path}?{query}")).await
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Said {
        said(self.request(method, path).header("content-type", "application/scim+json").body(body.to_string())).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Said {
        self.send(Method::POST, path, &body).await
    }

    pub async fn patch(&self, path: &str, operations: Value) -> Said {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        self.send(Method::PATCH, path, &body).await
    }

    /// Makes a user from `more`, which needs no schemas, and gives the id.
    pub async fn user(&self, name: &str, more: Value) -> String {
        let mut body = json!({"schemas": [USER, ENTERPRISE], "userName": name});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.post("/Users", body).await.ok(201)["id"].as_str().unwrap().to_owned()
    }

    /// Makes a group and gives the id.
    pub async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        let body = json!({"schemas": [GROUP], "displayName": name, "members": members});
        self.post("/Groups", body).await.ok(201)["id"].as_str().unwrap().to_owned()
    }
}

pub async fn said(request: RequestBuilder) -> Said {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
    Said { status, headers, body }
}
