"""The one error of this package."""


class ProfileError(ValueError):
    """What is wrong, in a sentence that says what to do."""
