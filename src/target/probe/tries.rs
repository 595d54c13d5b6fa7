//! One try: a request, and what became of it by reading back.

use super::{Made, Prober};
use crate::model::{Flat, ObjectKind, TargetId};
use crate::scim;
use crate::target::client::{Call, encode};
use crate::target::error::{About, TargetError};
use crate::target::path::field;
use crate::target::{Remote, body};
use http::Method;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// Waits between looks for what was made.
const LATER: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1500),
    Duration::from_secs(3),
];

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tried {
    /// The effect was seen.
    Works,
    /// A 2xx answer, and nothing to be seen of it.
    NoEffect,
    /// The server would not, with this status.
    Refused(u16),
    /// The same, and it says that the attribute never changes (RFC 7644 section 3.12, `mutability`).
    Fixed(u16),
    /// The same in its own words only.
    SaidFixed(u16),
    /// The resource is not found at its id any more.
    Lost,
}

impl Tried {
    pub fn works(&self) -> bool {
        *self == Self::Works
    }

    /// The server would not, whatever it says.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Fixed(_) | Self::SaidFixed(_))
    }
}

impl From<&Tried> for Value {
    fn from(tried: &Tried) -> Self {
        match tried {
            Tried::Works => "works".into(),
            Tried::NoEffect => "answered as done, without effect".into(),
            Tried::Refused(status) => format!("refused ({status})").into(),
            Tried::Fixed(status) | Tried::SaidFixed(status) => format!("refused ({status}): it cannot be changed").into(),
            Tried::Lost => "the resource is gone from its id".into(),
        }
    }
}

/// The status of a refusal that says something about the request; other faults are the target's as a whole.
pub(super) fn refusal(e: &TargetError) -> Option<u16> {
    e.status.filter(|s| *s >= 300 && !matches!(s, 401 | 407 | 408 | 429 | 502..=504))
}

/// Whether a refusal is in words that mean that something never changes.
fn says_fixed(message: &str) -> bool {
    const WORDS: [&str; 7] =
        ["immutable", "read-only", "readonly", "read only", "cannot be changed", "cannot be modified", "cannot be updated"];
    let message = message.to_lowercase();
    WORDS.iter().any(|word| message.contains(word))
}

/// A page of a list, in parts.
pub(super) struct Listed {
    pub ids: Vec<String>,
    pub total: Option<u64>,
    pub next: Option<String>,
}

