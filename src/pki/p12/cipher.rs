//! Keys made from passwords, and what is done with them.

#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of a reader with two lifetimes does not fit where its closure does"
)]

use std::num::NonZeroU32;

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
use ring::{digest, hmac, pbkdf2};
use yasna::{ASN1Result, BERReader};

use super::{P12Error, Password, oid};

/// Rounds of a key derivation; more would keep a small box busy for minutes, and nobody writes so many.
const MOST_ROUNDS: u32 = 1_000_000;

/// A digest, by whatever it is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(super) fn of_digest(name: &[u64]) -> Result<Self, P12Error> {
        Ok(match name {
            oid::SHA1 => Self::Sha1,
            oid::SHA256 => Self::Sha256,
            oid::SHA384 => Self::Sha384,
            oid::SHA512 => Self::Sha512,
            _ => return Err(P12Error::Unknown),
        })
    }

    fn of_hmac(name: &[u64]) -> Result<Self, P12Error> {
        Ok(match name {
            oid::HMAC_SHA1 => Self::Sha1,
            oid::HMAC_SHA256 => Self::Sha256,
            oid::HMAC_SHA384 => Self::Sha384,
            oid::HMAC_SHA512 => Self::Sha512,
            _ => return Err(P12Error::Unknown),
        })
    }

    pub(super) fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha384 => pbkdf2::PBKDF2_HMAC_SHA384,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

/// What a key of the old schemes is for (RFC 7292, B.3).
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Key = 1,
    Start = 2,
    Mac = 3,
}

/// How a key comes out of a password: with this salt, by so many rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Derivation {
    pub(super) hash: Hash,
    pub(super) salt: Vec<u8>,
    pub(super) rounds: u32,
}

impl Derivation {
    fn rounds(&self) -> Result<NonZeroU32, P12Error> {
        let rounds = NonZeroU32::new(self.rounds).ok_or(P12Error::Damaged)?;
        match self.rounds <= MOST_ROUNDS {
            true => Ok(rounds),
            false => Err(P12Error::Unknown),
        }
    }

    /// The way of PKCS#12 (RFC 7292, B.2).
    pub(super) fn old_way(
        &self,
        password: &Password<'_>,
        purpose: Purpose,
        key: &mut [u8],
    ) -> Result<(), P12Error> {
        let rounds = self.rounds()?.get();
        let algorithm = self.hash.hmac().digest_algorithm();
        let block = algorithm.block_len();
        let stretched = |bytes: &[u8]| {
            let length = bytes.len().div_ceil(block) * block;
            bytes
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect::<Vec<u8>>()
        };
        let mut material = stretched(&self.salt);
        material.extend(stretched(&password.wide));
        for part in key.chunks_mut(algorithm.output_len()) {
            let mut context = digest::Context::new(algorithm);
            context.update(&vec![purpose as u8; block]);
            context.update(&material);
            let mut hash = context.finish();
            for _ in 1..rounds {
                hash = digest::digest(algorithm, hash.as_ref());
            }
            part.copy_from_slice(&hash.as_ref()[..part.len()]);
            for number in material.chunks_mut(block) {
                // Added as numbers, and one more.
                let mut carry = 1;
                for (at, byte) in number.iter_mut().enumerate().rev() {
                    let addend = hash.as_ref()[at % hash.as_ref().len()];
                    let sum = u16::from(*byte) + u16::from(addend) + carry;
                    (*byte, carry) = (sum as u8, sum >> 8);
                }
            }
        }
        Ok(())
    }

    /// PBKDF2.
    fn new_way(&self, password: &Password<'_>, key: &mut [u8]) -> Result<(), P12Error> {
        let (algorithm, rounds) = (self.hash.pbkdf2(), self.rounds()?);
        let secret = password.text.as_bytes();
        pbkdf2::derive(algorithm, rounds, &self.salt, secret, key);
        Ok(())
    }
}

/// An algorithm as files name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Algorithm {
    pub(super) name: Vec<u64>,
    /// Not looked into yet.
    pub(super) parameters: Option<Vec<u8>>,
}

impl Algorithm {
    pub(super) fn read(reader: BERReader<'_, '_>) -> ASN1Result<Self> {
        reader.read_sequence(|fields| {
            Ok(Self {
                name: fields.next().read_oid()?.components().clone(),
                parameters: fields.read_optional(|reader| reader.read_der())?,
            })
        })
    }

    fn parameters(&self) -> Result<&[u8], P12Error> {
        self.parameters.as_deref().ok_or(P12Error::Damaged)
    }
}

/// How something is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) cipher: Cipher,
    pub(super) derivation: Derivation,
    /// What the chain of blocks starts with; none where that comes out of the password, as the key does.
    pub(super) start: Option<Vec<u8>>,
}

/// A cipher, always with chained blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    TripleDes,
    /// The third key is the first.
    TripleDesTwoKeys,
    Rc2Of40Bits,
    Rc2Of128Bits,
    Aes128,
    Aes192,
    Aes256,
}

