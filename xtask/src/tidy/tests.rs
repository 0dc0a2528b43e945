//! A small house in order, and one violation of each rule planted in it.

use std::collections::BTreeMap;

use super::{Finding, Rule, check, check_files, workspace::Workspace};

/// The files of a workspace that is written to a temporary folder.
struct House(BTreeMap<String, String>);

const LAYERS: [(&str, &[&str]); 5] = [
    ("wire", &[]),
    ("mesh", &["wire"]),
    ("tdfs", &["mesh", "wire"]),
    ("tdc", &["tdfs", "mesh", "wire"]),
    ("node", &["tdc", "tdfs", "mesh", "wire"]),
];

impl House {
    /// All layers as they should be; each has a runtime with what a protocol must not have.
    fn in_order() -> Self {
        let mut house = Self(BTreeMap::new());
        house.put(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"wire\", \"mesh\", \"tdfs\", \"tdc\", \"node\"]\nexclude = [\"foreign\"]\n",
        );
        house.put("foreign/tokio/Cargo.toml", "[package]\nname = \"tokio\"\nversion = \"1.0.0\"\n");
        house.put("foreign/tokio/src/lib.rs", "");
        for (layer, below) in LAYERS {
            house.put(&format!("{layer}/Cargo.toml"), &manifest(layer, below));
            house.put(
                &format!("{layer}/src/lib.rs"),
                "#![doc = include_str!(\"../README.md\")]\n#![forbid(unsafe_code)]\nmod protocol;\n#[cfg(feature = \"runtime\")]\nmod runtime;\n",
            );
            house.put(&format!("{layer}/src/protocol.rs"), PROTOCOL);
            house.put(&format!("{layer}/src/runtime/mod.rs"), RUNTIME);
            house.put(&format!("{layer}/README.md"), "# Layer\n\n```rust\nassert!(true);\n```\n");
            house.put(&format!("{layer}/CHANGELOG.md"), "# Changes\n\n## 0.1.0\n");
            house.put(&format!("{layer}/examples/hello.rs"), "fn main() {}\n");
        }
        house
    }

    fn put(&mut self, path: &str, text: &str) {
        self.0.insert(path.to_owned(), text.to_owned());
    }

    fn append(&mut self, path: &str, text: &str) {
        self.0.get_mut(path).expect("a file of the house").push_str(text);
    }

    fn replace(&mut self, path: &str, old: &str, new: &str) {
        let text = self.0.get_mut(path).expect("a file of the house");
        assert!(text.contains(old), "nothing to replace in {path}");
        *text = text.replace(old, new);
    }

