//! Identifiers that nobody can guess.

use std::fmt::Write;

/// `length` hexadecimal digits.
///
/// # Panics
/// If the operating system provides no random numbers.
pub fn hex(length: usize) -> String {
    let mut bytes = vec![0_u8; length.div_ceil(2)];
    getrandom::fill(&mut bytes).expect("the operating system provides random numbers");
    let mut text = hex_of(&bytes);
    text.truncate(length);
    text
}

pub fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
