"""The drain: claim, fold, address, call, settle."""
