//! The crates as a tree of modules, read as the compiler reads it, and where a path in it leads.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, ItemMod};

use super::names::{Import, Names, Segments, only_for_tests};

/// A file's text by its path from the repository; `None` where there is no such file.
pub type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

/// File → file that it uses → the names that it uses of it.
pub type Uses<'a> = BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<String>>>;

/// One module: a file, or a block inside of one.
pub struct Module {
    /// Crate and names from its root: `["leptond", "model", "bundle"]`.
    pub path: Segments,
    pub file: String,
    pub names: Names,
    children: BTreeMap<String, usize>,
    definitions: BTreeSet<String>,
}

/// All modules that a build without tests is made of.
#[derive(Default)]
pub struct House {
    pub modules: Vec<Module>,
    roots: BTreeMap<String, usize>,
}

/// Item that a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Module(usize),
    /// The item of this name that this module defines.
    Item(usize, String),
}

impl House {
    /// Reads a crate from the file of its root. Panics, naming the file, on text that is no Rust and on modules without a file.
    pub fn read(&mut self, name: &str, root: &str, read: Read) {
        let text = read(root).unwrap_or_else(|| panic!("{root}: no such file"));
        let beside = root.rsplit_once('/').map_or("", |(dir, _)| dir);
        let module = self.file(vec![name.to_string()], root, &text, beside, read);
        self.roots.insert(name.to_string(), module);
    }

    fn file(&mut self, path: Segments, file: &str, text: &str, dir: &str, read: Read) -> usize {
        let parsed = syn::parse_file(text).unwrap_or_else(|e| panic!("{file}: {e}"));
        self.module(path, file, &parsed.items, dir, read)
    }

    /// `dir` is where the files of this module's children are.
    fn module(&mut self, path: Segments, file: &str, items: &[Item], dir: &str, read: Read) -> usize {
        let this = self.modules.len();
        self.modules.push(Module {
            path,
            file: file.to_string(),
            names: Names::of(items),
            children: BTreeMap::new(),
            definitions: items.iter().filter_map(defined).collect(),
        });
        for item in items {
            if let Item::Mod(child) = item
                && !only_for_tests(&child.attrs)
            {
                let made = self.child(this, child, dir, read);
                self.modules[this].children.insert(child.ident.to_string(), made);
            }
        }
        this
    }

    fn child(&mut self, parent: usize, item: &ItemMod, dir: &str, read: Read) -> usize {
        let name = item.ident.to_string();
        let path: Segments = self.modules[parent].path.iter().cloned().chain([name.clone()]).collect();
        let within = format!("{dir}/{name}");
        if let Some((_, items)) = &item.content {
            let file = self.modules[parent].file.clone();
            return self.module(path, &file, items, &within, read);
        }
        let candidates = [format!("{within}.rs"), format!("{within}/mod.rs")];
        let (file, text) = candidates.iter().find_map(|file| Some((file, read(file)?))).unwrap_or_else(|| {
            panic!("{}: mod {name}: neither {} nor {}", self.modules[parent].file, candidates[0], candidates[1])
        });
        self.file(path, file, &text, &within, read)
    }

    /// Path from a crate's root that `path`, written in `module`, spells out; `None` where it begins with another name.
    pub fn absolute(&self, module: usize, path: &[String]) -> Option<Segments> {
        let (first, rest) = path.split_first()?;
        let here = &self.modules[module].path;
        let mut base = match first.as_str() {
            "crate" => here[..1].to_vec(),
            "self" => here.clone(),
            "super" => here[..here.len() - 1].to_vec(),
            other if self.roots.contains_key(other) => vec![other.to_string()],
            _ => return None,
        };
        let supers = rest.iter().take_while(|segment| *segment == "super").count();
        base.truncate(base.len() - supers);
        base.extend_from_slice(&rest[supers..]);
        Some(base)
    }

