//! A small internet of network namespaces: a public one, and homes behind NATs, which are Linux's own.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use crate::namespace::Namespace;

/// How a home's NAT is (RFC 4787). Each keeps unasked packets from its home, except the first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Nat {
    /// Maps and filters endpoint-independently: all ports lead into the home.
    Open,
    /// Maps endpoint-independently, as long as nobody else has the port; filters by address and port.
    PortRestricted,
    /// Another random port for each peer; filters by address and port.
    Symmetric,
}

impl Nat {
    /// The rules for nftables. What comes unasked is dropped before the kernel remembers it, or it
    /// would take the port from the answer that crosses it.
    fn rules(self) -> String {
        let (masquerade, inward) = match self {
            Self::Open => ("masquerade", "dnat to 192.168.1.2"),
            Self::PortRestricted => ("masquerade", "accept"),
            Self::Symmetric => ("masquerade fully-random", "accept"),
        };
        format!(
            "table ip nat {{
                chain outward {{
                    type nat hook postrouting priority 100;
                    oifname \"wan\" meta l4proto {{ udp, tcp }} {masquerade}
                }}
                chain inward {{
                    type nat hook prerouting priority -100;
                    iifname \"wan\" meta l4proto udp {inward}
                }}
                chain unasked {{ type filter hook input priority 0; iifname \"wan\" drop; }}
            }}"
        )
    }
}

/// The public part.
#[derive(Debug)]
pub struct Internet {
    public: Namespace,
    homes: u8,
}

/// A home: one machine behind a NAT.
#[derive(Debug)]
pub struct Home {
    machine: Namespace,
    /// It holds the NAT.
    _router: Namespace,
}

impl Internet {
    /// Where everything public is.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(50, 0, 0, 1);

    /// Without homes yet; `None` if the kernel does not let us make networks.
    ///
    /// # Panics
    /// If a program is missing: `cargo xtask setup` installs it.
    pub fn new() -> Option<Self> {
        let public = Namespace::try_new()?;
        public.run(
            "ip address add 50.0.0.1/32 dev lo
            echo 1 > /proc/sys/net/ipv4/ip_forward",
        );
        Some(Self { public, homes: 0 })
    }

    /// A command that runs in public.
    pub fn command(&self, program: &Path) -> Command {
        self.public.command(program)
    }

    /// Another home.
    ///
    /// # Panics
    /// If the kernel does not let us.
    pub fn home(&mut self, nat: Nat) -> Home {
        self.homes += 1;
        let (public, router) = (Self::ADDRESS, Ipv4Addr::new(50, 0, self.homes, 2));
        let (between, machine) = (self.public.beside(), self.public.beside());
        let (to_router, to_machine) = (between.holder(), machine.holder());
        let link = format!("home{}", self.homes);
        self.public.run(&format!(
            "ip link add {link} type veth peer name wan netns {to_router}
            ip address add {public}/32 dev {link}
            ip link set {link} up
            ip route add {router}/32 dev {link} src {public}"
        ));
        let mut lines = format!(
            "ip address add {router}/32 dev wan
            ip link set wan up
            ip route add {public} dev wan
            ip route add default via {public}
            ip link add lan type veth peer name eth netns {to_machine}
            ip address add 192.168.1.1/24 dev lan
            ip link set lan up
            echo 1 > /proc/sys/net/ipv4/ip_forward\n"
        );
        let _ = writeln!(lines, "PATH=$PATH:/usr/sbin nft -f - <<'END'\n{}\nEND", nat.rules());
        between.run(&lines);
        machine.run(
            "ip address add 192.168.1.2/24 dev eth
            ip link set eth up
            ip route add default via 192.168.1.1",
        );
        Home { machine, _router: between }
    }
}

impl Home {
    /// A command that runs there.
    pub fn command(&self, program: &Path) -> Command {
        self.machine.command(program)
    }
}
