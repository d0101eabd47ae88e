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

#[cfg(test)]
mod tests;

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
                    self.spool.reject(waiting, &reason);
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
        let mut next = self.spool.next();
        loop {
            let tick = if self.has_chores() { after(CHORES_INTERVAL) } else { never() };
            select! {
                recv(next) -> taken => match self.spool.open_taken(taken.ok()?) {
                    None => next = self.spool.next(),
                    waiting => return waiting,
                },
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
