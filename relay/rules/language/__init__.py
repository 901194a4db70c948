"""The rules' language: templates in a sandbox."""
