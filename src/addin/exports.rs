//! The five functions that 1C looks up in the library. The platform defines their names.

#![allow(non_snake_case)]

use std::ffi::{c_int, c_long};

use super::abi::Char;
use super::class::CLASS;
use super::object::{self, Object};
use super::text;
use crate::ffi::pin;
use crate::threads;

/// The list of our classes: `B24Events`, and two NULs.
static CLASS_NAMES: [Char; CLASS.len() + 2] = {
    let mut units = [0; CLASS.len() + 2];
    let mut index = 0;
    while index < CLASS.len() {
        units[index] = CLASS.as_bytes()[index] as Char;
        index += 1;
    }
    units
};

/// The highest version of the platform's capabilities that we know.
const CAPABILITIES: c_int = 1;
/// The component works inside the platform's process and in one of its own.
const ATTACH_ANY: c_int = 3;

/// The names of the classes, joined by `|`.
#[unsafe(no_mangle)]
pub extern "C" fn GetClassNames() -> *const Char {
    CLASS_NAMES.as_ptr()
}

/// Creates an object of a class. Returns 0 when there is no such class.
///
/// # Safety
///
/// `name` is NULL or ends with NUL; `object` is NULL or can be written.
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
        Ok(Some(created)) => {
            // SAFETY: not NULL, and can be written by contract.
            unsafe { object.write(created) };
            1
        }
        _ => 0,
    }
}

/// Ends and frees an object, and sets the pointer to NULL. Returns 0, or -1 when there is no object.
///
/// # Safety
///
/// `object` is NULL, or points to NULL or to what [`GetClassObject`] created and nobody uses afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn DestroyObject(object: *mut *mut Object) -> c_long {
    if object.is_null() {
        return -1;
    }
    // SAFETY: not NULL, and readable and writable by contract.
    let created = unsafe { object.replace(std::ptr::null_mut()) };
    if created.is_null() {
        return -1;
    }
    // SAFETY: by contract.
    let _ = threads::catch(|| unsafe { object::destroy(created) });
    0
}

/// The platform passes the version of its capabilities; we return ours.
#[unsafe(no_mangle)]
pub extern "C" fn SetPlatformCapabilities(_capabilities: c_int) -> c_int {
    CAPABILITIES
}

/// How the library may be loaded.
#[unsafe(no_mangle)]
pub extern "C" fn GetAttachType() -> c_int {
    ATTACH_ANY
}
