"""The toolkit's version, which bundles and Verilog name; apart from the package's front, which names its API."""

__version__ = "0.2.0"
