//! The cost of a call without I/O, as 1C makes it: find the method by name, ask for the number of its parameters, call
//! `GetParameter` through `CallAsFunc`, and free the string that it returns.
//!
//! `cargo bench --bench addin` prints the time of one call. It should stay below 2 µs.

use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::hint::black_box;
use std::time::{Duration, Instant};

use addin1c_test::{TestAddinLib, Variant, name, str1c};

const CALLS: u32 = 200_000;
const ROUNDS: usize = 7;

fn main() {
    let library = env::current_exe()
        .expect("the path of this program")
        .with_file_name(format!("{DLL_PREFIX}b24events{DLL_SUFFIX}"));
    let library = TestAddinLib::new(library).expect("cargo has built the library");
    let object = library.new_addin("B24Events").expect("the class is there");
    let mut params = [Variant::new_str(str1c!("fetch.limit"))];
    let mut call = || {
        let value = object.call_as_func(name!("ПолучитьПараметр"), black_box(&mut params)).expect("the key is there");
        assert_eq!(value.get_str(), Some(&str1c!("50")[..]));
    };
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..CALLS).for_each(|_| call());
            start.elapsed() / CALLS
        })
        .collect();
    rounds.sort();
    println!("GetParameter by name through CallAsFunc: {:?} a call (median of {ROUNDS} x {CALLS})", rounds[ROUNDS / 2]);
}