impl Cipher {
    fn key_length(self) -> usize {
        match self {
            Self::TripleDes | Self::Aes192 => 24,
            Self::Rc2Of40Bits => 5,
            Self::TripleDesTwoKeys | Self::Rc2Of128Bits | Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }
}

impl Scheme {
    pub(super) fn of(algorithm: &Algorithm) -> Result<Self, P12Error> {
        let cipher = match algorithm.name.as_slice() {
            oid::PBES2 => return Self::of_new(algorithm.parameters()?),
            oid::PBE_3DES => Cipher::TripleDes,
            oid::PBE_3DES_TWO_KEYS => Cipher::TripleDesTwoKeys,
            oid::PBE_RC2_128 => Cipher::Rc2Of128Bits,
            oid::PBE_RC2_40 => Cipher::Rc2Of40Bits,
            _ => return Err(P12Error::Unknown),
        };
        let (salt, rounds) = yasna::parse_ber(algorithm.parameters()?, |reader| {
            reader.read_sequence(|fields| {
                Ok((fields.next().read_bytes()?, fields.next().read_u32()?))
            })
        })
        .map_err(|_| P12Error::Damaged)?;
        Ok(Self {
            cipher,
            derivation: Derivation {
                hash: Hash::Sha1,
                salt,
                rounds,
            },
            start: None,
        })
    }

    /// PBES2 (RFC 8018, A.4).
    fn of_new(parameters: &[u8]) -> Result<Self, P12Error> {
        let (derivation, cipher) = yasna::parse_ber(parameters, |reader| {
            reader.read_sequence(|fields| {
                Ok((
                    Algorithm::read(fields.next())?,
                    Algorithm::read(fields.next())?,
                ))
            })
        })
        .map_err(|_| P12Error::Damaged)?;
        if derivation.name != oid::PBKDF2 {
            return Err(P12Error::Unknown);
        }
        let (salt, rounds, hash) = yasna::parse_ber(derivation.parameters()?, |reader| {
            reader.read_sequence(|fields| {
                let (salt, rounds) = (fields.next().read_bytes()?, fields.next().read_u32()?);
                // The length of the key is that of the cipher, whether they say it or not.
                fields.read_optional(|reader| reader.read_u32())?;
                Ok((salt, rounds, fields.read_optional(Algorithm::read)?))
            })
        })
        .map_err(|_| P12Error::Damaged)?;
        let start = yasna::parse_ber(cipher.parameters()?, |reader| reader.read_bytes())
            .map_err(|_| P12Error::Damaged)?;
        Ok(Self {
            cipher: match cipher.name.as_slice() {
                oid::DES_EDE3_CBC => Cipher::TripleDes,
                oid::AES_128_CBC => Cipher::Aes128,
                oid::AES_192_CBC => Cipher::Aes192,
                oid::AES_256_CBC => Cipher::Aes256,
                _ => return Err(P12Error::Unknown),
            },
            derivation: Derivation {
                hash: match &hash {
                    Some(hash) => Hash::of_hmac(&hash.name)?,
                    None => Hash::Sha1,
                },
                salt,
                rounds,
            },
            start: Some(start),
        })
    }

    fn key_and_start(&self, password: &Password<'_>) -> Result<(Vec<u8>, Vec<u8>), P12Error> {
        let mut key = vec![0; self.cipher.key_length()];
        if let Some(start) = &self.start {
            self.derivation.new_way(password, &mut key)?;
            return Ok((key, start.clone()));
        }
        // All the old ciphers have blocks of eight bytes.
        let mut start = vec![0; 8];
        self.derivation.old_way(password, Purpose::Key, &mut key)?;
        self.derivation
            .old_way(password, Purpose::Start, &mut start)?;
        if self.cipher == Cipher::TripleDesTwoKeys {
            key.extend_from_within(..8);
        }
        Ok((key, start))
    }

    /// What the bytes say.
    pub(super) fn decrypt(
        &self,
        bytes: &[u8],
        password: &Password<'_>,
    ) -> Result<Vec<u8>, P12Error> {
        fn open<C>(key: &[u8], start: &[u8], bytes: &[u8]) -> Option<Vec<u8>>
        where
            C: KeyInit + BlockCipherDecrypt,
        {
            let chain = cbc::Decryptor::<C>::new_from_slices(key, start).ok()?;
            chain.decrypt_padded_vec::<Pkcs7>(bytes).ok()
        }
        let (key, start) = self.key_and_start(password)?;
        match self.cipher {
            Cipher::TripleDes | Cipher::TripleDesTwoKeys => {
                open::<des::TdesEde3>(&key, &start, bytes)
            }
            Cipher::Rc2Of40Bits | Cipher::Rc2Of128Bits => open::<rc2::Rc2>(&key, &start, bytes),
            Cipher::Aes128 => open::<aes::Aes128>(&key, &start, bytes),
            Cipher::Aes192 => open::<aes::Aes192>(&key, &start, bytes),
            Cipher::Aes256 => open::<aes::Aes256>(&key, &start, bytes),
        }
        .ok_or(P12Error::Password)
    }

    /// The bytes as 3DES hides them, the only cipher that we write.
    pub(super) fn encrypt(
        &self,
        bytes: &[u8],
        password: &Password<'_>,
    ) -> Result<Vec<u8>, P12Error> {
        let (key, start) = self.key_and_start(password)?;
        let chain = cbc::Encryptor::<des::TdesEde3>::new_from_slices(&key, &start)
            .map_err(|_| P12Error::Unknown)?;
        Ok(chain.encrypt_padded_vec::<Pkcs7>(bytes))
    }
}
