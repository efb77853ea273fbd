//! The virtual destructor, which is in the table of every base: how C++ ends the object.
//!
//! `# Safety` of every function: `this` is NULL or the base `BASE` of an object that is not freed, and C++ does not use
//! it afterwards.

use super::{destroy, finish, object_of};
use crate::addin::abi::{Destructors, This};

#[cfg(not(windows))]
pub(super) const fn destructors<const BASE: usize>() -> Destructors {
    Destructors { complete: complete_destructor::<BASE>, deleting: deleting_destructor::<BASE> }
}

#[cfg(windows)]
pub(super) const fn destructors<const BASE: usize>() -> Destructors {
    Destructors { scalar_deleting: scalar_deleting_destructor::<BASE> }
}

/// `object->~T()`: ends the object and does not free it.
#[cfg(not(windows))]
unsafe extern "C" fn complete_destructor<const BASE: usize>(this: This) {
    if !this.is_null() {
        // SAFETY: an object that is not freed, by contract.
        finish(unsafe { &(*object_of::<BASE>(this)).component });
    }
}

/// `delete object`.
#[cfg(not(windows))]
unsafe extern "C" fn deleting_destructor<const BASE: usize>(this: This) {
    if !this.is_null() {
        // SAFETY: an object that is not freed, by contract, and C++ does not use it afterwards.
        unsafe { destroy(object_of::<BASE>(this)) };
    }
}

/// Both in one: bit 0 of the flags is set for `delete object`, clear for `object->~T()`.
#[cfg(windows)]
macro_rules! scalar_deleting_destructor {
    ($abi:literal) => {
        unsafe extern $abi fn scalar_deleting_destructor<const BASE: usize>(
            this: This,
            flags: std::ffi::c_uint,
        ) -> This {
            if !this.is_null() {
                if flags & 1 == 0 {
                    // SAFETY: an object that is not freed, by contract.
                    finish(unsafe { &(*object_of::<BASE>(this)).component });
                } else {
                    // SAFETY: an object that is not freed, by contract, and C++ does not use it afterwards.
                    unsafe { destroy(object_of::<BASE>(this)) };
                }
            }
            this
        }
    };
}
#[cfg(all(windows, target_arch = "x86"))]
scalar_deleting_destructor!("thiscall");
#[cfg(all(windows, not(target_arch = "x86")))]
scalar_deleting_destructor!("C");
