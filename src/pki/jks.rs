//! Java keystores (`.jks`): keys with their chains, and trusted certificates, as `keytool` and TAK write them.
//!
//! A file begins with `FEEDFEED`, a version and the number of entries. A trusted certificate stands as it is; a private
//! key is hidden by Sun's key protector: SHA-1 over password and salt, again and again, makes the bytes it is mixed with.
//! The file ends with SHA-1 over the password, the words "Mighty Aphrodite" and all that stands before. SHA-1 is what the
//! format asks for; nothing here is trusted because of it.

use std::fmt;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY as SHA1};

use super::der::{self, Walk};

/// Most entries that are read.
const MOST_ENTRIES: u32 = 256;
/// Most certificates of one chain.
const MOST_CHAIN: u32 = 16;
const DIGEST: usize = 20;
const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const JCEKS: [u8; 4] = [0xce, 0xce, 0xce, 0xce];
/// Sun's key protector, 1.3.6.1.4.1.42.2.17.1.1, as DER has it.
const PROTECTOR: &[u8] = &[0x2b, 6, 1, 4, 1, 0x2a, 2, 0x11, 1, 1];

/// What a keystore holds.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Keystore {
    /// Private keys, PKCS#8.
    pub keys: Vec<Vec<u8>>,
    /// Certificates of chains and trusted ones, DER, in the order of the file.
    pub certificates: Vec<Vec<u8>>,
    /// How many keys are hidden in it.
    pub hidden: usize,
    /// The password was looked at and is right.
    pub is_checked: bool,
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key must never reach a log.
        f.debug_struct("Keystore")
            .field("certificates", &self.certificates.len())
            .field("keys", &self.keys.len())
            .finish()
    }
}

/// Why a keystore cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JksError {
    /// It is cut off or garbled.
    Damaged,
    /// The password does not open it.
    Password,
    /// The key has a password of its own.
    KeyPassword,
    /// The other kind of Java keystore.
    Jceks,
    /// A key that is hidden in another way.
    Protector,
    /// More entries than anybody has.
    TooMany,
}

impl fmt::Display for JksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "the Java keystore is damaged: copy it again",
            Self::Password => "wrong password for the Java keystore",
            Self::KeyPassword => {
                "the key in the Java keystore has a password of its own: give it the keystore's (keytool -keypasswd), or \
                 make a .p12 of it (keytool -importkeystore -deststoretype pkcs12)"
            }
            Self::Jceks => {
                "it is a JCEKS keystore: make a .p12 of it (keytool -importkeystore -srckeystore FILE -srcstoretype jceks \
                 -destkeystore FILE.p12 -deststoretype pkcs12)"
            }
            Self::Protector => {
                "the key in the Java keystore is hidden in an unknown way: make a .p12 of it (keytool -importkeystore \
                 -deststoretype pkcs12)"
            }
            Self::TooMany => {
                "the Java keystore holds too many entries: take the needed ones out (keytool -exportcert -rfc)"
            }
        })
    }
}

impl std::error::Error for JksError {}

/// Whether the bytes begin as a Java keystore does.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&JKS) || bytes.starts_with(&JCEKS)
}

