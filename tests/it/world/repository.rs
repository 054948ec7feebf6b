//! GENIA's code: a working copy of a real npm package, with a remote behind a real `git daemon`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::served::Servers;

pub(crate) const CONNECTOR: &str = "src/lib/connectors/facebook.ts";

pub(crate) struct Repository {
    pub(crate) path: PathBuf,
    remote: PathBuf,
}

/// What a rollback could have changed. Object ids are left out: they hold the run's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// The commits of `main`, newest first.
    pub(crate) commits: Vec<String>,
    /// Of the remote's `main`.
    pub(crate) remote_commits: Vec<String>,
    /// The files of `HEAD`, with their contents' ids.
    pub(crate) tree: String,
    /// The same, of the remote.
    pub(crate) remote_tree: String,
    /// `git status`.
    pub(crate) status: String,
    /// The connector's code in the working copy.
    pub(crate) connector: String,
}

impl Repository {
    pub(crate) fn new(path: &Path, servers: &Servers, name: &str) -> Self {
        let remote = servers.remotes.join(format!("{name}.git"));
        let template = template(servers);
        copy(&template.join("genia"), path);
        copy(&template.join("remote.git"), &remote);
        let url = format!("git://127.0.0.1:{}/{name}.git", servers.git);
        git(path, &["remote", "set-url", "origin", &url]);
        Self { path: path.to_owned(), remote }
    }

    /// From now on nobody finds the remote.
    pub(crate) fn take_remote_away(&self) {
        fs::rename(&self.remote, self.remote.with_extension("away")).unwrap();
    }

    pub(crate) fn bring_remote_back(&self) {
        fs::rename(self.remote.with_extension("away"), &self.remote).unwrap();
    }

    pub(crate) fn content(&self) -> Content {
        let commits = |of: &Path| {
            let log = git(of, &["log", "--format=%an: %s", "main"]);
            log.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        Content {
            commits: commits(&self.path),
            remote_commits: commits(&self.remote),
            tree: git(&self.path, &["ls-tree", "-r", "HEAD"]),
            remote_tree: git(&self.remote, &["ls-tree", "-r", "main"]),
            status: git(&self.path, &["status", "--porcelain"]),
            connector: fs::read_to_string(self.path.join(CONNECTOR)).unwrap(),
        }
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.remote);
    }
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .expect("git is not there; run:  apt-get install -y git");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?} in {}: {stderr}", folder.display());
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

pub(crate) fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-Rp").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// Made once and copied for each test: `v1.4.2` is good, and `main` has a connector that is not.
fn template(servers: &Servers) -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let npm = Command::new("npm").arg("--version").output();
        assert!(npm.is_ok_and(|npm| npm.status.success()), "npm is not there; run:  apt-get install -y npm");
        let folder = servers.remotes.join("../template");
        let genia = folder.join("genia");
        fs::create_dir_all(genia.join("src/lib/connectors")).unwrap();
        fs::write(genia.join("package.json"), PACKAGE).unwrap();
        fs::write(genia.join("build.js"), BUILD).unwrap();
        fs::write(genia.join("deploy.js"), DEPLOY).unwrap();
        fs::write(genia.join(".gitignore"), "dist/\n").unwrap();
        fs::write(genia.join("src/lib/connectors/mailchimp.ts"), "export const mailchimp = 'good'\n").unwrap();
        fs::write(genia.join(CONNECTOR), "export const facebook = 'good'\n").unwrap();
        git(&genia, &["init", "-q", "-b", "main"]);
        commit(&genia, "First version");
        git(&genia, &["tag", "v1.4.2"]);
        fs::write(genia.join(CONNECTOR), "export const facebook = 'broken'\n").unwrap();
        commit(&genia, "Improve the facebook connector");
        git(&folder, &["clone", "-q", "--bare", genia.to_str().unwrap(), "remote.git"]);
        git(&genia, &["remote", "add", "origin", "to-be-set"]);
        folder
    })
}

fn commit(folder: &Path, message: &str) {
    git(folder, &["add", "-A"]);
    git(folder, &["-c", "user.name=Dev", "-c", "user.email=dev@genia.example", "commit", "-q", "-m", message]);
}

const PACKAGE: &str = r#"{
  "name": "genia",
  "version": "1.5.0",
  "private": true,
  "scripts": { "build": "node build.js", "deploy:staging": "node deploy.js" }
}
"#;

const BUILD: &str = r#"const fs = require('fs')
const record = line => fs.appendFileSync(process.env.RECORD, line + '\n')
const folder = 'src/lib/connectors/'
const code = fs.readdirSync(folder).sort().map(name => fs.readFileSync(folder + name, 'utf8')).join('')
record('build begins: ' + code.split('\n')[0])
setTimeout(() => {
  fs.mkdirSync('dist', { recursive: true })
  fs.writeFileSync('dist/connectors.js', code.replaceAll('export const', 'const'))
  record('build ends')
  process.exit(Number(process.env.BUILD_EXIT ?? 0))
}, Number(process.env.BUILD_MS ?? 0))
"#;

const DEPLOY: &str = r#"const fs = require('fs')
const record = line => fs.appendFileSync(process.env.RECORD, line + '\n')
record('deploy begins')
fs.copyFileSync('dist/connectors.js', process.env.STAGING)
record('deploy ends')
"#;
