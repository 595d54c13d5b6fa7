//! Requests to a target that takes a change only of the version that it names (RFC 7644 section 3.14).

use super::client::{Call, Core, Reply};
use super::error::{About, TargetError};
use super::remote::Remote;
use crate::http::meter::Retry;
use http::Method;

/// Times that a change is sent with the version that was just read, where it is known that it has to be: somebody else may
/// write in between.
const TIMES: u32 = 3;

impl Core {
    /// Sends a request until it is answered for good. A change without a version that is refused for the want of one is sent
    /// again with it; from then on each change asks for its version first.
    pub(super) async fn send_on(&self, call: &Call) -> Result<Reply, TargetError> {
        let changes = matches!(call.method, Method::PATCH | Method::PUT | Method::DELETE);
        if !changes || call.if_match.is_some() {
            return self.exchange(call).await;
        }
        let known = self.learned.wants_versions();
        if !known {
            match self.exchange(call).await {
                Err(e) if wants_version(&e) => {}
                other => return other,
            }
        }
        let most = if known { TIMES } else { 1 };
        let mut times = 0;
        loop {
            let now = Call { if_match: Some(self.version_of(call).await?), ..call.clone() };
            if !known || times > 0 {
                self.again(Retry::Version);
            }
            times += 1;
            match self.exchange(&now).await {
                Err(e) if wants_version(&e) && times < most => {}
                answer => {
                    // What is refused with a version as without one was not about versions.
                    if !known && !answer.as_ref().is_err_and(wants_version) {
                        tracing::info!(target_name = %self.name, "the target takes changes only with If-Match; it is sent from here on");
                        self.learned.note_wants_versions();
                    }
                    return answer;
                }
            }
        }
    }

    /// The version of the resource that a request is about, as it is now; any (`*`, RFC 9110 section 13.1.1) where the target
    /// tells none.
    async fn version_of(&self, change: &Call) -> Result<String, TargetError> {
        let call = Call::get(change.path.clone(), About::Record);
        self.count(call.counts);
        let reply = self.exchange(&call).await?;
        let told = match &reply.etag {
            Some(etag) => Some(etag.trim().to_owned()),
            None => serde_json::from_slice(&reply.body).ok().and_then(Remote::new).and_then(|r| r.version().map(str::to_owned)),
        };
        Ok(told.filter(|v| !v.is_empty()).unwrap_or_else(|| "*".to_owned()))
    }
}

/// Precondition required (RFC 6585 section 3), or failed.
fn wants_version(e: &TargetError) -> bool {
    matches!(e.status, Some(412 | 428))
}
