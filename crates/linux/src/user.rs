//! Users and groups of the host.

use std::io;
use std::path::PathBuf;

/// A user that a task can run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
    /// The groups the user belongs to besides the primary one.
    pub groups: Vec<u32>,
}

#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("user: unknown user {0}")]
    UnknownName(String),
    #[error("user: unknown userid {0}")]
    UnknownId(u32),
    #[error("look up user {name}")]
    LookUp { name: String, source: io::Error },
}

/// The user with this name, or with this number when the text is one.
pub fn look_up(name: &str) -> Result<User, UserError> {
    let failed = |error: nix::Error| UserError::LookUp { name: name.to_owned(), source: error.into() };
    let found = match nix::unistd::User::from_name(name).map_err(failed)? {
        Some(found) => found,
        None => match name.parse::<u32>() {
            Ok(id) => nix::unistd::User::from_uid(id.into()).map_err(failed)?.ok_or(UserError::UnknownId(id))?,
            Err(_) => return Err(UserError::UnknownName(name.to_owned())),
        },
    };
    let groups = std::ffi::CString::new(found.name.as_str())
        .ok()
        .and_then(|name| nix::unistd::getgrouplist(&name, found.gid).ok())
        .unwrap_or_default();
    Ok(User {
        uid: found.uid.as_raw(),
        gid: found.gid.as_raw(),
        home: found.dir,
        groups: groups.into_iter().map(nix::unistd::Gid::as_raw).filter(|gid| *gid != found.gid.as_raw()).collect(),
        name: found.name,
    })
}

/// The user this process runs as; none when the host has no entry for it.
pub fn current() -> Option<User> {
    look_up(&rustix::process::geteuid().as_raw().to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_users_by_name_and_number() {
        let root = look_up("root").expect("root");
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(look_up("0").expect("by number"), root);
        let error = look_up("nosuchuser").expect_err("unknown");
        assert_eq!(error.to_string(), "user: unknown user nosuchuser");
    }
}
