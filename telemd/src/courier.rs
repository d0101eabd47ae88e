//! The courier: from the spool to the collector.
//!
//! It takes one record at a time, the first in the order of the spool, decides
//! what becomes of it, and lets go of it when that is done. What it holds is on
//! disk, too.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, select};
use record::config::{Key, Settings};
use record::spool_file::SpoolFile;

use crate::answer::Verdict;
use crate::back_off::BackOff;
use crate::clock::Clock;
use crate::limits::RateLimits;
use crate::local_copy::LocalCopies;
use crate::log;
use crate::opt_in::OptIn;
use crate::spool::{Spool, Waiting};

/// Time until a rate limit is looked at again: its windows have minutes.
const LIMIT_PAUSE: Duration = Duration::from_secs(5);
/// Time until consent is looked at again.
const CONSENT_PAUSE: Duration = Duration::from_secs(1);

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A later attempt may succeed.
    Retry(String),
    /// No attempt can ever succeed, for reasons of this record.
    Hopeless(String),
}

/// The way to the collector.
pub(crate) trait Transport {
    /// Sends a record once.
    fn post(&self, record: &SpoolFile<'_>, record_id: &str, now: SystemTime) -> Result<Verdict, Failure>;
}

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It is done with: delivered, kept locally, expired or dropped.
    Done,
    /// It goes to the rejected ones.
    Reject(String),
    /// It comes again, and the others go on meanwhile.
    SetAside(String),
    /// It comes again after a pause, before all others.
    Pause(Duration),
}

/// Delivers records.
pub(crate) struct Courier<T, C> {
    pub(crate) spool: Spool,
    pub(crate) transport: T,
    pub(crate) clock: C,
    pub(crate) opt_in: OptIn,
    pub(crate) limits: RateLimits,
    pub(crate) copies: LocalCopies,
    pub(crate) policy: Policy,
    pub(crate) back_off: BackOff,
    /// Gives any numbers.
    pub(crate) random: fn() -> u64,
    pub(crate) warnings: log::Throttle,
}

/// What the configuration says of delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    deliver: bool,
    drop_over_limit: bool,
    expiry: Duration,
}

impl Policy {
    pub(crate) fn new(settings: &Settings) -> Self {
        let minutes = u64::try_from(settings.integer(Key::RecordExpiry)).unwrap_or(u64::MAX);
        Self {
            deliver: settings.boolean(Key::RecordServerDeliveryEnabled),
            drop_over_limit: settings.text(Key::RateLimitStrategy) == b"drop",
            expiry: Duration::from_secs(minutes.saturating_mul(60)),
        }
    }
}

impl<T: Transport, C: Clock> Courier<T, C> {
    /// Works until `stops` is closed.
    pub(crate) fn run(&mut self, stops: &Receiver<Infallible>) {
        loop {
            let next = self.spool.next();
            let waiting = select! {
                recv(next) -> waiting => waiting.ok(),
                recv(stops) -> _ => None,
            };
            let Some(waiting) = waiting else { return };
            match self.handle(&waiting) {
                Outcome::Done => self.spool.remove(waiting),
                Outcome::Reject(reason) => self.spool.reject(waiting, reason),
                Outcome::SetAside(reason) => {
                    self.warnings.log(format_args!("not delivered: {reason}; next attempt in a minute"));
                    self.spool.set_aside(waiting);
                }
                Outcome::Pause(pause) => {
                    self.spool.give_back(waiting);
                    if self.clock.wait(pause, stops) {
                        return;
                    }
                }
            }
        }
    }

