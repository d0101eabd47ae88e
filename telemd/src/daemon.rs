//! The life of the daemon: it sleeps without consent, and works with it, until
//! a signal or idleness ends it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::setsid;
use record::config::{Key, Settings};
use record::paths;
use thiserror::Error;

use crate::clock::SystemClock;
use crate::delivery::Delivery;
use crate::events::{Event, Events};
use crate::intake::{self, Desk, Intake};
use crate::limits::RateLimits;
use crate::machine_id::MachineId;
use crate::opt_in::{Consent, OptIn};
use crate::options::Options;
use crate::settings::{self, SettingsError};
use crate::socket::{Socket, SocketError};
use crate::spool::{Spool, SpoolError, SpoolRules};
use crate::status::{Counters, State, StatusFile};
use crate::{log, service_manager};

/// Time without anything to do after which a daemon ends that its socket
/// starts again.
const IDLE_EXIT: Duration = Duration::from_secs(300);
/// Time until a daemon that had something to do is looked at again.
const BUSY_LOOK: Duration = Duration::from_secs(60);
/// Descriptors that are enough for all connections, files and servers.
const DESCRIPTORS: u64 = 4096;
/// How long the spool may take to answer before the watchdog is not told
/// that all is well.
const WATCHDOG_PATIENCE: Duration = Duration::from_secs(5);
/// Time until a spool that did not answer is asked again: a disk that was slow
/// for a moment is no reason to be killed.
const WATCHDOG_RETRY: Duration = Duration::from_secs(2);

#[derive(Debug, Error)]
pub(crate) enum DaemonError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("records of an earlier consent cannot be told or deleted: {0}; delete them in spool_dir, and {consent}", consent = paths::CONSENT)]
    Consent(io::Error),
    /// It could start, and would not send.
    #[error("{0}")]
    Delivery(String),
    #[error("threads and descriptors: {0}")]
    Shortage(#[from] io::Error),
    #[error("signals: {0}")]
    Signals(#[from] nix::Error),
}

/// Why the stations stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Signal(Signal),
    Idle,
    ConsentWithdrawn,
}

/// What outlives the stations.
struct Daemon {
    options: Options,
    settings: Settings,
    opt_in: OptIn,
    socket: Socket,
    machine_id: Arc<MachineId>,
    clock: SystemClock,
    limits: RateLimits,
    counters: Arc<Counters>,
    status: StatusFile,
}

/// Works until a signal or idleness ends it.
pub(crate) fn run(options: Options) -> Result<(), DaemonError> {
    if options.stays {
        // Who leads a session already, stays its leader.
        let _ = setsid();
    }
    let settings = settings::load(options.config_file.as_deref())?;
    let opt_in = OptIn::at(Path::new(paths::OPT_IN), Path::new(paths::CONSENT));
    raise_descriptor_limit();
    let mut events = Events::new(&opt_in)?;
    let mut daemon = Daemon {
        options,
        opt_in,
        socket: Socket::find()?,
        machine_id: Arc::new(MachineId::of_this_machine()),
        clock: SystemClock::new(),
        limits: RateLimits::new(&settings),
        counters: Arc::default(),
        status: StatusFile::at(Path::new(paths::STATUS)),
        settings,
    };
    loop {
        let end = match daemon.opt_in.is_given() {
            true => Some(daemon.work(&mut events)?),
            false => daemon.sleep(&mut events)?.map(End::Signal),
        };
        match end {
            Some(End::Signal(signal)) => {
                log::notice(format_args!("{signal}: the end; what is in the spool stays there"))
            }
            Some(End::Idle) => log::notice(format_args!("nothing to do: the end; the socket starts telemd again")),
            Some(End::ConsentWithdrawn) | None => continue,
        }
        daemon.status.write(&daemon.counters, State::Stopped);
        return Ok(());
    }
}

/// Service managers give 1,024 descriptors, which as many connections would use
/// up.
fn raise_descriptor_limit() {
    let limit = Resource::RLIMIT_NOFILE;
    let raised = getrlimit(limit).and_then(|(soft, hard)| setrlimit(limit, DESCRIPTORS.min(hard).max(soft), hard));
    if let Err(errno) = raised {
        log::warning(format_args!("the limit of descriptors cannot be raised: {errno}"));
    }
}

impl Daemon {
    /// Waits for consent, without a socket or a spool. Gives the signal that
    /// ended that, if one did.
    fn sleep(&mut self, events: &mut Events) -> Result<Option<Signal>, DaemonError> {
        let file = self.opt_in.file().display();
        log::notice(format_args!("not opted in: {file} does not exist; nothing is taken or sent until it does"));
        self.counters.sends_to(None);
        self.counters.back_off_until(None);
        self.status.write(&self.counters, State::NotOptedIn);
        service_manager::ready();
        service_manager::status("not opted in");
        loop {
            match events.wait(service_manager::watchdog_interval())? {
                Event::End(signal) => return Ok(Some(signal)),
                Event::Reload => {
                    // What is read when consent comes.
                    service_manager::reloading();
                    service_manager::ready();
                }
                Event::ConsentChanged | Event::Timeout => {}
            }
            service_manager::alive();
            if self.opt_in.is_given() {
                // The file may have been written while nobody read it.
                self.settings = settings::load(self.options.config_file.as_deref())?;
                self.limits.change(&self.settings);
                self.machine_id.look_again();
                return Ok(None);
            }
        }
    }

