//! The table of configuration keys.

use crate::names::Names;
use crate::paths;

/// What a number outside its range becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfRange {
    /// The nearest end of the range.
    Clamp,
    /// An error: the file is not accepted.
    Refuse,
    /// The default, with a warning.
    Default,
}

/// The numbers that a key accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least number.
    pub min: i64,
    /// The greatest number.
    pub max: i64,
    /// What a number below `min` becomes.
    pub below: OutOfRange,
    /// What a number above `max` becomes.
    pub above: OutOfRange,
}

impl Range {
    const fn new(min: i64, below: OutOfRange, max: i64, above: OutOfRange) -> Self {
        Self { min, max, below, above }
    }
}

/// What the values of a key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any bytes.
    Text,
    /// An absolute path.
    Path,
    /// One of a few words, in any letter case; another word gives the default,
    /// with a warning.
    Choice(&'static [&'static str]),
    /// `true`, `false` in any letter case, `1` or `0`.
    Boolean,
    /// A decimal number of 64 bits.
    Integer(&'static Range),
}

/// The value of a key that is not assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Of [`Kind::Text`], [`Kind::Path`] and [`Kind::Choice`].
    Text(&'static str),
    /// Of [`Kind::Boolean`].
    Boolean(bool),
    /// Of [`Kind::Integer`], with its unit.
    Integer(i64, &'static str),
}

macro_rules! keys {
    ($($variant:ident $name:literal { $kind:expr } { $default:expr } $meaning:literal)*) => {
        /// A key of section `settings`, in the order of the sample file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Key {
            $(#[doc = $meaning] $variant,)*
        }

        impl Key {
            /// Number of keys.
            pub const COUNT: usize = [$(Self::$variant),*].len();
            /// All keys.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),*];

            /// What its values are.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => $kind,)* }
            }

            /// Its value without an assignment.
            pub const fn default(self) -> Default {
                match self { $(Self::$variant => $default,)* }
            }

            /// What the key does, for the sample file and the manual page.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }

        static NAMES: Names<{ Key::COUNT }> = Names::new(concat!($($name),*), [$($name.len() as u16),*]);
    };
}

/// A burst limit: every negative number means the same, no limit.
static LIMIT: Range = Range::new(-1, OutOfRange::Clamp, i64::MAX, OutOfRange::Clamp);
/// A window of the rate limits.
static WINDOW: Range = Range::new(0, OutOfRange::Default, 59, OutOfRange::Default);
/// A part of something.
static PERCENT: Range = Range::new(1, OutOfRange::Clamp, 100, OutOfRange::Clamp);

keys! {
    Server "server" { Kind::Text } { Default::Text(env!("TELEMETRY_SERVER")) }
        "Address that records are sent to with POST. http:// or https:// only."
    SocketPath "socket_path" { Kind::Path } { Default::Text(paths::SOCKET) }
        "Unix socket on which telemd listens and to which the library connects. Used up to its 107th byte. Units of the service manager that listen in the daemon's place must name the same path."
    CaInfo "cainfo" { Kind::Text } { Default::Text("") }
        "PEM file of the certificate authorities that may vouch for the server, or of the certificate that the server itself shows; that must name the host as subjectAltName. Empty: the authorities of the system. A file that is named and missing fails the delivery; nothing is sent on the word of others."
    TidHeader "tidheader" { Kind::Text } { Default::Text("X-Telemetry-TID: 6907c830-eed9-4ce9-81ae-76daf8d88f0f") }
        "Header line that is added to every request. Without a colon none is sent."
    RecordExpiry "record_expiry" { Kind::Integer(&const { Range::new(0, OutOfRange::Refuse, i64::MAX / 60, OutOfRange::Clamp) }) } { Default::Integer(1200, "minutes") }
        "Age at which a record that could not be delivered is deleted."
    SpoolDir "spool_dir" { Kind::Path } { Default::Text(paths::SPOOL) }
        "Directory of the records that wait for delivery. It must exist and be writable for the daemon's user."
    SpoolMaxSize "spool_max_size" { Kind::Integer(&const { Range::new(-1, OutOfRange::Clamp, i64::MAX / 1024, OutOfRange::Clamp) }) } { Default::Integer(5120, "KiB") }
        "Disk space that the spool may take. A negative number: no limit."
    SpoolProcessTime "spool_process_time" { Kind::Integer(&const { Range::new(120, OutOfRange::Clamp, 300, OutOfRange::Clamp) }) } { Default::Integer(120, "seconds") }
        "Time after which telemd tries again what it could not read or deliver for reasons of the record's own, and looks for files that others put into the spool."
    RateLimitEnabled "rate_limit_enabled" { Kind::Boolean } { Default::Boolean(true) }
        "Whether the two limits below hold."
    RecordBurstLimit "record_burst_limit" { Kind::Integer(&LIMIT) } { Default::Integer(1000, "records") }
        "Records that may be sent in one record window. A negative number: no limit."
    RecordWindowLength "record_window_length" { Kind::Integer(&WINDOW) } { Default::Integer(15, "minutes") }
        "Length of the record window."
    ByteBurstLimit "byte_burst_limit" { Kind::Integer(&LIMIT) } { Default::Integer(-1, "bytes") }
        "Bytes that may be sent in one byte window. A negative number: no limit."
    ByteWindowLength "byte_window_length" { Kind::Integer(&WINDOW) } { Default::Integer(20, "minutes") }
        "Length of the byte window."
    RateLimitStrategy "rate_limit_strategy" { Kind::Choice(&["spool", "drop"]) } { Default::Text("spool") }
        "What becomes of a record that is over a limit: it waits in the spool, or it is dropped."
    DaemonRecyclingEnabled "daemon_recycling_enabled" { Kind::Boolean } { Default::Boolean(true) }
        "Whether an idle telemd that was started by its socket ends after 300 seconds."
    RecordServerDeliveryEnabled "record_server_delivery_enabled" { Kind::Boolean } { Default::Boolean(true) }
        "Whether records are sent. If not, they are noted in the journal, kept if record_retention_enabled says so, and never leave the machine."
    RecordRetentionEnabled "record_retention_enabled" { Kind::Boolean } { Default::Boolean(false) }
        "Whether a copy of the payload of each record that is noted in the journal is kept on this machine."
    SpoolSyncInterval "spool_sync_interval" { Kind::Integer(&const { Range::new(0, OutOfRange::Clamp, 300, OutOfRange::Clamp) }) }
        { Default::Integer(5, "seconds") }
        "Longest time after which a record of severity 1 to 3 that is in the spool survives a power failure. Those of severity 4 do so when they are acknowledged; with 0, all do."
    DeliveryFormat "delivery_format" { Kind::Choice(&["headers", "json"]) } { Default::Text("headers") }
        "Form of the requests: the headers of the record as headers of the request, or one JSON object. A server whose path ends in /v3/collector gets json."
    DeliveryConnections "delivery_connections" { Kind::Integer(&const { Range::new(1, OutOfRange::Clamp, 16, OutOfRange::Clamp) }) }
        { Default::Integer(2, "connections") }
        "Connections to the server that are used at the same time. With 1, records of one severity arrive in their order."
    SpoolUserShare "spool_user_share" { Kind::Integer(&PERCENT) } { Default::Integer(50, "percent") }
        "Part of spool_max_size that the records of one user may take. 100: all of it."
    RateUserShare "rate_user_share" { Kind::Integer(&PERCENT) } { Default::Integer(50, "percent") }
        "Part of the rate limits that the records of one user may take, other than root and the daemon's own. 100: all of it."
    AllowUserConfig "allow_user_config" { Kind::Boolean } { Default::Boolean(false) }
        "Whether a program may choose a configuration file (tm_set_config_file) that belongs to the user it runs as. If not, only files of root and of the daemon's user count."
}

impl Key {
    /// The name in the file.
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize)
    }

    /// Finds a key by its name. Names are case-sensitive.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name().as_bytes() == name)
    }
}
