//! Credentials from a keytab that is named: the one call that the safe bindings do not have.
//!
//! Without it the keytab would have to stand in `KRB5_CLIENT_KTNAME`: one for all sources, and set where other threads may read
//! the environment. This is the only unsafe code of the program, in builds with the feature `kerberos` only.
#![allow(unsafe_code)]

use libgssapi::credential::Cred;
use libgssapi::error::{Error, MajorFlags};
use libgssapi_sys as sys;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;

/// Object identifier of Kerberos (RFC 1964 section 1).
const KRB5: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// Object identifier of names of principals, `name@REALM` (RFC 1964 section 2.1.1).
const PRINCIPAL: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01";

/// Credentials of `principal` (else of the first in the keytab), by `keytab`; tickets are kept in `ccache`. Asks nobody yet where
/// there is a ticket already, else the KDC. (`gss_acquire_cred_from` with a credential store: MIT krb5 1.11, "Credential store
/// extensions".)
pub fn acquire(principal: Option<&str>, keytab: &CStr, ccache: &CStr) -> Result<Cred, Error> {
    let name = principal.map(Imported::principal).transpose()?;
    let mut elements = [
        sys::gss_key_value_element_desc { key: c"client_keytab".as_ptr(), value: keytab.as_ptr() },
        sys::gss_key_value_element_desc { key: c"ccache".as_ptr(), value: ccache.as_ptr() },
    ];
    let store = sys::gss_key_value_set_desc { count: 2, elements: elements.as_mut_ptr() };
    let mut mechanism = oid(KRB5);
    let mut mechanisms = sys::gss_OID_set_desc { count: 1, elements: &raw mut mechanism };
    let mut credentials: sys::gss_cred_id_t = ptr::null_mut();
    let mut minor = 0;
    // SAFETY: all that is pointed to lives until the call returns, and the call keeps none of it and writes to `minor` and
    // `credentials` only; what is not wanted may be null (RFC 2744 section 5.2).
    let major = unsafe {
        sys::gss_acquire_cred_from(
            &raw mut minor,
            name.as_ref().map_or(ptr::null_mut(), |n| n.0),
            sys::_GSS_C_INDEFINITE,
            &raw mut mechanisms,
            sys::gss_cred_usage_t::try_from(sys::GSS_C_INITIATE).unwrap_or_default(),
            &raw const store,
            &raw mut credentials,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    done(major, minor)?;
    // SAFETY: the call has just made it, and nobody else has it.
    Ok(unsafe { Cred::from_c(credentials) })
}

/// A name that the library holds; given back when dropped.
struct Imported(sys::gss_name_t);

impl Imported {
    fn principal(text: &str) -> Result<Self, Error> {
        let mut octets = sys::gss_buffer_desc { length: text.len(), value: text.as_ptr().cast::<c_void>().cast_mut() };
        let mut kind = oid(PRINCIPAL);
        let mut name: sys::gss_name_t = ptr::null_mut();
        let mut minor = 0;
        // SAFETY: text and kind live until the call returns, which copies them and changes neither (RFC 2744 section 5.16).
        let major = unsafe { sys::gss_import_name(&raw mut minor, &raw mut octets, &raw mut kind, &raw mut name) };
        done(major, minor).map(|()| Self(name))
    }
}

impl Drop for Imported {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the library made this name, and it is given back once.
        let _ = unsafe { sys::gss_release_name(&raw mut minor, &raw mut self.0) };
    }
}

/// An object identifier that the library only reads.
fn oid(octets: &'static [u8]) -> sys::gss_OID_desc {
    sys::gss_OID_desc {
        length: sys::OM_uint32::try_from(octets.len()).unwrap_or_default(),
        elements: octets.as_ptr().cast::<c_char>().cast_mut().cast::<c_void>(),
    }
}

fn done(major: u32, minor: u32) -> Result<(), Error> {
    if major == sys::GSS_S_COMPLETE { Ok(()) } else { Err(Error { major: MajorFlags::from_bits_retain(major), minor }) }
}
