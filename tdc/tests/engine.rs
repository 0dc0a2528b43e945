//! Both executors against the conformance suite, and what only a child process can promise. Without
//! libtest, for this program is its own child process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and may print"
)]

use core::time::Duration;
use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use toktok_tdc::engine::conformance::{self, WORDCOUNT, probe};
use toktok_tdc::engine::{
    ChildExecutor, ExecuteError, Execution, Executor, WasmtimeExecutor, child_main,
};

const CHILD: &str = "__execute";

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(CHILD) {
        return child_main();
    }
    let tests: [(&str, fn()); 6] = [
        ("wasmtime_in_this_process_conforms", wasmtime_in_this_process_conforms),
        ("wasmtime_in_a_child_conforms", wasmtime_in_a_child_conforms),
        ("children_are_used_again_and_then_replaced", children_are_used_again_and_then_replaced),
        ("a_child_that_dies_is_a_clear_error", a_child_that_dies_is_a_clear_error),
        ("a_command_that_is_not_there_is_a_clear_error", a_command_that_is_not_there),
        ("both_executors_agree_on_a_large_text", both_executors_agree_on_a_large_text),
    ];
    for (name, test) in tests {
        let began = Instant::now();
        test();
        println!("test {name} ... ok ({} ms)", began.elapsed().as_millis());
    }
    ExitCode::SUCCESS
}

fn children() -> ChildExecutor {
    ChildExecutor::current_exe(CHILD).unwrap()
}

fn wasmtime_in_this_process_conforms() {
    assert_eq!(conformance::run(&WasmtimeExecutor), []);
}

fn wasmtime_in_a_child_conforms() {
    assert_eq!(conformance::run(&children()), []);
}

fn children_are_used_again_and_then_replaced() {
    let executor = children();
    let unit = probe(&["echo"], b"hello");
    let began = Instant::now();
    assert_eq!(executor.execute(&unit), Ok("hello".into()));
    let first = began.elapsed();
    let began = Instant::now();
    for _ in 0..600 {
        assert_eq!(executor.execute(&unit), Ok("hello".into()));
    }
    let others = began.elapsed();
    println!(
        "  a first unit {} µs, a later one {} µs",
        first.as_micros(),
        others.as_micros() / 600
    );
}

fn a_child_that_dies_is_a_clear_error() {
    let executor = ChildExecutor::new("/bin/false", CHILD);
    let error = executor.execute(&probe(&["echo"], b"")).unwrap_err();
    assert!(matches!(error, ExecuteError::Crashed(_)), "{error}");
}

fn a_command_that_is_not_there() {
    let executor = ChildExecutor::new("/no/such/program", CHILD);
    let error = executor.execute(&probe(&["echo"], b"")).unwrap_err();
    assert!(matches!(error, ExecuteError::Host(_)), "{error}");
    assert!(error.to_string().contains("/no/such/program"), "{error}");
}

fn both_executors_agree_on_a_large_text() {
    let text: String =
        (0..300_000_u32).map(|i| format!("w{} ", i.wrapping_mul(i) % 5_003)).collect();
    let mut unit =
        Execution { program: Bytes::from_static(WORDCOUNT), ..probe(&[], text.as_bytes()) };
    unit.limits.wall = Duration::from_secs(20);
    let began = Instant::now();
    let here = WasmtimeExecutor.execute(&unit).unwrap();
    let alone = began.elapsed();
    let executor = children();
    assert_eq!(executor.execute(&unit).unwrap(), here);
    let began = Instant::now();
    assert_eq!(executor.execute(&unit).unwrap(), here);
    println!(
        "  {} bytes: {} ms in this process with compiling, {} ms in a child that was used before",
        text.len(),
        alone.as_millis(),
        began.elapsed().as_millis()
    );
}
