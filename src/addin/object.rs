//! The object in the layout that C++ expects: four bases, each with a table of its own. Every entry point is here. It
//! finds the object that its base belongs to, checks what it was given, and lets no panic out.

mod destructor;

use std::ffi::{c_long, c_void};
use std::mem::offset_of;
use std::sync::Arc;

use destructor::destructors;

use super::abi::{Char, InitDone, LanguageExtender, Locale, Table, This, UserLanguage, Variant};
use super::arguments::default_value;
use super::class::{self, CLASS, METHODS, PROPERTIES};
use super::component::Component;
use super::error::AddinError;
use super::methods::{self, method, property};
use super::text;
use super::value::Value;
use crate::threads;

/// What the platform holds a pointer to.
#[repr(C)]
pub(super) struct Object {
    init_done: &'static InitDone,
    language_extender: &'static LanguageExtender,
    locale: &'static Locale,
    user_language: &'static UserLanguage,
    /// Calls hold it too, so that an object can be freed while another thread is inside.
    component: Arc<Component>,
}

// The offsets of the bases in the object, to get from `this` to the object.
const INIT_DONE: usize = offset_of!(Object, init_done);
const LANGUAGE_EXTENDER: usize = offset_of!(Object, language_extender);
const LOCALE: usize = offset_of!(Object, locale);
const USER_LANGUAGE: usize = offset_of!(Object, user_language);

const _: () = {
    const WORD: usize = size_of::<usize>();
    assert!(INIT_DONE == 0 && LANGUAGE_EXTENDER == WORD && LOCALE == 2 * WORD && USER_LANGUAGE == 3 * WORD);
};

const fn table<E>(base: usize, entries: E) -> Table<E> {
    Table { offset_to_top: -(base as isize), type_info: 0, entries }
}

static INIT_DONE_TABLE: Table<InitDone> =
    table(INIT_DONE, InitDone { destructors: destructors::<INIT_DONE>(), init, set_mem_manager, get_info, done });
static LANGUAGE_EXTENDER_TABLE: Table<LanguageExtender> = table(
    LANGUAGE_EXTENDER,
    LanguageExtender {
        destructors: destructors::<LANGUAGE_EXTENDER>(),
        register_extension_as,
        get_n_props,
        find_prop,
        get_prop_name,
        get_prop_val,
        set_prop_val,
        is_prop_readable,
        is_prop_writable,
        get_n_methods,
        find_method,
        get_method_name,
        get_n_params,
        get_param_def_value,
        has_ret_val,
        call_as_proc,
        call_as_func,
    },
);
static LOCALE_TABLE: Table<Locale> = table(LOCALE, Locale { destructors: destructors::<LOCALE>(), set_locale });
static USER_LANGUAGE_TABLE: Table<UserLanguage> = table(
    USER_LANGUAGE,
    UserLanguage { destructors: destructors::<USER_LANGUAGE>(), set_user_interface_language_code },
);

impl Object {
    /// A new object; [`destroy`] or its C++ destructor frees it.
    pub(super) fn create() -> *mut Object {
        Box::into_raw(Box::new(Object {
            init_done: &INIT_DONE_TABLE.entries,
            language_extender: &LANGUAGE_EXTENDER_TABLE.entries,
            locale: &LOCALE_TABLE.entries,
            user_language: &USER_LANGUAGE_TABLE.entries,
            component: Arc::default(),
        }))
    }
}

/// Ends an object and frees it.
///
/// # Safety
///
/// `object` came from [`Object::create`] and is not used afterwards.
pub(super) unsafe fn destroy(object: *mut Object) {
    // SAFETY: by contract nobody else frees it.
    let object = unsafe { Box::from_raw(object) };
    finish(&object.component);
    if object.component.is_of_parent() {
        std::mem::forget(object);
    }
}

fn finish(component: &Component) {
    // A panic is a defect that must not reach the host. There is no platform left to report it to.
    if !component.is_of_parent() {
        let _ = threads::catch(|| component.end());
    }
}

/// The object that a base belongs to.
fn object_of<const BASE: usize>(this: This) -> *mut Object {
    this.wrapping_byte_sub(BASE).cast()
}

/// Runs the body of an entry point. Returns `fallback` when `this` is NULL, in a forked child, or if the body panics.
///
/// # Safety
///
/// `this` is NULL or the base `BASE` of an object that is not freed.
unsafe fn enter<const BASE: usize, T>(this: This, fallback: T, body: impl FnOnce(&Component) -> T) -> T {
    if this.is_null() {
        return fallback;
    }
    // SAFETY: an object that is not freed, by contract.
    let component = unsafe { (*object_of::<BASE>(this)).component.clone() };
    if component.is_of_parent() {
        return fallback;
    }
    let ran = threads::catch(|| {
        let _guard = component.calls.enter();
        body(&component)
    });
    ran.unwrap_or_else(|panic| {
        let _ = threads::catch(|| component.platform.report(&AddinError::Core(panic)));
        fallback
    })
}

