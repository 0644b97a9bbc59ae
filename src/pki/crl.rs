//! Certificate revocation lists (RFC 5280, section 5), version 1 and 2: read, verified, and kept as small marks.
//!
//! Of every revoked certificate 8 bytes are kept: the beginning of SHA-256 over its issuer and serial number. Whether a
//! list is still up to date is told and never decides: a box that is off the net for long would otherwise lose all its
//! links on the day the list ends.

use std::fmt;

use ring::digest::{Context, SHA256};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{PemObject, SectionKind};
use time::{Date, Month, Time};
use webpki::EndEntityCert;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::chain::ALGORITHMS;
use super::der::{self, Walk};
use super::store::display_name;

/// Longest file of a list, bytes.
pub const MOST_BYTES: u64 = 96 * 1024;
/// Most certificates that all lists of the box revoke together.
pub const MOST_ENTRIES: usize = 1536;

/// Which certificate: the beginning of SHA-256 over issuer and serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(u64);

impl Mark {
    /// Of a certificate; none when it cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Self::new(parsed.issuer().as_raw(), parsed.raw_serial()))
    }

    fn new(issuer: &[u8], serial: &[u8]) -> Self {
        let zeros = serial.iter().take_while(|&&byte| byte == 0).count();
        let mut context = Context::new(&SHA256);
        context.update(issuer);
        context.update(&serial[zeros..]);
        let mut first = [0; 8];
        first.copy_from_slice(&context.finish().as_ref()[..8]);
        Self(u64::from_be_bytes(first))
    }
}

/// One list, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crl {
    /// The CA that signed it, by its common name.
    pub issuer: String,
    /// When it was made, seconds since 1970.
    pub made: i64,
    /// When a newer one is due, seconds since 1970; none: it does not say.
    pub due: Option<i64>,
    /// Sorted.
    marks: Box<[Mark]>,
}

impl Crl {
    /// Whether one of these certificates was revoked.
    pub fn holds(&self, marks: &[Mark]) -> bool {
        marks
            .iter()
            .any(|mark| self.marks.binary_search(mark).is_ok())
    }

    /// How many certificates it revokes.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// It revokes none.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }
}

/// Why a file is no list that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrlFault {
    /// The system's words.
    Io(String),
    /// Neither PEM nor DER of a list.
    NoList,
    /// A certificate stands where a list is wanted.
    Certificate,
    /// None of the CAs that are known for it signed it; its issuer as it is written, where it can be read.
    Stranger,
    /// It only says what changed since another list.
    Delta,
    /// More than [`MOST_ENTRIES`].
    TooMany,
}

impl fmt::Display for CrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(words) => write!(f, "cannot be read: {words}"),
            Self::NoList => f.write_str(
                "is no revocation list: give PEM (it begins with -----BEGIN X509 CRL-----) or DER, as `openssl ca \
                 -gencrl` writes it",
            ),
            Self::Certificate => f.write_str(
                "holds a certificate, not a revocation list: its CA makes one with `openssl ca -gencrl`",
            ),
            Self::Stranger => f.write_str(
                "was not signed by a CA that is known for it: give the CA's certificate as `ca_cert`, or take the list \
                 of the right CA",
            ),
            Self::Delta => f.write_str("only tells changes (a delta list): give the whole list"),
            Self::TooMany => write!(f, "the lists would revoke more than {MOST_ENTRIES} certificates in all: pin leaves by `fingerprint` instead"),
        }
    }
}

impl std::error::Error for CrlFault {}

/// A revoked certificate as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its serial number, big-endian, without zeros in front.
    pub serial: Vec<u8>,
    /// Since when, seconds since 1970.
    pub since: i64,
}

