//! Scopes: the model's own functions, inlined where they are called, and the subgraphs of control flow.

use super::{Frame, Importer, Item, Node, Scope, canonical_domain, order};
use crate::proto::{FunctionProto, GraphProto};
use nim_graph::Built;
use nim_ir::BlockId;

/// Functions nested deeper than this are taken for recursion.
const MAX_DEPTH: usize = 64;

impl<'a> Importer<'a> {
    /// Imports the nodes of a model's own function in place of a call.
    pub(super) fn inline(&mut self, function: &'a FunctionProto, call: &Node<'a>) -> Built<Vec<Item>> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error("N0607", format!("the function {} calls itself", function.name)));
        }
        let mut frame = Frame::default();
        for default in &function.attribute_proto {
            frame.attributes.insert(default.name.clone(), default.clone());
        }
        for attribute in call.attributes() {
            frame.attributes.insert(attribute.name.clone(), attribute.clone());
        }
        let mut scope = Scope::default();
        for (name, item) in function.input.iter().zip(&call.items) {
            if let Some(item) = item {
                scope.insert(name.clone(), item.clone());
            }
        }
        // A function sees nothing of its caller.
        let outer = std::mem::replace(&mut self.scopes, vec![scope]);
        let opsets = self.opsets.clone();
        self.opsets.extend(function.opset_import.iter().map(|o| (canonical_domain(&o.domain).to_string(), o.version)));
        self.frames.push(frame);
        self.depth += 1;
        let result = self.function_nodes(function);
        self.depth -= 1;
        self.frames.pop();
        self.opsets = opsets;
        self.scopes = outer;
        result
    }

    fn function_nodes(&mut self, function: &'a FunctionProto) -> Built<Vec<Item>> {
        let known = |name: &str| self.lookup(name).is_some();
        let order = order::topological(&function.node, &known).map_err(|message| self.error("N0605", message))?;
        for index in order {
            self.node(&function.node[index])?;
        }
        function
            .output
            .iter()
            .map(|name| {
                self.lookup(name).ok_or_else(|| {
                    self.error("N0602", format!("the output {name:?} of function {} is defined nowhere", function.name))
                })
            })
            .collect()
    }

    /// Imports a subgraph at the builder's place; `args` stand for its inputs. Returns its outputs.
    pub(crate) fn subgraph(&mut self, graph: &'a GraphProto, args: &[Item]) -> Built<Vec<Item>> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error("N0607", "subgraphs are nested too deep"));
        }
        let mut scope = Scope::default();
        for (input, item) in graph.input.iter().zip(args) {
            scope.insert(input.name.clone(), item.clone());
        }
        self.scopes.push(scope);
        self.depth += 1;
        let result = self.subgraph_nodes(graph);
        self.depth -= 1;
        self.scopes.pop();
        result
    }

    fn subgraph_nodes(&mut self, graph: &'a GraphProto) -> Built<Vec<Item>> {
        self.initializers(graph)?;
        self.nodes(graph)?;
        graph
            .output
            .iter()
            .map(|output| {
                self.lookup(&output.name).ok_or_else(|| {
                    self.error("N0602", format!("the subgraph's output {:?} is defined nowhere", output.name))
                })
            })
            .collect()
    }

    /// Runs `f` with new ops going to the end of a block.
    pub(crate) fn in_block<R>(&mut self, block: BlockId, f: impl FnOnce(&mut Self) -> R) -> R {
        let outer = self.g.enter(block);
        let result = f(self);
        self.g.leave(outer);
        result
    }
}
