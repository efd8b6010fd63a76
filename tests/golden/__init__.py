# SPDX-License-Identifier: GPL-3.0-or-later
"""The golden file of behaviour: what the library and the command answered when its data were last recorded.

`material` makes chunks and recordings without the library; `engines` is the one place that knows the library's names;
`parts` says what is recorded, and how near another run must come; `record.py` writes `data/` anew.
"""