    /// Follows a path through `use` and re-exports; `None` for names of other crates.
    pub fn resolve(&self, module: usize, path: &[String]) -> Option<Found> {
        self.follow(module, path, &mut BTreeSet::new())
    }

    fn follow(&self, module: usize, path: &[String], seen: &mut BTreeSet<(usize, Segments)>) -> Option<Found> {
        if !seen.insert((module, path.to_vec())) {
            return None;
        }
        match self.absolute(module, path) {
            Some(absolute) => {
                let root = *self.roots.get(&absolute[0])?;
                self.descend(root, &absolute[1..], seen)
            }
            None if self.scope_has(module, path.first()?) => self.descend(module, path, seen),
            None => {
                let globs = self.modules[module].names.imports.iter().filter(|import| import.alias.is_none());
                globs.clone().find_map(|glob| {
                    let Found::Module(target) = self.follow(module, &glob.target, seen)? else { return None };
                    if self.scope_has(target, path.first()?) { self.descend(target, path, seen) } else { None }
                })
            }
        }
    }

    fn scope_has(&self, module: usize, name: &str) -> bool {
        let module = &self.modules[module];
        module.children.contains_key(name)
            || module.definitions.contains(name)
            || module.names.imports.iter().any(|import| import.alias.as_deref() == Some(name))
    }

    fn descend(&self, module: usize, path: &[String], seen: &mut BTreeSet<(usize, Segments)>) -> Option<Found> {
        let Some((name, rest)) = path.split_first() else { return Some(Found::Module(module)) };
        let here = &self.modules[module];
        // A function and a module may have the same name.
        if let Some(&child) = here.children.get(name)
            && !(rest.is_empty() && here.definitions.contains(name))
        {
            return self.descend(child, rest, seen);
        }
        if here.definitions.contains(name) {
            return Some(Found::Item(module, name.clone()));
        }
        let imported = |import: &&Import| import.alias.as_deref() == Some(name);
        if let Some(import) = here.names.imports.iter().find(imported) {
            // `use glob::glob`: the first of the two is another crate's name.
            if import.target.first() == Some(name) {
                return None;
            }
            let target: Segments = import.target.iter().chain(rest).cloned().collect();
            return self.follow(module, &target, seen);
        }
        let through_glob = here.names.imports.iter().filter(|import| import.alias.is_none()).find_map(|glob| {
            let Found::Module(target) = self.follow(module, &glob.target, seen)? else { return None };
            if self.scope_has(target, name) { self.descend(target, path, seen) } else { None }
        });
        // What no file spells out is made by a macro there.
        Some(through_glob.unwrap_or_else(|| Found::Item(module, name.clone())))
    }

    /// What files use of each other. A name that is only handed on (`pub use`) is not used.
    pub fn uses(&self) -> Uses<'_> {
        let mut uses = Uses::new();
        for (index, module) in self.modules.iter().enumerate() {
            let private = module.names.imports.iter().filter(|import| !import.public);
            for path in private.map(|import| &import.target).chain(&module.names.paths) {
                let Some(Found::Item(target, name)) = self.resolve(index, path) else { continue };
                let target = self.modules[target].file.as_str();
                if target != module.file {
                    uses.entry(&module.file).or_default().entry(target).or_default().insert(name);
                }
            }
        }
        uses
    }

    /// Every file that was read.
    pub fn files(&self) -> BTreeSet<&str> {
        self.modules.iter().map(|module| module.file.as_str()).collect()
    }
}

/// Name of the item, as far as another file could use it.
fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(i) => &i.ident,
        Item::Enum(i) => &i.ident,
        Item::Fn(i) => &i.sig.ident,
        Item::Macro(i) => i.ident.as_ref()?,
        Item::Static(i) => &i.ident,
        Item::Struct(i) => &i.ident,
        Item::Trait(i) => &i.ident,
        Item::Type(i) => &i.ident,
        Item::Union(i) => &i.ident,
        _ => return None,
    };
    Some(name.to_string())
}
