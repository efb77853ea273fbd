//! What the hosts of one queue have written down, in the order in which it happened.

/// One line of a host: a word, and the numbers of records.
#[derive(Debug, PartialEq)]
pub enum Line {
    /// The host has the records.
    Got(Vec<usize>),
    /// It is about to acknowledge them.
    Asked(Vec<usize>),
    /// The library has told it that they are acknowledged. Nothing less is an acknowledgement: while the answer to a
    /// request for one is lost, delivering the records again is what "at least once" means.
    Done(Vec<usize>),
    /// Its tokens are refused for good; it waits for new ones.
    NeedsTokens,
    /// A call has failed with this status.
    Failed(String),
}

impl Line {
    /// `None` for a line that a kill has cut off, and for those of the test harness.
    pub fn parse(line: &str) -> Option<Line> {
        let (word, rest) = line.strip_suffix(" .")?.split_once(' ').unwrap_or((line.strip_suffix(" .")?, ""));
        let numbers = || rest.split(' ').map(str::parse).collect::<Result<_, _>>().ok();
        match word {
            "got" => numbers().map(Line::Got),
            "asked" => numbers().map(Line::Asked),
            "done" => numbers().map(Line::Done),
            "tokens" => Some(Line::NeedsTokens),
            "failed" => Some(Line::Failed(rest.to_owned())),
            _ => None,
        }
    }
}

/// What became of one record.
#[derive(Clone, Default)]
struct Fate {
    deliveries: u8,
    asked: bool,
    done: bool,
}

#[derive(Default)]
pub struct Record {
    /// By the number of the record; there is none with the number 0.
    fates: Vec<Fate>,
    pub counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub made: u64,
    pub delivered: u64,
    /// Delivered more than once, none of them after its acknowledgement.
    pub doubled: u64,
    /// Gone from the queue although no host had asked for that.
    pub lost: u64,
    pub after_acknowledgement: u64,
}

impl Record {
    /// The numbers of the next `count` records, which are about to be made.
    pub fn make(&mut self, count: u32) -> std::ops::RangeInclusive<u32> {
        let first = self.counts.made as u32 + 1;
        self.counts.made += u64::from(count);
        self.fates.resize(self.counts.made as usize + 1, Fate::default());
        first..=first + count - 1
    }

    pub fn add(&mut self, line: &Line) {
        match line {
            Line::Got(numbers) => numbers.iter().for_each(|number| self.deliver(*number)),
            Line::Asked(numbers) => numbers.iter().for_each(|number| self.fates[*number].asked = true),
            Line::Done(numbers) => numbers.iter().for_each(|number| self.fates[*number].done = true),
            Line::NeedsTokens | Line::Failed(_) => {}
        }
    }

    fn deliver(&mut self, number: usize) {
        let fate = &mut self.fates[number];
        fate.deliveries = fate.deliveries.saturating_add(1);
        self.counts.after_acknowledgement += u64::from(fate.done);
        self.counts.delivered += u64::from(fate.deliveries == 1);
        self.counts.doubled += u64::from(fate.deliveries == 2 && !fate.done);
    }

    /// Once the queue is empty.
    pub fn close(&mut self) -> Counts {
        self.counts.lost = self.fates.iter().skip(1).filter(|fate| !fate.asked).count() as u64;
        self.counts
    }
}

#[test]
fn a_record_finds_what_is_lost_doubled_and_delivered_after_its_acknowledgement() {
    let mut record = Record::default();
    assert_eq!(record.make(2), 1..=2);
    assert_eq!(record.make(3), 3..=5);
    let lines = [
        "got 1 2 3 4 .",
        "asked 1 2 .",
        "done 1 .",
        // The answer was lost: it may come again.
        "got 2 .",
        "asked 3 .",
        "got 1 .",
        "failed NETWORK .",
        "tokens .",
    ];
    lines.iter().for_each(|line| record.add(&Line::parse(line).unwrap()));
    let lost = record.close();
    assert_eq!(lost, Counts { made: 5, delivered: 4, doubled: 1, lost: 2, after_acknowledgement: 1 });
    for cut in ["got 1 2", "got 1 2 ", "running 1 test", "got x .", ".", ""] {
        assert_eq!(Line::parse(cut), None, "{cut}");
    }
}
