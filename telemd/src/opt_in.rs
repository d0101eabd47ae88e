//! The administrator's consent.

use std::path::{Path, PathBuf};

/// Looks at the opt-in file.
#[derive(Clone, Debug)]
pub(crate) struct OptIn(PathBuf);

impl OptIn {
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Whether the file exists now, of whatever type.
    pub(crate) fn is_given(&self) -> bool {
        self.0.metadata().is_ok()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}
