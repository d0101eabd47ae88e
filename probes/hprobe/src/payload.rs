//! The payload of the heartbeat. Its parts have one order, whatever that of the
//! options.

use std::io;

use nix::sys::sysinfo::sysinfo;

use crate::{CommandLine, bundles, locale};

/// The longest payload.
const MAX: usize = 8191;
/// What stands at the end of a list that was cut.
const CUT: &[u8] = b"\n...";

pub(crate) fn of(command: &CommandLine) -> io::Result<Vec<u8>> {
    let mut payload = b"hello\n".to_vec();
    if command.locale {
        payload.extend([b"LC_ALL: ", locale::name().as_slice(), b"\n"].concat());
    }
    if command.uptime {
        let seconds = sysinfo().map_or(0, |info| info.uptime().as_secs());
        payload.extend(format!("uptime: {seconds}\n").into_bytes());
    }
    if command.bundles {
        let names = bundles::names()?;
        payload.extend(format!("\nBundles ({}):\n", names.len()).into_bytes());
        for name in names {
            payload.extend(name);
            payload.push(b'\n');
        }
    }
    Ok(cut(payload))
}

fn cut(mut payload: Vec<u8>) -> Vec<u8> {
    if payload.len() > MAX {
        payload.truncate(MAX - CUT.len());
        payload.extend(CUT);
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_has_8191_bytes_and_ends_in_three_dots() {
        assert_eq!(cut(vec![b'a'; MAX]), vec![b'a'; MAX]);
        let payload = cut(vec![b'a'; MAX + 1]);
        assert_eq!(payload.len(), 8191);
        assert!(payload.ends_with(b"a\n..."));
    }
}
