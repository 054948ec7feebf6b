//! What the operator of the lab has written: `ripcord.toml`, the plan, and the secret.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{ADMINISTRATORS, BUILD, DEPLOY, LabError, USERS};

pub(super) const OPERATOR: &str = "ripcord.toml";
pub(super) const PLAN: &str = "plan.toml";

/// Writes them into the lab's folder.
pub(super) fn write(folder: &Path, genia: SocketAddr, mailbox: SocketAddr, token: &str) -> Result<(), LabError> {
    let secrets = folder.join("secrets");
    std::fs::create_dir(&secrets).map_err(|error| LabError::file(&secrets, error))?;
    let secret = secrets.join("genia-admin");
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&secret);
    file.and_then(|mut file| writeln!(file, "{token}")).map_err(|error| LabError::file(&secret, error))?;

    for (name, text) in [(OPERATOR, operator(genia, mailbox)), (PLAN, include_str!("plan.toml").to_owned())] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| LabError::file(&path, error))?;
    }
    Ok(())
}

fn operator(genia: SocketAddr, mailbox: SocketAddr) -> String {
    let argv = |argv: &[&str]| toml::Value::from(argv.to_vec()).to_string();
    include_str!("ripcord.toml")
        .replace("@GENIA@", &genia.to_string())
        .replace("@MAILBOX@", &mailbox.port().to_string())
        .replace("@BUILD@", &argv(&BUILD))
        .replace("@DEPLOY@", &argv(&DEPLOY))
        .replace("@USERS@", USERS)
        .replace("@ADMINISTRATORS@", ADMINISTRATORS)
}
