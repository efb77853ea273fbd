//! Reads values from a `tVariant` and writes them to one.

use std::ffi::c_int;

use super::abi::{Variant, VariantText, VariantValue, vt};
use super::error::AddinError;
use super::memory::Memory;
use super::text;
use super::value::{MAX_LENGTH, Value};
use crate::calendar::{self, DAY};

impl Value {
    /// Reads a value.
    ///
    /// # Safety
    ///
    /// `variant` is NULL or points to a `tVariant` whose pointers, if its type has any, are NULL or valid for its
    /// length.
    pub(super) unsafe fn read(variant: *const Variant) -> Value {
        if variant.is_null() {
            return Value::Empty;
        }
        // SAFETY: not NULL, and the caller promises a variant; it is plain data.
        let (value, kind) = unsafe { ((*variant).value, (*variant).vt) };
        // SAFETY: every field of the union is plain data for which any bytes are valid, and the platform has written
        // the one that the type names. The caller promises the pointers.
        unsafe {
            match kind {
                vt::EMPTY => Value::Empty,
                vt::BOOL => Value::Boolean(value.boolean != 0),
                vt::I1 => Value::Integer(value.i1.into()),
                vt::I2 => Value::Integer(value.i2.into()),
                vt::I4 | vt::INT => Value::Integer(value.i4.into()),
                vt::I8 => Value::Integer(value.i8),
                vt::UI1 => Value::Integer(value.ui1.into()),
                vt::UI2 => Value::Integer(value.ui2.into()),
                vt::UI4 | vt::UINT => Value::Integer(value.ui4.into()),
                vt::UI8 => i64::try_from(value.ui8).map_or(Value::Real(value.ui8 as f64), Value::Integer),
                vt::R4 => number(value.r4.into()),
                vt::R8 => number(value.r8),
                vt::DATE => date(value.r8),
                vt::TM => broken_down(&value.tm),
                vt::PWSTR => match (value.text.pointer.is_null(), value.text.length) {
                    (_, 0) => Value::Text(String::new()),
                    (true, _) => Value::Damaged,
                    (false, length) if length as usize > MAX_LENGTH => Value::TooLong,
                    (false, length) => {
                        text::decode(value.text.pointer, length as usize).map_or(Value::Damaged, Value::Text)
                    }
                },
                vt::BLOB => match (value.blob.pointer.is_null(), value.blob.length as usize) {
                    (_, 0) => Value::Blob(Vec::new()),
                    (true, _) => Value::Damaged,
                    (false, length) if length > MAX_LENGTH => Value::TooLong,
                    (false, length) => Value::Blob(std::slice::from_raw_parts(value.blob.pointer, length).to_vec()),
                },
                other => Value::Other(other),
            }
        }
    }

    /// Writes the value for the platform, which frees a string with its memory manager. What was in `out` before is
    /// overwritten, not freed: the platform passes a fresh variant.
    ///
    /// # Safety
    ///
    /// `out` can be written.
    pub(super) unsafe fn write(&self, out: *mut Variant, memory: &Memory) -> Result<(), AddinError> {
        let (kind, value) = match self {
            Value::Empty | Value::Damaged | Value::TooLong | Value::InvalidDate | Value::Other(_) => {
                (vt::EMPTY, VariantValue { i8: 0 })
            }
            Value::Boolean(yes) => (vt::BOOL, VariantValue { boolean: u8::from(*yes) }),
            Value::Integer(number) => match i32::try_from(*number) {
                Ok(number) => (vt::I4, VariantValue { i4: number }),
                // 1C's own number has no such limit.
                Err(_) => (vt::R8, VariantValue { r8: *number as f64 }),
            },
            Value::Real(number) => (vt::R8, VariantValue { r8: *number }),
            Value::Date(seconds) => (vt::DATE, VariantValue { r8: *seconds as f64 / DAY as f64 + EPOCH }),
            Value::Text(text) => {
                let units = text::wide(text);
                // The length does not count the NUL.
                let length = u32::try_from(units.len() - 1).map_err(|_| AddinError::NoMemory)?;
                (vt::PWSTR, VariantValue { text: VariantText { pointer: memory.copy(&units)?, length } })
            }
            Value::Blob(bytes) => {
                let length = u32::try_from(bytes.len()).map_err(|_| AddinError::NoMemory)?;
                let pointer = memory.copy(bytes)?;
                (vt::BLOB, VariantValue { blob: super::abi::VariantBlob { pointer, length } })
            }
        };
        // SAFETY: promised by the caller.
        unsafe { out.write(Variant { value, elements: 0, vt: kind }) };
        Ok(())
    }
}

/// 1 January 1970 as a `DATE`: days since 30 December 1899.
const EPOCH: f64 = 25_569.0;

