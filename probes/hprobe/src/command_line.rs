//! The options: the source of help, manual page and completions, too.

use clap::Parser;
use options::ConfigFile;

/// Send a heartbeat to the telemetry daemon
#[derive(Clone, Debug, Parser)]
#[command(name = "hprobe", version)]
pub struct CommandLine {
    /// Send it as org.clearlinux/heartbeat/ping instead of org.clearlinux/hello/world
    #[arg(short = 'H', long)]
    pub heartbeat: bool,

    /// Add the locale
    #[arg(short, long)]
    pub locale: bool,

    /// Add the time since the machine started
    #[arg(short, long)]
    pub uptime: bool,

    /// Add the names of the installed bundles
    #[arg(short, long)]
    pub bundles: bool,

    /// The option `-f`.
    #[command(flatten)]
    pub config_file: ConfigFile,
}
