"""Rows of whole groups, with what is known of each group's labels.

Shapes: N rows, G groups.
"""

from dataclasses import dataclass

import numpy as np

from workbench.leakage.table import Column, Floats, Ints


@dataclass(frozen=True)
class Groups:
    """Rows of whole groups: the group of each row, and each group's size and positives."""

    code_N: Ints
    count_G: Floats
    positive_G: Floats

    @classmethod
    def of(cls, by: Column, label_N: Ints) -> "Groups":
        """The groups of the rows; a missing value is a group too."""
        _, code_N = np.unique(by.coded[1], return_inverse=True)
        count_G = np.bincount(code_N).astype(float)
        return cls(code_N, count_G, np.bincount(code_N, label_N).astype(float))

    @property
    def share_G(self) -> Floats:
        """The positive share of each group."""
        return self.positive_G / self.count_G

    def first(self, value_N: Floats) -> Floats:
        """A value of each group: its first row's."""
        return value_N[np.unique(self.code_N, return_index=True)[1]]