/// Reads a keystore. Without a password its certificates come out all the same, and its keys do not: that is how
/// `keytool` lists one.
///
/// # Errors
/// What is wrong with it.
pub fn read(bytes: &[u8], password: Option<&str>) -> Result<Keystore, JksError> {
    if bytes.starts_with(&JCEKS) {
        return Err(JksError::Jceks);
    }
    let body = bytes.len().checked_sub(DIGEST).ok_or(JksError::Damaged)?;
    let (body, digest) = bytes.split_at(body);
    // Structure first: what is cut off has another digest too, and that is not the password's fault.
    let mut cursor = Cursor(body.strip_prefix(&JKS).ok_or(JksError::Damaged)?);
    let version = cursor.number()?;
    if !(1..=2).contains(&version) {
        return Err(JksError::Damaged);
    }
    let count = cursor.number()?;
    if count > MOST_ENTRIES {
        return Err(JksError::TooMany);
    }
    let (mut hidden, mut certificates) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let kind = cursor.number()?;
        cursor.text()?;
        // When it was made.
        cursor.take(8)?;
        match kind {
            1 => {
                hidden.push(cursor.block()?);
                let chain = cursor.number()?;
                if chain > MOST_CHAIN {
                    return Err(JksError::TooMany);
                }
                for _ in 0..chain {
                    certificates.push(cursor.certificate(version)?.to_vec());
                }
            }
            2 => certificates.push(cursor.certificate(version)?.to_vec()),
            _ => return Err(JksError::Damaged),
        }
    }
    if !cursor.0.is_empty() {
        return Err(JksError::Damaged);
    }
    let Some(password) = password else {
        return Ok(Keystore {
            certificates,
            hidden: hidden.len(),
            ..Keystore::default()
        });
    };
    let password: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
    if sha1(&[&password, b"Mighty Aphrodite", body]) != digest {
        return Err(JksError::Password);
    }
    let count = hidden.len();
    let keys = hidden.into_iter().map(|hidden| key(hidden, &password));
    Ok(Keystore {
        keys: keys.collect::<Result<_, _>>()?,
        certificates,
        hidden: count,
        is_checked: true,
    })
}

/// Takes a key out of its hiding.
fn key(hidden: &[u8], password: &[u8]) -> Result<Vec<u8>, JksError> {
    let mut info = Walk::over(hidden)
        .expect(der::SEQUENCE)
        .ok_or(JksError::Damaged)?
        .walk();
    let algorithm = info.expect(der::SEQUENCE).ok_or(JksError::Damaged)?;
    let identifier = algorithm.walk().expect(der::OBJECT_IDENTIFIER);
    if identifier.is_none_or(|identifier| identifier.content != PROTECTOR) {
        return Err(JksError::Protector);
    }
    let octets = info
        .expect(der::OCTET_STRING)
        .ok_or(JksError::Damaged)?
        .content;
    if octets.len() < 2 * DIGEST {
        return Err(JksError::Damaged);
    }
    let (salt, rest) = octets.split_at(DIGEST);
    let (mixed, check) = rest.split_at(rest.len() - DIGEST);
    let mut plain = Vec::with_capacity(mixed.len());
    let mut stream: [u8; DIGEST] = salt.try_into().map_err(|_| JksError::Damaged)?;
    for block in mixed.chunks(DIGEST) {
        stream = sha1(&[password, &stream]);
        plain.extend(block.iter().zip(stream).map(|(mixed, with)| mixed ^ with));
    }
    match sha1(&[password, &plain]) == check {
        true => Ok(plain),
        false => Err(JksError::KeyPassword),
    }
}

