#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod check;

pub mod address;
pub mod announcement;
pub mod channel;
pub mod conference;
pub mod conference_member;
pub mod dht;
pub mod file;
pub mod friend;
pub mod lan;
pub mod messenger;
pub mod onion;
pub mod relay;
pub mod save;
pub mod session;
pub mod stack;
pub mod tdc;
pub mod tdfs;
pub mod tox_id;

/// What fuzzing calls: it must neither panic nor hang, whatever the bytes are.
pub type Body = fn(&[u8]);

/// All fuzz bodies by name; each has its seeds in `corpus/<name>/`. A new one is one line here.
pub const TARGETS: &[(&str, Body)] = &[
    ("address", address::address),
    ("announcement", announcement::announcement),
    ("announcement_peer", announcement::announcement_peer),
    ("capability", file::capability),
    ("channel", channel::channel),
    ("conference", conference::conference),
    ("conference_member", conference_member::conference_member),
    ("dht", dht::dht),
    ("friend", friend::friend),
    ("lan", lan::lan),
    ("manifest", file::manifest),
    ("messenger", friend::messenger),
    ("messenger_friend", messenger::messenger_friend),
    ("onion", onion::onion),
    ("onion_client", toktok_mesh::fuzz_onion_client),
    ("relay", relay::relay),
    ("root", file::root),
    ("save", save::save),
    ("session", session::session),
    ("stack", stack::stack),
    ("tdc_core", tdc::tdc_core),
    ("tdc_message", tdc::tdc_message),
    ("tdfs_message", tdfs::tdfs_message),
    ("tox_id", tox_id::tox_id),
    ("unfinished", messenger::unfinished),
];

/// The body called `name`.
pub fn target(name: &str) -> Option<Body> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, body)| *body)
}
