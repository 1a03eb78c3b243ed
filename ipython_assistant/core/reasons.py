"""What went wrong with a file or folder on disk, in words a reader can act on."""

from __future__ import annotations

import errno

_WORDS = {
    "EACCES": "permission denied",
    "EBUSY": "another program holds it",
    "EDQUOT": "the disk quota is used up",
    "EEXIST": "something else is in its place",
    "EFBIG": "it is larger than this disk allows",
    "EILSEQ": "the disk does not take this name",
    "EINVAL": "the disk does not take this name",
    "EIO": "the disk has a fault",
    "EISDIR": "a folder is in its place",
    "ELOOP": "a link is in its place, and links are not followed",
    "EMFILE": "too many files are open",
    "ENAMETOOLONG": "the disk does not take a name this long",
    "ENOENT": "it is no longer there",
    "ENOSPC": "the disk is full",
    "ENOTDIR": "a file is where a folder should be",
    "EPERM": "permission denied",
    "EROFS": "the disk is read-only",
    "ESTALE": "the network disk has lost it",
    "ETXTBSY": "another program holds it",
}


def disk_reason(error: OSError) -> str:
    """Why the system refused, to stand after a colon.

    >>> disk_reason(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full'
    """
    # By name: not every system has every number.
    known = _WORDS.get(errno.errorcode.get(error.errno or 0, ""))
    return known or error.strerror or type(error).__name__
