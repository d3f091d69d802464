"""Errors that a user can fix."""


class UserError(Exception):
    """One line: the file or key, what is wrong, and the remedy.

    The command prints it without a traceback and exits with code 2.
    """
