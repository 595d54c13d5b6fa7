//! The connection to one organisation: authorised, paced and patient GETs, page by page.

use super::entry::Row;
use super::limits::{self, Limits};
use super::link::{self, Linked, Paging};
use super::log;
use super::refusal::{self, Refusal};
use super::token::Token;
use crate::config::{OktaAuth, OktaConfig};
use crate::http::auth::AuthError;
use crate::http::client::{Transport, classify, describe};
use crate::http::meter::{Meter, Retry};
use crate::http::{body, retry};
use crate::source::SourceError;
use crate::source::news::{News, mark};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use url::Url;

/// Pages in a row that bring nothing new before the server is taken to go round in circles.
const IDLE: u32 = 50;

/// Refusals to slow down that one request bears; each waits for the bucket.
const PATIENCE: usize = 60;

/// The same of the System Log, and the longest wait for its bucket, which others empty too: a hint can wait for the next read.
const PATIENCE_FOR_LOG: usize = 3;
const LONGEST_FOR_LOG: Duration = Duration::from_secs(2 * 60);

/// What Okta spares itself when nobody wants it: credentials and links of each user.
const LEAN: &str = "application/json; okta-response=omitCredentials,omitCredentialsLinks,omitTransitioningToStatus";

/// What stays as it is in a query (RFC 3986 section 2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The waits between attempts of one request that failed without being told when to come back.
pub(super) fn waits() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(6)
        .with_jitter()
        .build()
}

/// `Ok`: may pass by itself. `Err`: will not.
pub(super) fn transport(error: &reqwest::Error) -> Result<String, String> {
    match classify(error) {
        Transport::Tls => Err(format!("{}; a private CA goes into ca_file", describe(error))),
        Transport::NotSent => Ok(format!("cannot connect: {}", describe(error))),
        Transport::TimedOut => Ok(format!("no answer within the timeout: {}", describe(error))),
        Transport::Broken => Ok(format!("the connection broke: {}", describe(error))),
    }
}

/// One organisation.
pub(super) struct Client {
    pub name: String,
    org: Url,
    http: reqwest::Client,
    token: Token,
    service: bool,
    limits: Limits,
    /// The System Log's bucket, much smaller than the others: nobody else waits for it.
    log_limits: Limits,
    meter: Meter,
    pub linked: Linked,
}

/// What an id leads to.
pub(super) enum Found<T> {
    There(T),
    /// Okta itself says that there is no such object (any more).
    Gone,
    /// Neither is said, for this reason. Of a request that names one object it is no refusal of the read.
    Refused(SourceError),
}

/// One answer.
pub(super) struct Answer {
    pub body: Bytes,
    pub next: Next,
    /// The server's clock and ours when it came, Unix seconds.
    pub clocks: Option<(i64, i64)>,
}

/// What comes after an answer.
pub(super) enum Next {
    Page(Url),
    End,
    /// It does not say. Short pages of lists that never do need not, all others must.
    Untold,
}

impl Client {
    pub(super) fn new(name: &str, config: &OktaConfig) -> Result<Self, SourceError> {
        let bad = |message: String| SourceError::Malformed { source_name: name.to_owned(), message };
        let http = crate::http::client::build(&config.net, 1).map_err(|e| bad(e.to_string()))?;
        let mut org = config.url.clone();
        org.set_path("");
        org.set_query(None);
        // The organisation's own authorisation server; tokens of /oauth2/default are not for its API.
        let token_url = org.join("/oauth2/v1/token").map_err(|e| bad(format!("url: {e}")))?;
        Ok(Self {
            name: name.to_owned(),
            token: Token::new(config, token_url, http.clone()),
            service: matches!(config.auth, OktaAuth::PrivateKey { .. }),
            limits: Limits::new(config.rate_share),
            log_limits: Limits::new(config.rate_share),
            meter: Meter::new(name),
            linked: Linked::default(),
            org,
            http,
        })
    }

