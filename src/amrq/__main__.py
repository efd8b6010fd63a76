# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m amrq`."""

from amrq.cli import main

if __name__ == "__main__":
    main()