fn sha1(parts: &[&[u8]]) -> [u8; DIGEST] {
    let mut context = Context::new(&SHA1);
    parts.iter().for_each(|part| context.update(part));
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], JksError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(JksError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, JksError> {
        let bytes = self.take(4)?.try_into().map_err(|_| JksError::Damaged)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn text(&mut self) -> Result<&'a [u8], JksError> {
        let length = self.take(2)?.try_into().map_err(|_| JksError::Damaged)?;
        self.take(usize::from(u16::from_be_bytes(length)))
    }

    fn block(&mut self) -> Result<&'a [u8], JksError> {
        let length = usize::try_from(self.number()?).map_err(|_| JksError::Damaged)?;
        self.take(length)
    }

    fn certificate(&mut self, version: u32) -> Result<&'a [u8], JksError> {
        // Version 1 knows X.509 only, and does not say so.
        if version == 2 && self.text()? != b"X.509" {
            return Err(JksError::Damaged);
        }
        self.block()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{Authority, Leaf};
    use proptest::prelude::*;

    /// The writer that keytool has, for tests: the format from its description.
    fn write(
        key: Option<(&[u8], &[&[u8]])>,
        trusted: &[&[u8]],
        password: &str,
        key_password: &str,
    ) -> Vec<u8> {
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
        let mut file = [&JKS[..], &2_u32.to_be_bytes()].concat();
        let count = trusted.len() + usize::from(key.is_some());
        file.extend((count as u32).to_be_bytes());
        let certificate = |file: &mut Vec<u8>, der: &[u8]| {
            file.extend([0, 5]);
            file.extend(b"X.509");
            file.extend((der.len() as u32).to_be_bytes());
            file.extend(der);
        };
        let head = |file: &mut Vec<u8>, kind: u32| {
            file.extend(kind.to_be_bytes());
            file.extend([0, 5]);
            file.extend(b"alias");
            file.extend([0; 8]);
        };
        if let Some((key, chain)) = key {
            head(&mut file, 1);
            let salt = [7; DIGEST];
            let (mut stream, mut mixed) = (salt, Vec::new());
            for block in key.chunks(DIGEST) {
                stream = sha1(&[&wide(key_password), &stream]);
                mixed.extend(block.iter().zip(stream).map(|(one, with)| one ^ with));
            }
            let check = sha1(&[&wide(key_password), key]);
            let octets = [&salt[..], &mixed, &check].concat();
            let element = |tag: u8, content: &[u8]| {
                let length = (content.len() as u16).to_be_bytes();
                [&[tag, 0x82], &length[..], content].concat()
            };
            let algorithm = [element(6, PROTECTOR), vec![5, 0]].concat();
            let info = [element(0x30, &algorithm), element(4, &octets)].concat();
            let info = element(0x30, &info);
            file.extend((info.len() as u32).to_be_bytes());
            file.extend(info);
            file.extend((chain.len() as u32).to_be_bytes());
            chain.iter().for_each(|der| certificate(&mut file, der));
        }
        for der in trusted {
            head(&mut file, 2);
            certificate(&mut file, der);
        }
        let digest = sha1(&[&wide(password), b"Mighty Aphrodite", &file]);
        file.extend(digest);
        file
    }

    #[test]
    fn keys_chains_and_trusted_certificates_come_out() {
        let ca = Authority::new("alpha CA");
        let alpha = ca.issue(Leaf::good("alpha"));
        let chain: Vec<&[u8]> = alpha.chain.iter().map(AsRef::as_ref).collect();
        let key = alpha.key.secret_der();
        let file = write(
            Some((key, &chain)),
            &[&ca.certificate],
            "atakatak",
            "atakatak",
        );
        assert!(is_one(&file));
        let read_with = |password| read(&file, password);
        let whole = read_with(Some("atakatak")).unwrap();
        assert_eq!(whole.keys, [key.to_vec()]);
        assert_eq!(whole.certificates.len(), 3);
        assert!(whole.is_checked);
        assert_eq!(read_with(Some("wrong")), Err(JksError::Password));
        let unchecked = read_with(None).unwrap();
        assert!(unchecked.keys.is_empty() && !unchecked.is_checked);
        assert_eq!(unchecked.certificates, whole.certificates);
        let own = write(Some((key, &chain)), &[], "atakatak", "another");
        assert_eq!(read(&own, Some("atakatak")), Err(JksError::KeyPassword));
        for cut in [0, 3, 11, 40, file.len() - 1] {
            assert_eq!(
                read(&file[..cut], Some("atakatak")),
                Err(JksError::Damaged),
                "{cut}"
            );
        }
        let mut jceks = file.clone();
        jceks[..4].copy_from_slice(&JCEKS);
        assert_eq!(read(&jceks, None), Err(JksError::Jceks));
    }

    /// Made by other people's programs: see the remark beside them.
    #[test]
    fn what_others_write_is_read() {
        let keystore = include_bytes!("jks/keystore.jks");
        let read_one = read(keystore, Some("atakatak")).unwrap();
        assert_eq!((read_one.keys.len(), read_one.certificates.len()), (1, 2));
        let truststore = include_bytes!("jks/truststore.jks");
        let read_one = read(truststore, Some("changeit")).unwrap();
        assert_eq!((read_one.keys.len(), read_one.certificates.len()), (0, 1));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let file = [&JKS[..], &[0, 0, 0, 2, 0, 0, 0, 1], &bytes].concat();
            let _ = read(&file, Some("x"));
            let _ = read(&bytes, None);
        }
    }
}
