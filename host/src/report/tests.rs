#![allow(clippy::unwrap_used)]

use jiff::tz::TimeZone;

use super::*;
use crate::present::fixture::{EVIL, failed_check, fold, halted, head};

fn report(events: &[Recorded]) -> String {
    markdown(&fold(events), events, head(events), &TimeZone::UTC).unwrap()
}

#[test]
fn a_value_means_nothing_but_itself() {
    for (text, escaped) in [
        ("plain text, http.genia-admin", "plain text, http.genia-admin"),
        ("a | b", r"a \| b"),
        ("`rm`\r\n# not a title", r"\`rm\` # not a title"),
        ("# no title", r"\# no title"),
        ("1. no list", r"1\. no list"),
        ("- no list", r"\- no list"),
        ("<img src=x> [x](y) a_b", r"\<img src=x\> \[x\](y) a\_b"),
        ("\u{1b}[2J", r"\\u{1b}\[2J"),
    ] {
        assert_eq!(escape(text), escaped);
    }
}

/// Whatever servers have said, a table has as many cells in each row as in its head.
#[test]
fn no_value_breaks_a_table() {
    assert!(EVIL.contains('|') && EVIL.contains('\n') && EVIL.contains('`'));
    for events in [failed_check(), halted()] {
        let mut cells = None;
        for line in report(&events).lines() {
            let bars = line.replace(r"\|", "").matches('|').count();
            match (line.starts_with('|'), cells) {
                (true, Some(expected)) => assert_eq!(bars, expected, "{line}"),
                (true, None) => cells = Some(bars),
                (false, _) => {
                    assert_eq!(bars, 0, "{line}");
                    cells = None;
                }
            }
        }
    }
}

#[test]
fn this_is_the_report() {
    insta::assert_snapshot!(report(&failed_check()), @r##"
    # Rollback of genia/connectors/facebook: halted

    verification staging-works: it exited with 1 instead of 0

    | | |
    |---|---|
    | Run | 20261122-180312-k7qm |
    | Plan | genia-connector (plans/genia-connector.toml, sha256:64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525) |
    | Parameter | connector = facebook |
    | Parameter | version = v1.4.2 |
    | Began | 2026-11-22 18:03:12 +00:00 |
    | Ended | 2026-11-22 18:04:44 +00:00 |
    | Took | 1m 32s |
    | Approved by | Andrea, sha256:5975cf1bba432391c94667f5886225f69377c0aa8b9fa21fddfb21c89bcf9092 |
    | Carried by | 2026-11-22 18:03:12 +00:00: process 4242 on genia-ops, ripcord 0.1.0 |

    ## Steps and checks

    | Step | Result |
    |---|---|
    | disable | done in 1m 2s |
    | by-hand | not needed: disable has done it |
    | tell | done in 410 ms |
    | staging-works | did NOT pass at try 2: it exited with 1 instead of 0: \\u{1b}\]0;pwned\\u{7}\\u{1b}\[2Jconnector is \`on\` \| \*really\*\\u{202e} OK |

    ## Timeline

    | Time | Step | What | Result | Took |
    |---|---|---|---|---|
    | 18:03:12 | disable | show src/lib/connectors/facebook.ts from v1.4.2 in git.genia | 10 bytes | 12 ms |
    | 18:03:12 | disable | GET /connectors/facebook on http.genia-admin | 200 | 12 ms |
    | 18:03:13 | disable | POST /connectors/facebook/disable on http.genia-admin | in doubt: the connection was cut after 1.2 s, before a complete answer |  |
    | 18:03:13 | disable | GET /connectors/facebook on http.genia-admin | 503 \\u{1b}\]0;pwned\\u{7}\\u{1b}\[2Jconnector is \`on\` \| \*really\*\\u{202e}\\r\\nOK | 12 ms |
    | 18:03:13 | disable | POST /connectors/facebook/disable on http.genia-admin | it happened (200); the plugin looked at the target |  |
    | 18:03:13 | disable | restore src/lib/connectors/facebook.ts from 9c1f0d2 in git.genia | 1 path changed, HEAD is 77aa001 | 4 ms |
    | 18:04:14 | disable | run command.genia-build | exit 0 | 1m 1s |
    | 18:04:14 | disable | the step | done | 1m 2s |
    | 18:04:14 | tell | asked: Tell all users that facebook is off? | waits |  |
    | 18:04:34 | tell | answered | yes, says Andrea |  |
    | 18:04:34 | tell | send "Conector facebook desactivado temporalmente" through notify.genia-users | sent | 310 ms |
    | 18:04:34 | tell | send "Conector facebook desactivado temporalmente" through notify.genia-administrators | NOT SENT: mail.example.org: 550 no such user | 95 ms |
    | 18:04:34 | tell | the step | done | 410 ms |
    | 18:04:39 | staging-works | run command.genia-smoke | exit 1 OK | 12 ms |
    | 18:04:39 | staging-works | verification | did NOT pass: it exited with 1 instead of 0: \\u{1b}\]0;pwned\\u{7}\\u{1b}\[2Jconnector is \`on\` \| \*really\*\\u{202e} OK |  |
    | 18:04:44 | staging-works | run command.genia-smoke | exit 1 OK | 12 ms |
    | 18:04:44 | staging-works | verification | did NOT pass: it exited with 1 instead of 0: \\u{1b}\]0;pwned\\u{7}\\u{1b}\[2Jconnector is \`on\` \| \*really\*\\u{202e} OK |  |
    | 18:04:44 | run | ended | halted: verification staging-works: it exited with 1 instead of 0 |  |

    ## Doubts

    A reply was lost, and it had to be found out whether the call had happened.

    - 18:03:13 1.3 POST /connectors/facebook/disable on http.genia-admin: the connection was cut after 1.2 s, before a complete answer. Found out: it happened (200) (the plugin looked at the target, 18:03:13)

    ## Log

    - 18:03:12 disable: disabling connector facebook \\u{1b}\]0;pwned\\u{7}\\u{1b}\[2Jconnector is \`on\` \| \*really\*\\u{202e} OK

    ## Not taken back

    - disable

    ## Left to do

    - What was done is still done (disable). \`ripcord undo 20261122-180312-k7qm\` takes it back; else go on by hand.
    - Tell them yourself, the notice has not gone out: send "Conector facebook desactivado temporalmente" through notify.genia-administrators (mail.example.org: 550 no such user).

    ## Proof

    35 events, chained by their hashes. The last one is

        sha256:9f2e6d33a3717ee826353a404ba4618d1aeeb6879ad7936bce8ed5f46814924d

    Keep it elsewhere: "ripcord audit 20261122-180312-k7qm --head" with this value says whether the record has been altered since.
    "##);
}