// `# Safety` of every entry point below: `this` is the base, of an object that is not freed, whose table holds the
// function; every other pointer is NULL or, as C++ declares it, valid during the call. Hence every call of `enter` is
// sound.

// ---- IInitDoneBase --------------------------------------------------------------------------------------------------

unsafe extern "system" fn init(this: This, connection: *mut c_void) -> bool {
    // SAFETY: see above; the platform promises a connection that is valid until `Done`.
    unsafe { enter::<INIT_DONE, _>(this, false, |component| component.init(connection)) }
}

unsafe extern "system" fn set_mem_manager(this: This, manager: *mut c_void) -> bool {
    // SAFETY: see above; the platform's memory manager outlives its objects.
    unsafe { enter::<INIT_DONE, _>(this, false, |component| component.platform.memory.set(manager)) }
}

/// The version of the technology: 2.0.
unsafe extern "system" fn get_info(_: This) -> c_long {
    2000
}

unsafe extern "system" fn done(this: This) {
    if !this.is_null() {
        // Not through `enter`: the end waits until no call is inside.
        // SAFETY: an object that is not freed, by contract.
        let component = unsafe { (*object_of::<INIT_DONE>(this)).component.clone() };
        finish(&component);
    }
}

// ---- ILanguageExtenderBase: names -----------------------------------------------------------------------------------

unsafe extern "system" fn register_extension_as(this: This, name: *mut *mut Char) -> bool {
    if name.is_null() {
        return false;
    }
    // SAFETY: see above.
    let name_copy = unsafe { copy_name(this, Some(CLASS)) };
    // SAFETY: not NULL, and C++ declares it as a pointer to a pointer.
    unsafe { name.write(name_copy) };
    !name_copy.is_null()
}

unsafe extern "system" fn get_n_props(_: This) -> c_long {
    PROPERTIES.len() as c_long
}

unsafe extern "system" fn find_prop(this: This, name: *const Char) -> c_long {
    // SAFETY: see above.
    unsafe { find(this, name, class::find_property) }
}

unsafe extern "system" fn get_prop_name(this: This, number: c_long, alias: c_long) -> *const Char {
    let name = property(number).and_then(|property| alias_of(alias, property.english, property.russian));
    // SAFETY: see above.
    unsafe { copy_name(this, name) }
}

unsafe extern "system" fn is_prop_readable(_: This, number: c_long) -> bool {
    property(number).is_some()
}

unsafe extern "system" fn is_prop_writable(_: This, number: c_long) -> bool {
    property(number).is_some_and(|property| property.is_writable)
}

unsafe extern "system" fn get_n_methods(_: This) -> c_long {
    METHODS.len() as c_long
}

unsafe extern "system" fn find_method(this: This, name: *const Char) -> c_long {
    // SAFETY: see above.
    unsafe { find(this, name, class::find_method) }
}

unsafe extern "system" fn get_method_name(this: This, number: c_long, alias: c_long) -> *const Char {
    let name = method(number).and_then(|method| alias_of(alias, method.english, method.russian));
    // SAFETY: see above.
    unsafe { copy_name(this, name) }
}

unsafe extern "system" fn get_n_params(_: This, number: c_long) -> c_long {
    method(number).map_or(-1, |method| method.params.len() as c_long)
}

unsafe extern "system" fn has_ret_val(_: This, number: c_long) -> bool {
    method(number).is_some_and(|method| method.returns.is_some())
}

fn alias_of(alias: c_long, english: &'static str, russian: &'static str) -> Option<&'static str> {
    match alias {
        0 => Some(english),
        1 => Some(russian),
        _ => None,
    }
}

/// # Safety
///
/// As [`enter`]; `name` is NULL or ends with NUL.
unsafe fn find(this: This, name: *const Char, find: fn(&str) -> Option<usize>) -> c_long {
    // SAFETY: the same contract.
    unsafe {
        enter::<LANGUAGE_EXTENDER, _>(this, -1, |_| {
            text::name(name).and_then(|name| find(&name)).map_or(-1, |number| number as c_long)
        })
    }
}

