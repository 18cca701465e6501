"""Content-addressed cache of slow results: adder graphs, compiled simulators, synthesis figures.

An entry is a folder named by the digest of everything its content depends on (`machine.provenance` for the code that
makes it), with an index of the digests of its files.  It is made beside its place and renamed into it, so a reader
never sees half an entry and two writers do no harm.  Every use checks every digest; an entry that does not match is
made again.  The whole is kept below LOGNET_CACHE_MB: what was not used for the longest time goes first.
"""

from lognet_fpga.machine.cache.entry import Files
from lognet_fpga.machine.cache.lookup import cached, cached_folder, find
from lognet_fpga.machine.cache.place import cache_root, digest

__all__ = ["Files", "cache_root", "cached", "cached_folder", "digest", "find"]
