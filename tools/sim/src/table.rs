//! A report for people.

use toktok_sim::scenario::{Summary, friends, idle, mesh, nat, privacy, tdfs};

use crate::measure::Cost;

/// Something that can be shown as a table of names and values.
pub(crate) trait Rows {
    fn rows(&self) -> Vec<(&'static str, String)>;
}

fn share(part: usize, whole: usize) -> String {
    let percent = if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    format!("{part} of {whole} ({percent:.1}%)")
}

fn summary(summary: &Summary, unit: &str) -> String {
    let Summary { mean, median, p95, p99, max, .. } = summary;
    format!("mean {mean:.2}, median {median}, p95 {p95}, p99 {p99}, max {max}{unit}")
}

fn slow_pair(slow: &friends::Slow) -> String {
    let millis = |at: Option<u64>| at.map_or("never".to_owned(), |at| format!("{at} ms"));
    let end = |end: &friends::End| {
        let [joined, announced, connected] = [end.joined, end.announced, end.connected].map(millis);
        let (node, nat) = (end.node, &end.nat);
        format!("#{node} ({nat}) joined {joined}, announced {announced}, connected {connected}")
    };
    let [one, other] = &slow.ends;
    format!("{}: {}; {}; {}", slow.pair, millis(slow.millis), end(one), end(other))
}

impl Rows for mesh::Outcome {
    fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("nodes", self.nodes.to_string()),
            ("seed", self.seed.to_string()),
            ("virtual time", format!("{} s", self.virtual_seconds)),
            ("converged", share(self.converged_nodes, self.nodes)),
            ("lookups right", share(self.lookups_right, self.lookups)),
            ("lookup hops", summary(&self.lookup_hops, "")),
            ("lookup time", summary(&self.lookup_millis, " ms")),
            ("packets a node second", format!("{:.2}", self.packets_a_node_second)),
            ("bytes a node second", format!("{:.0}", self.bytes_a_node_second)),
            ("refused a million", format!("{:.0}", self.refused_a_million)),
            ("stale deadlines", self.stale_deadlines.to_string()),
            ("trace hash", self.trace_hash.clone()),
        ]
    }
}

impl Rows for idle::Outcome {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let bytes = |bytes: f64| format!("{bytes:.1} bytes a second");
        let purposes = self.bytes_by_purpose.iter().map(|(name, sent)| format!("{name} {sent:.1}"));
        vec![
            ("nodes", self.nodes.to_string()),
            ("seed", self.seed.to_string()),
            ("virtual time", format!("{} s", self.virtual_seconds)),
            ("of its own accord", bytes(self.own_bytes_a_second)),
            ("the same at most", bytes(self.most_own_bytes_a_second)),
            ("for others", bytes(self.served_bytes_a_second)),
            ("served", format!("{:.2}%", 100.0 * self.served)),
            ("by purpose", purposes.collect::<Vec<_>>().join(", ")),
            ("announced", share(self.announced, self.nodes)),
            ("known", format!("{:.1}", self.known)),
        ]
    }
}

impl Rows for tdfs::Outcome {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let times = |times: f64| format!("{times:.1} bytes");
        vec![
            ("nodes", format!("{}, of which {} died", self.nodes, self.died)),
            ("seed", self.seed.to_string()),
            ("virtual time", format!("{} s", self.virtual_seconds)),
            ("files stored", share(self.puts_done, self.puts)),
            ("bytes stored", self.bytes_stored.to_string()),
            ("time to store", summary(&self.put_millis, " ms")),
            ("files fetched right", share(self.gets_right, self.gets)),
            ("time to fetch", summary(&self.get_millis, " ms")),
            ("path of a block, hops", summary(&self.path_hops, "")),
            ("sessions a node", summary(&self.sessions, "")),
            ("neighbours a node", summary(&self.neighbours, "")),
            ("moved a byte stored", times(self.bytes_moved_a_byte_stored)),
            ("moved a byte fetched", times(self.bytes_moved_a_byte_delivered)),
            ("on disk a byte stored", times(self.disk_bytes_a_byte_stored)),
            ("stale deadlines", self.stale_deadlines.to_string()),
            ("trace hash", self.trace_hash.clone()),
        ]
    }
}

impl Rows for friends::Outcome {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("nodes", format!("{}, which went or came {} times", self.nodes, self.changes)),
            ("seed", self.seed.to_string()),
            ("virtual time", format!("{} s", self.virtual_seconds)),
            ("pairs connected", share(self.pairs_connected, self.pairs)),
            ("time to connect", summary(&self.connect_millis, " ms")),
            ("  to join", summary(&self.joined_millis, " ms")),
            ("  to be announced", summary(&self.announced_millis, " ms")),
            ("trace hash", self.trace_hash.clone()),
        ];
        rows.extend(self.slowest.iter().map(|slow| ("slow pair", slow_pair(slow))));
        rows
    }
}

impl Rows for nat::Outcome {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let required = self.cells.iter().filter(|cell| cell.required).count();
        let crossed = self.cells.iter().filter(|cell| cell.direct.is_some()).count();
        let mut rows = vec![
            ("nodes", self.nodes.to_string()),
            ("seed", self.seed.to_string()),
            ("virtual time", format!("{} s", self.virtual_seconds)),
            ("connected", share(self.cells.len() - self.unconnected, self.cells.len())),
            ("direct", share(crossed, self.cells.len())),
            ("  that had to be", share(required - self.uncrossed, required)),
            ("trace hash", self.trace_hash.clone()),
        ];
        rows.extend(self.table().into_iter().map(|line| ("", line)));
        rows
    }
}

impl Rows for privacy::Outcome {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("nodes", self.nodes.to_string()),
            ("people", self.people.to_string()),
            ("seed", self.seed.to_string()),
            ("virtual time", format!("{} s", self.virtual_seconds)),
            ("pairs connected", share(self.pairs_connected, self.pairs)),
            ("sights", self.sights.to_string()),
            ("nodes that saw an identity", self.saw_identity.to_string()),
            ("nodes that saw a place", self.saw_place.to_string()),
            ("links", self.links.len().to_string()),
        ];
        rows.extend(self.links.iter().map(|link| ("link", link.clone())));
        rows
    }
}

impl Rows for Cost {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let times = |times: f64| format!("{times:.1}");
        let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let kibibytes = |bytes: u64| format!("{:.1} KiB", bytes as f64 / 1024.0);
        let known = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
        let mut rows = vec![
            ("wall time", format!("{:.1} s", self.wall_seconds)),
            ("core time", known(self.cpu_seconds.map(|cpu| format!("{cpu:.1} s")))),
            ("times real time", times(self.times_real_time)),
            ("  by core time", known(self.times_real_time_cpu.map(times))),
            ("peak memory", known(self.peak_memory_bytes.map(mebibytes))),
            ("memory a node", known(self.memory_a_node_bytes.map(kibibytes))),
        ];
        rows.extend(self.state_a_node_bytes.map(|it| ("  of it state", summary(&it, " bytes"))));
        rows
    }
}
