//! What a process occupies.

/// Memory beyond what an allocator keeps for later; a leak of a few bytes for each event shows.
const MAX_MORE_KIB: u64 = 4096;
/// Connections that the library keeps for its next request come and go.
const MAX_MORE_DESCRIPTORS: usize = 3;

#[derive(Debug)]
pub struct Footprint {
    pub resident_kib: u64,
    pub descriptors: usize,
    pub threads: u64,
}

impl Footprint {
    pub fn of(process: u32) -> Footprint {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
        };
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
        Footprint { resident_kib: field("VmRSS"), descriptors, threads: field("Threads") }
    }

    pub fn assert_no_larger_than(&self, before: &Footprint) {
        assert!(self.resident_kib <= before.resident_kib + MAX_MORE_KIB, "{before:?}, later {self:?}");
        assert!(self.descriptors <= before.descriptors + MAX_MORE_DESCRIPTORS, "{before:?}, later {self:?}");
        assert_eq!(self.threads, before.threads, "{before:?}, later {self:?}");
    }
}
