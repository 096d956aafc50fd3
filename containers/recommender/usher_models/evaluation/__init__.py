"""Offline evaluation of whole bundles on a window of time that no model was fitted on."""
