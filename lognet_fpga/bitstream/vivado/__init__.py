"""The bitstream by Vivado: a project as files, its run here or on another machine, and its reports read."""
