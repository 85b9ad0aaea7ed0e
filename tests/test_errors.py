"""Every error that a user can cause derives from one class."""

import inspect

import etude.errors
from etude.errors import EtudeError


def test_every_error_of_the_package_is_an_etude_error_and_says_what_it_is_for():
    classes = [cls for _, cls in inspect.getmembers(etude.errors, inspect.isclass)]
    assert len(classes) > 5
    for cls in classes:
        assert issubclass(cls, EtudeError)
        assert cls.__doc__.endswith(".")
