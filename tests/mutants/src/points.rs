//! Where the source can be broken, and how: the mutation operators.
//!
//! A mutant is a range of a file's text and what stands there instead. Everything that the compiler evaluates
//! (constants, patterns, types, lengths of arrays) is left alone, for one build holds all mutants, and so are macros,
//! `unsafe` numbers (a system call's) and what is compiled for other machines only.

use crate::cases::hash;
use proc_macro2::Span;
use std::collections::HashMap;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, ReturnType, Stmt, Type, UnOp};

/// What stands instead of the range.
#[derive(Clone, PartialEq)]
pub enum Change {
    /// Another expression.
    Expression(String),
    /// Nothing: the statement is not executed.
    Skip,
    /// At the beginning of a body, an empty range: it returns this at once.
    Return(String),
    /// Behind the pattern of an arm, an empty range: the arm never matches.
    NoMatch,
}

#[derive(Clone)]
pub struct Mutant {
    /// File, function and change, for people and for the files of results: it does not change with the lines.
    pub key: String,
    pub file: String,
    /// The file's text, in short.
    pub source: u64,
    pub line: usize,
    pub range: Range<usize>,
    pub change: Change,
}

/// All mutants of a file.
pub fn of_file(file: &str, text: &str) -> Result<Vec<Mutant>, String> {
    let tree = syn::parse_file(text).map_err(|error| format!("{file}: {error}"))?;
    let mut finder =
        Finder { file, text, place: Vec::new(), found: Vec::new(), names: HashMap::new(), number: Number::Kept };
    finder.visit_file(&tree);
    Ok(finder.found)
}

/// Whether a 0 or 1 that comes next may be another.
#[derive(Clone, Copy, PartialEq)]
enum Number {
    Kept,
    Changed,
    /// Within `unsafe`: never.
    Unsafe,
}

struct Finder<'a> {
    file: &'a str,
    text: &'a str,
    /// The type and function we are in.
    place: Vec<String>,
    found: Vec<Mutant>,
    /// How often a key was given.
    names: HashMap<String, usize>,
    number: Number,
}

/// The text on one line, cut where it is long.
fn brief(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= 70 {
        return words;
    }
    words.chars().take(67).chain("...".chars()).collect()
}

impl Finder<'_> {
    fn source(&self, span: Span) -> &str {
        &self.text[span.byte_range()]
    }

    fn add(&mut self, span: Span, range: Range<usize>, change: Change, what: String) {
        let key = format!("{} {}: {what}", self.file, self.place.join("::"));
        let count = self.names.entry(key.clone()).or_default();
        *count += 1;
        let key = if *count > 1 { format!("{key} ({count})") } else { key };
        let (file, source) = (self.file.to_string(), hash(self.text));
        self.found.push(Mutant { key, file, source, line: span.start().line, range, change });
    }

    fn replace(&mut self, expr: &Expr, with: String, how: &str) {
        let what = format!("{}: {how}", brief(self.source(expr.span())));
        self.add(expr.span(), expr.span().byte_range(), Change::Expression(with), what);
    }

    fn binary(&mut self, expr: &Expr, op: &BinOp, left: &Expr, right: &Expr) {
        let others: &[&str] = match op {
            BinOp::Eq(_) => &["!="],
            BinOp::Ne(_) => &["=="],
            BinOp::Lt(_) => &["<=", ">="],
            BinOp::Le(_) => &["<", ">"],
            BinOp::Gt(_) => &[">=", "<="],
            BinOp::Ge(_) => &[">", "<"],
            BinOp::And(_) => &["||"],
            BinOp::Or(_) => &["&&"],
            BinOp::Add(_) => &["-"],
            BinOp::Sub(_) => &["+"],
            BinOp::Mul(_) => &["/"],
            BinOp::Div(_) => &["*"],
            BinOp::Rem(_) => &["/"],
            BinOp::Shl(_) => &[">>"],
            BinOp::Shr(_) => &["<<"],
            BinOp::BitAnd(_) => &["|"],
            BinOp::BitXor(_) => &["&"],
            BinOp::AddAssign(_) => &["-="],
            BinOp::SubAssign(_) => &["+="],
            BinOp::BitOrAssign(_) => &["&="],
            BinOp::BitAndAssign(_) => &["|="],
            _ => &[],
        };
        let (a, b) = (self.source(left.span()).to_string(), self.source(right.span()).to_string());
        if let BinOp::BitOr(_) = op {
            self.replace(expr, a.clone(), &format!("without {}", brief(&b)));
            self.replace(expr, b, &format!("without {}", brief(&a)));
            return;
        }
        let op = self.source(op.span()).to_string();
        for other in others {
            self.replace(expr, format!("{a} {other} {b}"), &format!("{op} is {other}"));
        }
    }

    /// A truth value that is no operator's: a call, a variable.
    fn condition(&mut self, expr: &Expr) {
        match expr {
            Expr::Call(_) | Expr::MethodCall(_) | Expr::Path(_) | Expr::Field(_) => {
                let text = self.source(expr.span()).to_string();
                self.replace(expr, format!("!({text})"), "negated");
            }
            Expr::Paren(inner) => self.condition(&inner.expr),
            _ => {}
        }
    }

    fn path(&mut self, expr: &Expr) {
        let text = self.source(expr.span()).to_string();
        let name = text.rsplit("::").next().unwrap_or_default();
        let is_errno =
            name.starts_with('E') && !name.starts_with("EPOLL") && name.chars().all(|c| c.is_ascii_uppercase());
        if is_errno && text.starts_with("Errno::") {
            let other = if name == "EINVAL" { "Errno::ENOENT" } else { "Errno::EINVAL" };
            self.replace(expr, other.to_string(), "another errno");
        } else if is_errno && text.starts_with("libc::") {
            let other = if name == "EINVAL" { "libc::ENOENT" } else { "libc::EINVAL" };
            self.replace(expr, other.to_string(), "another errno");
        } else if self.number == Number::Changed && (name.starts_with("EV_") || name.starts_with("NOTE_")) {
            self.replace(expr, "0".to_string(), "0");
        }
    }

    /// Visits what holds a number that may be another.
    fn with_number(&mut self, number: Number, visit: impl FnOnce(&mut Self)) {
        let before = self.number;
        if before != Number::Unsafe {
            self.number = number;
        }
        visit(self);
        self.number = before;
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        self.place.push(signature.ident.to_string());
        if signature.constness.is_none() {
            let body = self.source(block.span());
            let body = body[1..body.len() - 1].trim().to_string();
            let start = block.span().byte_range().start + 1;
            for value in values(&signature.output).into_iter().filter(|value| *value != body) {
                let what = if value.is_empty() { "does nothing".to_string() } else { format!("returns {value}") };
                self.add(signature.ident.span(), start..start, Change::Return(value), what);
            }
            let number = if signature.unsafety.is_some() { Number::Unsafe } else { Number::Kept };
            let before = std::mem::replace(&mut self.number, number);
            self.visit_block(block);
            self.number = before;
        }
        self.place.pop();
    }
}

