# SPDX-License-Identifier: Apache-2.0
"""The kernel and the initrd that guests boot, made from Debian's packages."""
