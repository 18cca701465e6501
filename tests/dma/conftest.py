from tests.conformance.conftest import own_cache  # noqa: F401
