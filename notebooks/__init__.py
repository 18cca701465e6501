"""The notebooks, installed as lognet_fpga.notebooks, where `pynq get-notebooks` finds them by its entry point."""
