//! The software bundles of Clear Linux that are installed.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// A file for each bundle, named as it.
const DIRECTORY: &str = "/usr/share/clear/bundles";

/// Their names, in the order of their bytes: the same on every machine, and
/// that of the C locale.
pub(crate) fn names() -> io::Result<Vec<Vec<u8>>> {
    let entries = Path::new(DIRECTORY).read_dir()?;
    let mut names = entries.map(|entry| Ok(entry?.file_name().into_vec())).collect::<io::Result<Vec<Vec<u8>>>>()?;
    names.retain(|name| !name.starts_with(b"."));
    // A newline in a name would make a second one.
    names.iter_mut().flatten().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b'?');
    names.sort_unstable();
    Ok(names)
}
