# SPDX-License-Identifier: Apache-2.0
"""Real guests, a real daemon and real host programs, for the end-to-end tests and for tools/demo.

Nothing here sleeps to let something happen: every wait polls for a condition, has a deadline, and says what it was
waiting for. Nothing here outlives the program that uses it.
"""