/// What a function of that type may return instead.
fn values(output: &ReturnType) -> Vec<String> {
    match output {
        ReturnType::Default => vec![String::new()],
        ReturnType::Type(_, kind) => values_of(kind),
    }
}

fn values_of(kind: &Type) -> Vec<String> {
    let wrapped = |name: &str, inner: Vec<String>| inner.iter().map(|value| format!("{name}({value})")).collect();
    match kind {
        Type::Tuple(tuple) if tuple.elems.is_empty() => vec!["()".to_string()],
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return Vec::new() };
            let inner = match &last.arguments {
                syn::PathArguments::AngleBracketed(list) => list.args.iter().find_map(|argument| match argument {
                    syn::GenericArgument::Type(inner) => Some(inner),
                    _ => None,
                }),
                _ => None,
            };
            match (last.ident.to_string().as_str(), inner) {
                ("bool", _) => vec!["true".to_string(), "false".to_string()],
                ("u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" | "c_int", _) => {
                    vec!["0".to_string(), "1".to_string()]
                }
                ("Result", Some(inner)) => wrapped("Ok", values_of(inner)),
                ("Option", Some(inner)) => {
                    let some: Vec<String> = wrapped("Some", values_of(inner));
                    std::iter::once("None".to_string()).chain(some).collect()
                }
                _ => vec!["Default::default()".to_string()],
            }
        }
        _ => Vec::new(),
    }
}

/// Is the item, statement or arm there on the machine that this runs on, in a build without options?
fn is_here(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().all(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return true };
        if !list.path.is_ident("cfg") {
            return true;
        }
        let condition = list.tokens.to_string();
        condition == format!("target_arch = \"{}\"", std::env::consts::ARCH)
            || condition == "unix"
            || condition.starts_with("not (any (target_arch")
    })
}

