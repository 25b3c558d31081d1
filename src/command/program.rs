//! The last step, which executes the program, and its strings.

use super::child::{Step, address};
use super::plan::{Plan, without_nul};
use super::request::Request;
use crate::{Error, Stage};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString, c_long};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

impl Plan {
    pub(super) fn execute(&mut self, request: &Request, file: Option<RawFd>) -> Result<(), Error> {
        let mut strings = Strings::default();
        for argument in &request.arguments {
            strings.add(&[argument])?;
        }
        let arguments = strings.keep(self);

        let mut strings = Strings::default();
        let mut path = None;
        for (key, value) in request.environment.variables() {
            strings.add(&[&key, OsStr::new("="), &value])?;
            // The first one counts, as in getenv(3).
            if key == "PATH" && path.is_none() {
                path = Some(value);
            }
        }
        let environment = strings.keep(self);

        let name = Some(request.program.as_os_str().into());
        if let Some(file) = file {
            const EMPTY_PATH: c_long = libc::AT_EMPTY_PATH as c_long;
            let path = self.keep_text(Stage::Exec, OsStr::new(""))?;
            let arguments =
                [c_long::from(file), path, address(arguments), address(environment), EMPTY_PATH, 0];
            let step = Step::Call { number: libc::SYS_execveat, arguments, tolerated: 0 };
            self.push(Stage::Exec, name, step);
            return Ok(());
        }
        if !request.program.as_bytes().contains(&b'/') {
            self.path = Some(path.unwrap_or_else(|| OsString::from("/bin:/usr/bin")));
        }
        let mut strings = Strings::default();
        for parts in candidates(request, self.path.as_deref()) {
            strings.add(&parts.map(OsStr::from_bytes))?;
        }
        let candidates = strings.keep(self);
        let step = Step::Execute { candidates, arguments, environment };
        self.push(Stage::Exec, name, step);
        Ok(())
    }

    /// Explains an ENOENT of execve(2).
    pub(super) fn why_not_found(&self, request: &Request) -> Option<Cow<'static, str>> {
        if request.file.is_some() {
            return Some("an interpreter that its `#!` line or its ELF header names is missing, or cannot open the descriptor".into());
        }
        let directory = request.directory.as_deref().unwrap_or(Path::new(""));
        let mut files = candidates(request, self.path.as_deref()).map(|parts| parts.concat());
        if !self.has_closures
            && !request.has_other_files()
            && files.any(|file| directory.join(OsStr::from_bytes(&file)).is_file())
        {
            return Some(
                "it is there, but not the interpreter that its `#!` line or its ELF header names".into(),
            );
        }
        self.path.as_ref().map(|path| format!("not found in PATH={}", path.to_string_lossy()).into())
    }
}

/// Returns the files that may be the program, each in parts. Without a `path` there is one, the program itself.
fn candidates<'a>(request: &'a Request, path: Option<&'a OsStr>) -> impl Iterator<Item = [&'a [u8]; 3]> {
    let program = request.program.as_bytes();
    let path = path.map(OsStrExt::as_bytes);
    let folders = path.into_iter().flat_map(|path| path.split(|byte| *byte == b':'));
    // As in execvp(3), a folder with too long a name is skipped, and an empty program name is never found.
    let folders = folders.filter(|folder| folder.len() < libc::PATH_MAX as usize && !program.is_empty());
    let in_folders = folders.map(move |folder| {
        let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
        [folder, slash, program]
    });
    path.is_none().then_some([program, b"", b""]).into_iter().chain(in_folders)
}

/// Strings for execve(2), in one block.
#[derive(Default)]
struct Strings {
    block: Vec<u8>,
    starts: Vec<usize>,
}

impl Strings {
    /// Adds the parts as one string.
    fn add(&mut self, parts: &[&OsStr]) -> Result<(), Error> {
        self.starts.push(self.block.len());
        for part in parts {
            self.block.extend_from_slice(without_nul(Stage::Exec, part)?);
        }
        self.block.push(0);
        Ok(())
    }

    /// Keeps the strings, and returns the list of their addresses with null at its end.
    fn keep(self, plan: &mut Plan) -> *const c_long {
        let block = plan.keep(self.block);
        let addresses =
            self.starts.iter().map(|start| block.wrapping_add(*start as c_long)).chain([0]).collect();
        ptr::with_exposed_provenance(plan.keep::<c_long>(addresses) as usize)
    }
}
