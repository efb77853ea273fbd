//! Layouts of the Native API, as the platform's C++ compilers make them, asserted at compile time where possible.
//!
//! A C++ object begins with a pointer to a table of functions; the first entries of each table are the virtual
//! destructor: two with the Itanium ABI (Linux, macOS), one with Microsoft's. 1C for Windows is built with Microsoft's
//! compiler, so `windows` decides and not the toolchain that builds this library.

use std::ffi::{c_long, c_ulong, c_ushort, c_void};

/// `char16_t`.
pub(super) type Char = u16;
/// `this` of a method: points to the base whose table holds the method.
pub(super) type This = *mut c_void;
/// What a C++ function returns as `bool`; only zero is false.
pub(super) type Bool = u8;

/// The types that a [`Variant`] can have (`ENUMVAR` of the platform's `types.h`).
pub(super) mod vt {
    pub const EMPTY: u16 = 0;
    pub const I2: u16 = 2;
    pub const I4: u16 = 3;
    pub const R4: u16 = 4;
    pub const R8: u16 = 5;
    pub const DATE: u16 = 6;
    pub const TM: u16 = 7;
    pub const BOOL: u16 = 11;
    pub const I1: u16 = 13;
    pub const UI1: u16 = 14;
    pub const UI2: u16 = 15;
    pub const UI4: u16 = 16;
    pub const I8: u16 = 17;
    pub const UI8: u16 = 18;
    pub const INT: u16 = 19;
    pub const UINT: u16 = 20;
    pub const PWSTR: u16 = 22;
    pub const BLOB: u16 = 23;
}

/// `tVariant`.
#[repr(C)]
pub(super) struct Variant {
    pub value: VariantValue,
    pub elements: u32,
    pub vt: u16,
}

/// The union in it; `vt` says which field is set. All are plain data, so reading another one is garbage, but sound.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) union VariantValue {
    pub i1: i8,
    pub i2: i16,
    pub i4: i32,
    pub i8: i64,
    pub ui1: u8,
    pub ui2: u16,
    pub ui4: u32,
    pub ui8: u64,
    pub r4: f32,
    pub r8: f64,
    /// `bool`, but the host may have written any byte.
    pub boolean: u8,
    pub tm: libc::tm,
    pub text: VariantText,
    pub blob: VariantBlob,
}

/// `pwstrVal`, `wstrLen`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct VariantText {
    pub pointer: *mut Char,
    pub length: u32,
}

/// `pstrVal`, `strLen`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct VariantBlob {
    pub pointer: *mut u8,
    pub length: u32,
}

/// The virtual destructor's entries: destroy; destroy and free.
#[cfg(not(windows))]
#[repr(C)]
pub(super) struct Destructors {
    pub complete: unsafe extern "C" fn(This),
    pub deleting: unsafe extern "C" fn(This),
}

/// The virtual destructor's entry: destroy, and free when bit 0 of the second argument is set. Returns `this`.
#[cfg(windows)]
#[repr(C)]
pub(super) struct Destructors {
    #[cfg(target_arch = "x86")]
    pub scalar_deleting: unsafe extern "thiscall" fn(This, std::ffi::c_uint) -> This,
    #[cfg(not(target_arch = "x86"))]
    pub scalar_deleting: unsafe extern "C" fn(This, std::ffi::c_uint) -> This,
}

/// A table with what C++ expects in front of it: the offset to the whole object, and its type. No known host reads
/// them; one that does finds "unknown" and not an unrelated constant.
#[repr(C)]
pub(super) struct Table<E> {
    pub offset_to_top: isize,
    pub type_info: usize,
    pub entries: E,
}

// Methods are `__stdcall` on 32-bit Windows, which is what "system" means there; elsewhere it is "C".

/// `IInitDoneBase`.
#[repr(C)]
pub(super) struct InitDone {
    pub destructors: Destructors,
    pub init: unsafe extern "system" fn(This, *mut c_void) -> bool,
    pub set_mem_manager: unsafe extern "system" fn(This, *mut c_void) -> bool,
    pub get_info: unsafe extern "system" fn(This) -> c_long,
    pub done: unsafe extern "system" fn(This),
}

/// `ILanguageExtenderBase`.
#[repr(C)]
pub(super) struct LanguageExtender {
    pub destructors: Destructors,
    pub register_extension_as: unsafe extern "system" fn(This, *mut *mut Char) -> bool,
    pub get_n_props: unsafe extern "system" fn(This) -> c_long,
    pub find_prop: unsafe extern "system" fn(This, *const Char) -> c_long,
    pub get_prop_name: unsafe extern "system" fn(This, c_long, c_long) -> *const Char,
    pub get_prop_val: unsafe extern "system" fn(This, c_long, *mut Variant) -> bool,
    pub set_prop_val: unsafe extern "system" fn(This, c_long, *mut Variant) -> bool,
    pub is_prop_readable: unsafe extern "system" fn(This, c_long) -> bool,
    pub is_prop_writable: unsafe extern "system" fn(This, c_long) -> bool,
    pub get_n_methods: unsafe extern "system" fn(This) -> c_long,
    pub find_method: unsafe extern "system" fn(This, *const Char) -> c_long,
    pub get_method_name: unsafe extern "system" fn(This, c_long, c_long) -> *const Char,
    pub get_n_params: unsafe extern "system" fn(This, c_long) -> c_long,
    pub get_param_def_value: unsafe extern "system" fn(This, c_long, c_long, *mut Variant) -> bool,
    pub has_ret_val: unsafe extern "system" fn(This, c_long) -> bool,
    pub call_as_proc: unsafe extern "system" fn(This, c_long, *mut Variant, c_long) -> bool,
    pub call_as_func: unsafe extern "system" fn(This, c_long, *mut Variant, *mut Variant, c_long) -> bool,
}

