//! The virtual destructor, which every base has in its table: the end of the object through C++.
//!
//! `# Safety` for all: `this` is NULL or the base `BASE` of a living object, which C++ gives up with the call.

use super::{destroy, finish, whole};
use crate::addin::abi::{Destructors, This};

#[cfg(not(windows))]
pub(super) const fn destructors<const BASE: usize>() -> Destructors {
    Destructors { complete: complete_destructor::<BASE>, deleting: deleting_destructor::<BASE> }
}

#[cfg(windows)]
pub(super) const fn destructors<const BASE: usize>() -> Destructors {
    Destructors { scalar_deleting: scalar_deleting_destructor::<BASE> }
}

/// `object->~T()`: ends the object, whose memory stays.
#[cfg(not(windows))]
unsafe extern "C" fn complete_destructor<const BASE: usize>(this: This) {
    if !this.is_null() {
        // SAFETY: a living object, by contract.
        finish(unsafe { &(*whole::<BASE>(this)).component });
    }
}

/// `delete object`.
#[cfg(not(windows))]
unsafe extern "C" fn deleting_destructor<const BASE: usize>(this: This) {
    if !this.is_null() {
        // SAFETY: a living object, by contract, which C++ gives up with this call.
        unsafe { destroy(whole::<BASE>(this)) };
    }
}

/// Both in one: bit 0 of the flags tells `delete object` from `object->~T()`.
#[cfg(windows)]
macro_rules! scalar_deleting_destructor {
    ($abi:literal) => {
        unsafe extern $abi fn scalar_deleting_destructor<const BASE: usize>(
            this: This,
            flags: std::ffi::c_uint,
        ) -> This {
            if !this.is_null() {
                if flags & 1 == 0 {
                    // SAFETY: a living object, by contract.
                    finish(unsafe { &(*whole::<BASE>(this)).component });
                } else {
                    // SAFETY: a living object, by contract, which C++ gives up with this call.
                    unsafe { destroy(whole::<BASE>(this)) };
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
