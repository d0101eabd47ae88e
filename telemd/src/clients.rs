//! Who is connected: one user cannot take all readers from the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections by user.
#[derive(Clone, Default)]
pub(crate) struct Clients(Arc<Mutex<BTreeMap<u32, usize>>>);

/// A connection; its end makes room for another.
pub(crate) struct Client {
    clients: Clients,
    uid: u32,
}

impl Clients {
    fn counts(&self) -> MutexGuard<'_, BTreeMap<u32, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection of this user, unless there are `max` already.
    pub(crate) fn enter(&self, uid: u32, max: usize) -> Option<Client> {
        let mut counts = self.counts();
        let count = counts.entry(uid).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Client { clients: self.clone(), uid })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts().is_empty()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut counts = self.clients.counts();
        if let Some(count) = counts.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d10_one_user_has_so_many_connections_and_no_more() {
        let clients = Clients::default();
        let held: Vec<_> = (0..3).map(|_| clients.enter(7, 3).unwrap()).collect();
        assert!(clients.enter(7, 3).is_none());
        assert!(clients.enter(8, 3).is_some());
        drop(held);
        assert!(clients.is_empty());
        assert!(clients.enter(7, 3).is_some());
    }
}
