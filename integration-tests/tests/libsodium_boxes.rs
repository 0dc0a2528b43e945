//! Our boxes and those of Debian's libsodium are the same, in both directions.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use integration_tests::{foreign, hex};
use toktok_wire::{KeyPair, Nonce, Rng, SharedKey};

/// Random cases of each kind.
const CASES: u64 = 300;
/// Longest plaintext of a case: more than any Tox packet has.
const MAX_PLAIN: u64 = 2_000;

/// libsodium behind a pipe.
struct Sodium {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Sodium {
    fn start() -> Self {
        let folder =
            tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("a folder");
        let program = foreign::compile("libsodium_boxes", &["sodium"], folder.path());
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program that was compiled just now");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, stdin, stdout }
    }

    /// One request and its answer; `None` if libsodium says "forged".
    fn ask(&mut self, verb: &str, fields: &[&[u8]]) -> Option<Vec<u8>> {
        let mut line = verb.to_owned();
        for field in fields {
            line.push(' ');
            line.push_str(&hex_or_dash(field));
        }
        writeln!(self.stdin, "{line}").expect("the program reads");
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).expect("the program answers");
        match answer.trim_end() {
            "" => panic!("the program ended: see its message above"),
            "forged" => None,
            "-" => Some(Vec::new()),
            digits => Some(hex::decode(digits).expect("hexadecimal")),
        }
    }
}

impl Drop for Sodium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// "-" stands for no bytes.
fn hex_or_dash(bytes: &[u8]) -> String {
    if bytes.is_empty() { "-".to_owned() } else { hex::encode(bytes) }
}

fn random_plain(rng: &mut Rng) -> Vec<u8> {
    let mut plain = vec![0; rng.below(MAX_PLAIN + 1) as usize];
    rng.fill(&mut plain);
    plain
}

/// Changes one bit somewhere.
fn damage(rng: &mut Rng, boxed: &[u8]) -> Vec<u8> {
    let mut damaged = boxed.to_vec();
    let at = rng.index(damaged.len());
    damaged[at] ^= 1 << rng.below(8);
    damaged
}

#[test]
fn boxes_between_two_keys() {
    let mut sodium = Sodium::start();
    let mut rng = Rng::from_seed([0xb0; 32]);
    for _ in 0..CASES {
        let (a, b) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
        let (nonce, plain) = (Nonce::generate(&mut rng), random_plain(&mut rng));
        assert_eq!(sodium.ask("public", &[a.secret.expose()]), Some(a.public.0.to_vec()));

        let theirs = [a.secret.expose().as_slice(), b.public.as_bytes(), &nonce.0, &plain];
        let boxed = sodium.ask("box", &theirs).expect("sealing never fails");
        assert_eq!(a.secret.shared_key(&b.public).seal(&nonce, &plain), boxed);
        assert_eq!(b.secret.shared_key(&a.public).open(&nonce, &boxed), Ok(plain.clone()));

        let mut unbox = |boxed: &[u8]| {
            sodium.ask("unbox", &[b.secret.expose(), a.public.as_bytes(), &nonce.0, boxed])
        };
        let ours = a.secret.shared_key(&b.public).seal(&nonce, &plain);
        assert_eq!(unbox(&ours), Some(plain));
        assert_eq!(unbox(&damage(&mut rng, &ours)), None);
    }
}

#[test]
fn boxes_under_a_symmetric_key() {
    let mut sodium = Sodium::start();
    let mut rng = Rng::from_seed([0x5e; 32]);
    for _ in 0..CASES {
        let bytes: [u8; 32] = rng.bytes();
        let key = SharedKey::from_bytes(bytes);
        let (nonce, plain) = (Nonce::generate(&mut rng), random_plain(&mut rng));

        let boxed = sodium.ask("seal", &[&bytes, &nonce.0, &plain]).expect("sealing never fails");
        assert_eq!(key.seal(&nonce, &plain), boxed);
        let damaged = damage(&mut rng, &boxed);
        assert!(key.open(&nonce, &damaged).is_err());
        assert_eq!(sodium.ask("open", &[&bytes, &nonce.0, &damaged]), None);
        assert_eq!(key.open(&nonce, &boxed), Ok(plain.clone()));
        assert_eq!(sodium.ask("open", &[&bytes, &nonce.0, &key.seal(&nonce, &plain)]), Some(plain));
    }
}

/// Keys that contribute nothing: NaCl, and we with it, seal anyway; libsodium refuses.
#[test]
fn keys_of_small_order_are_where_libsodium_differs() {
    let mut sodium = Sodium::start();
    let nonce = [0; 24];
    assert_eq!(sodium.ask("box", &[&[7; 32], &[0; 32], &nonce, b"plain"]), None);
}
