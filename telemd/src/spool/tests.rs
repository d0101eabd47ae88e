//! The spool, as its stations use it.

use super::*;
use crate::queue::NAMES_MAX;
use crate::usage::PAGE;
use nix::errno::Errno;
use std::fs;
use std::path::Path;

pub(crate) fn rules(directory: &Path) -> SpoolRules {
    let directory = directory.to_owned();
    let quota = Quota::default();
    let [sync_interval, retry_interval] = [5, 120].map(Duration::from_secs);
    SpoolRules { directory, quota, sync_interval, retry_interval }
}

fn open(directory: &Path) -> (Spool, JoinHandle<()>) {
    Spool::open(rules(directory), Arc::default()).unwrap()
}

fn with_quota(directory: &Path, all: u64, user: Option<u64>) -> Spool {
    let rules = SpoolRules { quota: Quota { all: Some(all), user }, ..rules(directory) };
    // The spool before may still be closing.
    let opened = || Spool::open(rules.clone(), Arc::default());
    std::iter::repeat_with(opened).find_map(Result::ok).unwrap().0
}

fn store(spool: &Spool, record: &[u8]) -> Result<(), StoreError> {
    spool.store(record.to_vec(), Urgency::Ordinary, 0)
}

/// The first record; waits until there is one.
fn next(spool: &Spool) -> Waiting {
    spool.open_taken(spool.next().recv().unwrap()).unwrap()
}

fn content(spool: &Spool) -> (Waiting, String) {
    let waiting = next(spool);
    let text = String::from_utf8(waiting.content.clone()).unwrap();
    (waiting, text)
}

pub(crate) fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn records_come_out_oldest_first_and_stay_until_they_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    for text in ["one", "two", "three"] {
        spool.store(text.into(), Urgency::Ordinary, 0).unwrap();
    }
    let (first, text) = content(&spool);
    assert_eq!((text.as_str(), files(directory.path()).len()), ("one", 3), "taken is not removed");
    spool.give_back(first);
    let (again, text) = content(&spool);
    assert_eq!(text, "one");
    spool.remove(again);
    assert_eq!(content(&spool).1, "two");
}

#[test]
fn a_new_daemon_finds_what_the_old_one_left() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (spool, thread) = open(directory.path());
        spool.store("kept".into(), Urgency::Critical, 0).unwrap();
        drop(spool);
        thread.join().unwrap();
    }
    let (spool, _) = open(directory.path());
    assert_eq!(content(&spool).1, "kept");
}

#[test]
fn w6_d25_half_written_files_are_swept_and_other_entries_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path(".new-1-2"), "half").unwrap();
    fs::write(path(".hidden"), "not ours").unwrap();
    fs::create_dir(path("directory")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path("link")).unwrap();
    fs::write(path("aB3xY9"), "of a C daemon").unwrap();
    let (spool, _) = open(directory.path());
    assert_eq!(files(directory.path()), [".hidden", "aB3xY9", "directory", "link"]);
    let (waiting, text) = content(&spool);
    assert_eq!(text, "of a C daemon");
    spool.remove(waiting);
    spool.store("new".into(), Urgency::Ordinary, 0).unwrap();
    assert_eq!(content(&spool).1, "new", "the directory and the link do not block");
}

#[test]
fn more_records_than_names_fit_in_memory_all_come_out_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, thread) = open(directory.path());
    let count = NAMES_MAX * 2 + 10;
    let mut stored = 0..count;
    let mut store = |count: usize| {
        for number in stored.by_ref().take(count) {
            spool.store(number.to_string().into(), Urgency::Ordinary, 0).unwrap();
        }
    };
    store(NAMES_MAX + 100);
    for number in 0..count {
        let (waiting, text) = content(&spool);
        assert_eq!(text, number.to_string());
        spool.remove(waiting);
        // Newer ones come while older ones wait on disk.
        store(1);
    }
    drop(spool);
    thread.join().unwrap();
    assert!(files(directory.path()).is_empty());
}

#[test]
fn a_record_that_cannot_be_written_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let gone = directory.path().to_owned();
    drop(directory);
    assert_eq!(spool.store("lost".into(), Urgency::Ordinary, 0).unwrap_err().errno(), nix::errno::Errno::ENOENT);
    assert!(!gone.exists());
}

#[test]
fn a_second_daemon_cannot_use_the_same_spool() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path());
    let error = Spool::open(rules(directory.path()), Arc::default()).err().unwrap().to_string();
    assert!(error.contains("another telemd uses it"), "{error}");
}

#[test]
fn critical_records_come_out_first() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (spool, thread) = open(directory.path());
        for (text, urgency) in [("1", Urgency::Ordinary), ("2", Urgency::Critical), ("3", Urgency::Critical)] {
            spool.store(text.into(), urgency, 0).unwrap();
        }
        drop(spool);
        thread.join().unwrap();
    }
    let (spool, _) = open(directory.path());
    for expected in ["2", "3", "1"] {
        let (waiting, text) = content(&spool);
        assert_eq!(text, expected, "also after a restart");
        spool.remove(waiting);
    }
}

