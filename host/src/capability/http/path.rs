//! Paths that mean one thing only.
//!
//! The operator's rules are matched on the path as text. A server that reads another path out of
//! the same text (it decodes, resolves `..`, drops a parameter) would carry out what no rule has
//! allowed, so everything that has two readings is refused and not repaired.

/// Takes the query off a request's target and checks what remains. The error says what is wrong,
/// and what to write instead.
pub(super) fn check(target: &str) -> Result<&str, String> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let is_refused = |character: &char| !u8::try_from(*character).is_ok_and(is_allowed);
    if let Some(character) = target.chars().find(is_refused) {
        return Err(format!("`{}` has {character:?} in it: percent-encode it", target.escape_debug()));
    }
    if !path.starts_with('/') {
        return Err(format!("the path `{path}` does not begin with `/`"));
    }
    if path.contains(['[', ']']) {
        return Err(format!("the path `{path}` has a bracket in it: write %5B or %5D"));
    }
    if path.contains('%') && std::str::from_utf8(&decode(path)?).is_err() {
        return Err(format!("the path `{path}` is not UTF-8 when decoded"));
    }
    for segment in path.split('/').skip(1) {
        if matches!(segment, "." | "..") {
            return Err(format!("the path `{path}` has a `{segment}` segment: write where it leads"));
        }
        if segment.contains(';') {
            // Some servers take it off before they look for who answers (`/x;y` is `/x` to a servlet).
            return Err(format!("the path `{path}` has a `;` in it: write %3B if it belongs to a name"));
        }
    }
    if path.contains("//") {
        return Err(format!("the path `{path}` has an empty segment, which servers read differently"));
    }
    if query.is_some_and(|query| query.contains('\'')) {
        return Err(format!("the query of `{target}` has a `'` in it: write %27"));
    }
    Ok(path)
}

/// The characters of a path and a query (RFC 3986, 3.3 and 3.4), and the brackets that queries are
/// full of. A fragment is never sent, and all else would be encoded on the way.
fn is_allowed(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'%' | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
                | b'?'
                | b'['
                | b']'
        )
}

/// What means the same whether it is encoded or not (RFC 3986, 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Decodes a path, once, and refuses what a second reading could find in it.
fn decode(path: &str) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            decoded.push(first);
            rest = tail;
            continue;
        }
        let byte =
            hex_pair(tail).ok_or_else(|| format!("the path `{path}` has a `%` without two digits: write %25"))?;
        if is_unreserved(byte) {
            let character = char::from(byte);
            return Err(format!(
                "the path `{path}` encodes `{character}`, which no rule would recognise: write it as it is"
            ));
        }
        if matches!(byte, b'/' | b'\\') || byte.is_ascii_control() {
            return Err(format!("the path `{path}` encodes a separator or a control character (%{byte:02X})"));
        }
        if byte == b'%' && hex_pair(&tail[2..]).is_some() {
            return Err(format!("the path `{path}` is encoded twice"));
        }
        decoded.push(byte);
        rest = &tail[2..];
    }
    Ok(decoded)
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice(bytes.get(..2)?, &mut byte).ok()?;
    Some(byte[0])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_could_be_read_in_two_ways_is_refused() {
        for refused in [
            "",
            "x",
            "?x",
            "//host/x",
            "/x//y",
            "http://host/x",
            "@host/x",
            "/.",
            "/../x",
            "/x/..",
            "/x/./y",
            "/x/%2e%2e/y",
            "/x/.%2E/y",
            "/%2e/x",
            "/x%2fy",
            "/x%2Fy",
            "/x%5cy",
            "/x\\y",
            "/x%00",
            "/x%0a",
            "/x%7f",
            "/x#y",
            "/x y",
            "/x\ty",
            "/x\r\nHost: evil",
            "/%64eploy",
            "/x%252fy",
            "/x%252e%252e",
            "/x%c0%af",
            "/x%",
            "/x%2",
            "/x%zz",
            "/x;y=1",
            "/x/..;/y",
            "/é",
            "/[x]",
            "/x?y=é",
            "/x?y z",
            "/x?y#z",
            "/x?y='z'",
        ] {
            assert!(check(refused).is_err(), "{refused:?}");
        }
        for (allowed, path) in [
            ("/", "/"),
            ("/x/", "/x/"),
            ("/applications/u1/envs?page=2&filter[a]=b/c?d", "/applications/u1/envs"),
            ("/a%20b/caf%C3%A9/100%25", "/a%20b/caf%C3%A9/100%25"),
            ("/repos/a:b@c/~d_e-f.g/..h", "/repos/a:b@c/~d_e-f.g/..h"),
        ] {
            assert_eq!(check(allowed), Ok(path));
        }
    }
}
