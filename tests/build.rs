//! Builds the tests' guests; the tests read them from `OUT_DIR`.

fn main() {
    ripcord_plugin_build::components_or_exit(&[
        "tests/guests/breakout",
        "tests/guests/hostile",
        "tests/guests/hostile-describe",
        "tests/guests/steps",
    ]);
}
