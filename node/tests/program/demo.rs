//! The main job works: the demo ends well, and says so in JSON.

#[test]
fn the_demo_ends_well_and_says_so() {
    let output = crate::support::toktok(&["demo", "--json", "--seed", "7"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{said}");
    let steps: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object a line"))
        .collect();
    assert_eq!(steps.last().expect("steps")["ok"], true);
    let compute = steps.iter().find(|step| step["step"] == "compute").expect("a compute step");
    assert!(compute["words"].as_u64().expect("a count") > 100_000);
    assert_eq!(compute["liars"].as_array().expect("a list").len(), 1);
    assert!(compute["executions"].as_u64() >= compute["units"].as_u64().map(|units| 2 * units));
}