fn number(number: f64) -> Value {
    // Up to here every whole number has a `double` of its own.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= MAX_EXACT { Value::Integer(number as i64) } else { Value::Real(number) }
}

fn date(days: f64) -> Value {
    // The conversion from `f64` saturates, and turns NaN into 0.
    Value::Date(((days - EPOCH) * DAY as f64).round() as i64)
}

/// A broken-down time; fields out of their range carry over, as with `mktime`.
fn broken_down(tm: &libc::tm) -> Value {
    seconds(tm).map_or(Value::InvalidDate, Value::Date)
}

/// Seconds since 1970; `None` for years that no calendar has.
fn seconds(tm: &libc::tm) -> Option<i64> {
    let field = |field: c_int| i64::from(field);
    let year = field(tm.tm_year) + 1900 + field(tm.tm_mon).div_euclid(12);
    let month = field(tm.tm_mon).rem_euclid(12) + 1;
    let days = calendar::days(year, month, 1)? + field(tm.tm_mday) - 1;
    Some(((days * 24 + field(tm.tm_hour)) * 60 + field(tm.tm_min)) * 60 + field(tm.tm_sec))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: u16, value: VariantValue) -> Value {
        // SAFETY: a valid variant.
        unsafe { Value::read(&Variant { value, elements: 0, vt: kind }) }
    }

    #[test]
    fn every_number_type_is_read_with_its_own_width_and_sign() {
        let ones = VariantValue { ui8: u64::MAX };
        for (kind, expected) in [
            (vt::I1, -1),
            (vt::I2, -1),
            (vt::I4, -1),
            (vt::INT, -1),
            (vt::I8, -1),
            (vt::UI1, 0xff),
            (vt::UI2, 0xffff),
            (vt::UI4, 0xffff_ffff),
            (vt::UINT, 0xffff_ffff),
        ] {
            assert_eq!(read(kind, ones), Value::Integer(expected), "{kind}");
        }
        assert_eq!(read(vt::UI8, ones), Value::Real(u64::MAX as f64));
        assert_eq!(read(vt::R4, VariantValue { r4: 2.0 }), Value::Integer(2));
        assert_eq!(read(vt::R8, VariantValue { r8: 30_000.0 }), Value::Integer(30_000));
        assert_eq!(read(vt::R8, VariantValue { r8: 1.5 }), Value::Real(1.5));
        assert!(matches!(read(vt::R8, VariantValue { r8: f64::NAN }), Value::Real(_)));
        assert_eq!(read(vt::BOOL, VariantValue { boolean: 77 }), Value::Boolean(true));
    }

    #[test]
    fn dates_of_both_kinds_are_the_same_moment() {
        // SAFETY: all zeros are a valid `tm`.
        let mut tm: libc::tm = unsafe { std::mem::zeroed() };
        (tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec) = (124, 1, 29, 12, 30, 15);
        assert_eq!(read(vt::TM, VariantValue { tm }), Value::Date(1_709_209_815));
        let days = 45_351.0 + (12.0 * 3600.0 + 30.0 * 60.0 + 15.0) / 86_400.0;
        assert_eq!(read(vt::DATE, VariantValue { r8: days }), Value::Date(1_709_209_815));
        (tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec) = (70, 0, 1, 0, 0, 0);
        assert_eq!(seconds(&tm), Some(0));
        (tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_sec) = (71, -13, 32, -1);
        assert_eq!(seconds(&tm), Some(-1), "every field carries over");
        (tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec) = (c_int::MAX, c_int::MAX, c_int::MAX, c_int::MAX);
        assert!(seconds(&tm).is_some());
        (tm.tm_year, tm.tm_mon) = (c_int::MAX, c_int::MIN);
        assert_eq!(read(vt::TM, VariantValue { tm }), Value::InvalidDate);
    }

    #[test]
    fn texts_without_memory_or_with_half_a_pair_are_damaged() {
        let null = VariantText { pointer: std::ptr::null_mut(), length: 3 };
        assert_eq!(read(vt::PWSTR, VariantValue { text: null }), Value::Damaged);
        let nothing = VariantText { length: 0, ..null };
        assert_eq!(read(vt::PWSTR, VariantValue { text: nothing }), Value::Text(String::new()));
        let mut half = [0xd83d_u16];
        let half = VariantText { pointer: half.as_mut_ptr(), length: 1 };
        assert_eq!(read(vt::PWSTR, VariantValue { text: half }), Value::Damaged);
        assert_eq!(read(1, VariantValue { i8: 0 }), Value::Other(1));
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { Value::read(std::ptr::null()) }, Value::Empty);
    }
}
