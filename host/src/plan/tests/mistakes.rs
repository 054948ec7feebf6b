//! Mistakes in a plan by itself.

use insta::assert_snapshot;

use super::super::*;
use super::*;

#[test]
fn a_mistake_is_shown_where_it_stands_with_what_to_write() {
    // Not TOML
    assert_snapshot!(wrong("[[step]\nid = \"a\""), @r#"
    error: this is not TOML: unclosed array table, expected `]`
     --> plan.toml:3:8
      |
    3 | [[step]
      |        ^
    "#);
    // A key that is nearly right
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\nfalback = \"b\""), @r#"
    error: unknown key `falback`
     --> plan.toml:6:1
      |
    6 | falback = "b"
      | ^^^^^^^

    hint: did you mean `fallback`?
    "#);
    // A wrong type
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = [\"x\"]"), @r#"
    error: expected a string, found an array
     --> plan.toml:5:7
      |
    5 | use = ["x"]
      |       ^^^^^

    hint: put it in quotes
    "#);
    // Something is missing
    assert_snapshot!(wrong("[[step]]\nid = \"a\""), @r#"
    error: `use` is missing
     --> plan.toml:3:1
      |
    3 | [[step]]
      | ^^^^^^^^

    hint: add  use = "the-plugins-name"
    "#);
    // One bracket too few
    assert_snapshot!(wrong("[step]\nid = \"a\"\nuse = \"x\""), @r"
    error: `step` is a list of tables
     --> plan.toml:3:1
      |
    3 | [step]
      | ^^^^^^

    hint: write `[[step]]`, with two brackets, above each one
    ");
    // A word that is not known
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\non-failure = \"undoo\""), @r#"
    error: this is not one of the words known here
     --> plan.toml:6:14
      |
    6 | on-failure = "undoo"
      |              ^^^^^^^

    hint: did you mean `undo`?
    "#);
    // Two of one name
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\n[[verify]]\nid = \"a\"\nuse = \"x\""), @r#"
    error: there is already a step, a check, a trigger, a follow-up or a notice `a`
     --> plan.toml:7:6
      |
    7 | id = "a"
      |      ^^^

    hint: give each one a name of its own
    "#);
    // Fallbacks: to a later step, to an unknown one, and two of one step
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\nfallback = \"b\"\n[[step]]\nid = \"b\"\nuse = \"x\""), @r#"
    error: step `b` stands below this one
     --> plan.toml:6:12
      |
    6 | fallback = "b"
      |            ^^^

    hint: move this step below `b`
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"deploy\"\nuse = \"x\"\n[[step]]\nid = \"b\"\nuse = \"x\"\nfallback = \"deplyo\""), @r#"
    error: there is no step `deplyo`
     --> plan.toml:9:12
      |
    9 | fallback = "deplyo"
      |            ^^^^^^^^

    hint: did you mean `deploy`?
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\n[[step]]\nid = \"b\"\nuse = \"x\"\nfallback = \"a\"\n[[step]]\nid = \"c\"\nuse = \"x\"\nfallback = \"a\""), @r#"
    error: step `a` has a fallback already: `b`
      --> plan.toml:13:12
       |
    13 | fallback = "a"
       |            ^^^

    hint: write `fallback = "b"` to run this one when that has failed as well
    "#);
    // Durations and numbers
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\ntimeout = \"5 minuts\""), @r#"
    error: `5 minuts` is no duration: write it like "30s", "5m" or "1h 30m"
     --> plan.toml:6:11
      |
    6 | timeout = "5 minuts"
      |           ^^^^^^^^^^
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\ntimeout = \"3days\"\nretry = { attempts = 11 }"), @r#"
    error: `timeout` is too long
     --> plan.toml:6:11
      |
    6 | timeout = "3days"
      |           ^^^^^^^

    hint: it may be 1s to 1day

    error: 11 attempts are out of range
     --> plan.toml:7:22
      |
    7 | retry = { attempts = 11 }
      |                      ^^

    hint: write 1 to 10; 1 is no second attempt
    "#);
    // Parameters
    assert_snapshot!(wrong("[params.version]\npattern = \"v[0-9\"\n[params.a]\ndefault = \"1\"\npattern = \"[a-z]+\"\n[[step]]\nid = \"a\"\nuse = \"x\""), @r#"
    error: this is no regular expression: unclosed character class
     --> plan.toml:4:11
      |
    4 | pattern = "v[0-9"
      |           ^^^^^^^

    error: the default of `a` does not match its pattern
     --> plan.toml:6:11
      |
    6 | default = "1"
      |           ^^^

    hint: the whole value has to match [a-z]+
    "#);
}

