"""Errors of a stack.

StackError              the template's author can correct it; the message names the resource and what to do
├── TemplateError       the template itself: refused before anything is created
└── ResourceError       one resource: the stack rolls back
ReplacementRequired     not a failure: the change needs a new resource in place of the old one
"""

from __future__ import annotations


class StackError(Exception):
    """A stack cannot be deployed; the message is one line."""


class TemplateError(StackError):
    """The template is malformed, or uses what the twin does not support."""


class ResourceError(StackError):
    """A resource could not be created, changed or deleted."""


class ReplacementRequired(Exception):
    """A change is only possible with a new resource."""
