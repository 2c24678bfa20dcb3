"""Colours that all pictures and pages share; for a white page, where nothing else is said."""

from __future__ import annotations

INK = "#222222"
GREY = "#767676"  # the lightest grey that small text on white can have (contrast 4.5 to 1)
PALE = "#d4d4d4"
# Okabe & Ito's palette without its yellow, which is lost on white: told apart with any kind of colour vision.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"]
# The same hues for a page whose ground is dark.
COLOURS_ON_DARK = ["#3f9fdc", "#f0803c", "#2fbf95", "#dc96bd", "#edb23a", "#8accf3", "#b5bac2"]
