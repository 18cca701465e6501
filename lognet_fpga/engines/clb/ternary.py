"""Adders of three operands for the bit-serial engine.

A bit-serial adder of three operands has two carries, each of one bit: first = majority(a, b, c), and second, that of
a ^ b ^ c with both carries of the bit before.  Its sum and the second carry are functions of the same five inputs and
share a LUT6 site; the first carry has three inputs, and those of two adders that read one signal in common share
another site.  Two such adders take three sites and six flip-flops where four of two operands take four and eight.
(Adders of three operands in constant multiplication: Kumm, Hardieck, Willkomm, Zipf and Meyer-Baese, "Multiple
constant multiplication with ternary adders", FPL 2013; there of carry chains.)

Sums that only one adder reads may be summed in any order.  Here they are taken apart down to what others read as well,
and put together again from three terms at a time that are ready in the same cycle and equally shifted, so that they
need no delays and no zeros in front; of terms that several sums read, each is put into two adders that start together,
those with the fewest readers first.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from lognet_fpga.engines.clb.adder_graph import ZERO, Adder, AdderGraph, Term, append_adder, shifted


def ternary(graph: AdderGraph, in_bits: int, digit_bits: int, leg_cycles: int) -> AdderGraph:
    """The same outputs with adders of three operands wherever an engine of this folding has a use for them.

    in_bits: of the unsigned inputs.  A carry that a leg hands on to the next takes a choice between two sources, for
    which a LUT with five inputs has no room, and of digits of several bits the carries would pass twice the LUTs: so
    the sums of these adders are of one leg, or of legs of a single bit, which have no choice.
    """
    if digit_bits > 1:
        return graph
    most = max(max(high, -low).bit_length() + 1 for low, high in [(0, 0), *graph.node_ranges(0, 2**in_bits - 1)])
    return _ternary(graph, in_bits, most if leg_cycles == 1 else min(leg_cycles, most))


@lru_cache(maxsize=64)
def _ternary(graph: AdderGraph, in_bits: int, most_bits: int) -> AdderGraph:
    """most_bits: of the values of an adder of three.  Partial sums have no more than their sum, whatever their sign."""
    ranges = graph.node_ranges(0, 2**in_bits - 1)
    narrow = [max(high, -low).bit_length() + (low < 0) <= most_bits for low, high in ranges]
    return _Regrouping(graph, narrow).run()


@dataclass(eq=False)
class _Sum:
    """A sum in the making.  waiting: terms that are there, not added yet; missing: how many are not there yet."""

    node: int
    waiting: list[Term] = field(default_factory=list)
    missing: int = 0


class _Regrouping:
    def __init__(self, graph: AdderGraph, narrow: list[bool]) -> None:
        self.graph, self.narrow = graph, narrow
        self.adders: list[Adder] = []
        self.made: dict[int, Term] = {node: Term(node, 0, False) for node in range(graph.inputs)}
        self.ready = dict.fromkeys(range(graph.inputs), 0)  # of new nodes: the cycle in which they can be read first
        self.readers: dict[int, list[tuple[_Sum, Term]]] = defaultdict(list)
        self.sums = self._sums()

    def _sums(self) -> list[_Sum]:
        """The narrow sums that cannot be taken apart, or whose reader is not narrow."""
        graph, narrow = self.graph, np.array(self.narrow, bool)
        reader, _, read, _ = graph.term_rows.T
        whole = narrow.copy()  # nodes that are not taken apart
        whole[read[narrow[graph.inputs + reader]]] = False
        whole |= np.bincount(read, minlength=len(narrow)) != 1
        whole[[out.node for out in graph.outputs if out.node != ZERO]] = True
        whole[: graph.inputs] = True
        kept, sums = whole.tolist(), []
        for node in (graph.inputs + np.flatnonzero((whole & narrow)[graph.inputs :])).tolist():
            total, leaves = _Sum(node), 0
            ahead = list(graph.adders[node - graph.inputs].terms[::-1])
            while ahead:
                term = ahead.pop()
                if kept[term.node]:
                    leaves += 1
                    self.readers[term.node].append((total, term))
                else:
                    inner = graph.adders[term.node - graph.inputs].terms
                    ahead += [shifted(each, term.shift, term.negate) for each in inner[::-1]]
            total.missing = leaves
            sums.append(total)
        return sums

    def run(self) -> AdderGraph:
        for node in range(self.graph.inputs):
            self._arrived(node)
        unfinished, cycle = list(self.sums), 0
        while unfinished:
            self._start_alike(unfinished, cycle)
            for total in unfinished:
                self._finish(total)
            unfinished = [total for total in unfinished if total.node not in self.made]
            cycle += 1
        for node, adder in enumerate(self.graph.adders, self.graph.inputs):
            if self.narrow[node]:
                continue
            terms = [self._moved(term) for term in adder.terms]
            if [term[1:] for term in terms] == [term[1:] for term in adder.terms]:  # in normal form, as before
                self.adders.append(Adder(tuple(terms)))
                self.made[node] = Term(self.graph.inputs + len(self.adders) - 1, 0, False)
            else:
                self.made[node] = append_adder(self.adders, self.graph.inputs, terms)
        outputs = tuple(out if out.node == ZERO else self._moved(out) for out in self.graph.outputs)
        return AdderGraph(self.graph.inputs, tuple(self.adders), outputs, self.graph.solver)

    def _moved(self, term: Term) -> Term:
        return shifted(self.made[term.node], term.shift, term.negate)

    def _arrived(self, node: int) -> None:
        made, more, negate = self.made[node]
        for total, term in self.readers[node]:
            total.waiting.append(Term(made, more + term.shift, negate ^ term.negate))
            total.missing -= 1

    def _add(self, terms: list[Term]) -> Term:
        made = append_adder(self.adders, self.graph.inputs, terms)
        start = 0
        for node, shift, _ in terms:
            # A shifted term may come later, but has a register that puts zeros in front (`serial`).
            start = max(start, self.ready[node] - (late := shift - made.shift) + (late > 0))
        self.ready[made.node] = start + 1
        return made

    def _start_alike(self, sums: list[_Sum], cycle: int) -> None:
        """Adders of three terms of one sum with one shift, all of them there in this cycle."""
        alike: dict[tuple[int, int], list[Term]] = {}
        reading: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, total in enumerate(sums):
            of_shift = defaultdict(list)
            for term in total.waiting:
                if self.ready[term.node] <= cycle:
                    of_shift[term.shift].append(term)
            for shift, terms in of_shift.items():
                if len(terms) >= 3:
                    alike[number, shift] = terms
                    for term in terms:
                        reading[term.node].append((number, shift))
        left = {key: len(terms) // 3 for key, terms in alike.items()}
        groups: list[tuple[tuple[int, int], list[Term]]] = []
        for node, keys in sorted(reading.items(), key=lambda item: (len(item[1]), item[0])):
            free = [key for key in dict.fromkeys(keys) if left[key] and any(term.node == node for term in alike[key])]
            free.sort(key=lambda key: -left[key])
            for key in free[: len(free) // 2 * 2]:
                shared = next(term for term in alike[key] if term.node == node)
                alike[key].remove(shared)
                left[key] -= 1
                groups.append((key, [shared]))
        groups += [(key, [alike[key].pop(0)]) for key, number in left.items() for _ in range(number)]
        for key, terms in groups:
            # One of the sign of the first: in an adder that subtracts, the first carry is that of the other two.
            same = (place for place, term in enumerate(alike[key]) if term.negate == terms[0].negate)
            terms.append(alike[key].pop(next(same, 0)))
            terms.append(alike[key].pop(0))
            total = sums[key[0]]
            for term in terms:
                total.waiting.remove(term)
            total.waiting.append(self._add(terms))

    def _finish(self, total: _Sum) -> None:
        """Where nothing more will come and no three are alike, add what is there, the earliest first."""
        counts: dict[int, int] = defaultdict(int)
        for term in total.waiting:
            counts[term.shift] += 1
        if total.missing or max(counts.values()) >= 3:
            return
        terms = total.waiting
        while len(terms) > 1:
            terms.sort(key=lambda term: (self.ready[term.node] - term.shift, term.node))
            terms[:3] = [self._add(terms[:3])]
        self.made[total.node] = terms[0]
        self._arrived(total.node)
