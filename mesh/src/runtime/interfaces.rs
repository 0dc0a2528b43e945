//! The addresses at which this machine's interfaces reach everyone in their network, for LAN discovery.

use std::net::IpAddr;
use std::time::Duration;

use if_addrs::IfAddr;

use super::driver::Handle;
use crate::stack::Stack;

/// Interfaces come and go: they are looked at this often.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Broadcast addresses of the interfaces that are up, loopback's left out.
pub fn broadcast_addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::debug!(%error, "the machine does not tell its interfaces");
        Vec::new()
    });
    let broadcast =
        interfaces.iter().filter(|it| !it.is_loopback()).filter_map(|it| match &it.addr {
            IfAddr::V4(v4) => v4.broadcast.map(IpAddr::V4),
            IfAddr::V6(_) => None,
        });
    broadcast.collect()
}

/// Tells the mesh in the driver's machine, again and again until the driver stops, at which addresses
/// LAN discovery shall shout. Called within a tokio runtime, and only for a node that takes part.
pub fn follow_interfaces<M: 'static>(handle: &Handle<M>, mesh: fn(&mut M) -> &mut Stack) {
    let handle = handle.downgrade();
    tokio::spawn(async move {
        while let Some(handle) = handle.upgrade() {
            let addresses = broadcast_addresses();
            handle.post(move |machine, _| mesh(machine).set_broadcast_addresses(&addresses));
            // It must not keep the driver alive.
            drop(handle);
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_left_out() {
        let addresses = broadcast_addresses();
        assert!(addresses.iter().all(|ip| ip.is_ipv4() && !ip.is_loopback()), "{addresses:?}");
    }
}
