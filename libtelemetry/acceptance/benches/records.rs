//! What the installed library costs a program: making records, and handing
//! them to telemd.
//!
//! Runs in a private root, because the installed library and telemd find each
//! other at fixed paths. The collector refuses connections, so that only the
//! way into the spool is measured.

use std::env;
use std::ffi::{CStr, CString, c_char, c_int};
use std::process::Command;
use std::ptr;

use criterion::{BenchmarkId, Criterion};
use libloading::Library;
use libtelemetry_acceptance::telemetry_h::telem_ref;
use sandbox::Sandbox;

const LIBRARY: &str = "/usr/local/lib/libtelemetry.so.4";
const INSIDE: &str = "TELEMETRY_BENCH_INSIDE";
const CLASSIFICATION: &CStr = c"org.example/bench/record";

type Create = unsafe extern "C" fn(*mut *mut telem_ref, u32, *mut c_char, u32) -> c_int;
type Set = unsafe extern "C" fn(*mut telem_ref, *mut c_char) -> c_int;
type Send = unsafe extern "C" fn(*mut telem_ref) -> c_int;
type Free = unsafe extern "C" fn(*mut telem_ref);

/// The functions of the library, as the loader gives them to any program.
struct Telemetry {
    create: Create,
    set_payload: Set,
    send: Send,
    free: Free,
    _library: Library,
}

impl Telemetry {
    fn open() -> Self {
        // SAFETY: the library has no initializer, and its functions have these
        // types.
        unsafe {
            let library = Library::new(LIBRARY).expect("the installed library");
            Self {
                create: *library.get(b"tm_create_record\0").expect("tm_create_record"),
                set_payload: *library.get(b"tm_set_payload\0").expect("tm_set_payload"),
                send: *library.get(b"tm_send_record\0").expect("tm_send_record"),
                free: *library.get(b"tm_free_record\0").expect("tm_free_record"),
                _library: library,
            }
        }
    }

    fn with_record(&self, payload: &CStr, work: impl FnOnce(*mut telem_ref)) {
        let mut record = ptr::null_mut();
        // SAFETY: the strings live through the calls; the record is used by
        // this thread and freed once.
        unsafe {
            assert_eq!((self.create)(&mut record, 1, CLASSIFICATION.as_ptr().cast_mut(), 1), 0);
            assert_eq!((self.set_payload)(record, payload.as_ptr().cast_mut()), 0);
            work(record);
            (self.free)(record);
        }
    }
}

fn payload(len: usize) -> CString {
    CString::new("p".repeat(len)).expect("no NUL")
}

fn benchmarks() {
    let mut criterion = Criterion::default().configure_from_args();
    let telemetry = Telemetry::open();

    let mut group = criterion.benchmark_group("create, set payload, free");
    for len in [100, 1024, 8192] {
        let payload = payload(len);
        group.bench_with_input(BenchmarkId::from_parameter(len), &payload, |bencher, payload| {
            bencher.iter(|| telemetry.with_record(payload, |_| {}));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("create, set payload, send until acknowledged, free");
    for len in [100, 1024, 8192] {
        let payload = payload(len);
        group.bench_with_input(BenchmarkId::from_parameter(len), &payload, |bencher, payload| {
            bencher.iter(|| {
                telemetry.with_record(payload, |record| {
                    // SAFETY: the record is used by this thread alone.
                    assert_eq!(unsafe { (telemetry.send)(record) }, 0);
                });
            });
        });
    }
    group.finish();

    criterion.bench_function("open and close the library", |bencher| {
        // Not the copy that is open already.
        let copy = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::copy(LIBRARY, copy.path()).expect("a copy of the library");
        // SAFETY: the library has no initializer.
        bencher.iter(|| unsafe { Library::new(copy.path()).expect("the copy of the library") });
    });
    criterion.final_summary();
}

fn main() {
    if env::var_os(INSIDE).is_some() {
        return benchmarks();
    }
    let sandbox = Sandbox::new();
    sandbox.opt_in();
    sandbox.configure("server=http://127.0.0.1:1/\nspool_max_size=-1");
    let _telemd = sandbox.start_telemd();
    let mut again: Command = sandbox.command(env::current_exe().expect("this program"));
    let status = again.args(env::args_os().skip(1)).env(INSIDE, "1").status().expect("bwrap");
    assert!(status.success());
}
