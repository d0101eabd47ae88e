//! Where records go: what a telemd that runs uses, and what the configuration
//! file says. They differ after a change, until telemd reads the file again.

use std::fmt::{self, Display};

use record::config::Key;
use serde::Serialize;
use telemd::report::Report;
use telemd::settings::Loaded;

/// The host of the C project's server, which is also the default of a build
/// that names no other.
const NOBODYS_HOST: &str = "//clr.telemetry.intel.com/";

/// A server, or none: delivery is switched off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Destination {
    /// Where records go now.
    pub(crate) server: Option<String>,
    /// Where they would go after telemd read its file again.
    configured_server: Option<String>,
    /// The line that says so, or `default`.
    pub(crate) server_source: String,
}

impl Destination {
    /// By the settings, and by what telemd tells of itself if it works.
    pub(crate) fn of(loaded: &Loaded, telemd: Option<&Report>) -> Self {
        let delivers = loaded.settings.boolean(Key::RecordServerDeliveryEnabled);
        let decides = if delivers { Key::Server } else { Key::RecordServerDeliveryEnabled };
        let configured_server = delivers.then(|| loaded.settings.shown(Key::Server));
        Self {
            server: telemd.map_or_else(|| configured_server.clone(), |report| report.server.clone()),
            configured_server,
            server_source: loaded.source(decides),
        }
    }

    /// What is to be said if nobody decided where records go.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        let is_nobodys = self.server.as_ref().is_some_and(|server| server.contains(NOBODYS_HOST));
        is_nobodys.then_some(
            "this is the default of the C project, and nobody here controls it; \
             put your own server into /etc/telemetrics/telemetrics.conf",
        )
    }
}

impl Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, configured_server, server_source } = self;
        f.write_str(server.as_deref().unwrap_or("none: delivery is switched off"))?;
        if server == configured_server {
            return write!(f, " ({server_source})");
        }
        let configured = configured_server.as_deref().unwrap_or("no server: delivery is switched off");
        write!(f, ", which telemd uses; the file names {configured} ({server_source}); sudo telemctl restart")
    }
}