fn attributes(expr: &Expr) -> &[syn::Attribute] {
    match expr {
        Expr::Call(expr) => &expr.attrs,
        Expr::MethodCall(expr) => &expr.attrs,
        Expr::If(expr) => &expr.attrs,
        Expr::Block(expr) => &expr.attrs,
        Expr::Assign(expr) => &expr.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_expr_repeat(&mut self, _: &'ast syn::ExprRepeat) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_generics(&mut self, _: &'ast syn::Generics) {}
    fn visit_path(&mut self, _: &'ast syn::Path) {}

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_here(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if is_here(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if is_here(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let Type::Path(path) = &*item.self_ty else { return };
        let name = path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        self.place.push(name);
        visit::visit_item_impl(self, item);
        self.place.pop();
    }

    fn visit_stmt(&mut self, stmt: &'ast Stmt) {
        if let Stmt::Expr(expr, Some(_)) = stmt {
            if !is_here(attributes(expr)) {
                return;
            }
            // (An operator that assigns is mutated as one; `while`, `return` and the like are no calls.)
            if matches!(expr, Expr::Call(_) | Expr::MethodCall(_) | Expr::Assign(_)) {
                let what = format!("{}: skipped", brief(self.source(stmt.span())));
                self.add(stmt.span(), stmt.span().byte_range(), Change::Skip, what);
            }
        }
        if let Stmt::Expr(expr, None) = stmt {
            if !is_here(attributes(expr)) {
                return;
            }
            self.with_number(Number::Changed, |finder| finder.visit_expr(expr));
            return;
        }
        visit::visit_stmt(self, stmt);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if is_here(&local.attrs) {
            self.with_number(Number::Kept, |finder| visit::visit_local(finder, local));
        }
    }

    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Binary(binary) => {
                self.binary(expr, &binary.op, &binary.left, &binary.right);
                if matches!(binary.op, BinOp::And(_) | BinOp::Or(_)) {
                    self.condition(&binary.left);
                    self.condition(&binary.right);
                }
                self.with_number(Number::Kept, |finder| {
                    finder.visit_expr(&binary.left);
                    finder.visit_expr(&binary.right);
                });
            }
            Expr::Unary(unary) => {
                if matches!(unary.op, UnOp::Not(_) | UnOp::Neg(_)) && !matches!(*unary.expr, Expr::Lit(_)) {
                    let inner = self.source(unary.expr.span()).to_string();
                    let op = self.source(unary.op.span()).to_string();
                    self.replace(expr, inner, &format!("without {op}"));
                }
                self.with_number(Number::Kept, |finder| visit::visit_expr_unary(finder, unary));
            }
            Expr::Lit(literal) => match &literal.lit {
                syn::Lit::Bool(value) => self.replace(expr, (!value.value).to_string(), &(!value.value).to_string()),
                syn::Lit::Int(value) if self.number == Number::Changed => {
                    if let Ok(number @ 0..=1) = value.base10_parse::<u64>() {
                        let other = format!("{}{}", number + 1, value.suffix());
                        self.replace(expr, other.clone(), &other);
                    }
                }
                _ => {}
            },
            Expr::Path(_) => self.path(expr),
            Expr::Macro(inner) if inner.mac.path.is_ident("matches") => {
                let text = self.source(expr.span()).to_string();
                self.replace(expr, format!("!{text}"), "negated");
            }
            Expr::If(inner) => {
                self.condition(&inner.cond);
                visit::visit_expr_if(self, inner);
            }
            Expr::While(inner) => {
                self.condition(&inner.cond);
                visit::visit_expr_while(self, inner);
            }
            Expr::Match(inner) => {
                self.with_number(Number::Kept, |finder| finder.visit_expr(&inner.expr));
                let has_rest = inner.arms.last().is_some_and(|arm| {
                    let takes_all = match &arm.pat {
                        syn::Pat::Wild(_) => true,
                        // (`None` looks the same.)
                        syn::Pat::Ident(name) => name.ident.to_string().starts_with(char::is_lowercase),
                        _ => false,
                    };
                    takes_all && arm.guard.is_none()
                });
                for (index, arm) in inner.arms.iter().enumerate() {
                    if !is_here(&arm.attrs) {
                        continue;
                    }
                    let pattern = arm.pat.span();
                    if let Some((_, guard)) = &arm.guard {
                        let text = brief(self.source(guard.span()));
                        for value in ["true", "false"] {
                            let what = format!("guard {text}: {value}");
                            let range = guard.span().byte_range();
                            self.add(guard.span(), range, Change::Expression(value.to_string()), what);
                        }
                        self.visit_expr(guard);
                    } else if has_rest && index + 1 < inner.arms.len() {
                        let end = pattern.byte_range().end;
                        let what = format!("arm {}: none", brief(self.source(pattern)));
                        self.add(pattern, end..end, Change::NoMatch, what);
                    }
                    self.with_number(Number::Changed, |finder| finder.visit_expr(&arm.body));
                }
            }
            Expr::Unsafe(inner) => {
                let before = std::mem::replace(&mut self.number, Number::Unsafe);
                visit::visit_expr_unsafe(self, inner);
                self.number = before;
            }
            Expr::Index(inner) => {
                self.with_number(Number::Kept, |finder| visit::visit_expr_index(finder, inner));
            }
            Expr::Call(inner) => {
                self.with_number(Number::Changed, |finder| {
                    inner.args.iter().for_each(|argument| finder.visit_expr(argument));
                });
                // (The function is a path, hardly ever a computed one.)
            }
            Expr::MethodCall(inner) => {
                self.with_number(Number::Kept, |finder| finder.visit_expr(&inner.receiver));
                self.with_number(Number::Changed, |finder| {
                    inner.args.iter().for_each(|argument| finder.visit_expr(argument));
                });
            }
            Expr::Struct(inner) => {
                for field in &inner.fields {
                    self.with_number(Number::Changed, |finder| finder.visit_expr(&field.expr));
                }
                if let Some(rest) = &inner.rest {
                    self.visit_expr(rest);
                }
            }
            Expr::Assign(inner) => {
                // What is assigned to is a place, not a value.
                self.with_number(Number::Changed, |finder| finder.visit_expr(&inner.right));
            }
            Expr::Reference(inner) if inner.mutability.is_some() => {
                if !matches!(*inner.expr, Expr::Path(_) | Expr::Lit(_)) {
                    visit::visit_expr_reference(self, inner);
                }
            }
            _ => visit::visit_expr(self, expr),
        }
    }
}