#[test]
fn the_record_id_is_that_of_one_file() {
    let waiting = |file: &str, content: &str| Waiting {
        name: Name { urgency: Urgency::Ordinary, arrival: 1, uid: None, file: file.into() },
        content: content.into(),
    };
    let id = waiting("a", "b").record_id();
    assert!(record::event_id::is_valid(id.as_bytes()), "{id}");
    assert_eq!(waiting("a", "b").record_id(), id);
    assert_ne!(waiting("a", "c").record_id(), id);
    assert_ne!(waiting("c", "b").record_id(), id);
    assert_ne!(waiting("ab", "").record_id(), id);
}

#[test]
fn d26_a_missing_directory_is_an_error_at_start() {
    assert!(Spool::open(rules(Path::new("/nonexistent/spool")), Arc::default()).is_err());
}

#[test]
fn other_rules_can_name_another_directory_and_what_a_courier_had_is_there_again() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (spool, _) = open(first.path());
    spool.store("one".into(), Urgency::Ordinary, 0).unwrap();
    assert_eq!(content(&spool).1, "one");
    spool.apply(&rules(first.path())).unwrap();
    assert_eq!(content(&spool).1, "one");
    spool.apply(&rules(second.path())).unwrap();
    spool.store("two".into(), Urgency::Ordinary, 0).unwrap();
    assert_eq!(content(&spool).1, "two");
    assert_eq!((files(first.path()).len(), files(second.path()).len()), (1, 1));
    assert!(spool.apply(&rules(Path::new("/nonexistent/spool"))).is_err());
    spool.store("three".into(), Urgency::Ordinary, 0).unwrap();
    assert_eq!(files(second.path()).len(), 2, "the rules before hold");
}

#[test]
fn clearing_deletes_what_waits_and_what_was_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool");
    fs::create_dir(&path).unwrap();
    let (spool, _) = open(&path);
    for text in ["one", "two", "three"] {
        spool.store(text.into(), Urgency::Ordinary, 0).unwrap();
    }
    spool.reject(content(&spool).0, "test");
    assert_eq!(spool.clear().unwrap(), 3);
    assert!(files(&path).is_empty() && files(&directory.path().join("rejected")).is_empty());
    assert_eq!(spool.count(Duration::from_secs(1)), Some(0));
}

#[test]
fn an_asker_who_left_gets_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    drop(spool.next());
    spool.store("one".into(), Urgency::Ordinary, 0).unwrap();
    assert_eq!(content(&spool).1, "one");
}

#[test]
fn d27_a_file_that_others_put_into_the_spool_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let rules = SpoolRules { retry_interval: Duration::from_millis(50), ..rules(directory.path()) };
    let (spool, _) = Spool::open(rules, Arc::default()).unwrap();
    let next = spool.next();
    fs::write(directory.path().join("aB3xY9"), "of another").unwrap();
    let taken = next.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(spool.open_taken(taken).unwrap().content, b"of another");
}

#[test]
fn d7_a_file_that_cannot_be_read_does_not_hold_up_the_others() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("one", "one"), ("two", "two")] {
        fs::write(directory.path().join(name), text).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let rules = SpoolRules { retry_interval: Duration::from_millis(50), ..rules(directory.path()) };
    let (spool, _) = Spool::open(rules, Arc::default()).unwrap();
    // Reading a directory fails for every user, as a bad sector would.
    let first = directory.path().join("one");
    fs::rename(&first, directory.path().join(".aside")).unwrap();
    fs::create_dir(&first).unwrap();
    assert!(spool.open_taken(spool.next().recv().unwrap()).is_none());
    let (second, text) = content(&spool);
    assert_eq!(text, "two");
    spool.remove(second);
    fs::remove_dir(&first).unwrap();
    fs::rename(directory.path().join(".aside"), &first).unwrap();
    assert_eq!(content(&spool).1, "one", "when its time has come");
}

#[test]
fn a_search_that_fails_forgets_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    store(&spool, b"one").unwrap();
    let away = directory.path().with_extension("away");
    fs::rename(directory.path(), &away).unwrap();
    assert!(spool.clear().is_err());
    fs::rename(&away, directory.path()).unwrap();
    assert_eq!(content(&spool).1, "one");
}

#[test]
fn d18_a_full_quota_refuses_with_an_errno_and_room_is_seen_when_others_make_it() {
    let directory = tempfile::tempdir().unwrap();
    let spool = with_quota(directory.path(), 3 * PAGE, None);
    for _ in 0..3 {
        store(&spool, &[b'x'; 100]).unwrap();
    }
    let error = store(&spool, b"one too many").unwrap_err();
    assert_eq!(error.errno(), Errno::EDQUOT);
    assert_eq!(files(directory.path()).len(), 3, "nothing is left of it");
    fs::remove_file(directory.path().join(&files(directory.path())[0])).unwrap();
    spool.shared.inventory().usage().let_time_pass();
    store(&spool, b"fits again").unwrap();
}

