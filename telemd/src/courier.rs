//! The courier: from the spool to the collector.
//!
//! Each of its workers takes one record at a time, the first in the order of
//! the spool, decides what becomes of it, and lets go of it when that is done.
//! What they hold is on disk, too.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, after, never, select};
use record::config::{Key, Settings};
use record::header::Header;
use record::spool_file::SpoolFile;

use crate::answer::Verdict;
use crate::clock::Clock;
use crate::gate::{Gate, Pass};
use crate::journal::JournalError;
use crate::limits::{Over, RateLimits};
use crate::local_copy::LocalCopies;
use crate::log;
use crate::opt_in::OptIn;
use crate::spool::{Spool, Waiting};
use crate::spool_name::Name;
use crate::status::Counters;
use crate::users;

/// Time until a rate limit is looked at again: its windows have minutes.
const LIMIT_PAUSE: Duration = Duration::from_secs(5);
/// Time until consent is looked at again.
const CONSENT_PAUSE: Duration = Duration::from_secs(1);
/// Time between two looks at what has to be tidied up.
const CHORES_INTERVAL: Duration = Duration::from_secs(1);

/// How far clocks drift apart without being set.
const CLOCK_CORRECTION: Duration = Duration::from_secs(60 * 60);
/// Minutes until a server that a user chose is tried again after a failure.
const ELSEWHERE_MINUTES: u64 = 2;
/// Failures in a row after which another record is tried: about two minutes,
/// with the pauses between them.
const FAILURES_MAX: u32 = 8;

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A later attempt may succeed.
    Retry(String),
    /// No attempt can ever succeed, for reasons of this record.
    Hopeless(String),
}

/// A record on its way.
pub(crate) struct Parcel<'a> {
    pub(crate) record: &'a SpoolFile<'a>,
    /// By which a collector knows a record that comes again.
    pub(crate) id: String,
    /// Who sent it, if that is known.
    pub(crate) uid: Option<u32>,
}

/// The way to the collector.
pub(crate) trait Transport: Sync {
    /// Sends a record once.
    fn post(&self, parcel: &Parcel<'_>, now: SystemTime) -> Result<Verdict, Failure>;
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
    /// It comes again with all others of its user, when the window of the rate
    /// limits has moved.
    Hold(u32),
    /// It comes again, before all others.
    GiveBack,
}

/// Delivers records.
pub(crate) struct Courier<T, C> {
    pub(crate) spool: Spool,
    pub(crate) transport: T,
    pub(crate) clock: C,
    pub(crate) opt_in: OptIn,
    pub(crate) policy: Policy,
    pub(crate) gate: Gate,
    pub(crate) desk: Mutex<Desk>,
    pub(crate) counters: Arc<Counters>,
    /// Gives any numbers.
    pub(crate) random: fn() -> u64,
    pub(crate) warnings: log::Throttle,
}

/// What all workers share.
pub(crate) struct Desk {
    limits: RateLimits,
    copies: LocalCopies,
    /// Users whose records wait for the next minute, and the minute in which
    /// that was decided.
    held: (u64, BTreeSet<u32>),
    /// Users who chose a server that failed, and when: trying one takes seconds,
    /// and must not be at their choice time and again.
    failed_elsewhere: BTreeMap<Option<u32>, u64>,
    /// The record that the server answered with a failure last, and how often
    /// in a row.
    failing: Option<(Name, u32)>,
}

impl Desk {
    pub(crate) fn new(limits: RateLimits, copies: LocalCopies) -> Self {
        Self { limits, copies, held: (0, BTreeSet::new()), failed_elsewhere: BTreeMap::new(), failing: None }
    }
}

impl Desk {
    fn has_failed_elsewhere(&mut self, uid: Option<u32>, minute: u64) -> bool {
        self.failed_elsewhere.retain(|_, failed| minute.saturating_sub(*failed) < ELSEWHERE_MINUTES);
        self.failed_elsewhere.contains_key(&uid)
    }