    fn build(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in &self.0 {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        folder
    }

    /// What all rules find, cargo's trees included.
    fn findings(&self) -> Vec<Finding> {
        let folder = self.build();
        check(folder.path()).expect("cargo reads the house")
    }

    /// What the rules find that read files only.
    fn file_findings(&self) -> Vec<Finding> {
        let folder = self.build();
        let workspace = Workspace::load(folder.path()).expect("cargo reads the manifests");
        check_files(&workspace).expect("all files can be read")
    }
}

fn manifest(layer: &str, below: &[&str]) -> String {
    let mut text = format!(
        "[package]\nname = \"toktok-{layer}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[features]\ndefault = [\"runtime\"]\nruntime = [\"dep:tokio\"]\n\n[dependencies]\ntokio = {{ path = \"../foreign/tokio\", optional = true }}\n"
    );
    for name in below {
        text.push_str(&format!(
            "toktok-{name} = {{ path = \"../{name}\", default-features = false }}\n"
        ));
    }
    text
}

/// Legal protocol code that looks like trouble: words in comments and strings, keyed look-up, tests with a clock.
const PROTOCOL: &str = r##"
//! No tokio, no Instant, no thread_rng here.
use std::collections::{BTreeMap, HashMap};
pub struct Peers { by_key: HashMap<u64, u8>, ordered: BTreeMap<u64, u8>, process: u8, fs: u8 }
impl Peers {
    pub fn port(&self, key: u64) -> Option<u8> { self.by_key.get(&key).copied() }
    pub fn all(&self) -> Vec<u8> { self.ordered.values().copied().collect() }
    pub fn words(&self) -> &'static str { r#"std::fs "and" UdpSocket"# }
    pub fn sum(&self) -> u8 { self.process + self.fs }
}
#[cfg(test)]
mod tests {
    #[test]
    fn slow() { let _ = std::time::Instant::now(); }
}
"##;

const RUNTIME: &str =
    "use tokio as _;\npub async fn run() { let _ = std::time::Instant::now(); }\n";

/// Checks that exactly this rule is broken at this place, and no other.
fn only(findings: &[Finding], rule: Rule, place: &str) {
    let words: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(!findings.is_empty(), "{rule:?} was not found");
    for finding in findings {
        assert_eq!(finding.rule, rule, "{words:#?}");
        assert!(finding.place.starts_with(place), "{words:#?}");
    }
}

fn plant_in_protocol(line: &str, rule: Rule) {
    for layer in ["wire", "mesh", "tdfs", "tdc"] {
        let mut house = House::in_order();
        let at = house.0[&format!("{layer}/src/protocol.rs")].lines().count() + 1;
        house.append(&format!("{layer}/src/protocol.rs"), &format!("{line}\n"));
        let findings = house.file_findings();
        only(&findings, rule, &format!("{layer}/src/protocol.rs:{at}"));
    }
}

#[test]
fn a_house_in_order_has_no_findings() {
    let findings = House::in_order().findings();
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn an_edge_that_points_back_is_found() {
    for (layer, above) in
        [("wire", "mesh"), ("wire", "tdc"), ("mesh", "tdfs"), ("tdfs", "tdc"), ("tdc", "node")]
    {
        let mut house = House::in_order();
        house.append(
            &format!("{layer}/Cargo.toml"),
            &format!("toktok-{above} = {{ path = \"../{above}\", optional = true }}\n"),
        );
        let workspace = Workspace::load(house.build().path()).expect("cargo reads the manifests");
        only(&super::edges::check(&workspace), Rule::Edge, &format!("toktok-{layer}"));
    }
}

#[test]
fn a_dependency_for_tests_is_no_edge() {
    let mut house = House::in_order();
    house.append("wire/Cargo.toml", "[dev-dependencies]\ntoktok-mesh = { path = \"../mesh\" }\n");
    let workspace = Workspace::load(house.build().path()).expect("cargo reads the manifests");
    assert!(super::edges::check(&workspace).is_empty());
}

#[test]
fn a_missing_layer_is_found() {
    let mut house = House::in_order();
    house.replace("wire/Cargo.toml", "toktok-wire", "toktok-wires");
    for layer in ["mesh", "tdfs", "tdc", "node"] {
        house.replace(&format!("{layer}/Cargo.toml"), "toktok-wire =", "toktok-wires =");
    }
    let workspace = Workspace::load(house.build().path()).expect("cargo reads the manifests");
    let findings = super::edges::check(&workspace);
    assert!(findings.iter().any(|finding| finding.place == "toktok-wire"), "{findings:#?}");
}

#[test]
fn a_runtime_that_cannot_be_switched_off_is_found_in_every_tree_above() {
    let mut house = House::in_order();
    house.replace("mesh/Cargo.toml", ", optional = true", "");
    house.replace("mesh/Cargo.toml", "[\"dep:tokio\"]", "[]");
    let findings = house.findings();
    let places: Vec<&str> = findings.iter().map(|finding| finding.place.as_str()).collect();
    assert!(findings.iter().all(|finding| finding.rule == Rule::Tree), "{findings:#?}");
    assert_eq!(places, ["toktok-mesh", "toktok-tdfs", "toktok-tdc"]);
}

#[test]
fn a_layer_above_is_found_in_a_tree() {
    let layer = &super::workspace::LAYERS[0];
    let tree =
        "toktok-wire v0.1.0 (/somewhere)\nzeroize v1.0.0\ntoktok-mesh v0.1.0\nrocksdb v0.25.0\n";
    let findings = super::trees::check_tree(layer, tree);
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.rule == Rule::Tree));
}

#[test]
fn a_heavy_package_that_the_tests_would_compile_again_is_found() {
    let program =
        "0 toktok-node v0.1.0 \n1 wasmtime v48.0.0 std\n2 serde v1.0.0 std\n1 semver v1.0.0 std\n";
    let tests = program.replace("semver v1.0.0 std", "semver v1.0.0 std,serde");
    assert!(super::compiled_once::compare(program, &tests).is_empty());
    let tests = program.replace("serde v1.0.0 std", "serde v1.0.0 default,std");
    only(&super::compiled_once::compare(program, &tests), Rule::CompiledOnce, "wasmtime");
}

#[test]
fn a_runtime_in_a_protocol_is_found() {
    plant_in_protocol("use tokio::sync::mpsc;", Rule::Async);
    plant_in_protocol("pub async fn handle() {}", Rule::Async);
}

#[test]
fn a_socket_in_a_protocol_is_found() {
    plant_in_protocol("use std::net::UdpSocket;", Rule::Socket);
    plant_in_protocol("fn f(socket: &std::net::TcpStream) {}", Rule::Socket);
}

#[test]
fn a_clock_in_a_protocol_is_found() {
    plant_in_protocol("use std::time::Instant;", Rule::Clock);
    plant_in_protocol("fn f() { std::time::SystemTime::now(); }", Rule::Clock);
}

#[test]
fn randomness_that_was_not_handed_in_is_found() {
    plant_in_protocol("fn f() { rand::rng(); }", Rule::Randomness);
    plant_in_protocol("fn f() { thread_rng(); }", Rule::Randomness);
    plant_in_protocol("fn f(to: &mut [u8]) { getrandom::fill(to); }", Rule::Randomness);
    plant_in_protocol("use ring::rand::SystemRandom;", Rule::Randomness);
}

