//! An order in which alike series stand side by side, for a heat map: the leaves of average-linkage clustering (Sokal &
//! Michener 1958), found by chains of nearest neighbours (Murtagh, Comput. J. 26, 1983), in time quadratic in the series.

use super::Matrix;

/// The series, each once. Distance is 1 − |coefficient|; what correlates with nothing comes last.
pub fn order(matrix: &Matrix) -> Vec<usize> {
    let size = matrix.size();
    let distance =
        |one: usize, other: usize| matrix.get(one, other).map_or(1.0, |pair| 1.0 - pair.coefficient.abs());
    let varies = |one: &usize| (0..size).any(|other| matrix.get(*one, other).is_some());
    let (varying, rest): (Vec<usize>, Vec<usize>) = (0..size).partition(varies);
    let mut clusters: Vec<Option<Cluster>> = varying
        .iter()
        .map(|one| {
            let to = varying.iter().map(|other| distance(*one, *other) as f32).collect();
            Some(Cluster { members: vec![*one], to })
        })
        .collect();
    let mut chain: Vec<usize> = Vec::new();
    let any = |clusters: &[Option<Cluster>]| clusters.iter().position(Option::is_some);
    while let Some(last) = chain.last().copied().or_else(|| any(&clusters)) {
        let Some((nearest, near)) = nearest(&clusters, last) else { break };
        if chain.is_empty() {
            chain.push(last);
        }
        let before = chain.len().checked_sub(2).and_then(|at| chain.get(at)).copied();
        // Two that are each other's nearest become one; at equal distance the one before is, so that chains end.
        let next = before.filter(|before| is_as_near(&clusters, last, *before, near)).unwrap_or(nearest);
        match chain.iter().position(|one| *one == next) {
            Some(at) => {
                chain.truncate(at);
                merge(&mut clusters, last, next);
            }
            None => chain.push(next),
        }
    }
    let mut order: Vec<usize> = clusters.into_iter().flatten().flat_map(|cluster| cluster.members).collect();
    order.extend(rest);
    order
}

struct Cluster {
    /// In their order.
    members: Vec<usize>,
    /// Mean distance to each cluster, by its place.
    to: Vec<f32>,
}

fn nearest(clusters: &[Option<Cluster>], from: usize) -> Option<(usize, f32)> {
    let cluster = clusters.get(from)?.as_ref()?;
    let others = cluster.to.iter().zip(clusters).enumerate();
    let there = others.filter(|(at, (_, other))| *at != from && other.is_some());
    there.map(|(at, (distance, _))| (at, *distance)).min_by(|one, other| one.1.total_cmp(&other.1))
}

fn is_as_near(clusters: &[Option<Cluster>], from: usize, to: usize, distance: f32) -> bool {
    let cluster = clusters.get(from).and_then(Option::as_ref);
    cluster.and_then(|cluster| cluster.to.get(to)).is_some_and(|there| *there <= distance)
}

/// Puts both in the place of the first, with the mean of their distances by members.
fn merge(clusters: &mut [Option<Cluster>], one: usize, other: usize) {
    let taken = clusters.get_mut(other).and_then(Option::take);
    let kept = clusters.get_mut(one).and_then(Option::take);
    let Some((mut kept, taken)) = kept.zip(taken) else { return };
    let (here, there) = (kept.members.len() as f32, taken.members.len() as f32);
    for (at, (distance, other)) in kept.to.iter_mut().zip(&taken.to).enumerate() {
        *distance = (*distance * here + other * there) / (here + there);
        let back = clusters.get_mut(at).and_then(Option::as_mut).and_then(|cluster| cluster.to.get_mut(one));
        if let Some(back) = back {
            *back = *distance;
        }
    }
    kept.members.extend(taken.members);
    if let Some(place) = clusters.get_mut(one) {
        *place = Some(kept);
    }
}
