//! The header lines that describe the host, ready to be copied into records.
//!
//! They are read once a process, and again when os-release changed on disk,
//! which is looked at no more than once a second.

use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering};

use record::cursor::{Cursor, Full};
use record::header::{Header, line_len};
use record::host;
use record::text::Text;

use crate::published::{Published, bytes_of, bytes_of_mut};
use crate::sys::{self, Errno, Heap, SystemNames};

/// The headers that describe the host, in the order of the wire.
pub(crate) const HEADERS: [Header; 8] = [
    Header::Arch,
    Header::HostType,
    Header::Build,
    Header::KernelVersion,
    Header::SystemName,
    Header::BoardName,
    Header::CpuModel,
    Header::BiosVersion,
];

const VALUES_MAX: usize = 2 * host::UNAME_MAX
    + 3 * host::DMI_MAX
    + 2
    + host::BUILD_MAX
    + host::SYSTEM_NAME_MAX
    + 2 * host::DMI_MAX
    + 1
    + host::CPU_MODEL_MAX
    + host::DMI_MAX;
const LINES_MAX: usize = {
    let mut len = VALUES_MAX;
    let mut rest: &[Header] = &HEADERS;
    while let [header, others @ ..] = rest {
        len += line_len(*header, 0) + 1;
        rest = others;
    }
    len
};

/// What tells one state of os-release from another: the file, its size, and
/// the times of its last changes. Zeros: there is no such file.
type Identity = [usize; 7];
const IDENTITY_LEN: usize = size_of::<Identity>();
const END_LEN: usize = size_of::<u16>();
const TEXT: usize = IDENTITY_LEN + HEADERS.len() * END_LEN;
const SNAPSHOT_WORDS: usize = (TEXT + LINES_MAX).div_ceil(size_of::<usize>());

static CURRENT: Published<SNAPSHOT_WORDS> = Published::new();
static LOOKED_AT: AtomicU64 = AtomicU64::new(0);
const LOOK_INTERVAL_MILLISECONDS: u64 = 1000;

/// The name and the version of the system, see os-release(5).
const OS_RELEASE: &CStr = c"/etc/os-release";
const OS_RELEASE_FALLBACK: &CStr = c"/usr/lib/os-release";
/// More than any file has before the lines that count.
const FILE_MAX: usize = 64 * 1024;

/// The lines: identity of os-release, the end of each line, the lines.
pub(crate) struct HostLines([usize; SNAPSHOT_WORDS]);

