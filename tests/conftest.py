"""What all tests share: the data beside the repository, folders of their own, and how hypothesis searches."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# the same examples on every run: a test that fails here fails everywhere; a slow machine is not a failure
settings.register_profile(
    "etude",
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("etude")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public music beside the repository; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: this test needs the shared music data")
    return folder


@pytest.fixture(scope="session", autouse=True)
def folders_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep runs and caches out of the user's folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("ETUDE_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield
