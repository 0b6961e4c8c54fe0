//! `split-file [--leading-lines] INPUT FOLDER`: one test file that holds several inputs, each after a line `//--- NAME`.

use std::path::Path;

/// Writes the parts of `text` below `folder`, which is emptied first. With `leading_lines` each part begins with as many
/// empty lines as stand before it, so that line numbers in messages are those of the test file.
pub fn split(text: &str, folder: &Path, leading_lines: bool) -> Result<(), String> {
    let mut parts: Vec<(&str, String)> = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let marker = line.trim_end().trim_start_matches(['/', '#', ';']);
        let is_marker = marker.len() < line.trim_end().len();
        match marker.strip_prefix("--- ").filter(|_| is_marker) {
            Some(name) => {
                if parts.iter().any(|(other, _)| *other == name) {
                    return Err(format!("line {}: a second part named {name}", number + 1));
                }
                parts.push((name, "\n".repeat(if leading_lines { number + 1 } else { 0 })));
            }
            None => parts.iter_mut().last().into_iter().for_each(|(_, part)| part.push_str(line)),
        }
    }
    if parts.is_empty() {
        return Err("no line `//--- NAME`".into());
    }
    let failed = |what: &Path, why: std::io::Error| format!("{}: {why}", what.display());
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|why| failed(folder, why))?;
    }
    for (name, part) in parts {
        let path = folder.join(name.trim());
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|why| failed(parent, why))?;
        std::fs::write(&path, part).map_err(|why| failed(&path, why))?;
    }
    Ok(())
}
