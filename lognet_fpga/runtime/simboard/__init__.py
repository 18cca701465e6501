"""A simulated board for the real pynq package: the driver, the notebooks and the tests run on it unchanged.

    with SimulatedBoard(bundle) as board:
        overlay = LogNetOverlay(bundle, bitstream=board.bitstream)

Importing SimulatedBoard imports pynq, so it is not imported here: take it from lognet_fpga.runtime.simboard.board.
"""
