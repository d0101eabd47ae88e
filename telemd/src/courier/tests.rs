//! What becomes of records, by a clock that the tests move.

use super::*;
use crate::spool::tests::rules;
use crate::spool_name::Urgency;
use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use ureq::http::StatusCode;

const FILE: &str = include_str!("../../tests/data/spool-file-of-the-c-daemon");

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
            spool: Spool::open(rules(&path("spool")), Arc::clone(&counters)).unwrap().0,
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

    /// The records; beside those that were rejected stands why.
    fn count(&self, name: &str) -> usize {
        let Ok(entries) = fs::read_dir(self.directory.path().join(name)) else { return 0 };
        entries.filter(|entry| !entry.as_ref().unwrap().file_name().as_encoded_bytes().starts_with(b".")).count()
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