    /// Starts the stations, and ends them in the order of a record's way, so
    /// that none loses what it holds.
    fn work(&mut self, events: &mut Events) -> Result<End, DaemonError> {
        let mut stations = Stations::start(self)?;
        self.announce();
        let end = stations.watch(self, events);
        service_manager::stopping();
        // First, so that it starts nothing new while the intake ends.
        stations.stop_delivery(self);
        stations.intake.stop();
        if matches!(end, Ok(End::ConsentWithdrawn)) {
            self.socket.close(settings::path(&self.settings, Key::SocketPath));
            self.forget_consent(&stations.spool)?;
        }
        drop(stations.spool);
        let _ = stations.keeper.join();
        drop(stations.stop_status);
        let _ = stations.status.join();
        end
    }

    /// What is spooled is never sent. If that cannot be remembered, it is
    /// deleted at once.
    fn forget_consent(&self, spool: &Spool) -> Result<(), DaemonError> {
        if let Err(error) = self.opt_in.forget() {
            log::error(format_args!("{}: {error}; what is spooled is deleted", paths::CONSENT));
            spool.clear().map_err(DaemonError::Consent)?;
        }
        Ok(())
    }

    /// Whether consent was withdrawn, be it that it was given again at once.
    fn has_lost_consent(&self) -> bool {
        !self.opt_in.is_given() || matches!(self.opt_in.compare(), Ok(Consent::Another))
    }

    /// The server, unless delivery is switched off.
    fn destination(&self) -> Option<String> {
        self.settings.boolean(Key::RecordServerDeliveryEnabled).then(|| self.settings.shown(Key::Server))
    }

    fn announce(&self) {
        let destination = match self.destination() {
            Some(server) => format!("sending to {server}"),
            None => "delivery is switched off: records stay on this machine".to_owned(),
        };
        let socket = settings::path(&self.settings, Key::SocketPath).display();
        match self.socket.is_inherited() {
            true => log::notice(format_args!("listening on the service manager's socket, {destination}")),
            false => log::notice(format_args!("listening on {socket}, {destination}")),
        }
        service_manager::ready();
    }

    /// Deletes what was spooled under an earlier consent.
    fn start_from_an_empty_spool_if_consent_is_new(&self, spool: &Spool) -> Result<(), DaemonError> {
        match self.opt_in.compare().map_err(DaemonError::Consent)? {
            Consent::Same => return Ok(()),
            Consent::First => {}
            Consent::Another => {
                let count = spool.clear().map_err(DaemonError::Consent)?;
                log::notice(format_args!("consent was given anew: {count} records of before were deleted"));
            }
        }
        if let Err(error) = self.opt_in.remember() {
            log::warning(format_args!(
                "{}: {error}; consent that is withdrawn and given while telemd does not run goes unnoticed",
                paths::CONSENT
            ));
        }
        Ok(())
    }
}

/// The stations at work.
struct Stations {
    spool: Spool,
    keeper: JoinHandle<()>,
    intake: Intake,
    /// `None` only while the configuration is read again.
    delivery: Option<Delivery>,
    stop_status: Sender<()>,
    status: JoinHandle<()>,
}

impl Stations {
    fn start(daemon: &Daemon) -> Result<Self, DaemonError> {
        let settings = &daemon.settings;
        let counters = || Arc::clone(&daemon.counters);
        let (spool, keeper) = Spool::open(SpoolRules::new(settings), counters())?;
        daemon.start_from_an_empty_spool_if_consent_is_new(&spool)?;
        let listener = daemon.socket.listener(settings::path(settings, Key::SocketPath))?;
        // In the first file, too: who looks takes what is not there for none.
        daemon.counters.sends_to(daemon.destination());
        let (stop_status, stops) = bounded(0);
        let status = daemon.status.follow(counters(), stops)?;
        let desk = Desk {
            spool: spool.clone(),
            machine_id: Arc::clone(&daemon.machine_id),
            opt_in: daemon.opt_in.clone(),
            counters: counters(),
            allow_user_config: AtomicBool::new(settings.boolean(Key::AllowUserConfig)),
            refusals: log::Throttle::default(),
        };
        let intake = intake::start(listener, desk)?;
        let delivery = Some(start_delivery(daemon, &spool)?);
        Ok(Self { spool, keeper, intake, delivery, stop_status, status })
    }

