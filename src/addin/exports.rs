//! The five functions that 1C looks up in the library. Their names are the platform's.

#![allow(non_snake_case)]

use std::ffi::{c_int, c_long};

use super::abi::Char;
use super::class::CLASS;
use super::object::{self, Object};
use super::text;
use crate::ffi::pin;
use crate::threads;

/// `B24Events`, and two NULs: the list of our classes.
static CLASS_NAMES: [Char; CLASS.len() + 2] = {
    let mut units = [0; CLASS.len() + 2];
    let mut index = 0;
    while index < CLASS.len() {
        units[index] = CLASS.as_bytes()[index] as Char;
        index += 1;
    }
    units
};

/// The highest version of the platform's abilities that is understood here.
const CAPABILITIES: c_int = 1;
/// Inside the platform's process or in one of its own: both will do.
const ATTACH_ANY: c_int = 3;

/// The names of the classes, joined by `|`.
#[unsafe(no_mangle)]
pub extern "C" fn GetClassNames() -> *const Char {
    CLASS_NAMES.as_ptr()
}

/// Makes an object of a class. Returns 0 when there is no such class.
///
/// # Safety
///
/// `name` is NULL or ends with NUL; `object` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn GetClassObject(name: *const Char, object: *mut *mut Object) -> c_long {
    if object.is_null() {
        return 0;
    }
    // SAFETY: by contract.
    let known = unsafe { text::name(name) }.is_some_and(|name| text::folded(&name) == text::folded(CLASS));
    let create = || {
        pin::keep();
        Object::create()
    };
    match threads::catch(|| known.then(create)) {
        Ok(Some(made)) => {
            // SAFETY: not NULL, and a place for a pointer by contract.
            unsafe { object.write(made) };
            1
        }
        _ => 0,
    }
}

/// Ends an object and sets the pointer to NULL. Returns 0, or -1 when there is no object.
///
/// # Safety
///
/// `object` is NULL or holds NULL or what [`GetClassObject`] made, which nobody uses afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn DestroyObject(object: *mut *mut Object) -> c_long {
    if object.is_null() {
        return -1;
    }
    // SAFETY: not NULL, and a place with a pointer by contract.
    let made = unsafe { object.replace(std::ptr::null_mut()) };
    if made.is_null() {
        return -1;
    }
    // SAFETY: by contract.
    let _ = threads::catch(|| unsafe { object::destroy(made) });
    0
}

/// The platform tells its abilities; we tell ours.
#[unsafe(no_mangle)]
pub extern "C" fn SetPlatformCapabilities(_capabilities: c_int) -> c_int {
    CAPABILITIES
}

/// How the library may be loaded.
#[unsafe(no_mangle)]
pub extern "C" fn GetAttachType() -> c_int {
    ATTACH_ANY
}
