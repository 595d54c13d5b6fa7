//! Who may ask: an API token, or a service app with `private_key_jwt` and, where it is demanded, DPoP.

use super::Asked;
use super::http::Reply;
use super::serve::error;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The service app.
pub struct App {
    pub client_id: String,
    pub key_id: String,
    pub key: DecodingKey,
    pub algorithm: Algorithm,
    /// Scopes that were granted.
    pub scopes: Vec<&'static str>,
    pub dpop: bool,
}

/// An access token that was handed out.
struct Issued {
    scopes: String,
    /// Thumbprint of the proof key, as text.
    bound_to: Option<String>,
}

/// Everything about signing in.
pub struct SignIn {
    pub token: Option<String>,
    pub app: Option<App>,
    /// Assertions and proofs that were seen: each is good for once.
    seen: BTreeSet<String>,
    issued: BTreeMap<String, Issued>,
    pub nonce: String,
    /// The API itself demands this nonce in proofs, by this status.
    pub api_nonce: Option<(u16, &'static str)>,
    base: String,
}

impl SignIn {
    pub fn with_token(token: &str, base: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            app: None,
            seen: BTreeSet::new(),
            issued: BTreeMap::new(),
            nonce: "nonce-1".to_owned(),
            api_nonce: None,
            base: base.to_owned(),
        }
    }

    /// Every access token ends.
    pub fn end_tokens(&mut self) {
        self.issued.clear();
    }

    /// POST /oauth2/v1/token.
    pub fn token(&mut self, asked: &Asked, clock: i64) -> Reply {
        match self.grant(asked, clock) {
            Ok(body) => Reply { status: 200, headers: Vec::new(), body: body.to_string() },
            Err((code, why)) => {
                let nonce = (code == "use_dpop_nonce").then(|| ("dpop-nonce", self.nonce.clone()));
                let body = json!({"error": code, "error_description": why}).to_string();
                Reply { status: if code == "invalid_client" { 401 } else { 400 }, headers: nonce.into_iter().collect(), body }
            }
        }
    }

    fn grant(&mut self, asked: &Asked, clock: i64) -> Result<Value, (&'static str, String)> {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
        let get = |name: &str| form.get(name).cloned().unwrap_or_default();
        let app = self.app.as_ref().ok_or(("invalid_client", "no such app".to_owned()))?;
        if get("grant_type") != "client_credentials"
            || get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        {
            return Err(("unsupported_grant_type", "client_credentials with private_key_jwt only".to_owned()));
        }
        let bad = |why: &str| ("invalid_client", why.to_owned());
        let assertion = get("client_assertion");
        let header = decode_header(&assertion).map_err(|e| bad(&e.to_string()))?;
        if header.kid.as_deref() != Some(&app.key_id) {
            return Err(bad("unknown kid"));
        }
        let mut rules = Validation::new(app.algorithm);
        rules.validate_exp = false;
        rules.set_audience(&[format!("{}/oauth2/v1/token", self.base)]);
        rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        rules.set_issuer(&[&app.client_id]);
        let claims = decode::<Value>(&assertion, &app.key, &rules).map_err(|e| bad(&e.to_string()))?.claims;
        let exp = claims["exp"].as_i64().unwrap_or(0);
        if claims["sub"] != claims["iss"] || exp <= clock || exp > clock + 3600 {
            return Err(bad("sub is not iss, or exp is past or more than an hour ahead"));
        }
        if !self.seen.insert(format!("assertion {}", claims["jti"])) {
            return Err(bad("the assertion was used before"));
        }
        let app = self.app.as_ref().ok_or(bad("no such app"))?;
        let scopes = get("scope");
        if let Some(scope) = scopes.split(' ').find(|s| !app.scopes.contains(s)) {
            return Err(("invalid_scope", format!("{scope} is not granted")));
        }
        let dpop = app.dpop;
        let bound_to = match asked.headers.get("dpop") {
            None if dpop => return Err(("invalid_dpop_proof", "The DPoP proof JWT header is missing.".to_owned())),
            None => None,
            Some(_) => {
                let (claims, key) = self.proof(asked, clock).map_err(|why| ("invalid_dpop_proof", why))?;
                if claims["nonce"].as_str() != Some(&self.nonce) {
                    return Err(("use_dpop_nonce", "Authorization server requires nonce in DPoP proof.".to_owned()));
                }
                Some(key)
            }
        };
        let token = format!("access-{}", self.seen.len());
        let kind = if bound_to.is_some() { "DPoP" } else { "Bearer" };
        self.issued.insert(token.clone(), Issued { scopes: scopes.clone(), bound_to });
        Ok(json!({"token_type": kind, "expires_in": 3600, "access_token": token, "scope": scopes}))
    }

    /// Claims and key of the proof that a request carries, if it is a good one.
    fn proof(&mut self, asked: &Asked, clock: i64) -> Result<(Value, String), String> {
        let proof = asked.headers.get("dpop").ok_or("no proof")?;
        let header = decode_header(proof).map_err(|e| e.to_string())?;
        let jwk = header.jwk.ok_or("no jwk")?;
        let mut rules = Validation::new(header.alg);
        rules.validate_exp = false;
        rules.required_spec_claims.clear();
        let key = DecodingKey::from_jwk(&jwk).map_err(|e| e.to_string())?;
        let claims = decode::<Value>(proof, &key, &rules).map_err(|e| e.to_string())?.claims;
        if header.typ.as_deref() != Some("dpop+jwt")
            || claims["htm"] != asked.method.as_str()
            || claims["htu"] != format!("{}{}", self.base, asked.path)
        {
            return Err("typ, htm or htu".to_owned());
        }
        if (claims["iat"].as_i64().unwrap_or(0) - clock).abs() > 300 {
            return Err("iat".to_owned());
        }
        if !self.seen.insert(format!("proof {}", claims["jti"])) {
            return Err("the proof was used before".to_owned());
        }
        Ok((claims, serde_json::to_string(&jwk).map_err(|e| e.to_string())?))
    }

    /// Scopes of the request; `None`: an API token has none.
    pub fn authorise(&mut self, asked: &Asked, clock: i64) -> Result<Option<String>, Reply> {
        let authorization = asked.headers.get("authorization").cloned().unwrap_or_default();
        let invalid = || error(401, "E0000011", "Invalid token provided");
        if let Some(token) = authorization.strip_prefix("SSWS ") {
            return if self.token.as_deref() == Some(token) { Ok(None) } else { Err(invalid()) };
        }
        let (kind, token) = authorization.split_once(' ').ok_or_else(invalid)?;
        let issued = self.issued.get(token).ok_or_else(invalid)?;
        let (scopes, bound_to) = (issued.scopes.clone(), issued.bound_to.clone());
        match (kind, bound_to) {
            ("Bearer", None) => Ok(Some(scopes)),
            ("DPoP", Some(bound_to)) => {
                let (claims, key) = self.proof(asked, clock).map_err(|why| error(401, "E0000011", &why))?;
                if let Some((status, nonce)) = self.api_nonce
                    && claims["nonce"] != nonce
                {
                    let body = json!({"error": "use_dpop_nonce", "error_description": "Resource server requires nonce."});
                    let demand = ("www-authenticate", "DPoP error=\"use_dpop_nonce\"".to_owned());
                    let headers = vec![("dpop-nonce", nonce.to_owned()), demand];
                    return Err(Reply { status, headers, body: body.to_string() });
                }
                let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes()));
                if key == bound_to && claims["ath"] == hash.as_str() { Ok(Some(scopes)) } else { Err(invalid()) }
            }
            _ => Err(invalid()),
        }
    }
}