    /// Waits for the reason to end, and does meanwhile what is asked for.
    fn watch(&mut self, daemon: &mut Daemon, events: &mut Events) -> Result<End, DaemonError> {
        let watchdog = service_manager::watchdog_interval();
        let mut watchdog_due = watchdog.map(|interval| Instant::now() + interval);
        loop {
            let Some(idle_left) = self.idle_left(daemon) else { return Ok(End::Idle) };
            let watchdog_left = watchdog_due.map(|due| due.saturating_duration_since(Instant::now()));
            match events.wait(idle_left.into_iter().chain(watchdog_left).min())? {
                Event::End(signal) => return Ok(End::Signal(signal)),
                Event::Reload => self.reload(daemon)?,
                Event::ConsentChanged if daemon.has_lost_consent() => {
                    let spool = settings::path(&daemon.settings, Key::SpoolDir).display();
                    log::notice(format_args!(
                        "consent was withdrawn: nothing is taken or sent; what waits in {spool} is never sent"
                    ));
                    return Ok(End::ConsentWithdrawn);
                }
                Event::ConsentChanged | Event::Timeout => {}
            }
            if watchdog_due.is_some_and(|due| due <= Instant::now()) {
                let is_well = self.spool.count(WATCHDOG_PATIENCE).is_some();
                match is_well {
                    true => service_manager::alive(),
                    false => log::error(format_args!("the spool does not answer: is the disk of spool_dir well?")),
                }
                let pause = if is_well { watchdog } else { Some(WATCHDOG_RETRY) };
                watchdog_due = pause.map(|pause| Instant::now() + pause);
            }
        }
    }

    /// Time until it may be time to end for want of work. `None`: it is time;
    /// `Some(None)`: it never is.
    fn idle_left(&self, daemon: &Daemon) -> Option<Option<Duration>> {
        let starts_again = daemon.socket.is_inherited() && !daemon.options.stays;
        if !starts_again || !daemon.settings.boolean(Key::DaemonRecyclingEnabled) {
            return Some(None);
        }
        let idle = daemon.counters.idle();
        let is_busy = || !self.intake.is_quiet() || self.spool.count(WATCHDOG_PATIENCE) != Some(0);
        time_to_idle_exit(idle, is_busy).map(Some)
    }

    /// Reads the configuration again. If it is wrong, all stays as it is.
    fn reload(&mut self, daemon: &mut Daemon) -> Result<(), DaemonError> {
        service_manager::reloading();
        daemon.machine_id.look_again();
        match settings::load(daemon.options.config_file.as_deref()) {
            Ok(settings) => self.apply(settings, daemon)?,
            Err(error) => log::error(format_args!("{error}; the settings before stay in effect")),
        }
        service_manager::ready();
        Ok(())
    }

    fn apply(&mut self, settings: Settings, daemon: &mut Daemon) -> Result<(), DaemonError> {
        let path_of = |settings: &Settings| settings::path(settings, Key::SocketPath).to_owned();
        if path_of(&settings) != path_of(&daemon.settings) {
            let socket = path_of(&daemon.settings);
            log::warning(format_args!("socket_path stays {} until telemd starts again", socket.display()));
        }
        self.stop_delivery(daemon);
        match self.spool.apply(&SpoolRules::new(&settings)) {
            Ok(()) => {
                daemon.limits.change(&settings);
                self.intake.allow_user_config(settings.boolean(Key::AllowUserConfig));
                log::notice(format_args!("the configuration was read again"));
                daemon.settings = settings.with(Key::SocketPath, &daemon.settings);
            }
            Err(error) => log::error(format_args!("{error}; the settings before stay in effect")),
        }
        self.delivery = Some(start_delivery(daemon, &self.spool)?);
        Ok(())
    }

    /// What was sent is remembered.
    fn stop_delivery(&mut self, daemon: &mut Daemon) {
        if let Some(delivery) = self.delivery.take() {
            daemon.limits = delivery.stop();
        }
    }
}

fn start_delivery(daemon: &Daemon, spool: &Spool) -> io::Result<Delivery> {
    daemon.counters.sends_to(daemon.destination());
    Delivery::start(
        &daemon.settings,
        spool.clone(),
        daemon.opt_in.clone(),
        daemon.clock,
        daemon.limits.clone(),
        Arc::clone(&daemon.counters),
    )
}

/// Time until a daemon that has been idle for so long is to be looked at again;
/// `None`: it has been for long enough.
fn time_to_idle_exit(idle: Duration, is_busy: impl FnOnce() -> bool) -> Option<Duration> {
    match IDLE_EXIT.checked_sub(idle).filter(|left| !left.is_zero()) {
        None if is_busy() => Some(BUSY_LOOK),
        left => left,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d12_an_idle_daemon_ends_after_300_seconds_and_one_with_records_does_not() {
        let left = |seconds, is_busy| time_to_idle_exit(Duration::from_secs(seconds), || is_busy);
        assert_eq!(left(0, false), Some(IDLE_EXIT));
        assert_eq!(left(200, true), Some(Duration::from_secs(100)), "counted from the last activity");
        assert_eq!(left(299, false), Some(Duration::from_secs(1)));
        assert_eq!(left(300, false), None);
        assert_eq!(left(4000, false), None);
        assert_eq!(left(300, true), Some(BUSY_LOOK));
    }
}
