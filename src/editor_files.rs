//! Files that editors leave beside those that are edited: they are no part of a project.

use std::path::Path;

/// Says whether a file is what an editor left: `plan.toml~`, `#plan.toml#`, `.plan.toml.swp`, `plan.toml.bak`
/// of some. Hidden files are not read either; only others are worth a note.
pub fn is_left_by_editor(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let left = name.ends_with('~')
        || (name.starts_with('#') && name.ends_with('#'))
        || name.ends_with(".swp");
    if left {
        tracing::info!("`{}` is not read: an editor left it", path.display());
    }
    left || name.starts_with('.')
}