impl HostLines {
    /// The lines of this host as it is now.
    pub(crate) fn current() -> Result<Self, Errno> {
        let mut lines = Self([0; SNAPSHOT_WORDS]);
        let known = CURRENT.read(&mut lines.0);
        let now = sys::coarse_milliseconds();
        let looked_at = LOOKED_AT.load(Ordering::Relaxed);
        let is_due = now.wrapping_sub(looked_at) >= LOOK_INTERVAL_MILLISECONDS;
        // Of the threads that find it due, one looks.
        let looks = || LOOKED_AT.compare_exchange(looked_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if known && !(is_due && looks()) {
            return Ok(lines);
        }
        let identity = os_release_identity();
        if known && lines.has_identity(&identity) {
            return Ok(lines);
        }
        match Self::read(&identity) {
            Ok((fresh, true)) => {
                CURRENT.try_write(fresh.words());
                LOOKED_AT.store(now, Ordering::Relaxed);
                Ok(fresh)
            }
            // What a shortage hid is read again: a second later if an older
            // state is known, otherwise for the next record.
            Ok(_) | Err(_) if known => Ok(lines),
            Ok((incomplete, _)) => Ok(incomplete),
            Err(errno) => Err(errno),
        }
    }

    /// Reads all facts; tells whether every file could be looked at.
    fn read(identity: &Identity) -> Result<(Self, bool), Errno> {
        let mut lines = Self([0; SNAPSHOT_WORDS]);
        *lines.0.first_chunk_mut().ok_or(Full)? = *identity;
        let (meta, text) = bytes_of_mut(&mut lines.0).split_at_mut_checked(TEXT).ok_or(Full)?;
        let meta = meta.get_mut(IDENTITY_LEN..).unwrap_or_default();
        let mut writer =
            Writer { meta: Cursor::new(meta), text: Cursor::new(text), has_memory: true, all_were_looked_at: true };
        let names = SystemNames::read();
        let os_release = writer.file(OS_RELEASE).or_else(|| writer.file(OS_RELEASE_FALLBACK));
        let os_release = os_release.as_ref().map(Heap::bytes).unwrap_or_default();

        writer.line(Header::Arch, &host::uname(names.machine()));
        writer.begin(Header::HostType);
        writer.dmi("", c"/sys/class/dmi/id/sys_vendor", "no_sv_file");
        writer.dmi("|", c"/sys/class/dmi/id/product_name", "no_pn_file");
        writer.dmi("|", c"/sys/class/dmi/id/product_version", "no_pvr_file");
        writer.end();
        writer.line(Header::Build, &host::build(os_release));
        writer.line(Header::KernelVersion, &host::uname(names.release()));
        writer.line(Header::SystemName, &host::system_name(os_release));
        writer.begin(Header::BoardName);
        writer.dmi("", c"/sys/class/dmi/id/board_name", "no_bn_file");
        writer.dmi("|", c"/sys/class/dmi/id/board_vendor", "no_bv_file");
        writer.end();
        let cpuinfo = writer.file(c"/proc/cpuinfo");
        writer.line(Header::CpuModel, &host::cpu_model(cpuinfo.as_ref().map(Heap::bytes).unwrap_or_default()));
        writer.begin(Header::BiosVersion);
        // The same word as for the board's vendor: receivers know it so.
        writer.dmi("", c"/sys/class/dmi/id/bios_version", "no_bv_file");
        writer.end();
        let all_were_looked_at = writer.finish()?;
        Ok((lines, all_were_looked_at))
    }

    fn has_identity(&self, identity: &Identity) -> bool {
        self.0.first_chunk() == Some(identity)
    }

    /// The words that are used.
    fn words(&self) -> &[usize] {
        let len = TEXT.saturating_add(self.text().len()).div_ceil(size_of::<usize>());
        self.0.get(..len).unwrap_or_default()
    }

    /// The lines one after the other, in the order of [`HEADERS`], each with a
    /// NUL behind it.
    pub(crate) fn text(&self) -> &[u8] {
        let len = self.ends().last().unwrap_or(0);
        bytes_of(&self.0).get(TEXT..).and_then(|text| text.get(..len)).unwrap_or_default()
    }

    /// Where in the text the lines end, their NULs included.
    pub(crate) fn ends(&self) -> impl Iterator<Item = usize> {
        let meta = bytes_of(&self.0).get(..TEXT).unwrap_or_default();
        let ends = meta.get(IDENTITY_LEN..).unwrap_or_default().chunks_exact(END_LEN);
        ends.map(|end| end.first_chunk().map_or(0, |end| usize::from(u16::from_ne_bytes(*end))))
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the fields of `stat` have other widths on other platforms; any part of them tells a change"
)]
fn os_release_identity() -> Identity {
    let found = sys::status(OS_RELEASE).or_else(|_| sys::status(OS_RELEASE_FALLBACK));
    found.map_or([0; 7], |status| {
        [
            status.st_dev as usize,
            status.st_ino as usize,
            status.st_size as usize,
            status.st_mtime as usize,
            status.st_mtime_nsec as usize,
            status.st_ctime as usize,
            status.st_ctime_nsec as usize,
        ]
    })
}

/// Writes the ends and the lines of a snapshot. What goes wrong is told at the
/// end.
struct Writer<'a> {
    meta: Cursor<'a>,
    text: Cursor<'a>,
    has_memory: bool,
    /// Whether no shortage hid a file.
    all_were_looked_at: bool,
}

impl Writer<'_> {
    fn begin(&mut self, header: Header) {
        self.text.put(header.prefix().as_bytes());
    }

    fn end(&mut self) {
        self.text.put(b"\n\0");
        let end = u16::try_from(self.text.written()).unwrap_or(u16::MAX);
        self.meta.put(&end.to_ne_bytes());
    }

    fn line(&mut self, header: Header, value: &Text) {
        self.begin(header);
        self.text.put(value.as_bytes());
        self.end();
    }

    /// A part of a value: the first line of a DMI file.
    fn dmi(&mut self, before: &str, path: &CStr, missing: &str) {
        self.text.put(before.as_bytes());
        match self.file(path) {
            Some(content) => self.text.put(host::dmi(content.bytes()).as_bytes()),
            None => self.text.put(missing.as_bytes()),
        }
    }

    /// `None` for a file that cannot be read.
    fn file(&mut self, path: &CStr) -> Option<Heap> {
        sys::read_start(path, FILE_MAX)
            .inspect_err(|errno| {
                self.has_memory &= *errno != Errno(libc::ENOMEM);
                self.all_were_looked_at &= !errno.is_shortage();
            })
            .ok()
    }

    fn finish(self) -> Result<bool, Errno> {
        self.meta.finish()?;
        self.text.finish()?;
        if self.has_memory { Ok(self.all_were_looked_at) } else { Err(Errno(libc::ENOMEM)) }
    }
}
