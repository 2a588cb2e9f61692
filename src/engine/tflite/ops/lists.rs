//! Lists of tensors, which converters keep in one tensor.
//!
//! A loop that puts its result at place `i` of a list is written as three pieces that are joined again: `list[..i]`, the item and
//! `list[i + 1..]`. The pieces have no shapes of their own, so the whole is made what it is: an item replaced.

use super::super::graph::{FileGraph, Operator};
use super::moves::axis_option;

/// Makes every `CONCATENATION` that replaces an item of a list a `DYNAMIC_UPDATE_SLICE`.
pub fn replace_items(net: &mut FileGraph<'_>) {
    let mut makers = vec![None; net.tensors.len()];
    for (index, operator) in net.operators.iter().enumerate() {
        operator.outputs.iter().for_each(|&output| makers[output] = Some(index));
    }
    for index in 0..net.operators.len() {
        let graph = Makers { net, makers: &makers };
        if let Some(inputs) = graph.replaced(&net.operators[index]) {
            let operator = &mut net.operators[index];
            operator.name = "DYNAMIC_UPDATE_SLICE".into();
            (operator.options, operator.inputs) = (None, inputs.map(Some).into());
        }
    }
}

/// A graph, and which operator makes each tensor.
struct Makers<'n, 'a> {
    net: &'n FileGraph<'a>,
    makers: &'n [Option<usize>],
}

impl<'n, 'a> Makers<'n, 'a> {
    /// The list, the item and where it goes, if an operator puts one into the other.
    fn replaced(&self, operator: &Operator<'_>) -> Option<[usize; 3]> {
        let (&[Some(front), Some(item), Some(back)], &[made]) = (&operator.inputs[..], &operator.outputs[..]) else {
            return None;
        };
        if operator.name != "CONCATENATION" || axis_option(operator) != Ok(0) {
            return None;
        }
        let [list, first, sizes] = self.slice(front)?;
        let [other, places, rest] = self.slice(back)?;
        let all = |index: usize, value: i64| {
            self.net.tensors[index].integers().is_some_and(|v| v.iter().all(|&v| v == value))
        };
        let shape = &self.net.tensors[list].shape;
        let (item_rows, item_rest) = self.net.tensors[item].shape.split_first()?;
        let fits = *shape == self.net.tensors[made].shape && *item_rows == 1 && shape.get(1..) == Some(item_rest);
        if !fits || other != list || !all(first, 0) || !all(rest, -1) {
            return None;
        }
        // A size of −1 is the rest of an axis, as whose place it counts as 0.
        let (at, next) = (self.leading(sizes, -1)?, self.leading(places, 0)?);
        let &[Some(a), Some(b)] = &self.maker(next, "ADD")?.inputs[..] else { return None };
        let follows = (a == at && all(b, 1)) || (b == at && all(a, 1));
        follows.then_some([list, item, sizes])
    }

    /// The operator of this name that makes a tensor.
    fn maker(&self, tensor: usize, name: &str) -> Option<&'n Operator<'a>> {
        self.makers[tensor].map(|index| &self.net.operators[index]).filter(|o| o.name == name)
    }

    /// Operands of the `SLICE` that makes a tensor.
    fn slice(&self, tensor: usize) -> Option<[usize; 3]> {
        let operands = self.maker(tensor, "SLICE")?.inputs.iter().copied().collect::<Option<Vec<_>>>()?;
        operands.try_into().ok()
    }

    /// The one computed number in front of a row whose others all are `rest`.
    fn leading(&self, row: usize, rest: i64) -> Option<usize> {
        let &[Some(first), Some(others)] = &self.maker(row, "CONCATENATION")?.inputs[..] else { return None };
        let others = self.net.tensors[others].integers()?;
        let number = self.maker(first, "RESHAPE")?.inputs.first().copied().flatten()?;
        let single = self.net.tensors[first].len() == 1 && self.net.tensors[number].len() == 1;
        (single && others.iter().all(|&v| v == rest)).then_some(number)
    }
}