/// Reads a list, PEM or DER, and verifies it against these CAs.
///
/// # Errors
/// What is wrong with it.
pub fn read(bytes: &[u8], authorities: &[CertificateDer<'_>]) -> Result<Crl, CrlFault> {
    let der = of_file(bytes)?;
    let list = List::of(&der).ok_or(CrlFault::NoList)?;
    let signer = authorities
        .iter()
        .find(|authority| list.is_signed_by(authority))
        .ok_or(CrlFault::Stranger)?;
    if list.is_delta {
        return Err(CrlFault::Delta);
    }
    let mut marks = Vec::new();
    let mut entries = list.revoked;
    while !entries.is_over() {
        let serial = serial(&mut entries).ok_or(CrlFault::NoList)?;
        if marks.len() == MOST_ENTRIES {
            return Err(CrlFault::TooMany);
        }
        marks.push(Mark::new(list.issuer, serial.0));
    }
    marks.sort_unstable();
    Ok(Crl {
        issuer: display_name(signer),
        made: list.made,
        due: list.due,
        marks: marks.into(),
    })
}

/// What a list of our own revokes, to be written again with more. Its signature is not looked at.
pub(super) fn entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let der = of_file(bytes).ok()?;
    let mut walk = List::of(&der)?.revoked;
    let mut found = Vec::new();
    while !walk.is_over() {
        let (number, since) = serial(&mut walk)?;
        let zeros = number.iter().take_while(|&&byte| byte == 0).count();
        found.push(Entry {
            serial: number[zeros..].to_vec(),
            since,
        });
    }
    Some(found)
}

fn of_file(bytes: &[u8]) -> Result<Vec<u8>, CrlFault> {
    if memchr::memmem::find(bytes, b"-----BEGIN ").is_none() {
        return Ok(bytes.to_vec());
    }
    match <(SectionKind, Vec<u8>) as PemObject>::pem_slice_iter(bytes)
        .filter_map(Result::ok)
        .find(|(kind, _)| matches!(kind, SectionKind::Crl | SectionKind::Certificate))
    {
        Some((SectionKind::Crl, der)) => Ok(der),
        Some(_) => Err(CrlFault::Certificate),
        None => Err(CrlFault::NoList),
    }
}

/// A list in its parts.
struct List<'a> {
    signed: &'a [u8],
    signature: &'a [u8],
    issuer: &'a [u8],
    made: i64,
    due: Option<i64>,
    revoked: Walk<'a>,
    is_delta: bool,
}

impl<'a> List<'a> {
    fn of(der: &'a [u8]) -> Option<Self> {
        let mut whole = Walk::over(der).expect(der::SEQUENCE)?.walk();
        let signed = whole.expect(der::SEQUENCE)?;
        whole.expect(der::SEQUENCE)?;
        let (&unused, signature) = whole.expect(der::BIT_STRING)?.content.split_first()?;
        if unused != 0 {
            return None;
        }
        let mut parts = signed.walk();
        // The version; version 1 says nothing.
        if parts.tag() == Some(der::INTEGER) {
            parts.next()?;
        }
        parts.expect(der::SEQUENCE)?;
        let issuer = parts.expect(der::SEQUENCE)?.whole;
        let made = moment(&mut parts)?;
        let due = match parts.tag() {
            Some(der::UTC_TIME | der::GENERALIZED_TIME) => Some(moment(&mut parts)?),
            _ => None,
        };
        let revoked = match parts.tag() {
            Some(der::SEQUENCE) => parts.next()?.walk(),
            _ => Walk::over(&[]),
        };
        // The identifier of "delta CRL indicator", 2.5.29.27.
        let extensions = parts.next().map_or(&[][..], |element| element.content);
        Some(Self {
            signed: signed.whole,
            signature,
            issuer,
            made,
            due,
            revoked,
            is_delta: memchr::memmem::find(extensions, &[6, 3, 0x55, 0x1d, 27]).is_some(),
        })
    }

    fn is_signed_by(&self, authority: &CertificateDer<'_>) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(authority) else {
            return false;
        };
        let Ok(key) = EndEntityCert::try_from(authority) else {
            return false;
        };
        parsed.subject().as_raw() == self.issuer
            && ALGORITHMS.iter().any(|algorithm| {
                key.verify_signature(*algorithm, self.signed, self.signature)
                    .is_ok()
            })
    }
}