    /// How it signs in, in words.
    pub(super) fn signed_in_as(&self) -> &'static str {
        self.token.describe()
    }

    /// The address of a resource below `/api/v1`.
    pub(super) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.org.clone();
        let encoded: Vec<String> = path.iter().map(|s| utf8_percent_encode(s, QUERY).to_string()).collect();
        url.set_path(&format!("/api/v1/{}", encoded.join("/")));
        if !query.is_empty() {
            // A blank is %20: not everybody takes a plus for one.
            let pairs: Vec<String> = query.iter().map(|(k, v)| format!("{k}={}", utf8_percent_encode(v, QUERY))).collect();
            url.set_query(Some(&pairs.join("&")));
        }
        url
    }

    /// One object by its id.
    pub(super) async fn find<T: DeserializeOwned>(&self, url: &Url, scopes: &str) -> Result<Found<T>, SourceError> {
        match self.ask(url, scopes).await? {
            Ok(answer) => self.decode(&answer.body, url).map(Found::There),
            Err((status, body)) => self.not_found(url, status, &body),
        }
    }

    /// What a refusal says of the object that was asked for. Only Okta's own code says that it is gone: a 404 of a proxy, or
    /// one without a code, says nothing.
    fn not_found<T>(&self, url: &Url, status: StatusCode, body: &[u8]) -> Result<Found<T>, SourceError> {
        match self.refused(url, status, body) {
            _ if status == StatusCode::NOT_FOUND && refusal::is_gone(body) => Ok(Found::Gone),
            e if status == StatusCode::UNAUTHORIZED => Err(e),
            _ if status == StatusCode::NOT_FOUND => Ok(Found::Refused(self.incomplete(format!(
                "{} is answered with HTTP 404 and without Okta's own code for what is gone (E0000007), so nobody knows whether it \
                 is there: does a proxy answer, or is `url` not the organisation's own address? {}",
                url.path(),
                body::excerpt(body, |t| self.token.redact(t))
            )))),
            e => Ok(Found::Refused(e)),
        }
    }

    pub(super) fn decode<T: DeserializeOwned>(&self, body: &[u8], url: &Url) -> Result<T, SourceError> {
        serde_json::from_slice(body).map_err(|e| {
            let message = format!("{} answered something else than expected: {}", url.path(), self.token.redact(&e.to_string()));
            if e.is_eof() { self.incomplete(message) } else { self.malformed(message) }
        })
    }

    pub(super) fn malformed(&self, message: String) -> SourceError {
        SourceError::Malformed { source_name: self.name.clone(), message }
    }

    pub(super) fn incomplete(&self, message: String) -> SourceError {
        SourceError::Incomplete { source_name: self.name.clone(), message }
    }

    fn unreachable(&self, message: String) -> SourceError {
        SourceError::Connect { source_name: self.name.clone(), message }
    }

    /// The cursor is good for nothing any more.
    pub(super) fn expired(&self, message: String) -> SourceError {
        SourceError::CursorExpired { source_name: self.name.clone(), message }
    }

    pub(super) fn refused(&self, url: &Url, status: StatusCode, body: &[u8]) -> SourceError {
        Refusal { source: &self.name, path: url.path(), status, body, service: self.service }.error(|t| self.token.redact(t))
    }

    fn used_up(&self, longest: Duration) -> SourceError {
        let limit = longest.as_secs() / 60;
        self.unreachable(format!(
            "Okta's rate limit is used up, and it does not get better (HTTP 429, E0000047; waits of up to {limit} minutes are \
             borne): see Reports > Rate limits, or run less often"
        ))
    }

    fn not_before(&self, status: StatusCode, wait: Duration) -> SourceError {
        self.unreachable(format!(
            "{} answers HTTP {} and asks not to come back for {} minutes (Retry-After), which is longer than a read waits: the next \
             one tries again",
            self.org,
            status.as_u16(),
            wait.as_secs().div_ceil(60)
        ))
    }

    fn unauthorised(&self, error: AuthError) -> SourceError {
        match error {
            AuthError::Unavailable(message) => self.unreachable(message),
            AuthError::Secret(message) => {
                let key = if self.service { "private_key" } else { "token" };
                SourceError::Secret { source_name: self.name.clone(), message: format!("{key}: {message}") }
            }
            e => SourceError::Auth { source_name: self.name.clone(), message: e.to_string() },
        }
    }

    async fn get(&self, url: &Url, scopes: &str) -> Result<Answer, SourceError> {
        self.ask(url, scopes).await?.map_err(|(status, body)| self.refused(url, status, &body))
    }

    /// Sends until there is an answer that will not change by waiting. `Ok(Err(..))`: refused.
    pub(super) async fn ask(&self, url: &Url, scopes: &str) -> Result<Result<Answer, (StatusCode, Bytes)>, SourceError> {
        let mut waits = waits();
        let is_log = url.path() == log::PATH;
        let limits = if is_log { &self.log_limits } else { &self.limits };
        let (mut patience, longest) = if is_log { (PATIENCE_FOR_LOG, LONGEST_FOR_LOG) } else { (PATIENCE, limits::LONGEST) };
        let (mut renewed, mut answered) = (false, false);
        loop {
            if is_log && limits.held() > longest {
                return Err(self.used_up(longest));
            }
            self.meter.throttled(limits.wait().await);
            let authorised = self.token.authorise(url, scopes, limits).await.map_err(|e| self.unauthorised(e))?;
            // Fetching a token may have found out that we are to wait.
            limits.wait().await;
            let began = Instant::now();
            let mut request = self
                .http
                .get(url.clone())
                .header(http::header::AUTHORIZATION, authorised.authorization.clone())
                .header(http::header::ACCEPT, "application/json")
                .header(http::header::CONTENT_TYPE, LEAN);
            let proved = authorised.proof.is_some();
            if let Some(proof) = authorised.proof {
                request = request.header("DPoP", proof);
            }
            let sent = request.send().await;
            self.meter.request(&Method::GET, sent.as_ref().ok().map(|r| r.status().as_u16()), began);
            let (status, headers, bytes) = match self.received(sent).await? {
                Ok(answer) => answer,
                Err(why) => {
                    self.again(&mut waits, Retry::Connection, &why).await?;
                    continue;
                }
            };
            let other_nonce = self.token.learn(&headers);
            match status {
                // The token is good; the proof is to carry this nonce (RFC 9449 section 9).
                StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED if proved && other_nonce && !answered => {
                    answered = true;
                    self.meter.retry(Retry::Unauthorized);
                }
                StatusCode::OK => {
                    limits.note(&headers);
                    return self.answer(&headers, bytes).map(Ok);
                }
                StatusCode::TOO_MANY_REQUESTS => {
                    patience -= 1;
                    let wait = limits.refused(&headers, retry::retry_after(&headers));
                    if wait.is_none_or(|wait| wait > longest) || patience == 0 {
                        return Err(self.used_up(longest));
                    }
                    self.meter.retry(Retry::Throttled);
                }
                StatusCode::UNAUTHORIZED if !renewed => {
                    renewed = true;
                    if !self.token.renew(&authorised.authorization).await.map_err(|e| self.unauthorised(e))? {
                        return Ok(Err((status, bytes)));
                    }
                    self.meter.retry(Retry::Unauthorized);
                }
                s if s.is_server_error() || s == StatusCode::REQUEST_TIMEOUT => {
                    if let Some(wait) = retry::retry_after(&headers) {
                        if wait > longest {
                            return Err(self.not_before(s, wait));
                        }
                        limits.hold(wait);
                    }
                    let why = format!("it does not answer as it should: HTTP {}", s.as_u16());
                    self.again(&mut waits, Retry::ServerError, &why).await?;
                }
                _ => return Ok(Err((status, bytes))),
            }
        }
    }

    /// The whole answer. `Ok(Err(..))`: it broke, and the next attempt may not.
    #[allow(clippy::type_complexity)]
    async fn received(
        &self,
        sent: Result<reqwest::Response, reqwest::Error>,
    ) -> Result<Result<(StatusCode, HeaderMap, Bytes), String>, SourceError> {
        let response = match sent {
            Ok(response) => response,
            Err(e) => return transport(&e).map(Err).map_err(|why| self.unreachable(format!("{}: {why}", self.org))),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        match body::read(response).await {
            Ok(bytes) => Ok(Ok((status, headers, bytes))),
            Err(e @ body::BodyError::TooLarge) => Err(self.malformed(e.to_string())),
            Err(e) => Ok(Err(e.to_string())),
        }
    }

    async fn again(&self, waits: &mut impl Iterator<Item = Duration>, reason: Retry, why: &str) -> Result<(), SourceError> {
        let Some(wait) = waits.next() else {
            return Err(self.unreachable(format!("{}: {why}", self.org)));
        };
        self.meter.retry(reason);
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn answer(&self, headers: &HeaderMap, body: Bytes) -> Result<Answer, SourceError> {
        let next = match link::paging(headers) {
            Paging::Last => Next::End,
            Paging::Untold => Next::Untold,
            Paging::Garbled => {
                let why = "a Link header cannot be read, and may name more pages: does a proxy change answers?";
                return Err(self.incomplete(why.to_owned()));
            }
            Paging::Next(address) => Next::Page(link::own(&self.org, &address).ok_or_else(|| {
                let host = self.org.join(&address).ok().and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default();
                self.malformed(format!(
                    "the next page is said to be at another address ({host}), where the token must not go; if that is the \
                     organisation's own, write it as `url`"
                ))
            })?),
        };
        let clocks = limits::date(headers).map(|date| (date, jiff::Timestamp::now().as_second()));
        Ok(Answer { body, next, clocks })
    }
}

/// A list, page by page until the server says that there is no more.
pub(super) struct Pages<'a> {
    client: &'a Client,
    scopes: &'a str,
    next: Option<Url>,
    /// Which list it is, as [`link::list_of`] tells them apart.
    list: String,
    /// Rows that a full page has.
    limit: Option<usize>,
    addresses: HashSet<u64>,
    news: News,
    /// Clocks of the first answer.
    pub clocks: Option<(i64, i64)>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(client: &'a Client, scopes: &'a str, first: Url) -> Self {
        let limit = first.query_pairs().find(|(name, _)| name == "limit").and_then(|(_, n)| n.parse().ok());
        let list = link::list_of(&first);
        Self { client, scopes, next: Some(first), list, limit, addresses: HashSet::new(), news: News::new(IDLE), clocks: None }
    }

    /// The next page, which may be empty; `None`: that was all.
    pub(super) async fn page<T: DeserializeOwned + Row>(&mut self) -> Result<Option<Vec<T>>, SourceError> {
        let Some(url) = self.turn()? else { return Ok(None) };
        let answer = self.client.get(&url, self.scopes).await?;
        self.taken(answer, &url).map(Some)
    }

    /// The same of a list that belongs to one object, which may be deleted meanwhile.
    pub(super) async fn page_of_one<T: DeserializeOwned + Row>(&mut self) -> Result<Found<Option<Vec<T>>>, SourceError> {
        let Some(url) = self.turn()? else { return Ok(Found::There(None)) };
        match self.client.ask(&url, self.scopes).await? {
            Ok(answer) => self.taken(answer, &url).map(|page| Found::There(Some(page))),
            Err((status, body)) => self.client.not_found(&url, status, &body),
        }
    }

    /// Whether there is another page.
    pub(super) fn has_more(&self) -> bool {
        self.next.is_some()
    }

    /// The address of the page to ask for.
    fn turn(&mut self) -> Result<Option<Url>, SourceError> {
        let Some(url) = self.next.take() else { return Ok(None) };
        if !self.addresses.insert(mark(url.as_str().as_bytes())) {
            return Err(self.client.incomplete(format!("the pages of {} go round in circles", url.path())));
        }
        Ok(Some(url))
    }

    fn taken<T: DeserializeOwned + Row>(&mut self, answer: Answer, url: &Url) -> Result<Vec<T>, SourceError> {
        self.clocks = self.clocks.or(answer.clocks);
        let rows: Vec<T> = self.client.decode(&answer.body, url)?;
        let incomplete = |why: String| Err(self.client.incomplete(format!("{}: {why}", url.path())));
        if !matches!(answer.next, Next::Untold) {
            self.client.linked.note(&self.list);
        }
        self.next = match answer.next {
            Next::Page(next) => Some(next),
            Next::End => None,
            Next::Untold if self.limit.is_some_and(|limit| rows.len() >= limit) => {
                let many = rows.len();
                return incomplete(format!(
                    "a full page ({many} rows) without a Link header, which says whether there are more: does a proxy take headers away?"
                ));
            }
            // A list of nobody (a group without members); behind a page that named it an empty one is no such list.
            Next::Untold if rows.is_empty() && self.addresses.len() == 1 => None,
            Next::Untold if self.client.linked.has(&self.list) => {
                let why = "an answer without a Link header, which others of this list have: does a proxy take headers away?";
                return incomplete(why.to_owned());
            }
            Next::Untold => None,
        };
        let new = self.news.page(rows.iter().map(|row| mark(row.id().as_bytes())));
        if !new && self.next.is_some() {
            return incomplete(format!("{IDLE} pages in a row brought nothing new, and the server promises more"));
        }
        Ok(rows)
    }
}
