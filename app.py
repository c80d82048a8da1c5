"""Starts the window: ``python app.py [MODEL|FILE]``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from latentlab.ui.app import main

    sys.exit(main())
