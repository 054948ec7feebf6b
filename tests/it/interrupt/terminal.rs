//! The same at a real terminal: keys, prompts, and a window that is closed.

use super::*;

#[test]
fn ctrl_c_at_the_preview_s_question_touches_nothing() {
    let world = world(&step("a", "", &["POST /one"]));
    let mut terminal = world.ripcord(&["run", "plan.toml"]).on_a_terminal();
    terminal.until_shows("Make these changes?");
    terminal.type_in("\u{3}");
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("nothing was touched"), "{shown}");
    assert!(world.journal().runs().is_empty() && posts(&world).is_empty());
}

#[test]
fn ctrl_c_at_a_gate_pauses_and_the_gate_is_asked_again() {
    let world = world(&step("a", "gate = { ask = \"All of them?\" }", &["POST /one"]));
    let mut terminal = world.ripcord(&["run", "plan.toml"]).on_a_terminal();
    terminal.until_shows("Make these changes?");
    terminal.type_in("y\n");
    terminal.until_shows("Go on? [y/N]");
    terminal.type_in("\u{3}");
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.contains("ripcord resume"), "{shown}");

    let mut terminal = world.ripcord(&["resume", "last"]).on_a_terminal();
    terminal.until_shows("All of them?");
    terminal.until_shows("Go on? [y/N]");
    terminal.type_in("y\n");
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(posts(&world), ["one"]);
}

#[test]
fn a_closed_terminal_pauses() {
    let world = world(&step("a", "", &["POST /one", "POST /two"]));
    hold(&world, "one");
    let terminal = world.ripcord(RUN).on_a_terminal();
    until_posted(&world, "one");
    let journal = world.journal();
    let run = journal.last();
    terminal.close();
    answer(&world, "one");
    let state = ripcord::state::StateDir::open(world.path("state")).unwrap();
    world.until("the host to let go", || !ripcord::journal::RunLock::is_held(&state, &run).unwrap());
    assert_eq!(posts(&world), ["one"]);
    assert_eq!(journal.outcome(&run), None);
    resumes(&world, 0);
    assert_eq!(posts(&world), ["one", "two"]);
}

/// What is said meanwhile does not land in the middle of the list of steps.
#[test]
fn the_list_of_steps_stays_whole_when_something_is_said() {
    let world = world(&step("a", "", &["POST /one", "POST /two"]));
    hold(&world, "one");
    let mut terminal = world.ripcord(RUN).on_a_terminal();
    until_posted(&world, "one");
    terminal.until_shows("POST /one on http.service …");
    terminal.type_in("\u{3}");
    terminal.until_shows("the run pauses when this is answered");
    answer(&world, "one");
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(3), "{shown}");
    assert_on_its_own_line(&shown, "the run pauses when");
}

/// It was written on a line that had been cleared for it, and what was drawn there stands below.
pub(crate) fn assert_on_its_own_line(shown: &str, text: &str) {
    let line = shown.lines().find(|line| line.contains(text)).unwrap();
    let (_, line) = line.rsplit_once("\u{1b}[2K").unwrap_or_else(|| panic!("it was not cleared: {line:?}\n{shown}"));
    assert!(!line.contains("under way"), "{line:?}\n{shown}");
}
