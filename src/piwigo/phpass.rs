//! Verifies Piwigo's password hashes, which also protect API secrets: phpass's portable form, or a plain MD5
//! in hexadecimal (Piwigo: `pwg_password_verify`).

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The largest accepted exponent of the number of rounds; 2^20 rounds take about 0.2 s. phpass itself writes
/// 8 to 13, Piwigo 13 to 18.
const MAX_COST: u32 = 20;

/// Whether `stored` is the hash of `password`. Takes up to 0.2 s of processor time: do not call it on an
/// async thread.
pub fn verify(password: &[u8], stored: &[u8]) -> bool {
    let computed = if stored.starts_with(b"$P$") {
        match portable(password, stored) {
            Some(computed) => computed,
            None => return false,
        }
    } else if stored.len() == 32 {
        let letter = |half: u8| b"0123456789abcdef"[usize::from(half)];
        Md5::digest(password).iter().flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect()
    } else {
        return false;
    };
    computed.ct_eq(stored).into()
}

/// Computes a portable hash: `$P$`, one letter for the rounds, eight of salt, 22 of hash.
fn portable(password: &[u8], stored: &[u8]) -> Option<Vec<u8>> {
    let setting = stored.get(..12)?;
    let cost = ALPHABET.iter().position(|letter| *letter == setting[3])? as u32;
    if !(7..=MAX_COST).contains(&cost) {
        return None;
    }
    let mut hash = Md5::new().chain_update(&setting[4..12]).chain_update(password).finalize();
    for _ in 0..1u32 << cost {
        hash = Md5::new().chain_update(hash).chain_update(password).finalize();
    }
    let mut computed = setting.to_vec();
    for chunk in hash.chunks(3) {
        // Little-endian groups of six bits; the last byte stands alone and gives two letters.
        let bits = chunk.iter().rev().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        for letter in 0..=chunk.len() {
            computed.push(ALPHABET[(bits >> (6 * letter) & 63) as usize]);
        }
    }
    Some(computed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes of docs/spec/piwigo.md §9.2, computed by PHP.
    #[test]
    fn hashes_that_php_made() {
        let long = "0123456789".repeat(4);
        let table = [
            ("secret", "$P$5abcdefghRQTwXLGkACWdXkqlmTP.k1", true),
            ("Secret", "$P$5abcdefghRQTwXLGkACWdXkqlmTP.k1", false),
            ("secret", "$P$5abcdefghRQTwXLGkACWdXkqlmTP.k2", false),
            (&long, "$P$GsaltSALTy7FdjwTugecfVynZTxe/j1", true),
            ("password", "5f4dcc3b5aa765d61d8327deb882cf99", true),
            ("password", "5F4DCC3B5AA765D61D8327DEB882CF99", false),
            ("secret", "$P$5abcdefgh", false),
            ("secret", "$P$zabcdefghRQTwXLGkACWdXkqlmTP.k1", false),
            ("secret", "$P$", false),
            ("", "", false),
            ("secret", "secret", false),
        ];
        for (password, stored, expected) in table {
            assert_eq!(verify(password.as_bytes(), stored.as_bytes()), expected, "{password} {stored}");
        }
    }
}
