//! A source text that holds all mutants, each asleep until the environment names it.
//!
//! A place with mutants 7 and 8 becomes `(if crate::mutation::is(7) { one } else if crate::mutation::is(8) { other } else
//! { as it was })`, with the mutants of the parts in the last branch only: one mutant is alive at a time.

use crate::points::{Change, Mutant};
use std::ops::Range;

/// Mutants with the same range, and their numbers.
struct Site<'a> {
    range: Range<usize>,
    mutants: Vec<(usize, &'a Mutant)>,
}

/// The text with the mutants in it, and for each stretch of it that a mutant brought (where it begins and ends) the
/// mutant's number.
pub struct Woven {
    pub text: String,
    pub stretches: Vec<(Range<usize>, usize)>,
}

/// Weaves numbered mutants of one file into its text.
pub fn weave(text: &str, mutants: &[(usize, &Mutant)]) -> Woven {
    let mut sites: Vec<Site> = Vec::new();
    let mut ordered = mutants.to_vec();
    ordered.sort_by_key(|(_, mutant)| {
        // What is inserted comes before what begins there, the whole before its parts.
        (mutant.range.start, !mutant.range.is_empty(), std::cmp::Reverse(mutant.range.end))
    });
    for (number, mutant) in ordered {
        match sites.last_mut() {
            Some(site) if site.range == mutant.range => site.mutants.push((number, mutant)),
            _ => sites.push(Site { range: mutant.range.clone(), mutants: vec![(number, mutant)] }),
        }
    }
    let mut woven = Woven { text: String::new(), stretches: Vec::new() };
    let mut rest = &sites[..];
    copy(text, 0..text.len(), &mut rest, &mut woven);
    woven
}

/// Copies a range of the text with the sites in it, which are the first of `sites`.
fn copy(text: &str, range: Range<usize>, sites: &mut &[Site], woven: &mut Woven) {
    let mut position = range.start;
    while let Some((site, rest)) = sites.split_first() {
        if site.range.end > range.end {
            break;
        }
        *sites = rest;
        woven.text.push_str(&text[position..site.range.start]);
        position = site.range.end;
        place(text, site, sites, woven);
    }
    woven.text.push_str(&text[position..range.end]);
}

fn place(text: &str, site: &Site, sites: &mut &[Site], woven: &mut Woven) {
    let is_expression = matches!(site.mutants[0].1.change, Change::Expression(_));
    let whole = woven.text.len();
    if is_expression {
        woven.text.push('(');
    }
    for (number, mutant) in &site.mutants {
        let begin = woven.text.len();
        let (before, inside, after) = match &mutant.change {
            Change::Expression(other) => ("if crate::mutation::is(#) { ", other.as_str(), " } else "),
            Change::Skip => ("if !crate::mutation::is(#) ", "", ""),
            Change::Return(value) => (" if crate::mutation::is(#) { return ", value.as_str(), "; }"),
            Change::NoMatch => (" if !crate::mutation::is(#)", "", ""),
        };
        woven.text.push_str(&before.replace('#', &(number + 1).to_string()));
        woven.text.push_str(inside);
        woven.text.push_str(after);
        woven.stretches.push((begin..woven.text.len(), *number));
    }
    if !site.range.is_empty() {
        woven.text.push_str("{ ");
        copy(text, site.range.clone(), sites, woven);
        woven.text.push_str(" }");
    }
    if is_expression {
        woven.text.push(')');
    }
    // Last, so that what is inside is found first.
    for (number, _) in &site.mutants {
        woven.stretches.push((whole..woven.text.len(), *number));
    }
}
