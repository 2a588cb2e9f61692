//! Names that a file uses: its `use` trees, the paths in its items and expressions, and those in the tokens of macros.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemUse, Meta, Stmt, Token, UseTree, Visibility};

/// A path as it is written: `crate::frame::Event` is three segments.
pub type Segments = Vec<String>;

/// One name that a `use` brings into a module.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// Path after `use`.
    pub target: Segments,
    /// `name` or the `alias` after `as`; `None` for a glob.
    pub alias: Option<String>,
    /// With a visibility (`pub use`): handed on, and used here only where its name is.
    pub public: bool,
}

/// True for an item that only tests compile.
pub fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = || attribute.parse_args::<Meta>().is_ok_and(|condition| !may_hold_without_tests(&condition));
        attribute.path().is_ident("test") || attribute.path().is_ident("cfg") && condition()
    })
}

/// False where a condition holds in tests alone: `test`, `all(test, …)`, and `any(…)` of such.
fn may_hold_without_tests(condition: &Meta) -> bool {
    let Meta::List(list) = condition else { return !condition.path().is_ident("test") };
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default();
    if list.path.is_ident("all") {
        parts.iter().all(may_hold_without_tests)
    } else if list.path.is_ident("any") {
        parts.iter().any(may_hold_without_tests)
    } else {
        true
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Union(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// Imports of one `use`, groups taken apart.
pub fn imports(item: &ItemUse) -> Vec<Import> {
    fn walk(tree: &UseTree, prefix: &[String], public: bool, out: &mut Vec<Import>) {
        let with = |name: &str| prefix.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        let mut add = |name: &str, alias: Option<String>| {
            // `use a::{self}` imports `a` itself.
            let target = if name == "self" && !prefix.is_empty() { prefix.to_vec() } else { with(name) };
            let alias = alias.or_else(|| target.last().cloned());
            out.push(Import { target, alias, public });
        };
        match tree {
            UseTree::Path(path) => walk(&path.tree, &with(&path.ident.to_string()), public, out),
            UseTree::Name(name) => add(&name.ident.to_string(), None),
            UseTree::Rename(name) => add(&name.ident.to_string(), Some(name.rename.to_string())),
            UseTree::Glob(_) => out.push(Import { target: prefix.to_vec(), alias: None, public }),
            UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, prefix, public, out)),
        }
    }
    let mut out = Vec::new();
    walk(&item.tree, &[], !matches!(item.vis, Visibility::Inherited), &mut out);
    out
}

/// Everything that the items of one module name. Modules inside are left to the caller.
#[derive(Default)]
pub struct Names {
    pub imports: Vec<Import>,
    /// Paths of two segments and more, and single names that may be imported ones.
    pub paths: BTreeSet<Segments>,
    /// `unsafe` blocks, functions, traits, implementations and foreign items.
    pub unsafe_code: bool,
}

impl Names {
    /// Reads `items`, but for what only tests compile.
    pub fn of(items: &[Item]) -> Names {
        let mut names = Names::default();
        items.iter().filter(|item| !matches!(item, Item::Mod(_))).for_each(|item| names.visit_item(item));
        names
    }

    fn path(&mut self, segments: Segments, called: bool) {
        // A single lower-case name is a variable as often as an item.
        let item = |name: &str| name.starts_with(char::is_uppercase);
        if segments.len() > 1 || called || segments.iter().any(|name| item(name)) {
            self.paths.insert(segments);
        }
    }

    /// Paths among tokens that no grammar is known for.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut segments = Segments::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    self.unsafe_code |= word == "unsafe";
                    if colons != 2 {
                        self.path(std::mem::take(&mut segments), false);
                    }
                    segments.push(word);
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !segments.is_empty() && colons < 2 => colons += 1,
                TokenTree::Group(group) => {
                    let called = group.delimiter() == Delimiter::Parenthesis && colons == 0;
                    self.path(std::mem::take(&mut segments), called);
                    colons = 0;
                    self.tokens(group.stream());
                }
                _ => {
                    self.path(std::mem::take(&mut segments), false);
                    colons = 0;
                }
            }
        }
        self.path(segments, false);
    }
}

fn segments(path: &syn::Path) -> Segments {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

impl<'a> Visit<'a> for Names {
    fn visit_item(&mut self, item: &'a Item) {
        if !only_for_tests(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'a ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(i) => &i.attrs,
            ImplItem::Fn(i) => &i.attrs,
            ImplItem::Macro(i) => &i.attrs,
            _ => &[],
        };
        if !only_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'a Stmt) {
        let attributes: &[Attribute] = match statement {
            Stmt::Local(i) => &i.attrs,
            Stmt::Macro(i) => &i.attrs,
            _ => &[],
        };
        if !only_for_tests(attributes) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_attribute(&mut self, _: &'a Attribute) {}

    fn visit_visibility(&mut self, _: &'a Visibility) {}

    fn visit_item_use(&mut self, item: &'a ItemUse) {
        self.imports.extend(imports(item));
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.path(segments(path), false);
        visit::visit_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'a syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func {
            self.path(segments(&function.path), true);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, mac: &'a syn::Macro) {
        self.path(segments(&mac.path), false);
        self.tokens(mac.tokens.clone());
    }

    fn visit_expr_unsafe(&mut self, block: &'a syn::ExprUnsafe) {
        self.unsafe_code = true;
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_safety(&mut self, safety: &'a syn::Safety) {
        self.unsafe_code |= matches!(safety, syn::Safety::Unsafe(_));
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        self.unsafe_code |= item.unsafety.is_some();
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'a syn::ItemTrait) {
        self.unsafe_code |= item.unsafety.is_some();
        visit::visit_item_trait(self, item);
    }

    fn visit_item_foreign_mod(&mut self, item: &'a syn::ItemForeignMod) {
        self.unsafe_code |= item.unsafety.is_some();
        visit::visit_item_foreign_mod(self, item);
    }
}
