//! The transports that we ship keep the contract that we ask of others.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so and stops")]

mod memory {
    use toktok_mesh::runtime::MemoryNetwork;

    toktok_mesh::transport_conformance! {
        let network = MemoryNetwork::new();
        (Box::new(network.bind(1)), Box::new(network.bind(2)))
    }
}

mod udp {
    use toktok_mesh::runtime::UdpTransport;

    fn bind() -> Box<UdpTransport> {
        Box::new(UdpTransport::bind(([127, 0, 0, 1], 0).into()).expect("loopback has free ports"))
    }

    toktok_mesh::transport_conformance! {
        (bind(), bind())
    }

    #[tokio::test]
    async fn a_port_in_use_is_said_so() {
        let first = bind();
        let error = UdpTransport::bind(first.local_socket_addr()).expect_err("the port is taken");
        assert!(error.to_string().contains("is in use"), "{error}");
    }
}
