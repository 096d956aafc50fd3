"""What can go wrong with a stack.

StackError            the stack's author is at fault; the message names the resource and what to do
├── TemplateError     the template itself: refused before anything is made
└── ResourceError     one resource: the stack rolls back
Replace               not an error: the change at hand needs a new resource in the place of the old one
"""

from __future__ import annotations


class StackError(Exception):
    """A stack that cannot be deployed; the text is one line for its author."""


class TemplateError(StackError):
    """The template is malformed, or asks for what the twin does not know."""


class ResourceError(StackError):
    """A resource could not be made, changed or deleted."""


class Replace(Exception):
    """This change is only possible with a new resource."""