    fn handle(&mut self, waiting: &Waiting) -> Outcome {
        let record = match SpoolFile::decode(&waiting.content) {
            Ok(record) => record,
            Err(error) => return Outcome::Reject(error.to_string()),
        };
        let now = self.clock.now();
        let age = now.duration_since(waiting.arrival()).unwrap_or_default();
        if age > self.policy.expiry {
            self.warnings.log(format_args!("a record is older than record_expiry and was deleted"));
            return Outcome::Done;
        }
        if !self.policy.deliver {
            self.copies.note(&record, now);
            return Outcome::Done;
        }
        if !self.opt_in.is_given() {
            return Outcome::Pause(CONSENT_PAUSE);
        }
        let size = waiting.content.len() as u64;
        if !self.limits.allow(self.clock.minute(), size) {
            if !self.policy.drop_over_limit {
                return Outcome::Pause(LIMIT_PAUSE);
            }
            self.warnings.log(format_args!("a record was over a rate limit and was dropped"));
            return Outcome::Done;
        }
        match self.transport.post(&record, &waiting.record_id(), now) {
            Ok(Verdict::Delivered) => {
                if self.back_off.reset() {
                    log::notice(format_args!("delivery works again"));
                }
                self.limits.count(self.clock.minute(), size);
                self.copies.note(&record, now);
                Outcome::Done
            }
            Ok(Verdict::Rejected(status)) => Outcome::Reject(format!("the server answered {status}")),
            Err(Failure::Hopeless(reason)) => Outcome::Reject(reason),
            // Its server is not that of the others.
            Ok(Verdict::Failed(status)) if record.config.is_some() => Outcome::SetAside(status.to_string()),
            Ok(Verdict::Wait(_)) if record.config.is_some() => Outcome::SetAside("the server asks to wait".into()),
            Err(Failure::Retry(reason)) if record.config.is_some() => Outcome::SetAside(reason),
            Ok(Verdict::Wait(pause)) => self.pause("the server asks to wait", pause),
            Ok(Verdict::Failed(status)) => {
                let pause = self.back_off.after_failure((self.random)());
                self.pause(&format!("the server answered {status}"), pause)
            }
            Err(Failure::Retry(reason)) => {
                let pause = self.back_off.after_failure((self.random)());
                self.pause(&reason, pause)
            }
        }
    }