    /// Whether the server answers this record with failures time and again: it
    /// may be the record.
    fn fails_often(&mut self, name: &Name) -> bool {
        let count = match self.failing.take() {
            Some((failing, count)) if failing == *name => count + 1,
            _ => 1,
        };
        if count < FAILURES_MAX {
            self.failing = Some((name.clone(), count));
        }
        count >= FAILURES_MAX
    }
}

/// What the configuration says of delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    deliver: bool,
    drop_over_limit: bool,
    expiry: Duration,
    /// Records on their way at the same time.
    pub(crate) connections: usize,
}

impl Policy {
    pub(crate) fn new(settings: &Settings) -> Self {
        let minutes = u64::try_from(settings.integer(Key::RecordExpiry)).unwrap_or(u64::MAX);
        Self {
            deliver: settings.boolean(Key::RecordServerDeliveryEnabled),
            drop_over_limit: settings.text(Key::RateLimitStrategy) == b"drop",
            expiry: Duration::from_secs(minutes.saturating_mul(60)),
            connections: usize::try_from(settings.integer(Key::DeliveryConnections)).unwrap_or(1),
        }
    }
}

impl<T: Transport, C: Clock> Courier<T, C> {
    /// A worker: works until `stops` is closed.
    pub(crate) fn run(&self, stops: &Receiver<Infallible>) {
        while let Some(pass) = self.gate.enter(&self.clock, stops) {
            let Some(waiting) = self.next(stops) else { return self.gate.end() };
            // It was shut while the worker waited for a record.
            if pass == Pass::Open && !self.gate.is_open() {
                self.spool.give_back(waiting);
                continue;
            }
            match self.handle(pass, &waiting) {
                Outcome::Done => self.spool.remove(waiting),
                Outcome::Reject(reason) => {
                    self.counters.failed(&reason, self.clock.now());
                    self.spool.reject(waiting, reason);
                }
                Outcome::SetAside(reason) => {
                    self.warnings.log(format_args!("not delivered: {reason}; it is tried again later"));
                    self.counters.failed(&reason, self.clock.now());
                    self.spool.set_aside(waiting);
                }
                Outcome::Hold(uid) => {
                    // In this order: the next worker must see it.
                    self.hold(uid);
                    self.spool.give_back(waiting);
                    self.gate.leave(pass);
                }
                Outcome::GiveBack => self.spool.give_back(waiting),
            }
        }
    }