#[test]
fn a_name_that_nothing_answers_to_is_found_inside_the_text() {
    // Templates
    assert_snapshot!(wrong("[params.version]\n[[step]]\nid = \"a\"\nuse = \"x\"\nwith = { list = [{ to = \"back to {{ params.versoin }}\" }] }"), @r#"
    error: no parameter `versoin`
     --> plan.toml:7:37
      |
    7 | with = { list = [{ to = "back to {{ params.versoin }}" }] }
      |                                     ^^^^^^^^^^^^^^

    hint: did you mean `params.version`?
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\nwith = { to = \"{{ params.version \" }"), @r#"
    error: this template can't be understood: unexpected end of input, expected end of variable block
     --> plan.toml:6:26
      |
    6 | with = { to = "{{ params.version " }
      |                          ^^^^^^^

    hint: write {{ params.NAME }} or {{ steps.ID.receipt.FIELD }}
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"a\"\nuse = \"x\"\nwith = { to = \"{{ param.version }}\" }"), @r#"
    error: there is no `param` to fill in here
     --> plan.toml:6:19
      |
    6 | with = { to = "{{ param.version }}" }
      |                   ^^^^^

    hint: did you mean `params`?
    "#);
    // Receipts that are not there yet, never will be, or are another's
    assert_snapshot!(wrong("[[step]]\nid = \"re-do\"\nuse = \"x\"\n[[step]]\nid = \"b\"\nuse = \"x\"\nfallback = \"re-do\"\nwith = { to = \"{{ steps['re-do'].receipt.v }}\" }\n[[step]]\nid = \"c\"\nuse = \"x\"\nwith = { to = '''\n{{ steps.re-do.receipt.v }}\n{{ steps.b.receipt.v }} {{ steps[\"re-do\"].v }}'''}"), @r#"
    error: step `re-do` has no receipt here
      --> plan.toml:10:19
       |
    10 | with = { to = "{{ steps['re-do'].receipt.v }}" }
       |                   ^^^^^^^^^^^^^^^^^^^^^^^^

    hint: this step runs only if that one ended without success

    error: no step `re` before this
      --> plan.toml:15:4
       |
    15 | {{ steps.re-do.receipt.v }}
       |    ^^^^^^^^

    hint: a name with a hyphen is written  steps["re-do"].receipt

    error: step `b` has no receipt here
      --> plan.toml:16:4
       |
    16 | {{ steps.b.receipt.v }} {{ steps["re-do"].v }}'''}
       |    ^^^^^^^^^^^^^^^^^

    hint: it may not run: write `steps["re-do"].receipt`, which is that of its stand-in then

    error: a step has no `v`, only a `receipt`
      --> plan.toml:16:28
       |
    16 | {{ steps.b.receipt.v }} {{ steps["re-do"].v }}'''}
       |                            ^^^^^^^^^^^^^^^^

    hint: write `steps["re-do"].receipt.v`
    "#);
    // Conditions
    assert_snapshot!(wrong("[[step]]\nid = \"deploy\"\nuse = \"x\"\n[[verify]]\nid = \"v\"\nuse = \"x\"\nexpect = \"response.status = 200\""), @r#"
    error: this condition can't be understood: `=` means nothing here
     --> plan.toml:9:27
      |
    9 | expect = "response.status = 200"
      |                           ^

    hint: a comparison is written `==`
    "#);
    assert_snapshot!(wrong("[[step]]\nid = \"deploy\"\nuse = \"x\"\n[[verify]]\nid = \"v\"\nuse = \"x\"\nexpect = \"response.version == steps.deplyo.receipt.version\""), @r#"
    error: no step `deplyo` before this
     --> plan.toml:9:31
      |
    9 | expect = "response.version == steps.deplyo.receipt.version"
      |                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    hint: did you mean `steps.deploy.receipt`?
    "#);
}

#[test]
fn a_component_without_its_digest_is_answered_with_the_digest() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.wasm"), b"bytes").unwrap();
    let file = folder.path().join("plan.toml");
    let text = format!("{HEAD}[[step]]\nid = \"a\"\nuse = \"./a.wasm\"\n");
    let wrong = Plan::parse(&file.display().to_string(), &text).unwrap_err().to_string();
    let help = format!("use = \"./a.wasm@{}\"", Digest::of(b"bytes"));
    assert!(wrong.contains(&help), "{wrong}");
    let text = text.replace("use = \"./a.wasm\"", &help);
    assert!(Plan::parse(&file.display().to_string(), &text).is_ok());
}