/// Serial number and date of the next revoked certificate.
fn serial<'a>(entries: &mut Walk<'a>) -> Option<(&'a [u8], i64)> {
    let mut entry = entries.expect(der::SEQUENCE)?.walk();
    let serial = entry.expect(der::INTEGER)?.content;
    Some((serial, moment(&mut entry)?))
}

/// The next element as a time, seconds since 1970.
fn moment(walk: &mut Walk<'_>) -> Option<i64> {
    let element = walk.next()?;
    let digits = std::str::from_utf8(element.content).ok()?;
    let (year, rest) = match element.tag {
        der::UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: i32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        der::GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let date = Date::from_calendar_date(year, Month::try_from(part(0)?).ok()?, part(2)?).ok()?;
    let time = Time::from_hms(part(4)?, part(6)?, part(8).unwrap_or(0)).ok()?;
    Some(date.with_time(time).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{Authority, Leaf, NOW};
    use proptest::prelude::*;

    #[test]
    fn a_list_revokes_what_it_names_and_only_its_ca_can_make_it() {
        let [ours, other] = [Authority::new("bravo CA"), Authority::new("bravo CA")];
        let leaves = ["one", "two", "three"].map(|name| ours.issue(Leaf::good(name)));
        let foreign = other.issue(Leaf::good("one"));
        let list = ours.revoke(&[&leaves[0], &leaves[2]], NOW + 10);
        let mark = |leaf: &crate::pki::Identity| [Mark::of(&leaf.chain[0]).unwrap()];
        let pem = super::super::store::pem_section("X509 CRL", &list);
        for bytes in [list.as_slice(), pem.as_bytes()] {
            let read = read(
                bytes,
                &[other.certificate.clone(), ours.certificate.clone()],
            )
            .unwrap();
            assert_eq!(read.len(), 2);
            assert_eq!(read.issuer, "bravo CA");
            assert_eq!(read.due, Some(NOW + 10));
            let holds = leaves.each_ref().map(|leaf| read.holds(&mark(leaf)));
            assert_eq!(holds, [true, false, true]);
            assert!(!read.holds(&mark(&foreign)));
        }
        let fault = |bytes: &[u8], authority: &Authority| {
            read(bytes, std::slice::from_ref(&authority.certificate)).unwrap_err()
        };
        // The same name and another key.
        assert_eq!(fault(&list, &other), CrlFault::Stranger);
        let mut changed = list.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert_eq!(fault(&changed, &ours), CrlFault::Stranger);
        let certificate = super::super::store::pem(&leaves[0].chain[..1]);
        assert_eq!(fault(certificate.as_bytes(), &ours), CrlFault::Certificate);
        for noise in [
            &b""[..],
            b"noise",
            &list[..list.len() - 1],
            b"-----BEGIN X-----",
        ] {
            assert_eq!(fault(noise, &ours), CrlFault::NoList);
        }
        let none = read(
            &ours.revoke(&[], NOW),
            std::slice::from_ref(&ours.certificate),
        )
        .unwrap();
        assert!(none.is_empty());
        assert_eq!(entries(&list).unwrap().len(), 2);
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let at = |tag: u8, text: &str| {
            let bytes = [&[tag, text.len() as u8], text.as_bytes()].concat();
            moment(&mut Walk::over(&bytes))
        };
        assert_eq!(at(der::UTC_TIME, "260101000000Z"), Some(1_767_225_600));
        assert_eq!(
            at(der::GENERALIZED_TIME, "20260101000000Z"),
            Some(1_767_225_600)
        );
        assert_eq!(at(der::UTC_TIME, "700101000000Z"), Some(0));
        for wrong in ["", "26", "261301000000Z", "2601320000Z", "äääääää"] {
            assert_eq!(at(der::UTC_TIME, wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, &[]);
            let _ = entries(&bytes);
        }
    }
}