/// A copy of a name in the platform's memory; NULL when there is no name or no memory.
///
/// # Safety
///
/// As [`enter`].
unsafe fn copy_name(this: This, name: Option<&str>) -> *mut Char {
    let null = std::ptr::null_mut();
    // SAFETY: the same contract.
    unsafe {
        enter::<LANGUAGE_EXTENDER, _>(this, null, |component| {
            name.and_then(|name| component.platform.memory.copy(&text::wide(name)).ok()).unwrap_or(null)
        })
    }
}

// ---- ILanguageExtenderBase: values and calls ------------------------------------------------------------------------

unsafe extern "system" fn get_prop_val(this: This, number: c_long, value: *mut Variant) -> bool {
    if value.is_null() {
        return false;
    }
    // SAFETY: see above; `value` is not NULL.
    unsafe {
        enter::<LANGUAGE_EXTENDER, _>(this, false, |component| {
            let read = methods::get(component, number).and_then(|read| read.write(value, &component.platform.memory));
            read.inspect_err(|error| component.platform.report(error)).is_ok()
        })
    }
}

unsafe extern "system" fn set_prop_val(this: This, number: c_long, value: *mut Variant) -> bool {
    // SAFETY: see above.
    unsafe {
        enter::<LANGUAGE_EXTENDER, _>(this, false, |component| {
            component.run(|| methods::set(component, number, Value::read(value)))
        })
    }
}

unsafe extern "system" fn get_param_def_value(this: This, number: c_long, param: c_long, value: *mut Variant) -> bool {
    if value.is_null() {
        return false;
    }
    let index = usize::try_from(param).ok();
    let param = method(number).and_then(|method| method.params.get(index?));
    let default = param.and_then(|param| default_value(param.default));
    // SAFETY: see above; `value` is not NULL.
    unsafe {
        enter::<LANGUAGE_EXTENDER, _>(this, false, |component| {
            let written = default.as_ref().unwrap_or(&Value::Empty).write(value, &component.platform.memory);
            default.is_some() && written.is_ok()
        })
    }
}

unsafe extern "system" fn call_as_proc(this: This, number: c_long, params: *mut Variant, count: c_long) -> bool {
    // SAFETY: see above.
    unsafe { call(this, number, std::ptr::null_mut(), params, count) }
}

unsafe extern "system" fn call_as_func(
    this: This,
    number: c_long,
    result: *mut Variant,
    params: *mut Variant,
    count: c_long,
) -> bool {
    // SAFETY: see above.
    unsafe { call(this, number, result, params, count) }
}

/// Calls a method. The value is discarded if `result` is NULL.
///
/// # Safety
///
/// As [`enter`]; `result` is NULL or can be written, `params` is NULL or points to `count` values.
unsafe fn call(this: This, number: c_long, result: *mut Variant, params: *mut Variant, count: c_long) -> bool {
    // SAFETY: the same contract; `result` is used when it is not NULL, `params` as far as `count` says.
    unsafe {
        enter::<LANGUAGE_EXTENDER, _>(this, false, |component| {
            let memory = &component.platform.memory;
            component.run(|| {
                if !result.is_null() {
                    // A host that ignores a failure reads Undefined, not garbage.
                    Value::Empty.write(result, memory)?;
                }
                let method = method(number).ok_or(AddinError::NoMethod(number))?;
                let given = usize::try_from(count).ok().filter(|given| *given <= method.params.len());
                let given = given.filter(|given| *given == 0 || !params.is_null());
                let given = given.ok_or(AddinError::WrongCount { method, given: count })?;
                let values = (0..given).map(|index| Value::read(params.add(index))).collect();
                let outcome = methods::call(component, method, values)?;
                let written = if result.is_null() { Ok(()) } else { outcome.value.write(result, memory) };
                // 1C did not get the id, so nobody could acknowledge the batch.
                if let Some(id) = outcome.batch_id.filter(|_| result.is_null() || written.is_err()) {
                    component.session.return_batch(&id);
                }
                written
            })
        })
    }
}

// ---- LocaleBase, UserLanguageBase -----------------------------------------------------------------------------------

unsafe extern "system" fn set_locale(this: This, code: *const Char) {
    // SAFETY: see above.
    unsafe {
        enter::<LOCALE, _>(this, (), |component| {
            component.platform.set_locale(text::name(code).unwrap_or_default());
        });
    }
}

unsafe extern "system" fn set_user_interface_language_code(this: This, code: *const Char) {
    // SAFETY: see above.
    unsafe {
        enter::<USER_LANGUAGE, _>(this, (), |component| {
            component.platform.set_interface_language(text::name(code).unwrap_or_default());
        });
    }
}