    /// What was sent so far.
    pub(crate) fn sent(&self) -> RateLimits {
        self.desk().limits.clone()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a record; does meanwhile what is to be done from time to time.
    fn next(&self, stops: &Receiver<Infallible>) -> Option<Waiting> {
        let next = self.spool.next();
        loop {
            let tick = if self.has_chores() { after(CHORES_INTERVAL) } else { never() };
            select! {
                recv(next) -> waiting => return waiting.ok(),
                recv(stops) -> _ => return None,
                recv(tick) -> _ => {}
            }
        }
    }

    /// Lets those go on whose minute is over, and prunes the journal; tells
    /// whether there is more to be done later.
    fn has_chores(&self) -> bool {
        let mut desk = self.desk();
        if desk.held.0 != self.clock.minute() && !desk.held.1.is_empty() {
            desk.held.1.clear();
            self.spool.hold(BTreeSet::new());
        }
        desk.copies.prune_if_due();
        !desk.held.1.is_empty() || desk.copies.are_to_be_pruned()
    }

    fn hold(&self, uid: u32) {
        let mut desk = self.desk();
        let minute = self.clock.minute();
        if desk.held.0 != minute {
            desk.held = (minute, BTreeSet::new());
        }
        if desk.held.1.insert(uid) {
            self.warnings.log(format_args!("records of uid {uid} wait: they have reached rate_user_share"));
            self.spool.hold(desk.held.1.clone());
        }
    }

    fn handle(&self, pass: Pass, waiting: &Waiting) -> Outcome {
        let record = match SpoolFile::decode(&waiting.content) {
            Ok(record) => record,
            Err(error) => {
                self.gate.leave(pass);
                return Outcome::Reject(error.to_string());
            }
        };
        let now = self.clock.now();
        if self.age(waiting, now) > self.policy.expiry {
            self.gate.leave(pass);
            self.counters.expired();
            self.warnings.log(format_args!("a record is older than record_expiry and was deleted"));
            return Outcome::Done;
        }
        if !self.policy.deliver {
            self.gate.leave(pass);
            return self.keep(&record, now);
        }
        if !self.opt_in.is_given() {
            self.gate.pause(pass, CONSENT_PAUSE);
            return Outcome::GiveBack;
        }
        let (minute, size) = (self.clock.minute(), waiting.content.len() as u64);
        if record.config.is_some() && self.desk().has_failed_elsewhere(waiting.name.uid, minute) {
            self.gate.leave(pass);
            return Outcome::SetAside("another server that its user chose failed a moment ago".into());
        }
        let uid = waiting.name.uid.filter(|uid| !users::is_trusted(*uid));
        let reserved = self.desk().limits.reserve(minute, size, uid);
        if let Err(over) = reserved {
            return self.over_limit(pass, over);
        }
        let parcel = Parcel { record: &record, id: waiting.record_id(), uid: waiting.name.uid };
        let posted = self.transport.post(&parcel, now);
        // What the server took or refused was sent.
        if !matches!(posted, Ok(Verdict::Delivered | Verdict::Rejected(_))) {
            self.desk().limits.give_back(minute, size, uid);
        }
        match posted {
            Ok(Verdict::Delivered) => {
                self.answered(pass, &record);
                log::info(format_args!("delivered: {}", described(&record)));
                self.counters.delivered(size, now);
                self.desk().copies.note(&record, now);
                Outcome::Done
            }
            Ok(Verdict::Rejected(status)) => {
                self.answered(pass, &record);
                Outcome::Reject(format!("the server answered {status}"))
            }
            Err(Failure::Hopeless(reason)) => {
                self.gate.leave(pass);
                Outcome::Reject(reason)
            }
            // Its server is not that of the others.
            failed if record.config.is_some() => {
                self.gate.leave(pass);
                self.desk().failed_elsewhere.insert(waiting.name.uid, minute);
                Outcome::SetAside(reason_of(&failed))
            }
            failed => {
                let asked = match &failed {
                    Ok(Verdict::Wait(pause)) => Some(*pause),
                    _ => None,
                };
                if let Some(pause) = self.gate.shut(pass, asked, (self.random)()) {
                    let (reason, seconds) = (reason_of(&failed), pause.as_secs_f64());
                    self.warnings.log(format_args!("not delivered: {reason}; next attempt in {seconds:.1} s"));
                    self.counters.failed(&reason, now);
                    self.counters.back_off_until(now.checked_add(pause));
                }
                let is_answer = matches!(failed, Ok(Verdict::Failed(_)));
                if is_answer && self.desk().fails_often(&waiting.name) {
                    return Outcome::SetAside(reason_of(&failed));
                }
                Outcome::GiveBack
            }
        }
    }

    /// By the clock that the record's own time is of: one that was set forward
    /// makes nothing old.
    fn age(&self, waiting: &Waiting, now: SystemTime) -> Duration {
        let by_wall = now.duration_since(waiting.arrival()).unwrap_or_default();
        match self.clock.steady_now().duration_since(waiting.arrival()) {
            Ok(steady) => steady.min(by_wall),
            // It came a moment ago, and the clock was corrected a little.
            Err(ahead) if ahead.duration() < CLOCK_CORRECTION => Duration::ZERO,
            // It came after the clock was set.
            Err(_) => by_wall,
        }
    }

    /// The server of all others is well; the answer of a record's own tells
    /// nothing about it.
    fn answered(&self, pass: Pass, record: &SpoolFile<'_>) {
        if record.config.is_some() {
            return self.gate.leave(pass);
        }
        if self.gate.open() {
            log::notice(format_args!("delivery works again"));
        }
        self.counters.back_off_until(None);
    }

    /// Delivery is switched off: the record stays on this machine, or waits.
    fn keep(&self, record: &SpoolFile<'_>, now: SystemTime) -> Outcome {
        match self.desk().copies.keep(record, now) {
            Ok(()) => {
                self.counters.kept_locally();
                Outcome::Done
            }
            Err(error @ JournalError::Invalid) => Outcome::Reject(error.to_string()),
            Err(error) => Outcome::SetAside(error.to_string()),
        }
    }

    fn over_limit(&self, pass: Pass, over: Over) -> Outcome {
        if self.policy.drop_over_limit {
            self.gate.leave(pass);
            self.counters.dropped();
            self.warnings.log(format_args!("a record was over a rate limit and was dropped"));
            return Outcome::Done;
        }
        match over {
            Over::Share(uid) => Outcome::Hold(uid),
            Over::Limit => {
                let reason = "record_burst_limit or byte_burst_limit is reached; records wait for the window to move";
                self.warnings.log(format_args!("{reason}"));
                self.counters.failed(reason, self.clock.now());
                self.gate.pause(pass, LIMIT_PAUSE);
                Outcome::GiveBack
            }
            Over::Always => {
                self.gate.leave(pass);
                Outcome::Reject("the record is larger than byte_burst_limit: no window will ever take it".into())
            }
        }
    }
}

fn reason_of(failed: &Result<Verdict, Failure>) -> String {
    match failed {
        Ok(Verdict::Failed(status) | Verdict::Rejected(status)) => format!("the server answered {status}"),
        Ok(_) => "the server asks to wait".to_owned(),
        Err(Failure::Retry(reason) | Failure::Hopeless(reason)) => reason.clone(),
    }
}

/// What a record is, for the log: nothing of its payload.
pub(crate) fn described(record: &SpoolFile<'_>) -> String {
    let value = |header| String::from_utf8_lossy(record.headers.get(header)).into_owned();
    format!("{}, severity {}, event {}", value(Header::Classification), value(Header::Severity), value(Header::EventId))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::rules;
    use crate::spool_name::Urgency;
    use std::collections::VecDeque;
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use ureq::http::StatusCode;

    const FILE: &str = include_str!("../tests/data/spool-file-of-the-c-daemon");

    /// A collector that gives these answers, and then takes everything.
    #[derive(Clone, Default)]
    struct Script {
        answers: Arc<Mutex<VecDeque<Result<Verdict, Failure>>>>,
        posted: Arc<Mutex<Vec<String>>>,
    }

    impl Transport for Script {
        fn post(&self, parcel: &Parcel<'_>, _: SystemTime) -> Result<Verdict, Failure> {
            self.posted.lock().unwrap().push(String::from_utf8_lossy(parcel.record.body).trim().to_owned());
            self.answers.lock().unwrap().pop_front().unwrap_or(Ok(Verdict::Delivered))
        }
    }

    /// A clock that the test moves, and that waiting moves.
    #[derive(Clone)]
    struct Hands {
        start: SystemTime,
        now: Arc<Mutex<SystemTime>>,
        elapsed: Arc<Mutex<Duration>>,
        pauses: Arc<Mutex<Vec<Duration>>>,
        pauses_left: Arc<AtomicUsize>,
    }

    impl Hands {
        fn forward(&self, time: Duration) {
            *self.now.lock().unwrap() += time;
            *self.elapsed.lock().unwrap() += time;
        }
    }

    impl Clock for Hands {
        fn now(&self) -> SystemTime {
            *self.now.lock().unwrap()
        }
        fn steady_now(&self) -> SystemTime {
            self.start + *self.elapsed.lock().unwrap()
        }
        fn minute(&self) -> u64 {
            self.elapsed.lock().unwrap().as_secs() / 60
        }
        fn wait(&self, pause: Duration, _: &Receiver<Infallible>) -> bool {
            self.forward(pause);
            self.pauses.lock().unwrap().push(pause);
            let left = self.pauses_left.load(Ordering::SeqCst);
            self.pauses_left.store(left.saturating_sub(1), Ordering::SeqCst);
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
                start: SystemTime::now(),
                now: Arc::new(Mutex::new(SystemTime::now())),
                elapsed: Arc::default(),
                pauses: Arc::default(),
                pauses_left: Arc::new(AtomicUsize::new(1000)),
            };
            let counters = Arc::<Counters>::default();
            let courier = Courier {
                spool: Spool::open(rules(&path("spool"), None), Arc::clone(&counters)).unwrap().0,
                transport: Script::default(),
                clock,
                opt_in: OptIn::at(&path("opt-in"), &path("consent")),
                desk: Mutex::new(Desk::new(
                    RateLimits::new(&settings),
                    LocalCopies::open(&path("journal"), &path("records"), true, Duration::ZERO),
                )),
                policy: Policy::new(&settings),
                gate: Gate::default(),
                counters,
                random: || u64::MAX - 1,
                warnings: log::Throttle::default(),
            };
            Self { directory, courier }
        }

        fn store(&self, body: &str) {
            self.store_file(&FILE.replace("ping\n", &format!("{body}\n")));
        }

        fn store_file(&self, content: &str) {
            self.store_of(0, content);
        }

        fn store_of(&self, uid: u32, content: &str) {
            self.courier.spool.store(content.into(), Urgency::Ordinary, uid).unwrap();
        }

        fn answer(&self, answers: impl IntoIterator<Item = Result<Verdict, Failure>>) {
            self.courier.transport.answers.lock().unwrap().extend(answers);
        }

        /// Works until the spool is empty or nothing in it can be taken now.
        fn work(&self) {
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
            self.courier.transport.posted.lock().unwrap().clone()
        }

        fn pauses(&self) -> Vec<Duration> {
            self.courier.clock.pauses.lock().unwrap().clone()
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
        let office = Office::new("");
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
        let office = Office::new("");
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
        let office = Office::new("");
        office.store_file("no record\n");
        office.store("good");
        office.work();
        assert_eq!((office.posted(), office.count("rejected")), (vec!["good".to_owned()], 1));
    }

    #[test]
    fn d13_failures_back_off_and_a_success_starts_over() {
        let office = Office::new("");
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
        let office = Office::new("");
        office.store("1");
        office.answer([Ok(Verdict::Wait(Duration::from_secs(77)))]);
        office.work();
        assert_eq!(office.pauses(), [Duration::from_secs(77)]);
        assert_eq!(office.posted().len(), 2);
    }

    #[test]
    fn a_record_that_is_too_old_is_deleted_and_not_noted() {
        let office = Office::new("record_expiry=10");
        office.store("old");
        office.courier.clock.forward(Duration::from_secs(10 * 60 + 5));
        office.work();
        assert_eq!((office.posted().len(), office.count("spool"), office.journal_lines()), (0, 0, 0));
    }

    #[test]
    fn a_clock_that_was_set_forward_expires_nothing_that_is_not_old() {
        let office = Office::new("record_expiry=10");
        office.store("1");
        *office.courier.clock.now.lock().unwrap() += Duration::from_secs(50 * 365 * 24 * 3600);
        office.work();
        assert_eq!(office.posted(), ["1"]);
    }

    #[test]
    fn a_record_that_the_server_fails_on_time_and_again_lets_others_go_first() {
        let office = Office::new("");
        office.store("poison");
        office.store("good");
        office.answer((0..FAILURES_MAX).map(|_| failed(500)));
        office.work();
        assert_eq!(office.posted().len(), FAILURES_MAX as usize + 1);
        assert_eq!(office.posted().last().unwrap(), "good");
        assert_eq!(office.count("spool"), 1, "it comes again later");
    }

    #[test]
    fn without_delivery_and_without_a_journal_nothing_is_lost() {
        let mut office = Office::new("record_server_delivery_enabled=false");
        let nowhere = Path::new("/nonexistent");
        let copies = LocalCopies::open(&nowhere.join("journal"), nowhere, true, Duration::ZERO);
        office.courier.desk.get_mut().unwrap().copies = copies;
        office.store("1");
        office.work();
        assert_eq!(office.count("spool"), 1);
    }

    #[test]
    fn a_clock_that_was_set_back_expires_nothing() {
        let office = Office::new("record_expiry=10");
        office.store("1");
        let clock = &office.courier.clock;
        *clock.now.lock().unwrap() -= Duration::from_secs(1_000_000);
        office.work();
        assert_eq!(office.posted(), ["1"]);
    }

    #[test]
    fn without_delivery_records_are_noted_and_kept_and_never_sent() {
        let office = Office::new("record_server_delivery_enabled=false");
        office.store("1");
        office.work();
        assert_eq!((office.posted().len(), office.count("spool")), (0, 0));
        assert_eq!((office.journal_lines(), office.count("records")), (1, 1));
    }

    #[test]
    fn d17_without_consent_nothing_is_sent_and_all_is_kept() {
        let office = Office::new("");
        office.store("1");
        office.courier.clock.pauses_left.store(5, Ordering::SeqCst);
        fs::remove_file(office.directory.path().join("opt-in")).unwrap();
        office.work();
        assert_eq!((office.posted().len(), office.count("spool")), (0, 1));
    }

    #[test]
    fn d14_over_a_limit_records_wait_only_until_the_window_opens() {
        let office = Office::new("record_burst_limit=2\nrecord_window_length=3");
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
        let office = Office::new("record_burst_limit=1\nrate_limit_strategy=drop");
        office.store("1");
        office.store("2");
        office.answer([failed(500)]);
        office.work();
        assert_eq!(office.posted(), ["1", "1"], "a failure drops nothing");
        assert_eq!((office.count("spool"), office.journal_lines()), (0, 1));
    }

    #[test]
    fn d19_a_record_whose_configuration_can_never_be_used_is_not_noted() {
        let office = Office::new("");
        office.store_file(&format!("CFG:/etc/missing\n{FILE}"));
        office.answer([Err(Failure::Hopeless("not trusted".into()))]);
        office.work();
        assert_eq!((office.count("rejected"), office.count("spool"), office.journal_lines()), (1, 0, 0));
    }

    #[test]
    fn a_record_whose_own_server_fails_is_set_aside_and_does_not_back_off() {
        let office = Office::new("");
        office.store_file(&format!("CFG:/etc/other\n{FILE}"));
        office.store("next");
        office.answer([failed(500)]);
        office.work();
        assert_eq!(office.posted(), ["ping", "next"]);
        assert!(office.pauses().is_empty());
        assert_eq!(office.count("spool"), 1);
    }

    #[test]
    fn a_user_over_the_share_of_the_window_waits_and_the_others_go_on() {
        let mut office = Office::new("record_burst_limit=4\nrate_user_share=50\nrecord_window_length=2");
        let file = |body: &str| FILE.replace("ping\n", &format!("{body}\n"));
        for body in ["1", "2", "3"] {
            office.store_of(7, &file(body));
        }
        office.store_of(8, &file("other"));
        office.work();
        assert_eq!(office.posted(), ["1", "2", "other"]);
        assert_eq!(office.count("spool"), 1);
        office.courier.clock.forward(Duration::from_secs(3 * 60));
        office.courier.gate = Gate::default();
        office.work();
        assert_eq!(office.posted(), ["1", "2", "other", "3"]);
    }

    #[test]
    fn what_becomes_of_each_record_is_counted() {
        let office = Office::new("record_expiry=10");
        office.store("delivered");
        office.store("rejected");
        office.answer([Ok(Verdict::Delivered), rejected()]);
        office.work();
        let status = office.directory.path().join("status.json");
        crate::status::StatusFile::at(&status).write(&office.courier.counters, crate::status::State::Running);
        let text = fs::read_to_string(status).unwrap();
        for line in ["\"delivered\": 1", "\"rejected\": 1", "\"spooled\": 0", "400 Bad Request"] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
