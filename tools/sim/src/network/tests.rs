use super::*;

/// A network of plain addresses: sends one datagram through at once.
struct Lab {
    network: Network,
    now: Time,
}

impl Lab {
    fn new() -> Self {
        Self { network: Network::new(Rng::from_seed([6; 32])), now: Time::ZERO }
    }

    fn host(&mut self, realm: Realm) -> usize {
        self.network.attach(Attachment { realm, ..Attachment::default() })
    }

    /// The node that got it and the address it saw.
    fn send(&mut self, from: usize, to: Address) -> Result<(usize, Address), Lost> {
        let (flight, _) = self.network.depart(self.now, from, to, 100)?;
        let arrival = self.network.arrive(self.now, &flight, 100)?;
        Ok((arrival.node, Address::udp(arrival.from)))
    }

    /// The external address of `node` as `server` sees it.
    fn outside(&mut self, node: usize, server: usize) -> Address {
        let server_address = self.network.address(server);
        self.send(node, server_address).map(|(_, from)| from).unwrap()
    }
}

#[test]
fn public_hosts_reach_each_other_in_both_families() {
    let mut lab = Lab::new();
    let a = lab.network.attach(Attachment { ipv6: true, ..Attachment::default() });
    let b = lab.network.attach(Attachment { ipv6: true, ..Attachment::default() });
    let only_v4 = lab.host(Realm::INTERNET);
    let (a4, b4) = (lab.network.address(a), lab.network.address(b));
    assert_eq!(lab.send(a, b4), Ok((b, a4)));
    let (a6, b6) = (lab.network.address_v6(a).unwrap(), lab.network.address_v6(b).unwrap());
    assert_eq!(lab.send(a, b6), Ok((b, a6)));
    assert_eq!(lab.send(only_v4, b6), Err(Lost::Unroutable));
    let closed = Address::udp(SocketAddr::new(b4.as_udp().unwrap().ip(), 1));
    assert_eq!(lab.send(a, closed), Err(Lost::Unroutable));
}

#[test]
fn a_nat_lets_answers_in_and_strangers_not() {
    let mut lab = Lab::new();
    let realm = lab.network.add_nat(Realm::INTERNET, NatModel::default());
    let inside = lab.host(realm);
    let (server, stranger) = (lab.host(Realm::INTERNET), lab.host(Realm::INTERNET));
    let outside = lab.outside(inside, server);
    assert_ne!(outside, lab.network.address(inside));
    assert_eq!(lab.send(server, outside).map(|(node, _)| node), Ok(inside));
    assert_eq!(lab.send(stranger, outside), Err(Lost::Filtered));
    lab.now = Time::from_secs(1_000);
    assert_eq!(lab.send(server, outside), Err(Lost::Filtered));
}

/// Two hosts behind NATs of their own, each told the other's address by a server, send twice.
fn punch(left: NatModel, right: NatModel) -> bool {
    let mut lab = Lab::new();
    let server = lab.host(Realm::INTERNET);
    let [left, right] = [left, right].map(|model| {
        let realm = lab.network.add_nat(Realm::INTERNET, model);
        lab.host(realm)
    });
    let (left_outside, right_outside) = (lab.outside(left, server), lab.outside(right, server));
    let _blocked = lab.send(left, right_outside);
    let answer = lab.send(right, left_outside);
    answer.is_ok() && lab.send(left, right_outside).is_ok()
}

#[test]
fn hole_punching_works_exactly_where_it_can() {
    use Dependence::{AddressAndPortDependent as Port, EndpointIndependent as Any};
    let model = |mapping, filtering| NatModel { mapping, filtering, ..NatModel::default() };
    assert!(punch(model(Any, Any), model(Any, Any)));
    assert!(punch(model(Any, Port), model(Any, Port)));
    assert!(!punch(model(Port, Port), model(Any, Port)));
    assert!(!punch(model(Port, Port), model(Port, Port)));
}

#[test]
fn neighbours_behind_one_nat_meet_inside_and_by_hairpin() {
    for hairpin in [true, false] {
        let mut lab = Lab::new();
        let model =
            NatModel { hairpin, filtering: Dependence::EndpointIndependent, ..NatModel::default() };
        let realm = lab.network.add_nat(Realm::INTERNET, model);
        let (a, b, server) = (lab.host(realm), lab.host(realm), lab.host(Realm::INTERNET));
        let (a_inside, b_inside) = (lab.network.address(a), lab.network.address(b));
        assert_eq!(lab.send(a, b_inside), Ok((b, a_inside)));
        let b_outside = lab.outside(b, server);
        let turned = lab.send(a, b_outside);
        if hairpin {
            assert_eq!(turned, Ok((b, lab.outside(a, server))));
        } else {
            assert_eq!(turned, Err(Lost::NoHairpin));
        }
    }
}

#[test]
fn a_home_behind_a_carrier_is_translated_twice() {
    let mut lab = Lab::new();
    let carrier = lab.network.add_nat(Realm::INTERNET, NatModel::default());
    let [home, next_door] = [(); 2].map(|()| lab.network.add_nat(carrier, NatModel::default()));
    let (a, b, server) = (lab.host(home), lab.host(next_door), lab.host(Realm::INTERNET));
    let (a_outside, b_outside) = (lab.outside(a, server), lab.outside(b, server));
    assert_eq!(a_outside.as_udp().unwrap().ip(), b_outside.as_udp().unwrap().ip());
    assert_ne!(a_outside, b_outside);
    assert_eq!(lab.send(server, a_outside).map(|(node, _)| node), Ok(a));
    // The two reach each other by the carrier's hairpin, once both have punched.
    let _blocked = lab.send(a, b_outside);
    assert_eq!(lab.send(b, a_outside).map(|(node, _)| node), Ok(a));
    if let Some(nat) = lab.network.nat(carrier) {
        nat.reboot();
    }
    assert_eq!(lab.send(server, a_outside), Err(Lost::Filtered));
}

#[test]
fn a_partition_cuts_and_heals() {
    let mut lab = Lab::new();
    let (a, b) = (lab.host(Realm::INTERNET), lab.host(Realm::INTERNET));
    let (to_a, to_b) = (lab.network.address(a), lab.network.address(b));
    lab.network.set_partition(Partition::isolate([a]));
    assert_eq!(lab.send(a, to_b), Err(Lost::Partitioned));
    assert_eq!(lab.send(b, to_a), Err(Lost::Partitioned));
    lab.network.set_partition(Partition::whole());
    assert!(lab.send(a, to_b).is_ok() && lab.send(b, to_a).is_ok());
}

#[test]
fn losses_are_counted_by_reason() {
    let mut counts = LostCounts::default();
    for (i, reason) in Lost::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, i);
        counts.count(reason);
        assert_eq!(counts[reason], 1);
    }
    assert_eq!(counts.total(), 8);
}
