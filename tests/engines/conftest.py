from tests.own_cache import own_cache  # noqa: F401
