//! UTF-16 in and out, and names as 1C compares them.

use super::abi::Char;

/// No name of the class, and no language code, is longer.
const MAX_NAME: usize = 128;

/// A text as UTF-16 with NUL at the end. A NUL inside would cut the text short, so it becomes a space.
pub(super) fn wide(text: &str) -> Vec<Char> {
    let mut units = Vec::with_capacity(text.len() + 1);
    units.extend(text.encode_utf16().map(|unit| if unit == 0 { u16::from(b' ') } else { unit }));
    units.push(0);
    units
}

/// Decodes a name that ends with NUL; `None` if it is NULL, not valid UTF-16, or longer than any name of ours.
///
/// # Safety
///
/// `name` is NULL or points to units that end with a NUL.
pub(super) unsafe fn name(name: *const Char) -> Option<String> {
    if name.is_null() {
        return None;
    }
    let mut units = Vec::with_capacity(32);
    for index in 0..MAX_NAME {
        // SAFETY: no unit before this one was NUL, so this one is still part of the name. The read is unaligned, as
        // nothing promises alignment.
        let unit = unsafe { name.add(index).read_unaligned() };
        if unit == 0 {
            return String::from_utf16(&units).ok();
        }
        units.push(unit);
    }
    None
}

/// Decodes `length` units; `None` for an unpaired surrogate.
///
/// # Safety
///
/// `pointer` points to `length` units, aligned or not.
pub(super) unsafe fn decode(pointer: *const Char, length: usize) -> Option<String> {
    // No text takes more than half of the address space.
    let bytes = length.checked_mul(2).filter(|bytes| isize::try_from(*bytes).is_ok())?;
    // SAFETY: `length` units are twice as many bytes, and bytes need no alignment.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), bytes) };
    let units = bytes.chunks_exact(2).map(|pair| pair.try_into().map_or(0, u16::from_ne_bytes));
    let mut text = String::with_capacity(length);
    for decoded in char::decode_utf16(units) {
        text.push(decoded.ok()?);
    }
    Some(text)
}

/// A name in the one spelling that all its spellings share: 1C ignores the case.
pub(super) fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case() {
        assert_eq!(folded("ПодКЛЮЧить"), folded("подключить"));
        assert_eq!(folded("CONNECT"), folded("Connect"));
        assert_ne!(folded("Подключить"), folded("Подключит"));
        assert_ne!(folded("Connect"), folded("Соnnect"), "a Cyrillic letter is another letter");
    }

    #[test]
    fn texts_are_decoded_at_any_address() {
        let mut bytes = vec![0_u8];
        bytes.extend(wide("Ключ 😀").iter().flat_map(|unit| unit.to_ne_bytes()));
        let odd = bytes[1..].as_ptr().cast::<Char>();
        // SAFETY: 7 units and a NUL follow, at an odd address.
        assert_eq!(unsafe { decode(odd, 7) }.as_deref(), Some("Ключ 😀"));
        // SAFETY: as above.
        assert_eq!(unsafe { name(odd) }.as_deref(), Some("Ключ 😀"));
        // SAFETY: as above; the emoji's second half is cut off.
        assert_eq!(unsafe { decode(odd, 6) }, None);
    }

    #[test]
    fn what_is_not_a_name_is_none() {
        // SAFETY: NULL is allowed; the others end with NUL.
        unsafe {
            assert_eq!(name(std::ptr::null()), None);
            assert_eq!(name([0xd800, 0].as_ptr()), None);
            assert_eq!(name(wide(&"x".repeat(500)).as_ptr()), None);
            assert_eq!(name([0].as_ptr()).as_deref(), Some(""));
        }
    }
}
