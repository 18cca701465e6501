"""Everything is in pyproject.toml but one thing that it cannot say beside a search for packages: the folders notebooks/
and overlays/ are installed inside lognet_fpga, so that no other package's are in their way."""

from setuptools import find_namespace_packages, setup

OUTSIDE = {"lognet_fpga.notebooks": "notebooks", "lognet_fpga.overlays": "overlays"}

setup(packages=[*find_namespace_packages(include=["lognet_fpga*"]), *OUTSIDE], package_dir=OUTSIDE)
