//! A local network of two hosts: two network namespaces joined by a virtual cable, with IPv4 addresses
//! of one network and IPv6's link-local ones, and no way out.
#![expect(clippy::expect_used, reason = "a test without its network has failed")]

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Makes both hosts. Each lives until standard input ends: that is, until this process does at the latest.
const MAKE: &str = r#"
set -e
exec 3<&0
ip link set lo up
unshare --net cat <&3 >/dev/null &
second=$!
until [ "$(readlink /proc/$second/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link add cable type veth peer name cable netns $second
inside() { nsenter --net --target $second "$@"; }
ip address add 10.77.0.1/24 broadcast + dev cable
inside ip address add 10.77.0.2/24 broadcast + dev cable
ip link set cable up
inside ip link set lo up
inside ip link set cable up
echo $second
exec cat
"#;

/// The network. Its hosts are gone with the last process in them.
#[derive(Debug)]
pub struct Lan {
    holder: Child,
    second: u32,
}

impl Lan {
    /// A fresh network of two hosts that nothing runs on.
    ///
    /// # Panics
    /// If the kernel or a missing program does not let us.
    pub fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--net", "sh", "-c", MAKE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux: `cargo xtask setup` installs it");
        let mut said = String::new();
        let output = holder.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut said).expect("text");
        let second = said.trim().parse();
        let second = second.expect("a local network (is `cargo xtask setup` done?)");
        Self { holder, second }
    }

    /// The address of a host: 0 or 1.
    pub const fn ip(host: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, 1 + host as u8)
    }

    /// A command that runs `program` on a host, as the same user on the same files.
    ///
    /// # Panics
    /// If there is no such host.
    pub fn command(&self, host: usize, program: &Path) -> Command {
        let target = [self.holder.id(), self.second][host];
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "--user", "--net", "--target"]);
        command.arg(target.to_string()).arg("--").arg(program);
        command
    }
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
