"""``import etude`` is fast and gives every name that the documentation uses."""

import subprocess
import sys

import pytest

import etude


def test_importing_etude_imports_nothing_heavy():
    code = (
        "import sys, etude; "
        "heavy = {'torch', 'numpy', 'symusic', 'pyarrow', 'pydantic', 'typer', 'rich'} & set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted(set(etude.__all__) - {"__version__"}))
def test_every_public_name_is_there_and_says_what_it_is(name):
    value = getattr(etude, name)
    assert value.__doc__
    assert name in dir(etude)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'rendr'"):
        etude.rendr  # noqa: B018