#[test]
fn a_thread_in_a_protocol_is_found() {
    plant_in_protocol("fn f() { std::thread::sleep(d); }", Rule::Thread);
}

#[test]
fn a_file_in_a_protocol_is_found() {
    plant_in_protocol("use std::fs;", Rule::Surroundings);
    plant_in_protocol("fn f() { std::env::var(\"HOME\"); }", Rule::Surroundings);
}

#[test]
fn a_visit_in_hash_order_is_found() {
    let planted = [
        "fn f(p: &Peers) { for x in &p.by_key {} }",
        "fn f(p: &Peers) { p.by_key.iter(); }",
        "fn f(p: &Peers) { p.by_key\n        .values(); }",
        "fn f(p: &mut Peers) { p.by_key.retain(|_, _| true); }",
        "fn f(seen: &std::collections::HashSet<u8>) { seen.iter(); }",
        "fn f() { let mut seen = std::collections::HashSet::new(); seen.drain(); }",
        "fn seen() -> HashMap<u8, u8> { HashMap::new() } fn f() { seen().into_keys(); }",
        "type Seen = HashMap<u8, u8>; fn f(seen: &Seen) { seen.keys(); }",
        "struct S<'a> { seen: Option<&'a HashMap<u8, u8>> } fn f(s: S) { s.seen.iter(); }",
    ];
    for line in planted {
        plant_in_protocol(line, Rule::HashIteration);
    }
}

#[test]
fn a_marker_of_unfinished_code_is_found_in_every_kind_of_file() {
    let markers = [concat!("// TO", "DO: later"), concat!("// FIX", "ME"), concat!("// XX", "X")];
    for marker in markers {
        let mut house = House::in_order();
        house.append("node/src/runtime/mod.rs", marker);
        only(&house.file_findings(), Rule::Unfinished, "node/src/runtime/mod.rs:3");
    }
    for call in [concat!("to", "do!()"), concat!("unimpl", "emented!(\"later\")")] {
        let mut house = House::in_order();
        house.append("tdc/src/runtime/mod.rs", &format!("fn f() {{ {call} }}"));
        only(&house.file_findings(), Rule::Unfinished, "tdc/src/runtime/mod.rs:3");
    }
    for path in ["docs/src/mesh.md", "wire/proto/tdfs.proto", "tools/guest.c", ".ci/run"] {
        let mut house = House::in_order();
        house.put(path, concat!("first\nTO", "DO second\n"));
        only(&house.file_findings(), Rule::Unfinished, &format!("{path}:2"));
    }
}

#[test]
fn a_crate_without_its_documents_is_found() {
    let remove: [(&str, &str, &str); 5] = [
        ("tdfs/src/lib.rs", "#![forbid(unsafe_code)]", ""),
        ("tdfs/src/lib.rs", "#![doc = include_str!(\"../README.md\")]", ""),
        ("tdfs/README.md", "```rust", "```rust,ignore"),
        ("tdfs/CHANGELOG.md", "0.1.0", "0.0.9"),
        ("tdfs/examples/hello.rs", "main", "other"),
    ];
    for (path, old, new) in remove {
        let mut house = House::in_order();
        house.replace(path, old, new);
        let findings = house.file_findings();
        only(&findings, Rule::CrateDocs, "toktok-tdfs");
        assert_eq!(findings.len(), 1, "{findings:#?}");
    }
    for path in ["node/README.md", "node/CHANGELOG.md", "node/examples/hello.rs"] {
        let mut house = House::in_order();
        house.0.remove(path);
        only(&house.file_findings(), Rule::CrateDocs, "toktok-node");
    }
}

#[test]
fn a_long_file_is_found() {
    let mut house = House::in_order();
    house.append("mesh/src/protocol.rs", &"// a line\n".repeat(1000));
    only(&house.file_findings(), Rule::FileLength, "mesh/src/protocol.rs");
}

#[test]
fn a_long_function_is_found() {
    let mut house = House::in_order();
    let body = "    call(\"}\");\n".repeat(100);
    house.append(
        "mesh/src/runtime/mod.rs",
        &format!("pub(crate) fn long<T>(x: [T; 3])\nwhere\n    T: Fn(),\n{{\n{body}}}\n"),
    );
    only(&house.file_findings(), Rule::FunctionLength, "mesh/src/runtime/mod.rs:3");
    let mut house = House::in_order();
    let body = "    call(\"}\");\n".repeat(90);
    house.append(
        "mesh/src/runtime/mod.rs",
        &format!(
            "trait T {{ fn a(&self); }}\nfn b() {{\n{body}}}\nfn c(p: fn(u8) -> u8) {{\n{body}}}\n"
        ),
    );
    assert!(house.file_findings().is_empty());
}
