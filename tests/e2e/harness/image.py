# SPDX-License-Identifier: Apache-2.0
"""The guest's kernel and initrd."""

import functools

from guest_image import image
from harness import programs


@functools.cache
def guest_image() -> image.Image:
    """Made, or found in the cache."""
    return image.find_or_make(programs.vsocktool(), programs.cache_directory() / "guest")
