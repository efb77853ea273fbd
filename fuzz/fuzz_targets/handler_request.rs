//! HTTP requests to the handler's port: however they are cut into pieces, they mean the same.
#![no_main]

use b24events::handler::request::{Progress, RequestReader};
use libfuzzer_sys::fuzz_target;

fn read(pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> Progress {
    let mut reader = RequestReader::default();
    for piece in pieces {
        match reader.feed(piece.as_ref(), "/b24events") {
            Progress::Incomplete | Progress::ContinueExpected => {}
            done => return done,
        }
    }
    Progress::Incomplete
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = read([bytes].into_iter());
    let cut = read(bytes.chunks(usize::from(size).max(1)));
    if let (Progress::Complete(whole), Progress::Complete(cut)) = (&whole, &cut) {
        assert_eq!(whole, cut);
    }
    let is_complete = |progress: &Progress| matches!(progress, Progress::Complete(_));
    assert_eq!(is_complete(&whole), is_complete(&cut));
});
