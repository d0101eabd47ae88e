//! The addresses of the server, looked up for a connection and not for every
//! record: ureq asks before it knows whether a connection is open already, and
//! its own look-up starts a thread each time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long addresses are used without another look-up.
const LIFE: Duration = Duration::from_secs(60);

/// Looks addresses up, and remembers the last.
#[derive(Clone, Debug, Default)]
pub(crate) struct RememberingResolver {
    look_up: Arc<DefaultResolver>,
    known: Arc<Mutex<Option<Known>>>,
}

#[derive(Debug)]
struct Known {
    uri: Uri,
    addresses: Vec<SocketAddr>,
    since: Instant,
}

impl RememberingResolver {
    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next connection looks the addresses up: those that are known may be
    /// wrong by now.
    pub(crate) fn forget(&self) {
        *self.known() = None;
    }
}

impl Resolver for RememberingResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        if let Some(known) = self.known().as_ref().filter(|known| known.uri == *uri && known.since.elapsed() < LIFE) {
            let mut addresses = self.empty();
            known.addresses.iter().for_each(|address| addresses.push(*address));
            return Ok(addresses);
        }
        let addresses = self.look_up.resolve(uri, config, timeout)?;
        *self.known() = Some(Known { uri: uri.clone(), addresses: addresses.to_vec(), since: Instant::now() });
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(resolver: &RememberingResolver, uri: &'static str) -> Vec<SocketAddr> {
        resolver.resolve(&Uri::from_static(uri), &Config::default(), NextTimeout::default()).unwrap().to_vec()
    }

    #[test]
    fn an_address_is_looked_up_once_until_it_is_forgotten_and_each_server_has_its_own() {
        let resolver = RememberingResolver::default();
        assert_eq!(addresses(&resolver, "http://127.0.0.1:81/"), ["127.0.0.1:81".parse().unwrap()]);
        // As if the name meant another host now.
        let moved = "127.0.0.2:81".parse().unwrap();
        resolver.known().as_mut().unwrap().addresses = vec![moved];
        assert_eq!(addresses(&resolver, "http://127.0.0.1:81/"), [moved], "it is not looked up");
        assert_eq!(addresses(&resolver, "http://127.0.0.1:82/"), ["127.0.0.1:82".parse().unwrap()]);
        resolver.known().as_mut().unwrap().addresses = vec![moved];
        resolver.forget();
        assert_eq!(addresses(&resolver, "http://127.0.0.1:82/"), ["127.0.0.1:82".parse().unwrap()]);
        resolver.known().as_mut().unwrap().addresses = vec![moved];
        resolver.known().as_mut().unwrap().since = Instant::now().checked_sub(LIFE).unwrap();
        assert_eq!(addresses(&resolver, "http://127.0.0.1:82/"), ["127.0.0.1:82".parse().unwrap()]);
    }
}
