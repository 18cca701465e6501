from tests.conformance.conftest import tools  # noqa: F401
