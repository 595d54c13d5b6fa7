//! The ticket and the security context (RFC 4121), by the system's GSSAPI library. What asks a KDC blocks.

use super::keytab;
use super::words::Fault;
use crate::config::secret::Stamp;
use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_KRB5_PRINCIPAL, OidSet};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// No security layer: TLS does that (RFC 4752 section 3.3).
const NO_LAYER: u8 = 1;

/// Goes into the names of ticket caches. Raised when tickets were of no use, so that none of them is used again.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// What a ticket is wanted for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The server's name, as the URL has it.
    pub host: String,
    /// The account; `None`: the keytab's first, or that of the ticket cache.
    pub principal: Option<String>,
    /// Where its keys are; `None`: the ticket cache has a ticket.
    pub keytab: Option<PathBuf>,
    /// Which file that is now: another one's keys give tickets of their own.
    pub stamp: Option<Stamp>,
    /// The channel binding of the TLS that is around.
    pub binding: Option<Vec<u8>>,
}

/// A security context in the making.
pub struct Context {
    inner: ClientCtx,
    binding: Option<Vec<u8>>,
}

impl Context {
    /// Gets tickets and begins; the first token for the server. Blocks for as long as the KDCs take.
    pub fn begin(wanted: Wanted) -> Result<(Self, Vec<u8>), Fault> {
        let credentials = credentials(&wanted)?;
        // The realm is left open, for the KDC to say (RFC 6806 section 8); and the name is taken as it is, not as DNS has it:
        // whoever forges DNS would else choose the server.
        // MIT's KDC tells large letters from small ones, and names of services have small ones (RFC 4120 section 6.2.1).
        let service = format!("ldap/{}@", wanted.host.trim_end_matches('.').to_lowercase());
        let service = Name::new(service.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL))?;
        // RFC 4752 section 3.1: integrity is asked for also without a layer. The server proves itself by its ticket as well.
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG;
        let mut context =
            Self { inner: ClientCtx::new(Some(credentials), service, flags, Some(GSS_MECH_KRB5)), binding: wanted.binding };
        let token = context.step(None)?;
        Ok((context, token))
    }

    /// The answer to the server's token; empty where there is nothing to say.
    pub fn step(&mut self, token: Option<&[u8]>) -> Result<Vec<u8>, Fault> {
        let answer = self.inner.step(token, self.binding.as_deref())?;
        Ok(answer.map(|token| token.to_vec()).unwrap_or_default())
    }

    /// Whether both know each other.
    pub fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }

    /// The answer to the server's offer of security layers: none of them, and nobody to be but oneself (RFC 4752 section 3.1).
    /// `Ok(None)`: the server insists on one.
    pub fn without_layer(&mut self, offer: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let offer = self.inner.unwrap(offer)?;
        if offer.first().is_none_or(|layers| layers & NO_LAYER == 0) {
            return Ok(None);
        }
        Ok(Some(self.inner.wrap(false, &[NO_LAYER, 0, 0, 0])?.to_vec()))
    }

    /// The account that the ticket is of.
    pub fn who(&self) -> Option<String> {
        let name = self.inner.source_name().and_then(|n| n.display_name()).ok()?;
        Some(String::from_utf8_lossy(&name).into_owned())
    }
}

/// From now on tickets are got anew.
pub fn forget() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

fn credentials(wanted: &Wanted) -> Result<Cred, Fault> {
    let principal = wanted.principal.as_deref();
    let Some(path) = &wanted.keytab else {
        let name = principal.map(|p| Name::new(p.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL))).transpose()?;
        let kerberos = OidSet::singleton(GSS_MECH_KRB5)?;
        return Ok(Cred::acquire(name.as_ref(), None, CredUsage::Initiate, Some(&kerberos))?);
    };
    // Tickets stay in memory, and are got anew by the keytab when half of their time is over. Each keytab and account has its own,
    // and so has a file that was replaced.
    let generation = GENERATION.load(Ordering::Relaxed);
    let of = blake3::hash(format!("{path:?} {principal:?} {:?}", wanted.stamp).as_bytes()).to_hex();
    let ccache = format!("MEMORY:scim-sync-{generation}-{}", &of[..16]);
    let mut keytab = b"FILE:".to_vec();
    keytab.extend_from_slice(path.as_os_str().as_bytes());
    let text = |octets: Vec<u8>| CString::new(octets).map_err(|e| Fault::new(0, &e.to_string()));
    Ok(keytab::acquire(principal, &text(keytab)?, &text(ccache.into_bytes())?)?)
}

impl From<Error> for Fault {
    /// To be called on the thread where it happened: the library keeps its words there.
    fn from(error: Error) -> Self {
        Self::new(error.minor.cast_signed(), &error.to_string())
    }
}