/// `LocaleBase`.
#[repr(C)]
pub(super) struct Locale {
    pub destructors: Destructors,
    pub set_locale: unsafe extern "system" fn(This, *const Char),
}

/// `UserLanguageBase`.
#[repr(C)]
pub(super) struct UserLanguage {
    pub destructors: Destructors,
    pub set_user_interface_language_code: unsafe extern "system" fn(This, *const Char),
}

/// `IMemoryManager`, which the platform gives us.
#[repr(C)]
pub(super) struct MemoryManager {
    pub destructors: Destructors,
    pub alloc_memory: unsafe extern "system" fn(This, *mut *mut c_void, c_ulong) -> Bool,
    pub free_memory: unsafe extern "system" fn(This, *mut *mut c_void),
}

/// `IAddInDefBase`, which the platform gives us.
#[repr(C)]
pub(super) struct AddInDef {
    pub destructors: Destructors,
    pub add_error: unsafe extern "system" fn(This, c_ushort, *const Char, *const Char, c_long) -> Bool,
    pub read: unsafe extern "system" fn(This, *mut Char, *mut Variant, *mut c_long, *mut *mut Char) -> Bool,
    pub write: unsafe extern "system" fn(This, *mut Char, *mut Variant) -> Bool,
    pub register_profile_as: unsafe extern "system" fn(This, *mut Char) -> Bool,
    pub set_event_buffer_depth: unsafe extern "system" fn(This, c_long) -> Bool,
    pub get_event_buffer_depth: unsafe extern "system" fn(This) -> c_long,
    pub external_event: unsafe extern "system" fn(This, *mut Char, *mut Char, *mut Char) -> Bool,
    pub clean_event_buffer: unsafe extern "system" fn(This),
    pub set_status_line: unsafe extern "system" fn(This, *mut Char) -> Bool,
    pub reset_status_line: unsafe extern "system" fn(This),
}

/// Layouts, measured with C++ compilers on the platform's headers.
#[cfg(any(
    all(target_os = "linux", target_arch = "x86_64"),
    all(windows, any(target_arch = "x86_64", target_arch = "x86"))
))]
const _: () = {
    use std::mem::{offset_of, size_of};

    const WORD: usize = size_of::<usize>();
    const DESTRUCTORS: usize = if cfg!(windows) { 1 } else { 2 };
    const UNION: usize = if cfg!(windows) { 40 } else { 56 };

    assert!(size_of::<libc::tm>() == if cfg!(windows) { 36 } else { 56 });
    assert!(offset_of!(Variant, value) == 0);
    assert!(offset_of!(Variant, elements) == UNION);
    assert!(offset_of!(Variant, vt) == UNION + 4);
    assert!(size_of::<Variant>() == UNION + 8);
    assert!(align_of::<Variant>() == 8);
    assert!(offset_of!(VariantText, length) == WORD && offset_of!(VariantBlob, length) == WORD);
    assert!(size_of::<c_long>() == if cfg!(windows) { 4 } else { 8 });

    assert!(size_of::<Destructors>() == DESTRUCTORS * WORD);
    assert!(offset_of!(Table<InitDone>, entries) == 2 * WORD);
    assert!(size_of::<InitDone>() == (DESTRUCTORS + 4) * WORD);
    assert!(offset_of!(InitDone, init) == DESTRUCTORS * WORD);
    assert!(size_of::<LanguageExtender>() == (DESTRUCTORS + 16) * WORD);
    assert!(offset_of!(LanguageExtender, call_as_func) == (DESTRUCTORS + 15) * WORD);
    assert!(size_of::<Locale>() == (DESTRUCTORS + 1) * WORD);
    assert!(size_of::<UserLanguage>() == (DESTRUCTORS + 1) * WORD);
    assert!(offset_of!(MemoryManager, alloc_memory) == DESTRUCTORS * WORD);
    assert!(offset_of!(MemoryManager, free_memory) == (DESTRUCTORS + 1) * WORD);
    assert!(offset_of!(AddInDef, add_error) == DESTRUCTORS * WORD);
    assert!(offset_of!(AddInDef, external_event) == (DESTRUCTORS + 6) * WORD);
    assert!(size_of::<AddInDef>() == (DESTRUCTORS + 10) * WORD);
};