    fn pause(&self, reason: &str, pause: Duration) -> Outcome {
        self.warnings.log(format_args!("not delivered: {reason}; next attempt in {:.1} s", pause.as_secs_f64()));
        Outcome::Pause(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::SpoolRules;
    use crate::spool_name::Urgency;
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::fs;
    use std::rc::Rc;
    use ureq::http::StatusCode;

    const FILE: &str = include_str!("../tests/data/spool-file-of-the-c-daemon");

    /// A collector that gives these answers, and then takes everything.
    #[derive(Clone, Default)]
    struct Script {
        answers: Rc<RefCell<VecDeque<Result<Verdict, Failure>>>>,
        posted: Rc<RefCell<Vec<String>>>,
    }

    impl Transport for Script {
        fn post(&self, record: &SpoolFile<'_>, _: &str, _: SystemTime) -> Result<Verdict, Failure> {
            self.posted.borrow_mut().push(String::from_utf8_lossy(record.body).trim().to_owned());
            self.answers.borrow_mut().pop_front().unwrap_or(Ok(Verdict::Delivered))
        }
    }

    /// A clock that the test moves, and that waiting moves.
    #[derive(Clone)]
    struct Hands {
        now: Rc<Cell<SystemTime>>,
        elapsed: Rc<Cell<Duration>>,
        pauses: Rc<RefCell<Vec<Duration>>>,
        pauses_left: Rc<Cell<usize>>,
    }

    impl Hands {
        fn forward(&self, time: Duration) {
            self.now.set(self.now.get() + time);
            self.elapsed.set(self.elapsed.get() + time);
        }
    }

    impl Clock for Hands {
        fn now(&self) -> SystemTime {
            self.now.get()
        }
        fn minute(&self) -> u64 {
            self.elapsed.get().as_secs() / 60
        }
        fn wait(&self, pause: Duration, _: &Receiver<Infallible>) -> bool {
            self.forward(pause);
            self.pauses.borrow_mut().push(pause);
            let left = self.pauses_left.get();
            self.pauses_left.set(left.saturating_sub(1));
            left == 0
        }
    }

    /// A courier and all that it works with.
    struct Office {
        directory: tempfile::TempDir,
        courier: Courier<Script, Hands>,
    }

    impl Office {
        fn new(assignments: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = |name: &str| directory.path().join(name);
            fs::create_dir(path("spool")).unwrap();
            fs::create_dir(path("records")).unwrap();
            fs::write(path("opt-in"), "").unwrap();
            let (settings, _) = Settings::read(format!("[settings]\n{assignments}\n").as_bytes()).unwrap();
            let clock = Hands {
                now: Rc::new(Cell::new(SystemTime::now())),
                elapsed: Rc::default(),
                pauses: Rc::default(),
                pauses_left: Rc::new(Cell::new(1000)),
            };
            let courier = Courier {
                spool: Spool::open(&path("spool"), SpoolRules::new(&settings)).unwrap().0,
                transport: Script::default(),
                clock,
                opt_in: OptIn::at(&path("opt-in")),
                limits: RateLimits::new(&settings),
                copies: LocalCopies::open(&path("journal"), &path("records"), true),
                policy: Policy::new(&settings),
                back_off: BackOff::default(),
                random: || u64::MAX - 1,
                warnings: log::Throttle::default(),
            };
            Self { directory, courier }
        }

        fn store(&self, body: &str) {
            self.store_file(&FILE.replace("ping\n", &format!("{body}\n")));
        }

        fn store_file(&self, content: &str) {
            self.courier.spool.store(content.into(), Urgency::Ordinary).unwrap();
        }

        fn answer(&self, answers: impl IntoIterator<Item = Result<Verdict, Failure>>) {
            self.courier.transport.answers.borrow_mut().extend(answers);
        }

        /// Works until the spool is empty or nothing in it can be taken now.
        fn work(&mut self) {
            let (stop, stops) = crossbeam_channel::bounded(0);
            let path = self.directory.path().join("spool");
            let stopper = std::thread::spawn(move || {
                // The courier waits for a record when it has done all it can.
                let is_empty = || fs::read_dir(&path).unwrap().next().is_none();
                for _ in 0..100 {
                    if is_empty() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                drop(stop);
            });
            self.courier.run(&stops);
            stopper.join().unwrap();
        }

        fn posted(&self) -> Vec<String> {
            self.courier.transport.posted.borrow().clone()
        }

        fn pauses(&self) -> Vec<Duration> {
            self.courier.clock.pauses.borrow().clone()
        }

        fn count(&self, name: &str) -> usize {
            fs::read_dir(self.directory.path().join(name)).map_or(0, Iterator::count)
        }

        fn journal_lines(&self) -> usize {
            fs::read_to_string(self.directory.path().join("journal")).unwrap().lines().count()
        }
    }

    fn failed(status: u16) -> Result<Verdict, Failure> {
        Ok(Verdict::Failed(StatusCode::from_u16(status).unwrap()))
    }

    fn rejected() -> Result<Verdict, Failure> {
        Ok(Verdict::Rejected(StatusCode::BAD_REQUEST))
    }

    #[test]
    fn d5_every_delivered_record_has_one_journal_line_and_one_copy() {
        let mut office = Office::new("");
        for body in ["1", "2", "3"] {
            office.store(body);
        }
        office.answer([failed(500), failed(500)]);
        office.work();
        assert_eq!(office.posted(), ["1", "1", "1", "2", "3"]);
        assert_eq!((office.journal_lines(), office.count("records"), office.count("spool")), (3, 3, 0));
    }

    #[test]
    fn d7_a_rejected_record_is_kept_aside_and_the_queue_goes_on() {
        let mut office = Office::new("");
        office.store("bad");
        office.store("good");
        office.answer([rejected()]);
        office.work();
        assert_eq!(office.posted(), ["bad", "good"]);
        assert_eq!((office.count("rejected"), office.count("spool"), office.journal_lines()), (1, 0, 1));
        assert!(office.pauses().is_empty());
    }

    #[test]
    fn d11_a_file_that_is_no_record_is_kept_aside_and_not_sent() {
        let mut office = Office::new("");
        office.store_file("no record\n");
        office.store("good");
        office.work();
        assert_eq!((office.posted(), office.count("rejected")), (vec!["good".to_owned()], 1));
    }

    #[test]
    fn d13_failures_back_off_and_a_success_starts_over() {
        let mut office = Office::new("");
        office.store("1");
        office.store("2");
        let refused = || Err(Failure::Retry("refused".into()));
        office.answer([refused(), failed(502), failed(404), Ok(Verdict::Delivered), failed(500)]);
        office.work();
        let bound = |seconds: u64| Duration::from_millis((u64::MAX - 1) % (seconds * 1000) + 1);
        assert_eq!(office.pauses(), [bound(1), bound(2), bound(4), bound(1)]);
        assert_eq!(office.count("spool"), 0);
    }

    #[test]
    fn a_server_that_asks_to_wait_is_waited_for() {
        let mut office = Office::new("");
        office.store("1");
        office.answer([Ok(Verdict::Wait(Duration::from_secs(77)))]);
        office.work();
        assert_eq!(office.pauses(), [Duration::from_secs(77)]);
        assert_eq!(office.posted().len(), 2);
    }

    #[test]
    fn a_record_that_is_too_old_is_deleted_and_not_noted() {
        let mut office = Office::new("record_expiry=10");
        office.store("old");
        office.courier.clock.forward(Duration::from_secs(10 * 60 + 5));
        office.work();
        assert_eq!((office.posted().len(), office.count("spool"), office.journal_lines()), (0, 0, 0));
    }

    #[test]
    fn a_clock_that_was_set_back_expires_nothing() {
        let mut office = Office::new("record_expiry=10");
        office.store("1");
        let clock = &office.courier.clock;
        clock.now.set(clock.now.get() - Duration::from_secs(1_000_000));
        office.work();
        assert_eq!(office.posted(), ["1"]);
    }

    #[test]
    fn without_delivery_records_are_noted_and_kept_and_never_sent() {
        let mut office = Office::new("record_server_delivery_enabled=false");
        office.store("1");
        office.work();
        assert_eq!((office.posted().len(), office.count("spool")), (0, 0));
        assert_eq!((office.journal_lines(), office.count("records")), (1, 1));
    }

    #[test]
    fn d17_without_consent_nothing_is_sent_and_all_is_kept() {
        let mut office = Office::new("");
        office.store("1");
        office.courier.clock.pauses_left.set(5);
        fs::remove_file(office.directory.path().join("opt-in")).unwrap();
        office.work();
        assert_eq!((office.posted().len(), office.count("spool")), (0, 1));
        fs::write(office.directory.path().join("opt-in"), "").unwrap();
        office.work();
        assert_eq!(office.posted(), ["1"]);
    }

    #[test]
    fn d14_over_a_limit_records_wait_only_until_the_window_opens() {
        let mut office = Office::new("record_burst_limit=2\nrecord_window_length=3");
        for body in ["1", "2", "3"] {
            office.store(body);
        }
        office.work();
        assert_eq!(office.posted(), ["1", "2", "3"]);
        let waited: Duration = office.pauses().iter().sum();
        assert_eq!(waited, Duration::from_secs(3 * 60));
    }

    #[test]
    fn d6_only_what_is_over_a_limit_is_dropped_and_never_noted() {
        let mut office = Office::new("record_burst_limit=1\nrate_limit_strategy=drop");
        office.store("1");
        office.store("2");
        office.answer([failed(500)]);
        office.work();
        assert_eq!(office.posted(), ["1", "1"], "a failure drops nothing");
        assert_eq!((office.count("spool"), office.journal_lines()), (0, 1));
    }

    #[test]
    fn d19_a_record_whose_configuration_can_never_be_used_is_not_noted() {
        let mut office = Office::new("");
        office.store_file(&format!("CFG:/etc/missing\n{FILE}"));
        office.answer([Err(Failure::Hopeless("not trusted".into()))]);
        office.work();
        assert_eq!((office.count("rejected"), office.count("spool"), office.journal_lines()), (1, 0, 0));
    }

    #[test]
    fn a_record_whose_own_server_fails_is_set_aside_and_does_not_back_off() {
        let mut office = Office::new("");
        office.store_file(&format!("CFG:/etc/other\n{FILE}"));
        office.store("next");
        office.answer([failed(500)]);
        office.work();
        assert_eq!(office.posted(), ["ping", "next"]);
        assert!(office.pauses().is_empty());
        assert_eq!(office.count("spool"), 1);
    }
}
