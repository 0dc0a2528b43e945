//! Nodes that start, or start again, without a bootstrap node.

use super::config::DhtConfig;
use super::network::Network;
use crate::wire::Address;

#[test]
fn nodes_of_one_local_network_find_each_other_without_being_told() {
    let mut network = Network::new(18);
    let config = DhtConfig { lan_discovery: true, ..DhtConfig::default() };
    let local = |number: u8| Address::udp(([192, 168, 1, number], 33_445).into());
    for number in 0..4 {
        network.add_at(local(number), &config);
    }
    network.run_secs(20);
    assert_eq!(network.converged(), 4);
}

#[test]
fn a_node_that_is_shunned_is_answered_but_never_asked_nor_told_of() {
    let mut network = Network::joined(21, 12, 100);
    network.run_secs(10);
    let shunned = network.members[&Network::address(3)].dht.keys.public();
    let config = DhtConfig { shunned: vec![shunned], ..DhtConfig::default() };
    network.add(99, &config);
    let at = Network::address(99);
    let (entry, other) = (Network::address(3), Network::address(4));
    let key = network.members[&other].dht.keys.public();
    network.with(at, |dht, cx| dht.bootstrap(cx, entry, shunned));
    network.run_secs(5);
    assert_eq!(network.members[&at].dht.close_nodes().count(), 0, "it was not asked");
    network.with(at, |dht, cx| dht.bootstrap(cx, other, key));
    network.run_secs(60);
    let known: Vec<_> = network.members[&at].dht.nodes_to_save();
    assert!(known.len() >= 8 && known.iter().all(|(key, _)| *key != shunned), "{known:?}");
    let ours = network.members[&at].dht.keys.public();
    let theirs: Vec<_> = network.members[&entry].dht.close_nodes().collect();
    assert!(theirs.contains(&(ours, at)), "it was answered");
}

#[test]
fn a_node_starts_again_from_what_it_saved_although_most_have_gone() {
    let mut network = Network::joined(19, 60, 1_000);
    network.run_secs(15);
    let saved = network.members[&Network::address(7)].dht.nodes_to_save();
    assert!(saved.len() >= 20);
    let alive = saved[saved.len() - 1].1;
    network.members.retain(|address, _| *address == alive);
    network.add(99, &DhtConfig::default());
    let at = Network::address(99);
    network.with(at, |dht, cx| dht.load_nodes(cx, &saved));
    assert!(network.members[&at].dht.nodes_to_save() == saved, "nothing is lost before");
    network.run_secs(10);
    assert!(network.members[&at].dht.close_nodes().any(|(_, address)| address == alive));
    assert_eq!(network.members[&at].dht.saved.deadline(), None);
}

#[test]
fn a_node_that_was_cut_off_for_long_comes_back_without_bootstrap_nodes() {
    let mut network = Network::joined(20, 20, 100);
    network.run_secs(15);
    // All but the first know one only: the first, which is gone for good.
    network.members.remove(&Network::address(0));
    network.run_secs(300);
    network.split = Some(2);
    network.run_secs(1_000);
    let at = Network::address(1);
    assert_eq!(network.members[&at].dht.close_nodes().count(), 0);
    network.split = None;
    network.run_secs(200);
    assert_eq!(network.converged(), 19);
}
