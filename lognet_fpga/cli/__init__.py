"""The commands.  Only this package prints, and only its `reporter`."""

from lognet_fpga.cli.start import begin

begin()
