//! The 15 headers, in their order, and the text block that carries them in
//! frames and spool files.

use core::fmt;

use crate::lines::Lines;
use crate::names::Names;

/// The record format version that this project writes.
pub const RECORD_FORMAT_VERSION: &str = "4";
/// What the library writes as machine id; the daemon puts the real one there.
pub const MACHINE_ID_PLACEHOLDER: &str = "FFFFFFFF";
/// The longest header line that a receiver reads, without its newline.
pub const LINE_MAX: usize = 4095;

macro_rules! headers {
    ($($variant:ident $name:literal $http_name:literal $meaning:literal,)*) => {
        /// A header of a record. The numbers are the positions on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Header {
            $(#[doc = $meaning] $variant,)*
        }

        impl Header {
            /// Number of headers.
            pub const COUNT: usize = [$(Self::$variant),*].len();
            /// All headers, in the order of the wire.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),*];

            const fn prefix_len(self) -> usize {
                match self { $(Self::$variant => concat!($name, ": ").len(),)* }
            }

            /// The name in an HTTP request. With dashes, because web servers
            /// drop names with underscores unless they are told otherwise.
            pub const fn http_name(self) -> &'static str {
                match self { $(Self::$variant => $http_name,)* }
            }
        }

        static PREFIXES: Names<{ Header::COUNT }> =
            Names::new(concat!($($name, ": "),*), [$(concat!($name, ": ").len() as u16),*]);
    };
}

headers! {
    RecordFormatVersion "record_format_version" "Record-Format-Version" "Version of this list of headers.",
    Classification "classification" "Classification" "What happened: `namespace/kind/detail`.",
    Severity "severity" "Severity" "1 (low) to 4 (critical).",
    MachineId "machine_id" "Machine-Id" "Rotating pseudonym of the machine, put in by the daemon.",
    CreationTimestamp "creation_timestamp" "Creation-Timestamp" "Seconds since the epoch.",
    Arch "arch" "Arch" "Machine hardware name, as `uname -m`.",
    HostType "host_type" "Host-Type" "Vendor, product and version of the machine, joined by `|`.",
    Build "build" "Build" "`VERSION_ID` of os-release(5).",
    KernelVersion "kernel_version" "Kernel-Version" "Kernel release, as `uname -r`.",
    PayloadFormatVersion "payload_format_version" "Payload-Format-Version" "Version of the payload's format, chosen by the probe.",
    SystemName "system_name" "System-Name" "`ID` of os-release(5), and `VARIANT_ID` if there is one.",
    BoardName "board_name" "Board-Name" "Name and vendor of the board, joined by `|`.",
    CpuModel "cpu_model" "Cpu-Model" "Model name of the processor.",
    BiosVersion "bios_version" "Bios-Version" "Version of the firmware.",
    EventId "event_id" "Event-Id" "32 lower-case hexadecimal digits, shared by the records of one event.",
}

impl Header {
    /// The name in frames and spool files.
    pub fn name(self) -> &'static str {
        self.prefix().strip_suffix(": ").unwrap_or_default()
    }

    /// What a header line starts with: the name, a colon and a blank.
    pub fn prefix(self) -> &'static str {
        PREFIXES.get(self as usize)
    }
}

/// The length of a header line, newline included.
pub const fn line_len(header: Header, value_len: usize) -> usize {
    header.prefix_len() + value_len + "\n".len()
}

/// Why a block of header lines was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The block ended before this header.
    Missing(Header),
    /// This header was expected, and the line has another name or no colon.
    Misnamed(Header),
    /// The line of this header is longer than [`LINE_MAX`].
    TooLong(Header),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(header) => write!(f, "header {} is missing", header.name()),
            Self::Misnamed(header) => write!(f, "expected a line `{}: value`", header.name()),
            Self::TooLong(header) => write!(f, "the line of header {} is longer than {LINE_MAX} bytes", header.name()),
        }
    }
}

impl core::error::Error for HeaderError {}

/// The values of the 15 headers, as they stand in a buffer.
///
/// Values that were decoded may hold any byte but the newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a>([&'a [u8]; Header::COUNT]);

