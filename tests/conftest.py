"""What all tests share: the data beside the repository, and how hypothesis searches."""

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
