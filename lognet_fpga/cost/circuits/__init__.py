"""A matrix-vector product with weights from block RAM, for any width and kind of weight: the circuits of
`lognet-cost`."""