impl<'a> Headers<'a> {
    /// Headers with these values, in the order of the wire.
    pub const fn new(values: [&'a [u8]; Header::COUNT]) -> Self {
        Self(values)
    }

    /// Reads 15 header lines from the start of `input`; returns what follows
    /// them.
    ///
    /// Empty lines between headers are skipped, the blank after the colon and
    /// the newline of the last line may be missing, carriage returns before
    /// the newline are dropped.
    pub fn decode(input: &'a [u8]) -> Result<(Self, &'a [u8]), HeaderError> {
        let mut values = [[].as_slice(); Header::COUNT];
        let mut lines = Lines::new(input);
        for (value, header) in values.iter_mut().zip(Header::ALL) {
            let line = lines.by_ref().map(without_returns).find(|line| !line.is_empty());
            let line = line.ok_or(HeaderError::Missing(header))?;
            let after_name = line.strip_prefix(header.name().as_bytes()).and_then(|rest| rest.strip_prefix(b":"));
            let text = after_name.ok_or(HeaderError::Misnamed(header))?;
            *value = text.strip_prefix(b" ").unwrap_or(text);
            // As it will be written, with a blank.
            if line_len(header, value.len()) > LINE_MAX + 1 {
                return Err(HeaderError::TooLong(header));
            }
        }
        Ok((Self(values), lines.rest()))
    }

    /// The value of one header.
    pub fn get(&self, header: Header) -> &'a [u8] {
        self.0.get(header as usize).copied().unwrap_or_default()
    }

    /// The same headers with another value of one of them.
    #[must_use]
    pub fn with(mut self, header: Header, value: &'a [u8]) -> Self {
        if let Some(slot) = self.0.get_mut(header as usize) {
            *slot = value;
        }
        self
    }

    /// Headers and values, in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = (Header, &'a [u8])> + use<'a> {
        Header::ALL.into_iter().zip(self.0)
    }
}

fn without_returns(mut line: &[u8]) -> &[u8] {
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn block(lines: impl Iterator<Item = String>) -> String {
        lines.map(|line| line + "\n").collect()
    }

    fn good_lines() -> impl Iterator<Item = String> {
        Header::ALL.into_iter().map(|header| alloc::format!("{}: {}", header.name(), header as usize))
    }

    fn replaced(header: Header, line: &str) -> String {
        block(good_lines().enumerate().map(|(i, good)| if i == header as usize { line.into() } else { good }))
    }

    #[test]
    fn http_names_are_the_names_with_dashes() {
        for header in Header::ALL {
            let dashed = header.name().replace('_', "-");
            assert!(dashed.eq_ignore_ascii_case(header.http_name()), "{dashed}");
        }
    }

    #[test]
    fn what_follows_the_headers_is_returned_untouched() {
        let text = block(good_lines()) + "\n\npayload\n";
        let (headers, rest) = Headers::decode(text.as_bytes()).unwrap();
        assert_eq!(headers.get(Header::EventId), b"14");
        assert_eq!(rest, b"\n\npayload\n");
    }

    #[test]
    fn blank_lines_carriage_returns_and_a_missing_blank_are_forgiven() {
        let text = block(good_lines().map(|line| alloc::format!("\n{}\r", line.replace(": ", ":"))));
        let (headers, _) = Headers::decode(text.as_bytes()).unwrap();
        assert_eq!(headers.get(Header::Arch), b"5");
    }

    #[test]
    fn the_last_line_needs_no_newline() {
        let text = block(good_lines());
        let (headers, rest) = Headers::decode(text.trim_end().as_bytes()).unwrap();
        assert_eq!((headers.get(Header::EventId), rest), (b"14".as_slice(), b"".as_slice()));
    }

    #[test]
    fn w5_names_must_be_exact_and_end_in_a_colon() {
        for line in ["severity_level: 1", "severity", "Severity: 1", " severity: 1", "sev: 1"] {
            let text = replaced(Header::Severity, line);
            assert_eq!(Headers::decode(text.as_bytes()), Err(HeaderError::Misnamed(Header::Severity)), "{line}");
        }
    }

    #[test]
    fn a_missing_header_is_named() {
        let text = block(good_lines().take(14));
        assert_eq!(Headers::decode(text.as_bytes()), Err(HeaderError::Missing(Header::EventId)));
    }

    #[test]
    fn a_line_of_4095_bytes_is_read_and_one_of_4096_is_not() {
        let value = |len: usize| "x".repeat(len - "build: ".len());
        let longest = replaced(Header::Build, &alloc::format!("build: {}", value(LINE_MAX)));
        assert!(Headers::decode(longest.as_bytes()).is_ok());
        let longer = replaced(Header::Build, &alloc::format!("build: {}", value(LINE_MAX + 1)));
        assert_eq!(Headers::decode(longer.as_bytes()), Err(HeaderError::TooLong(Header::Build)));
    }
}
