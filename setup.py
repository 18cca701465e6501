"""Everything is in pyproject.toml but one thing that it cannot say beside a search for packages: the folder notebooks/
is installed as lognet_fpga.notebooks, so that no other package's `notebooks` on a board is in its way."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["lognet_fpga*", "overlays*"]), "lognet_fpga.notebooks"],
    package_dir={"lognet_fpga.notebooks": "notebooks"},
)
