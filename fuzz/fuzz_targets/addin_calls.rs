//! Methods and properties of the 1C object, with variants of every type, through the tables that C++ sees.
#![no_main]

use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::ptr;

use arbitrary::Arbitrary;
// Its exported functions are linked.
use b24events as _;
use b24events_fuzz::{Answer, answer_with, keys};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Number(u16, u64),
    Text(&'a str),
    /// UTF-16 that may be broken.
    Units(Vec<u16>),
    Blob(&'a [u8]),
    /// A pointer type without a pointer.
    Null(bool, u32),
}

#[derive(Arbitrary, Debug)]
enum Call<'a> {
    Method(u8, Vec<Value<'a>>, bool),
    Get(u8),
    Set(u8, Value<'a>),
    Parameter(u8, &'a str),
    Find(&'a str),
    Default(i8, i8),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    answers: Vec<(u16, &'a [u8])>,
    calls: Vec<Call<'a>>,
}

/// `tVariant` on Linux x86-64.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Variant {
    value: [u64; 7],
    elements: u32,
    vt: u16,
}

const _: () = assert!(size_of::<Variant>() == 64);

const PWSTR: u16 = 22;
const BLOB: u16 = 23;

#[link(name = "c")]
unsafe extern "C" {
    fn malloc(bytes: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
}

unsafe extern "C" {
    fn GetClassObject(name: *const u16, object: *mut *mut c_void) -> c_long;
    fn DestroyObject(object: *mut *mut c_void) -> c_long;
}

/// `IMemoryManager`: a pointer to its table.
#[repr(C)]
struct Memory(*const MemoryTable);

#[repr(C)]
struct MemoryTable {
    destructors: [usize; 2],
    alloc: unsafe extern "C" fn(*mut c_void, *mut *mut c_void, c_ulong) -> c_int,
    free: unsafe extern "C" fn(*mut c_void, *mut *mut c_void),
}

unsafe extern "C" fn alloc(_: *mut c_void, out: *mut *mut c_void, bytes: c_ulong) -> c_int {
    // SAFETY: the library passes a place for a pointer.
    unsafe { *out = malloc(bytes as usize) };
    1
}

unsafe extern "C" fn release(_: *mut c_void, memory: *mut *mut c_void) {
    // SAFETY: the library passes what `alloc` gave.
    unsafe {
        free(*memory);
        *memory = ptr::null_mut();
    }
}

static MEMORY_TABLE: MemoryTable = MemoryTable { destructors: [0; 2], alloc, free: release };

/// `IAddInDefBase`: a pointer to its table.
#[repr(C)]
struct Connection(*const ConnectionTable);

#[repr(C)]
struct ConnectionTable {
    destructors: [usize; 2],
    add_error: unsafe extern "C" fn(*mut c_void, u16, *const u16, *const u16, c_long) -> c_int,
    /// Read, Write, RegisterProfileAs: never called.
    unused: [usize; 3],
    set_depth: unsafe extern "C" fn(*mut c_void, c_long) -> c_int,
    depth: unsafe extern "C" fn(*mut c_void) -> c_long,
    external_event: unsafe extern "C" fn(*mut c_void, *mut u16, *mut u16, *mut u16) -> c_int,
    /// CleanEventBuffer, SetStatusLine, ResetStatusLine: never called.
    also_unused: [usize; 3],
}

unsafe extern "C" fn add_error(_: *mut c_void, _: u16, _: *const u16, text: *const u16, _: c_long) -> c_int {
    // SAFETY: the platform's contract: a text that ends with NUL.
    let units = unsafe { (0..).map(|index| *text.add(index)).take_while(|unit| *unit != 0).collect::<Vec<_>>() };
    String::from_utf16(&units).expect("UTF-16");
    1
}

unsafe extern "C" fn set_depth(_: *mut c_void, _: c_long) -> c_int {
    1
}

unsafe extern "C" fn depth(_: *mut c_void) -> c_long {
    100
}

unsafe extern "C" fn external_event(_: *mut c_void, _: *mut u16, _: *mut u16, _: *mut u16) -> c_int {
    1
}

static CONNECTION_TABLE: ConnectionTable = ConnectionTable {
    destructors: [0; 2],
    add_error,
    unused: [0; 3],
    set_depth,
    depth,
    external_event,
    also_unused: [0; 3],
};

fn utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A variant, and what it points to.
fn variant(value: &Value) -> (Variant, Vec<u16>) {
    let mut variant = Variant { value: [0; 7], elements: 0, vt: 0 };
    let mut units = Vec::new();
    match value {
        Value::Number(kind, bits) => {
            variant.value = [*bits; 7];
            // Types with pointers have cases of their own.
            variant.vt = if [PWSTR, BLOB].contains(kind) { 0 } else { *kind % 64 };
            if [PWSTR, BLOB].contains(&variant.vt) {
                variant.vt = 5;
            }
        }
        Value::Text(text) => units = text.encode_utf16().collect(),
        Value::Units(given) => units = given.clone(),
        Value::Blob(bytes) => {
            variant.vt = BLOB;
            variant.value[0] = bytes.as_ptr() as u64;
            variant.value[1] = bytes.len() as u64;
        }
        Value::Null(is_text, length) => {
            variant.vt = if *is_text { PWSTR } else { BLOB };
            variant.value[1] = u64::from(*length);
        }
    }
    if matches!(value, Value::Text(_) | Value::Units(_)) {
        variant.vt = PWSTR;
        variant.value[0] = units.as_ptr() as u64;
        variant.value[1] = units.len() as u64;
    }
    (variant, units)
}

struct Object(*mut c_void);

impl Object {
    /// An entry of one of the tables, and its `this`.
    unsafe fn entry(&self, table: usize, index: usize) -> (*mut c_void, *const c_void) {
        // SAFETY: an object begins with the pointers to its tables.
        unsafe {
            let this = (self.0 as *mut *const *const c_void).add(table);
            (this as *mut c_void, *(*this).add(index))
        }
    }

    unsafe fn extender<F: Copy>(&self, index: usize) -> (*mut c_void, F) {
        assert_eq!(size_of::<F>(), size_of::<usize>());
        // SAFETY: the caller names the type of the entry.
        unsafe {
            let (this, entry) = self.entry(1, index);
            (this, std::mem::transmute_copy(&entry))
        }
    }

    /// Frees what the library has allocated for a value.
    fn take(&self, out: Variant) {
        if out.vt == PWSTR || out.vt == BLOB {
            let mut memory = out.value[0] as *mut c_void;
            // SAFETY: allocated by `alloc`.
            unsafe { release(ptr::null_mut(), &mut memory) };
        }
    }
}

type Find = unsafe extern "C" fn(*mut c_void, *const u16) -> c_long;
type Access = unsafe extern "C" fn(*mut c_void, c_long, *mut Variant) -> bool;
type DefaultOf = unsafe extern "C" fn(*mut c_void, c_long, c_long, *mut Variant) -> bool;
type Function = unsafe extern "C" fn(*mut c_void, c_long, *mut Variant, *mut Variant, c_long) -> bool;
type Procedure = unsafe extern "C" fn(*mut c_void, c_long, *mut Variant, c_long) -> bool;
type Count = unsafe extern "C" fn(*mut c_void) -> c_long;
type CountOf = unsafe extern "C" fn(*mut c_void, c_long) -> c_long;

const EMPTY: Variant = Variant { value: [0; 7], elements: 0, vt: 0 };

/// Calls a method by its name.
fn method(object: &Object, name: &str, values: &[Value]) {
    // SAFETY: the tables are as the platform's headers say.
    unsafe {
        let (this, find) = object.extender::<Find>(11);
        let number = find(this, utf16(name).as_ptr());
        assert!(number >= 0, "{name}");
        by_number(object, number, values, false);
    }
}

fn by_number(object: &Object, number: c_long, values: &[Value], as_procedure: bool) {
    // SAFETY: as many variants as the method has parameters are passed, as the platform does.
    unsafe {
        let (this, count) = object.extender::<CountOf>(13);
        let count = count(this, number).max(0) as usize;
        let mut held = Vec::new();
        let mut variants: Vec<Variant> = Vec::new();
        for index in 0..count {
            let (given, units) = values.get(index).map_or((EMPTY, Vec::new()), variant);
            held.push(units);
            variants.push(given);
        }
        if as_procedure {
            let (this, call) = object.extender::<Procedure>(16);
            call(this, number, variants.as_mut_ptr(), count as c_long);
        } else {
            let mut out = EMPTY;
            let (this, call) = object.extender::<Function>(17);
            call(this, number, &mut out, variants.as_mut_ptr(), count as c_long);
            object.take(out);
        }
    }
}

/// Keys whose values may be anything: none of them leads elsewhere than to our portal.
const KEYS: [&str; 6] =
    ["auth.access_token", "auth.expires", "connector.id", "fetch.limit", "fetch.reserve", "recover.orphans"];

/// Methods that wait for what never comes are left out, unless they are told not to wait.
fn waits(object: &Object, number: c_long) -> bool {
    ["Connect", "WaitEvent", "NextBatch"].iter().any(|name| {
        // SAFETY: a name that ends with NUL.
        unsafe {
            let (this, find) = object.extender::<Find>(11);
            find(this, utf16(name).as_ptr()) == number
        }
    })
}

fn call(object: &Object, call: &Call) {
    // SAFETY: the tables are as the platform's headers say.
    unsafe {
        match call {
            Call::Method(number, values, as_procedure) => {
                let (this, count) = object.extender::<Count>(10);
                let number = c_long::from(*number) % (count(this) + 2);
                if !waits(object, number) {
                    by_number(object, number, values, *as_procedure);
                }
            }
            Call::Get(number) => {
                let mut out = EMPTY;
                let (this, get) = object.extender::<Access>(6);
                get(this, c_long::from(*number), &mut out);
                object.take(out);
            }
            Call::Set(number, value) => {
                let (mut given, _units) = variant(value);
                let (this, set) = object.extender::<Access>(7);
                set(this, c_long::from(*number), &mut given);
            }
            Call::Parameter(key, value) => {
                let key = KEYS[usize::from(*key) % KEYS.len()];
                method(object, "SetParameter", &[Value::Text(key), Value::Text(value)]);
            }
            Call::Find(name) => {
                let name = utf16(name);
                for index in [4, 11] {
                    let (this, find) = object.extender::<Find>(index);
                    find(this, name.as_ptr());
                }
            }
            Call::Default(method, param) => {
                let mut out = EMPTY;
                let (this, default) = object.extender::<DefaultOf>(14);
                default(this, c_long::from(*method), c_long::from(*param), &mut out);
                object.take(out);
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let answers = input.answers.iter().map(|(status, body)| Answer { status: *status, body: body.to_vec() });
    answer_with(answers.collect());
    let memory = Memory(&MEMORY_TABLE);
    let connection = Connection(&CONNECTION_TABLE);
    let mut created = ptr::null_mut();
    // SAFETY: the tables are as the platform's headers say.
    unsafe {
        assert!(GetClassObject(utf16("B24Events").as_ptr(), &mut created) != 0);
        let object = Object(created);
        let (this, init) = object.entry(0, 2);
        let init: unsafe extern "C" fn(*mut c_void, *mut c_void) -> bool = std::mem::transmute(init);
        assert!(init(this, ptr::from_ref(&connection) as *mut c_void));
        let (this, set_memory) = object.entry(0, 3);
        let set_memory: unsafe extern "C" fn(*mut c_void, *mut c_void) -> bool = std::mem::transmute(set_memory);
        set_memory(this, ptr::from_ref(&memory) as *mut c_void);
        for (key, value) in keys() {
            method(&object, "SetParameter", &[Value::Text(key), Value::Text(value)]);
        }
        input.calls.iter().take(32).for_each(|next| call(&object, next));
        let (this, done) = object.entry(0, 5);
        let done: unsafe extern "C" fn(*mut c_void) = std::mem::transmute(done);
        done(this);
        DestroyObject(&mut created);
    }
});