#[test]
fn one_user_has_a_share_of_the_spool_and_leaves_the_rest_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let open = || with_quota(directory.path(), 4 * PAGE, Some(2 * PAGE));
    let store = |spool: &Spool, uid| spool.store(b"a record".to_vec(), Urgency::Ordinary, uid);
    let share_is_used = |spool: &Spool| matches!(store(spool, 7), Err(StoreError::ShareUsed));
    {
        let spool = open();
        store(&spool, 7).unwrap();
        store(&spool, 7).unwrap();
        assert!(share_is_used(&spool));
    }
    let spool = open();
    assert!(share_is_used(&spool), "after a restart");
    store(&spool, 8).unwrap();
    store(&spool, 8).unwrap();
    assert!(matches!(store(&spool, 9), Err(StoreError::Full)));
    let delivered = next(&spool);
    assert_eq!(delivered.name.uid, Some(7));
    spool.remove(delivered);
    store(&spool, 7).unwrap();
}

#[test]
fn a_quota_of_0_is_always_full() {
    let directory = tempfile::tempdir().unwrap();
    assert!(store(&with_quota(directory.path(), 0, None), b"x").is_err());
}

#[test]
fn d9_what_comes_and_goes_from_several_threads_leaves_the_size_right() {
    let directory = tempfile::tempdir().unwrap();
    let spool = with_quota(directory.path(), 10_000 * PAGE, None);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..300).for_each(|_| store(&spool, &[b'x'; 5000]).unwrap()));
            scope.spawn(|| (0..300).for_each(|_| spool.remove(next(&spool))));
        }
    });
    assert_eq!(spool.count(Duration::from_secs(10)), Some(0));
    assert!(files(directory.path()).is_empty());
    assert!(spool.shared.inventory().usage().is_right(directory.path()));
}

#[test]
fn each_record_comes_out_once_while_others_come_and_the_directory_is_searched() {
    const EACH: usize = NAMES_MAX;
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    let names: Mutex<Vec<PathBuf>> = Mutex::default();
    let stored = std::sync::Barrier::new(5);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                // More than the names that are held, so that there are searches.
                (0..EACH / 2).for_each(|_| store(&spool, b"x").unwrap());
                stored.wait();
                (0..EACH / 2).for_each(|_| store(&spool, b"x").unwrap());
            });
        }
        for worker in 0..2 {
            let (stored, names, spool) = (&stored, &names, &spool);
            scope.spawn(move || {
                stored.wait();
                for _ in 0..EACH * 3 / 2 {
                    let waiting = next(spool);
                    names.lock().unwrap().push(waiting.name.file.clone());
                    if worker == 0 {
                        spool.shared.inventory().suspect_more();
                    }
                    spool.remove(waiting);
                }
            });
        }
    });
    let mut names = names.into_inner().unwrap();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), EACH * 3);
    assert_eq!(spool.count(Duration::from_secs(10)), Some(0));
}

#[test]
fn what_is_delivered_and_cannot_be_deleted_is_not_given_out_again() {
    let directory = tempfile::tempdir().unwrap();
    let rules = SpoolRules { retry_interval: Duration::from_millis(50), ..rules(directory.path()) };
    let (spool, _) = Spool::open(rules, Arc::default()).unwrap();
    store(&spool, b"delivered").unwrap();
    let delivered = next(&spool);
    let file = directory.path().join(&delivered.name.file);
    // The keeper is to find it as if its deletion had failed: it is there, and
    // deleting it fails every time.
    fs::remove_file(&file).unwrap();
    let blocker = file.join("blocker");
    fs::create_dir(&file).unwrap();
    fs::write(&blocker, "").unwrap();
    spool.remove(delivered);
    let asked = spool.next();
    for number in 0..20 {
        fs::write(directory.path().join(format!(".{number}")), "").unwrap();
        assert_eq!(spool.count(Duration::from_secs(10)), Some(0));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(asked.try_recv().is_err());
    fs::remove_file(blocker).unwrap();
    fs::remove_dir(&file).unwrap();
    fs::write(&file, "").unwrap();
    while file.exists() {
        assert!(asked.try_recv().is_err());
        std::thread::sleep(Duration::from_millis(5));
    }
    spool.count(Duration::from_secs(10));
    assert!(asked.try_recv().is_err());
}

#[test]
fn what_a_courier_had_waits_again_also_when_other_rules_cannot_be_had() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, _) = open(directory.path());
    store(&spool, b"one").unwrap();
    assert_eq!(content(&spool).1, "one");
    spool.hold([0].into());
    assert!(spool.apply(&rules(Path::new("/nonexistent/spool"))).is_err());
    assert_eq!(content(&spool).1, "one", "nobody is held any more, either");
}

#[test]
fn a_keeper_knows_when_to_sync_in_another_directory() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (spool, _) = open(first.path());
    spool.apply(&rules(second.path())).unwrap();
    // It has come once, and sleeps.
    spool.count(Duration::from_secs(10)).unwrap();
    store(&spool, b"one").unwrap();
    spool.count(Duration::from_secs(10)).unwrap();
    let sync_interval = rules(second.path()).sync_interval;
    assert!(spool.shared.inventory().schedule_keeper() <= sync_interval);
}
