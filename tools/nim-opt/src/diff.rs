//! The difference of two texts, line by line, with a few lines around each change.

/// Lines shown around a change.
const CONTEXT: usize = 3;
/// Beyond so many changed lines the texts have little in common, and the smallest difference is not worth its cost.
const MOST_EDITS: usize = 2000;

/// What happened to a line.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Edit {
    Keep,
    Remove,
    Add,
}

/// Lines with ` `, `-` or `+` before them; empty when the texts are equal.
pub fn diff(before: &str, after: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let edits = edits(&a, &b);
    let near = |at: usize| {
        let around = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(edits.len());
        edits[around].iter().any(|&e| e != Edit::Keep)
    };
    let (mut out, mut i, mut j, mut shown) = (String::new(), 0, 0, true);
    for (at, &edit) in edits.iter().enumerate() {
        let (sign, line) = match edit {
            Edit::Keep => (' ', a[i]),
            Edit::Remove => ('-', a[i]),
            Edit::Add => ('+', b[j]),
        };
        if near(at) {
            if !shown {
                out.push_str(&format!("@@ line {} @@\n", i + 1));
            }
            out.push(sign);
            out.push_str(line);
            out.push('\n');
        }
        shown = near(at);
        i += usize::from(edit != Edit::Add);
        j += usize::from(edit != Edit::Remove);
    }
    if edits.iter().all(|&e| e == Edit::Keep) { String::new() } else { out }
}

/// The shortest list of edits, by the greedy method of Myers, "An O(ND) Difference Algorithm and Its Variations" (1986).
fn edits(a: &[&str], b: &[&str]) -> Vec<Edit> {
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (head, a, b) = (same, &a[same..], &b[same..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    let mut middle = shortest(a, b).unwrap_or_else(|| {
        let mut all = vec![Edit::Remove; a.len()];
        all.extend(vec![Edit::Add; b.len()]);
        all
    });
    let mut edits = vec![Edit::Keep; head];
    edits.append(&mut middle);
    edits.extend(vec![Edit::Keep; tail]);
    edits
}

fn shortest(a: &[&str], b: &[&str]) -> Option<Vec<Edit>> {
    let most = (a.len() + b.len()).min(MOST_EDITS);
    let zero = most as isize + 1;
    // How far each diagonal was reached, by number of edits; kept to find the way back.
    let mut reached = vec![0usize; 2 * most + 3];
    let mut trace = vec![];
    for d in 0..=most as isize {
        trace.push(reached[(zero - d - 1) as usize..=(zero + d + 1) as usize].to_vec());
        for k in (-d..=d).step_by(2) {
            let at = |k: isize| reached[(zero + k) as usize];
            let mut x = if k == -d || (k != d && at(k - 1) < at(k + 1)) { at(k + 1) } else { at(k - 1) + 1 };
            while x < a.len() && (x as isize - k) < b.len() as isize && a[x] == b[(x as isize - k) as usize] {
                x += 1;
            }
            reached[(zero + k) as usize] = x;
            if x >= a.len() && x as isize - k >= b.len() as isize {
                return Some(way_back(a.len(), b.len(), &trace));
            }
        }
    }
    None
}

fn way_back(a: usize, b: usize, trace: &[Vec<usize>]) -> Vec<Edit> {
    let (mut x, mut y, mut edits) = (a as isize, b as isize, vec![]);
    for (d, reached) in trace.iter().enumerate().rev() {
        let d = d as isize;
        let at = |k: isize| reached[(k + d + 1) as usize] as isize;
        let k = x - y;
        let from = if k == -d || (k != d && at(k - 1) < at(k + 1)) { k + 1 } else { k - 1 };
        let (x0, y0) = if d == 0 { (0, 0) } else { (at(from), at(from) - from) };
        while x > x0.max(0) && y > y0.max(0) && (d == 0 || (x > x0 && y > y0)) {
            edits.push(Edit::Keep);
            (x, y) = (x - 1, y - 1);
        }
        if d > 0 {
            edits.push(if from == k + 1 { Edit::Add } else { Edit::Remove });
            (x, y) = (x0, y0);
        }
    }
    edits.reverse();
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_and_added_gives_the_other_text() {
        let mut state = 7u64;
        let mut next = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % n
        };
        for _ in 0..500 {
            let mut text = || (0..next(12)).map(|_| ["a", "b", "c"][next(3) as usize]).collect::<Vec<_>>();
            let (a, b) = (text(), text());
            let (mut left, mut right, mut i, mut j) = (vec![], vec![], 0, 0);
            for edit in edits(&a, &b) {
                match edit {
                    Edit::Keep => {
                        assert_eq!(a[i], b[j]);
                        left.push(a[i]);
                        right.push(b[j]);
                        (i, j) = (i + 1, j + 1);
                    }
                    Edit::Remove => {
                        left.push(a[i]);
                        i += 1;
                    }
                    Edit::Add => {
                        right.push(b[j]);
                        j += 1;
                    }
                }
            }
            assert_eq!((left, right), (a, b));
        }
    }

    #[test]
    fn only_what_is_near_a_change_is_shown() {
        let before: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let mut after = before.clone();
        after[20] = "new".into();
        let text = diff(&before.join("\n"), &after.join("\n"));
        assert_eq!(text, "@@ line 18 @@\n 17\n 18\n 19\n-20\n+new\n 21\n 22\n 23\n");
        assert_eq!(diff("a\nb", "a\nb"), "");
    }
}
