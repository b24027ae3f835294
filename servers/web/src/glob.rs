//! File name patterns: `*`, `?`, `[a-z]`, `{a,b}` within a path element, `**` for any number of folders.

use std::path::{Path, PathBuf};

/// Deepest folder that `**` looks into, and most paths one pattern gives.
const MAX_DEPTH: usize = 32;
const MAX_PATHS: usize = 100_000;

/// Paths that match a pattern, sorted. A pattern without special characters gives the path if it exists.
pub fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in alternatives(pattern) {
        let (root, rest) = match pattern.strip_prefix('/') {
            Some(rest) => (PathBuf::from("/"), rest.to_owned()),
            None => (PathBuf::new(), pattern),
        };
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        walk(&root, &parts, 0, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// Whether a path matches a pattern.
pub fn matches(pattern: &str, path: &str) -> bool {
    let split = |text: &str| -> Vec<String> { text.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect() };
    let path = split(path);
    alternatives(pattern).iter().any(|pattern| match_parts(&split(pattern), &path))
}

fn match_parts(pattern: &[String], path: &[String]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            match_parts(rest, path) || path.split_first().is_some_and(|(_, tail)| match_parts(pattern, tail))
        }
        (Some((first, rest)), Some((name, tail))) => match_name(first, name) && match_parts(rest, tail),
        _ => false,
    }
}

/// Expands `{a,b}`, nested ones included.
fn alternatives(pattern: &str) -> Vec<String> {
    let Some(open) = pattern.find('{') else { return vec![pattern.to_owned()] };
    let (mut depth, mut parts, mut start) = (0usize, Vec::new(), open + 1);
    for (at, c) in pattern.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => {
                parts.push(&pattern[start..at]);
                start = at + 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    parts.push(&pattern[start..at]);
                    let (head, tail) = (&pattern[..open], &pattern[at + 1..]);
                    let expanded = parts.iter().flat_map(|part| alternatives(&format!("{head}{part}{tail}")));
                    return expanded.take(1000).collect();
                }
            }
            _ => {}
        }
    }
    vec![pattern.to_owned()]
}

fn is_special(part: &str) -> bool {
    part.contains(['*', '?', '['])
}

fn walk(dir: &Path, parts: &[&str], depth: usize, found: &mut Vec<PathBuf>) {
    if found.len() >= MAX_PATHS || depth > MAX_DEPTH {
        return;
    }
    let Some((first, rest)) = parts.split_first() else {
        if dir.exists() {
            found.push(dir.to_owned());
        }
        return;
    };
    if *first == "**" {
        walk(dir, rest, depth, found);
        for entry in entries(dir) {
            // A link to a folder may lead back up: not followed.
            if std::fs::symlink_metadata(&entry).is_ok_and(|meta| meta.is_dir()) {
                walk(&entry, parts, depth + 1, found);
            }
        }
    } else if is_special(first) {
        for entry in entries(dir) {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let hidden = name.starts_with('.') && !first.starts_with('.');
            if !hidden && match_name(first, &name) {
                walk(&entry, rest, depth, found);
            }
        }
    } else {
        walk(&dir.join(first), rest, depth, found);
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).map(|list| list.flatten().map(|e| e.path()).collect()).unwrap_or_default();
    entries.sort();
    entries
}

/// One path element against a pattern without `/`; time is bounded by the product of their lengths.
fn match_name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => class(&pattern[p..], name[n]).and_then(|(len, hit)| hit.then_some(p + len)),
            Some('\\') => pattern.get(p + 1).filter(|c| **c == name[n]).map(|_| p + 2),
            Some(c) if *c == name[n] => Some(p + 1),
            _ => None,
        };
        match (step, retry) {
            (Some(next), _) => {
                p = next;
                n += 1;
            }
            (None, Some((star, from))) => {
                retry = Some((star, from + 1));
                p = star + 1;
                n = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// `[a-z]` or `[^x]` at the start of `pattern`: its length, and whether `c` is in it.
fn class(pattern: &[char], c: char) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some('^' | '!'));
    let start = if negated { 2 } else { 1 };
    let end = start + pattern.get(start..)?.iter().skip(1).position(|c| *c == ']')? + 1;
    let (mut at, mut hit) = (start, false);
    while at < end {
        if at + 2 < end && pattern[at + 1] == '-' {
            hit |= (pattern[at]..=pattern[at + 2]).contains(&c);
            at += 3;
        } else {
            hit |= pattern[at] == c;
            at += 1;
        }
    }
    Some((end + 1, hit != negated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_paths() {
        let cases = [
            ("/var/log/*.log", "/var/log/a.log", true),
            ("/var/log/*.log", "/var/log/x/a.log", false),
            ("/var/log/**/*.log", "/var/log/a.log", true),
            ("/var/log/**/*.log", "/var/log/x/y/a.log", true),
            ("/var/**", "/var/log/x", true),
            ("/var/log/{a,b}.log", "/var/log/b.log", true),
            ("/var/log/{a,b{1,2}}.log", "/var/log/b2.log", true),
            ("/a/[a-c]?.txt", "/a/bz.txt", true),
            ("/a/[^a-c]?.txt", "/a/bz.txt", false),
            ("/a/*b*c", "/a/xxbyybzc", true),
            ("/a/*b*c", "/a/xxbyybz", false),
        ];
        for (pattern, path, want) in cases {
            assert_eq!(matches(pattern, path), want, "{pattern} {path}");
        }
    }

    #[test]
    fn expands_in_the_file_system() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.log", "b.log", "c.txt", "x/d.log", "x/y/e.log"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let root = dir.path().to_str().unwrap();
        let names = |pattern: &str| -> Vec<String> {
            let found = expand(&format!("{root}/{pattern}"));
            found.iter().map(|p| p.strip_prefix(root).unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("*.log"), ["a.log", "b.log"]);
        assert_eq!(names("**/*.log"), ["a.log", "b.log", "x/d.log", "x/y/e.log"]);
        assert_eq!(names("{c.txt,x/*}"), ["c.txt", "x/d.log", "x/y"]);
        assert_eq!(names("missing*"), Vec::<String>::new());
    }
}
