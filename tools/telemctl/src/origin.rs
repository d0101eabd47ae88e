//! Where each value of a request comes from, in words.

use record::config::Key;
use record::header::Header;
use record::paths;

/// Of a header of the record.
pub(crate) fn of(header: Header) -> String {
    let text = match header {
        Header::RecordFormatVersion => "fixed: the version of this list",
        Header::Classification | Header::Severity | Header::PayloadFormatVersion => "the program",
        Header::MachineId => {
            return format!("{}, new every 3 days; or {}", paths::MACHINE_ID, paths::STATIC_MACHINE_ID);
        }
        Header::CreationTimestamp => "the clock, in seconds",
        Header::Arch => "uname -m",
        Header::HostType => "sys_vendor, product_name, product_version of /sys/class/dmi/id",
        Header::Build => "VERSION_ID of os-release",
        Header::KernelVersion => "uname -r",
        Header::SystemName => "ID, VARIANT_ID of os-release",
        Header::BoardName => "board_name, board_vendor of /sys/class/dmi/id",
        Header::CpuModel => "first model name of /proc/cpuinfo",
        Header::BiosVersion => "bios_version of /sys/class/dmi/id",
        Header::EventId => "random, or the program",
    };
    text.to_owned()
}

/// Of a header that only the request has, and the setting that it comes from,
/// if there is one.
pub(crate) fn of_request_header(name: &str) -> Result<Key, &'static str> {
    match name {
        "x-telemetry-record-id" => Err("made from the record's file; the same for every attempt"),
        "host" => Ok(Key::Server),
        "accept" | "content-length" => Err("HTTP"),
        _ => Ok(Key::TidHeader),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document and this command must say the same.
    #[test]
    fn the_origin_of_every_value_is_that_of_the_privacy_document() {
        let document = include_str!("../../../docs/privacy.md");
        for header in Header::ALL {
            let row = document.lines().find(|line| line.starts_with(&format!("| `{}` |", header.name())));
            let row = row.unwrap_or_else(|| panic!("{} is in no row", header.name())).replace(['`', '"'], "");
            for word in of(header).split([',', ';']).flat_map(|part| part.split_whitespace()) {
                let is_a_place = word.starts_with('/') || word.contains('_') || ["ID", "-m", "-r"].contains(&word);
                assert!(!is_a_place || row.contains(word), "{}: {word} is not in {row}", header.name());
            }
        }
    }
}