impl Prober<'_> {
    /// POST. What is made is noted at once, so that it is removed.
    pub async fn create(&mut self, kind: ObjectKind, attrs: &Flat, members: &[TargetId]) -> Result<Remote, TargetError> {
        let doubted = std::mem::replace(&mut self.doubt, true);
        let made = async {
            let (call, reply) = self.writer.post(kind, attrs, members).await?;
            self.writer.created(kind, &call, &reply).await
        }
        .await;
        let name = attrs.get(kind.name_attribute()).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut by_name_only = false;
        let made = match made {
            // It was made, and the answer does not say under which id.
            Err(e) if e.ambiguous && e.status.is_some_and(|s| (200..300).contains(&s)) => {
                let by_name = [(kind.name_attribute().to_owned(), name.clone())];
                let hit = self.shown(async |p: &Self| Ok(p.reader.find(kind, &by_name).await?.into_iter().next())).await;
                // Of two of one name it may be the other: in the end whatever bears the tag goes.
                by_name_only = true;
                hit.ok().flatten().ok_or(e)
            }
            made => made,
        };
        self.doubt = doubted || by_name_only || made.as_ref().is_err_and(|e| e.ambiguous);
        let made = made?;
        self.made.push(Made { kind, id: made.id.clone(), name });
        Ok(made)
    }

    /// What was just made, waited for where reads lag behind writes; `None`: it is never shown.
    async fn shown(
        &mut self,
        look: impl AsyncFn(&Self) -> Result<Option<Remote>, TargetError>,
    ) -> Result<Option<Remote>, TargetError> {
        let began = Instant::now();
        for wait in LATER {
            if let Some(there) = look(self).await? {
                let lag = began.elapsed();
                if wait > LATER[0] && self.lag.is_none_or(|known| known < lag) {
                    if self.lag.is_none() {
                        let said = format!("lag behind writes: what was made was shown after {} ms", lag.as_millis());
                        self.found.note("reads", said);
                    }
                    self.lag = Some(lag);
                }
                return Ok(Some(there));
            }
            tokio::time::sleep(wait).await;
        }
        look(self).await
    }

    /// A resource that was just made.
    pub async fn made(&mut self, kind: ObjectKind, id: &TargetId) -> Result<Option<Remote>, TargetError> {
        self.shown(async |p: &Self| p.reader.get(kind, id).await).await
    }

    /// After a write, where reads are known to lag behind: long enough that the next one shows it.
    pub async fn settle(&self) {
        if let Some(lag) = self.lag {
            tokio::time::sleep(lag + lag / 2).await;
        }
    }

    /// PATCH with these operations; `done` says whether what is read back is as it was meant.
    pub async fn patch(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        ops: Value,
        done: impl Fn(&Remote) -> bool,
    ) -> Result<Tried, TargetError> {
        let message = json!({"schemas": [scim::PATCH_OP], "Operations": ops});
        let path = self.core.record_path(self.dialect.endpoint(kind), id)?;
        let call = Call::write(Method::PATCH, path, Some(message.to_string().into_bytes()), true);
        self.sent(kind, id, &call, done).await
    }

    /// PUT of what is there with these changes.
    pub async fn put(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        to: &Flat,
        done: impl Fn(&Remote) -> bool,
    ) -> Result<Tried, TargetError> {
        let Some(there) = self.reader.get(kind, id).await? else { return Ok(Tried::Lost) };
        let raw = there.raw.as_object().cloned().unwrap_or_default();
        let merged = body::merge(raw, to).map_err(|e| self.reader.bad_path(&e))?;
        let call = self.reader.put_call(kind, id, &Value::Object(merged))?;
        self.sent(kind, id, &call, done).await
    }

    async fn sent(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        call: &Call,
        done: impl Fn(&Remote) -> bool,
    ) -> Result<Tried, TargetError> {
        let mut again = true;
        while let Err(e) = self.core.send(call).await {
            match refusal(&e) {
                // Said of something that is there: a fault that passes, and no answer to the question.
                Some(404) if std::mem::take(&mut again) && self.reader.get(kind, id).await?.is_some() => {}
                Some(status) if e.says("mutability") => return Ok(Tried::Fixed(status)),
                Some(status) if says_fixed(&e.message) => return Ok(Tried::SaidFixed(status)),
                Some(status) => return Ok(Tried::Refused(status)),
                None => return Err(e),
            }
        }
        self.settle().await;
        Ok(match self.reader.get(kind, id).await? {
            None => Tried::Lost,
            Some(there) if done(&there) => Tried::Works,
            Some(_) => Tried::NoEffect,
        })
    }

    /// One operation in the form that was found to work: case of `op`, with or without a path.
    pub fn replace(&self, path: &str, value: &Value) -> Value {
        let dialect = self.found.dialect();
        operation(dialect.op_capital, dialect.patch_path, path, value)
    }

    /// One request for a list; the status where it was refused.
    pub async fn listed(&self, kind: ObjectKind, query: &[(&str, String)]) -> Result<Result<Listed, u16>, TargetError> {
        let query: Vec<String> = query.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect();
        let call = Call { query: query.join("&"), ..Call::get(self.dialect.endpoint(kind), About::Service) };
        let reply = match self.core.send(&call).await {
            Ok(reply) => reply,
            Err(e) => return refusal(&e).map(Err).ok_or(e),
        };
        let raw = self.core.json(&call, &reply)?;
        let empty = Map::new();
        let object = raw.as_object().unwrap_or(&empty);
        let rows = match field(object, "Resources") {
            Some(Value::Array(rows)) => rows.as_slice(),
            _ => raw.as_array().map_or(&[][..], Vec::as_slice),
        };
        let ids = rows.iter().filter_map(|r| Remote::new(r.clone())).map(|r| r.id.0).collect();
        let total = field(object, "totalResults").and_then(Value::as_u64);
        let next = field(object, "nextCursor").and_then(Value::as_str).filter(|c| !c.is_empty()).map(str::to_owned);
        Ok(Ok(Listed { ids, total, next }))
    }
}

/// `[{"op": "replace", ..}]` for a plain attribute.
pub(super) fn operation(capital: bool, with_path: bool, path: &str, value: &Value) -> Value {
    let op = if capital { "Replace" } else { "replace" };
    if with_path {
        return json!([{"op": op, "path": path, "value": value}]);
    }
    let object = match path.split_once('.') {
        Some((attribute, sub)) => json!({ attribute: { sub: value } }),
        None => json!({ path: value }),
    };
    json!([{"op": op, "value": object}])
}
