"""What operators do: look, trace, mend, send again. Logic only; the API, the console and the command line show it."""
