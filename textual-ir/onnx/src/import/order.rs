//! The order of nodes: files should list them sorted, some do not.

use super::node_name;
use crate::proto::NodeProto;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Indices of the nodes in an order in which every value is defined before it is used. `known` tells names from outside.
pub fn topological(nodes: &[NodeProto], known: &dyn Fn(&str) -> bool) -> Result<Vec<usize>, String> {
    let mut producer: FxHashMap<&str, usize> = FxHashMap::default();
    for (i, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if producer.insert(output, i).is_some() {
                return Err(format!("{output:?} is defined twice, the second time by node {:?}", node_name(node)));
            }
        }
    }
    let mut waiting = vec![0usize; nodes.len()];
    let mut users: Vec<Vec<usize>> = vec![vec![]; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        for name in needs(node) {
            match producer.get(name) {
                Some(&p) => {
                    waiting[i] += 1;
                    users[p].push(i);
                }
                None if known(name) => {}
                None if node.input.iter().any(|n| n == name) => {
                    return Err(format!(
                        "{name:?}, an input of node {:?} ({}), is defined nowhere",
                        node_name(node),
                        node.op_type
                    ));
                }
                // A name inside a subgraph that is its own; its import will tell.
                None => {}
            }
        }
    }
    // Smallest index first keeps a sorted file as it is.
    let mut ready: VecDeque<usize> = (0..nodes.len()).filter(|&i| waiting[i] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(i) = ready.pop_front() {
        order.push(i);
        for &u in &users[i] {
            waiting[u] -= 1;
            if waiting[u] == 0 {
                ready.push_back(u);
            }
        }
    }
    if order.len() < nodes.len() {
        let stuck: Vec<String> = (0..nodes.len())
            .filter(|&i| waiting[i] > 0)
            .take(8)
            .map(|i| format!("{:?}", node_name(&nodes[i])))
            .collect();
        return Err(format!("the graph has a cycle through nodes {}", stuck.join(", ")));
    }
    Ok(order)
}

/// Names a node needs, those that its subgraphs take from outside and those that it derives among them.
fn needs(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().filter(|n| !n.is_empty()).map(String::as_str).collect();
    if node.op_type == "Gradient" {
        let texts = node.attribute.iter().flat_map(|a| a.strings.iter().chain((a.name == "y").then_some(&a.s)));
        names.extend(texts.filter_map(|t| std::str::from_utf8(t).ok()));
    }
    let mut graphs: Vec<_> = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)).collect();
    while let Some(graph) = graphs.pop() {
        let own: std::collections::HashSet<&str> = graph
            .input
            .iter()
            .map(|v| v.name.as_str())
            .chain(graph.initializer.iter().map(|t| t.name.as_str()))
            .chain(graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str)))
            .collect();
        for inner in &graph.node {
            names.extend(inner.input.iter().map(String::as_str).filter(|n| !n.is_empty() && !own.contains(n)));
            graphs.extend(inner.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)));
        }
        names.extend(graph.output.iter().map(|v| v.name.as_str()).filter(|n| !own.contains(n)));
    }
    names.sort_unstable();
    names.dedup();
    names
}
