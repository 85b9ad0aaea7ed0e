"""Every error that a user can cause derives from one class."""

import inspect

import etude.errors
from etude.errors import EtudeError, nearest


def test_every_error_of_the_package_is_an_etude_error_and_says_what_it_is_for():
    found = inspect.getmembers(etude.errors, inspect.isclass)
    classes = [cls for _, cls in found if cls.__module__ == "etude.errors"]
    assert len(classes) > 5
    for cls in classes:
        assert issubclass(cls, EtudeError)
        assert cls.__doc__.endswith(".")


def test_the_nearest_name_is_offered_or_all_of_them():
    assert nearest("recpies", ["recipes", "runs"]) == "did you mean 'recipes'?"
    assert nearest("zzz", ["recipes", "runs"]) == "there are: recipes, runs"
    assert nearest("zzz", []) == "there are none"
