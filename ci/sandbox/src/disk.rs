//! File systems of a sandbox that tests fill, shrink and make read-only.
//!
//! They are mounted in a mount namespace that lives as long as its holder, a
//! process that waits for the end of its input: a test that is killed leaves
//! nothing behind. Whoever is not root gets a user namespace as well.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Sandbox;

/// A mount namespace.
pub(crate) struct Namespace {
    holder: Child,
}

impl Namespace {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--", "sh", "-c", "echo && exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("unshare");
        // It writes when it is in its namespace.
        let mut line = String::new();
        let output = holder.stdout.as_mut().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line of the holder");
        assert_eq!(line, "\n", "unshare failed: user namespaces, or root, are needed");
        Self { holder }
    }

    /// The root directory, as seen from outside.
    pub(crate) fn root(&self) -> PathBuf {
        format!("/proc/{}/root", self.holder.id()).into()
    }

    /// A command that runs `program` in the namespace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.holder.id().to_string()).arg("--mount");
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program);
        command
    }

    fn mount(&self, arguments: &[&str], at: &Path) {
        let mut mount = self.command("mount");
        let status = mount.args(arguments).arg(at).status().expect("nsenter");
        assert!(status.success(), "mount {arguments:?} {}: {status}", at.display());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Whether this process may mount without a user namespace.
pub fn is_root() -> bool {
    Path::new("/proc/self").metadata().expect("procfs is mounted").uid() == 0
}

impl Sandbox {
    fn namespace(&mut self) -> &Namespace {
        self.namespace.get_or_insert_with(Namespace::new)
    }

    /// Mounts an empty tmpfs(5) with these options at a directory.
    pub fn mount_tmpfs(&mut self, at: &str, options: &str) {
        let target = self.source(at);
        self.namespace().mount(&["-t", "tmpfs", "-o", options, "tmpfs"], &target);
    }

    /// Mounts an empty ext4 file system of so many bytes at a directory. Only
    /// root can.
    pub fn mount_ext4(&mut self, at: &str, bytes: u64, options: &str) {
        let (image, target) = (self.source("/disk"), self.source(at));
        File::create(&image).and_then(|file| file.set_len(bytes)).expect("the image of a disk");
        let mut mkfs = Command::new("/sbin/mkfs.ext4");
        let made = mkfs.args(["-q", "-b", "4096", "-m", "0"]).arg(&image).status();
        assert!(made.expect("mkfs.ext4").success());
        let image = image.to_str().expect("temporary directories have names in UTF-8");
        self.namespace().mount(&["-t", "ext4", "-o", &format!("loop,{options}"), image], &target);
    }

    /// Changes the options of what is mounted there, under the feet of those
    /// who use it.
    pub fn remount(&mut self, at: &str, options: &str) {
        let target = self.source(at);
        // The options that it has name users by their numbers outside of a user
        // namespace: only the new ones are handed over.
        self.namespace().mount(&["--options-source=disable", "-o", &format!("remount,{options}")], &target);
    }
}
